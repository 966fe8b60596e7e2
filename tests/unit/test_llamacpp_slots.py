"""Slots go to live requests first, and to the session whose context they keep."""

from __future__ import annotations

import asyncio

import pytest

from antiphon.engines.base import EngineError, Priority
from antiphon.engines.llamacpp.slots import Slot, Slots

LIVE, DRAFT = Priority.LIVE, Priority.DRAFT


async def settle() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_a_session_comes_home() -> None:
    slots = Slots(3)
    homes = {}
    for key in "abc":
        slot = await slots.acquire(key, LIVE)
        homes[key] = slot.number
        slots.release(slot)
    assert sorted(homes.values()) == [0, 1, 2]
    for key in "cab":
        slot = await slots.acquire(key, LIVE)
        assert slot.number == homes[key]
        slots.release(slot)


async def test_a_new_session_takes_the_slot_that_was_used_longest_ago() -> None:
    slots = Slots(2)
    first = await slots.acquire("a", LIVE)
    slots.release(first)
    second = await slots.acquire("b", LIVE)
    slots.release(second)
    slots.release(await slots.acquire("a", LIVE))
    assert await slots.acquire("c", LIVE) is second


async def test_a_second_request_of_a_session_goes_elsewhere_and_the_home_stays() -> None:
    slots = Slots(2)
    home = await slots.acquire("a", LIVE)
    beside = await slots.acquire("a", LIVE)
    assert beside is not home
    slots.release(beside)
    slots.release(home)
    assert await slots.acquire("a", LIVE) is home


async def test_requests_without_a_session_leave_homes_alone_while_they_can() -> None:
    slots = Slots(2)
    home = await slots.acquire("a", LIVE)
    slots.release(home)
    for _ in range(3):
        slot = await slots.acquire(None, LIVE)
        assert slot is not home
        slots.release(slot)


async def test_live_requests_overtake_drafts() -> None:
    slots = Slots(1)
    busy = await slots.acquire("a", LIVE)
    order: list[str] = []

    async def ask(name: str, priority: Priority) -> None:
        slot = await slots.acquire(name, priority)
        order.append(name)
        slots.release(slot)

    tasks = [asyncio.create_task(ask(name, priority)) for name, priority in (("d", DRAFT), ("x", LIVE), ("y", LIVE))]
    await settle()
    assert slots.load().waiting == 3
    slots.release(busy)
    await asyncio.gather(*tasks)
    assert order == ["x", "y", "d"]
    assert slots.load().running == 0


async def test_a_cancelled_request_leaves_the_queue_or_gives_its_slot_back() -> None:
    slots = Slots(1)
    busy = await slots.acquire("a", LIVE)
    waiting = asyncio.create_task(slots.acquire("b", LIVE))
    await settle()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert slots.load().waiting == 0
    # Cancelled when it has been given the slot, but has not learned of it yet.
    waiting = asyncio.create_task(slots.acquire("b", LIVE))
    await settle()
    slots.release(busy)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert slots.load().running == 0


async def test_a_request_waits_for_what_passes_in_its_home_and_lets_others_by() -> None:
    slots = Slots(2)
    home = await slots.acquire("a", LIVE)
    home.passing = True
    again = asyncio.create_task(slots.acquire("a", LIVE))
    await settle()
    assert not again.done()
    other = await slots.acquire("b", LIVE)
    assert other is not home
    slots.release(home)
    assert await again is home


async def test_preparing_takes_the_home_or_a_free_slot_and_never_waits() -> None:
    slots = Slots(2)
    home = slots.acquire_home("a")
    assert isinstance(home, Slot)
    assert home.passing
    assert slots.acquire_home("a") is None
    slots.release(home)
    assert await slots.acquire("a", LIVE) is home
    assert slots.acquire_home("a") is None
    other = slots.acquire_home("b")
    assert isinstance(other, Slot)
    assert slots.acquire_home("c") is None
    slots.release(other)
    assert slots.acquire_home("b") is other


async def test_closing_fails_all_that_wait_and_come() -> None:
    slots = Slots(1)
    await slots.acquire(None, LIVE)
    waiting = asyncio.create_task(slots.acquire(None, LIVE))
    await settle()
    slots.close()
    slots.close()
    for refused in (waiting, slots.acquire(None, LIVE)):
        with pytest.raises(EngineError) as caught:
            await refused
        assert caught.value.code == "closed"
    assert slots.acquire_home("a") is None
