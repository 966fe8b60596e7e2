"""Worker threads of an engine: a fixed number of them, jobs ordered by priority, cancellable while they run."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from antiphon.engines.base import EngineError, EngineLoad, Priority
from antiphon.engines.promotion import may_move_up, priority_now

T = TypeVar("T")


class JobCancelled(Exception):  # noqa: N818 - not an error: the asker went away
    """Raised inside a job by `Cancellation.check` once nobody wants its result any more."""


class Cancellation:
    """Tells a running job that its result is not wanted any more. Thread-safe."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._stop: Callable[[], None] | None = None

    def cancel(self) -> None:
        """Ask the job to stop."""
        with self._lock:
            self._event.set()
            if self._stop is not None:
                self._stop()

    @contextmanager
    def stopping(self, stop: Callable[[], None]) -> Iterator[None]:
        """Call `stop`, from the thread that cancels, when the job should stop within this block; at once if it should.

        `stop` must be quick, and what it stops will have to raise; see `check`.
        """
        with self._lock:
            self._stop = stop
            if self._event.is_set():
                stop()
        try:
            yield
        finally:
            with self._lock:
                self._stop = None

    @property
    def cancelled(self) -> bool:
        """Whether the job should stop."""
        return self._event.is_set()

    def check(self) -> None:
        """Raise JobCancelled if the job should stop; call it between steps of long work."""
        if self._event.is_set():
            raise JobCancelled


@dataclass(order=True)
class _Job:
    priority: int
    number: int
    work: Callable[[Cancellation], Any] = field(compare=False)
    cancellation: Cancellation = field(compare=False)
    loop: asyncio.AbstractEventLoop = field(compare=False)
    future: asyncio.Future[Any] = field(compare=False)


class Workers:
    """Threads that do an engine's blocking work, live jobs before drafts, first come first served among equals.

    Args:
        name: prefix of the thread names, for profiles and logs.
        threads: how many jobs run at once.
    """

    def __init__(self, name: str, threads: int) -> None:
        self._jobs: list[_Job] = []
        self._numbers = itertools.count()
        self._running: list[_Job] = []
        self._closed = False
        self._condition = threading.Condition()
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{index}", daemon=True) for index in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    async def run(self, work: Callable[[Cancellation], T], *, priority: Priority = Priority.LIVE) -> T:
        """Run `work` in a worker and return its result.

        Cancelling this call drops the job if it has not begun and signals its Cancellation if it has.

        Raises:
            EngineError: code "closed" when the workers are closed; and whatever `work` raises.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        job = _Job(priority_now(priority), next(self._numbers), work, Cancellation(), loop, future)
        with self._condition:
            if self._closed:
                raise _closed()
            heapq.heappush(self._jobs, job)
            self._condition.notify()
        try:
            with may_move_up(partial(self._move_up, job)):
                return await future
        except asyncio.CancelledError:
            job.cancellation.cancel()
            with self._condition:
                if job in self._jobs:
                    self._jobs.remove(job)
                    heapq.heapify(self._jobs)
            raise

    async def stream(
        self, work: Callable[[Callable[[T], None], Cancellation], None], *, priority: Priority = Priority.LIVE
    ) -> AsyncGenerator[T, None]:
        """Run `work` in a worker and yield what it hands to its first argument, as it comes. Closing cancels `work`.

        What was handed over and not yet read is kept, however much it is.

        Raises:
            EngineError: code "closed" when the workers are closed; and whatever `work` raises, after what it gave.
        """
        loop = asyncio.get_running_loop()
        made: asyncio.Queue[tuple[T] | None] = asyncio.Queue()

        def give(part: T) -> None:
            loop.call_soon_threadsafe(made.put_nowait, (part,))

        job = asyncio.create_task(self.run(partial(work, give), priority=priority))
        job.add_done_callback(lambda _: made.put_nowait(None))
        try:
            while (part := await made.get()) is not None:
                yield part[0]
            await job
        finally:
            job.cancel()
            await asyncio.wait({job})

    def _move_up(self, job: _Job) -> None:
        with self._condition:
            job.priority = Priority.LIVE
            heapq.heapify(self._jobs)

    def load(self) -> EngineLoad:
        """Return how many jobs run and wait, and how many can run at once."""
        with self._condition:
            return EngineLoad(len(self._running), len(self._jobs), len(self._threads))

    async def close(self) -> None:
        """Fail what waits, signal their Cancellation to the jobs that run, and join the threads. Idempotent."""
        with self._condition:
            self._closed = True
            waiting, self._jobs = self._jobs, []
            for job in self._running:
                job.cancellation.cancel()
            self._condition.notify_all()
        for job in waiting:
            _settle(job, None, _closed())
        await asyncio.to_thread(self._join)

    def _join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while True:
            with self._condition:
                while not self._jobs and not self._closed:
                    self._condition.wait()
                if self._closed:
                    return
                job = heapq.heappop(self._jobs)
                self._running.append(job)
            result: Any = None
            error: BaseException | None = None
            try:
                if not job.cancellation.cancelled:
                    result = job.work(job.cancellation)
            except JobCancelled:
                # Its asker has left, or the workers are being closed.
                error = _closed()
            except BaseException as caught:  # noqa: BLE001 - handed to the asker, who awaits the future
                error = caught
            with self._condition:
                self._running.remove(job)
            _settle(job, result, error)


def _closed() -> EngineError:
    return EngineError("the engine is closed", code="closed")


def _settle(job: _Job, result: Any, error: BaseException | None) -> None:
    def settle() -> None:
        if job.future.done():
            return
        if error is not None:
            job.future.set_exception(error)
        else:
            job.future.set_result(result)

    if not job.loop.is_closed():
        job.loop.call_soon_threadsafe(settle)
