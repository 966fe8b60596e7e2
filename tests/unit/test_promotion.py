"""A draft that is adopted waits no longer behind other drafts."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from antiphon.engines.base import Priority
from antiphon.engines.llamacpp.slots import Slots
from antiphon.engines.promotion import Promotion, priority_now
from antiphon.engines.workers import Cancellation, Workers
from tests.unit.test_workers import blocked, until


def started(work: Coroutine[Any, Any, Any], promotion: Promotion | None = None) -> asyncio.Task[Any]:
    context = promotion.context() if promotion is not None else None
    return asyncio.get_running_loop().create_task(work, context=context)


async def test_a_job_that_waits_moves_up_when_its_draft_is_adopted() -> None:
    workers = Workers("test-promotion", 1)
    gate, order = threading.Event(), list[str]()

    def note(name: str) -> Callable[[Cancellation], None]:
        return lambda _: order.append(name)

    try:
        first = started(workers.run(blocked(gate)))
        await until(lambda: workers.load().running == 1)
        mine = Promotion()
        jobs = [
            started(workers.run(note("another draft"), priority=Priority.DRAFT), Promotion()),
            started(workers.run(note("mine"), priority=Priority.DRAFT), mine),
            started(workers.run(note("no draft's"), priority=Priority.DRAFT)),
            started(workers.run(note("live"))),
        ]
        await until(lambda: workers.load().waiting == 4)
        mine.promote()
        later = started(workers.run(note("mine, later"), priority=Priority.DRAFT), mine)
        await until(lambda: workers.load().waiting == 5)
        gate.set()
        await asyncio.gather(first, later, *jobs)
        assert order == ["mine", "live", "mine, later", "another draft", "no draft's"]
    finally:
        gate.set()
        await workers.close()


async def test_a_request_that_waits_for_a_slot_moves_up_too() -> None:
    slots = Slots(1)
    taken = await slots.acquire(None, Priority.LIVE)
    order: list[str] = []

    async def ask(name: str) -> None:
        slot = await slots.acquire(None, Priority.DRAFT)
        order.append(name)
        slots.release(slot)

    mine = Promotion()
    tasks = [started(ask("another draft")), started(ask("mine"), mine)]
    await asyncio.sleep(0)
    mine.promote()
    slots.release(taken)
    await asyncio.gather(*tasks)
    assert order == ["mine", "another draft"]


async def test_what_a_draft_starts_belongs_to_it() -> None:
    mine = Promotion()

    async def inner() -> Priority:
        return priority_now(Priority.DRAFT)

    async def outer() -> list[Priority]:
        before = await asyncio.create_task(inner())
        mine.promote()
        return [before, await asyncio.create_task(inner())]

    assert await started(outer(), mine) == [Priority.DRAFT, Priority.LIVE]
    assert priority_now(Priority.DRAFT) is Priority.DRAFT


async def test_what_was_cancelled_is_forgotten() -> None:
    workers = Workers("test-promotion", 1)
    gate = threading.Event()
    mine = Promotion()
    try:
        first = started(workers.run(blocked(gate)))
        await until(lambda: workers.load().running == 1)
        gone = started(workers.run(lambda _: None, priority=Priority.DRAFT), mine)
        await until(lambda: workers.load().waiting == 1)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        mine.promote()
        assert workers.load().waiting == 0
        gate.set()
        await first
    finally:
        gate.set()
        await workers.close()
