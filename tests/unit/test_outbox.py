"""The outbox: order, bounds, stale audio."""

from __future__ import annotations

import asyncio
from typing import Any

from antiphon.protocol.frames import AudioDelta, ServerEvent
from antiphon.transports.outbox import Outbox


def audio(response_id: str = "resp_1", size: int = 100) -> AudioDelta:
    return AudioDelta(response_id, "item_1", 0, 0, bytes(size))


def ended(response_id: str, status: str) -> dict[str, Any]:
    return {"type": "response.done", "response": {"id": response_id, "status": status}}


async def drain(outbox: Outbox) -> list[ServerEvent]:
    outbox.close()
    events = []
    while (event := await outbox.get()) is not None:
        events.append(event)
    return events


async def test_keeps_order_and_ends() -> None:
    outbox = Outbox()
    sent: list[ServerEvent] = [{"type": "a"}, audio(), {"type": "b"}]
    for event in sent:
        await outbox.put(event)
    assert await drain(outbox) == sent
    await outbox.put({"type": "late"})
    assert await outbox.get() is None


async def test_waits_for_an_event() -> None:
    outbox = Outbox()
    getting = asyncio.create_task(outbox.get())
    await asyncio.sleep(0)
    assert not getting.done()
    await outbox.put({"type": "a"})
    assert await getting == {"type": "a"}


async def test_audio_waits_for_room_and_other_events_pass() -> None:
    outbox = Outbox(max_audio_bytes=150)
    await outbox.put(audio())
    await outbox.put(audio())
    waiting = asyncio.create_task(outbox.put(audio()))
    await asyncio.sleep(0)
    assert not waiting.done()
    await outbox.put({"type": "a"})
    await outbox.get()
    await waiting
    assert len(outbox) == 3


async def test_too_many_events_wait() -> None:
    outbox = Outbox(max_events=2)
    await outbox.put({"type": "a"})
    await outbox.put({"type": "b"})
    waiting = asyncio.create_task(outbox.put({"type": "c"}))
    await asyncio.sleep(0)
    assert not waiting.done()
    assert await outbox.get() == {"type": "a"}
    await waiting
    assert await drain(outbox) == [{"type": "b"}, {"type": "c"}]


async def test_the_end_of_a_cancelled_response_takes_its_audio_along() -> None:
    outbox = Outbox()
    other = audio("resp_2")
    done = ended("resp_1", "cancelled")
    for event in (audio(), {"type": "a"}, other, audio(), done):
        await outbox.put(event)
    assert await drain(outbox) == [{"type": "a"}, other, done]


async def test_a_completed_response_keeps_its_audio() -> None:
    outbox = Outbox()
    for event in (audio(), ended("resp_1", "completed")):
        await outbox.put(event)
    assert len(await drain(outbox)) == 2


async def test_dropped_audio_makes_room() -> None:
    outbox = Outbox(max_audio_bytes=100)
    await outbox.put(audio("resp_1"))
    waiting = asyncio.create_task(outbox.put(audio("resp_2")))
    await asyncio.sleep(0)
    assert not waiting.done()
    await outbox.put(ended("resp_1", "cancelled"))
    await waiting


async def test_abandoning_lets_everybody_go() -> None:
    outbox = Outbox(max_events=1)
    await outbox.put({"type": "a"})
    waiting = asyncio.create_task(outbox.put({"type": "b"}))
    await asyncio.sleep(0)
    outbox.abandon()
    await waiting
    assert len(outbox) == 0
    assert await outbox.get() is None
