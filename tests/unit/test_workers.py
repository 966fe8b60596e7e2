import asyncio
import threading
from collections.abc import AsyncIterator, Callable

import pytest

from antiphon.engines.base import EngineError, EngineLoad, Priority
from antiphon.engines.workers import Cancellation, JobCancelled, Workers


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    workers = Workers("test-workers", 1)
    yield workers
    await workers.close()


def blocked(gate: threading.Event) -> Callable[[Cancellation], None]:
    def work(_: Cancellation) -> None:
        assert gate.wait(30)

    return work


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - other threads change the state
        await asyncio.sleep(0.001)


async def test_results_and_errors_come_back(workers: Workers) -> None:
    assert await workers.run(lambda _: 42) == 42

    def fail(_: Cancellation) -> None:
        raise EngineError("broken")

    with pytest.raises(EngineError, match="broken"):
        await workers.run(fail)
    assert await workers.run(lambda _: threading.current_thread().name) == "test-workers-0"


async def test_live_jobs_go_before_drafts_and_equals_in_order(workers: Workers) -> None:
    gate, order = threading.Event(), list[str]()

    def note(name: str) -> Callable[[Cancellation], None]:
        return lambda _: order.append(name)

    first = asyncio.create_task(workers.run(blocked(gate)))
    await until(lambda: workers.load().running == 1)
    jobs = [
        asyncio.create_task(workers.run(note(name), priority=priority))
        for name, priority in [
            ("draft 1", Priority.DRAFT),
            ("live 1", Priority.LIVE),
            ("draft 2", Priority.DRAFT),
            ("live 2", Priority.LIVE),
        ]
    ]
    await until(lambda: workers.load().waiting == 4)
    gate.set()
    await asyncio.gather(first, *jobs)
    assert order == ["live 1", "live 2", "draft 1", "draft 2"]


async def test_load(workers: Workers) -> None:
    gate = threading.Event()
    assert workers.load() == EngineLoad(0, 0, 1)
    jobs = [asyncio.create_task(workers.run(blocked(gate))) for _ in range(3)]
    await until(lambda: workers.load() == EngineLoad(1, 2, 1))
    gate.set()
    await asyncio.gather(*jobs)
    await until(lambda: workers.load() == EngineLoad(0, 0, 1))


async def test_as_many_jobs_at_once_as_threads() -> None:
    workers = Workers("test-workers", 3)
    together = threading.Barrier(3)
    await asyncio.gather(*(workers.run(lambda _: together.wait(30)) for _ in range(3)))
    await workers.close()


async def test_a_job_that_waits_is_dropped_when_nobody_wants_it(workers: Workers) -> None:
    gate, ran = threading.Event(), list[int]()
    first = asyncio.create_task(workers.run(blocked(gate)))
    await until(lambda: workers.load().running == 1)
    waiting = asyncio.create_task(workers.run(lambda _: ran.append(1)))
    await until(lambda: workers.load().waiting == 1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert workers.load().waiting == 0
    gate.set()
    await first
    assert await workers.run(lambda _: 1) == 1
    assert not ran


async def test_a_running_job_learns_that_nobody_wants_it(workers: Workers) -> None:
    started, stopped = threading.Event(), threading.Event()

    def work(cancellation: Cancellation) -> None:
        started.set()
        try:
            while True:
                cancellation.check()
        except JobCancelled:
            assert cancellation.cancelled
            stopped.set()
            raise

    job = asyncio.create_task(workers.run(work))
    await asyncio.to_thread(started.wait, 30)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    assert await asyncio.to_thread(stopped.wait, 30)
    assert await workers.run(lambda _: 1) == 1


async def test_close_fails_what_waits_lets_what_runs_end_and_leaves_no_thread() -> None:
    workers = Workers("test-workers", 2)
    gate = threading.Event()
    jobs = [asyncio.create_task(workers.run(blocked(gate))) for _ in range(4)]
    await until(lambda: workers.load().waiting == 2)
    closing = asyncio.create_task(workers.close())
    outcomes = [asyncio.create_task(asyncio.wait_for(job, 30)) for job in jobs[2:]]
    for outcome in outcomes:
        with pytest.raises(EngineError) as error:
            await outcome
        assert error.value.code == "closed"
    gate.set()
    await asyncio.gather(*jobs[:2], closing)
    await workers.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("test-workers")]
    with pytest.raises(EngineError):
        await workers.run(lambda _: 1)


async def test_close_tells_what_runs_that_it_is_not_wanted() -> None:
    workers = Workers("test-workers", 1)

    def work(cancellation: Cancellation) -> None:
        while True:
            cancellation.check()

    job = asyncio.create_task(workers.run(work))
    await until(lambda: workers.load().running == 1)
    await workers.close()
    with pytest.raises(EngineError) as error:
        await job
    assert error.value.code == "closed"


async def test_what_runs_is_stopped_from_outside(workers: Workers) -> None:
    begun, stopped = threading.Event(), threading.Event()

    def work(cancellation: Cancellation) -> None:
        with cancellation.stopping(stopped.set):
            begun.set()
            assert stopped.wait(30)
        cancellation.check()

    job = asyncio.create_task(workers.run(work))
    await until(begun.is_set)
    assert not stopped.is_set()
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    await until(lambda: workers.load().running == 0)
    assert stopped.is_set()


def test_stopping_what_was_cancelled_before_and_after() -> None:
    cancellation, calls = Cancellation(), list[str]()
    with cancellation.stopping(lambda: calls.append("early")):
        pass
    cancellation.cancel()
    assert calls == []
    with cancellation.stopping(lambda: calls.append("late")):
        assert calls == ["late"]
    with pytest.raises(JobCancelled):
        cancellation.check()


async def test_a_stream_gives_what_its_work_gives_as_it_comes(workers: Workers) -> None:
    gate = threading.Event()

    def count(give: Callable[[int], None], _: Cancellation) -> None:
        give(1)
        assert gate.wait(30)
        give(2)
        raise EngineError("no three")

    stream = workers.stream(count)
    assert await anext(stream) == 1
    gate.set()
    assert await anext(stream) == 2
    with pytest.raises(EngineError, match="no three"):
        await anext(stream)


async def test_closing_a_stream_cancels_its_work(workers: Workers) -> None:
    stopped = threading.Event()

    def count(give: Callable[[int], None], cancellation: Cancellation) -> None:
        give(1)
        try:
            while True:
                cancellation.check()
        finally:
            stopped.set()

    stream = workers.stream(count)
    assert await anext(stream) == 1
    await stream.aclose()
    assert await asyncio.to_thread(stopped.wait, 30)
