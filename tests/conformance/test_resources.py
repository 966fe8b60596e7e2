"""Nothing is left of a session that is over: no task, no thread, no memory."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from antiphon.session.session import Session
from tests.conformance.audio import tone
from tests.conformance.pipelines import SLOW, SLOW_ENVIRONMENT
from tests.conformance.recorder import RealtimeClient
from tests.leftovers import own_threads
from tests.serving import serving, serving_here

SPEECH = tone(800)


async def vanish_mid_speech(url: str) -> None:
    """Leave in the middle of a word."""
    async with RealtimeClient(url) as client:
        await client.speak(SPEECH, trailing_silence_ms=0)
        await client.expect("input_audio_buffer.speech_started")
        await client.vanish()


async def vanish_mid_reply(url: str) -> None:
    """Leave while the reply is being spoken, with another running out of band."""
    async with RealtimeClient(url) as client:
        await client.speak(SPEECH)
        await client.expect("response.output_audio.delta")
        await client.send({"type": "response.create", "response": {"conversation": "none"}})
        await client.expect("response.created")
        await client.vanish()


async def close_at_once(url: str) -> None:
    """Come and go."""
    async with RealtimeClient(url) as client:
        await client.expect("session.created")
        await client.close()


WAYS_TO_LEAVE = (vanish_mid_speech, vanish_mid_reply, close_at_once)


async def eventually(reached: Callable[[], bool]) -> bool:
    """Return whether a state is reached before a hung cleanup must be assumed."""
    for _ in range(400):
        if reached():
            return True
        await asyncio.sleep(0.05)
    return False


def living_sessions() -> int:
    """Return how many sessions are in memory."""
    return sum(type(thing) is Session for thing in gc.get_objects())


@contextmanager
def without_collector() -> Iterator[None]:
    """Let nothing be freed but what nobody refers to any more."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.parametrize("leave", WAYS_TO_LEAVE, ids=lambda leave: leave.__name__)
async def test_tasks_threads_and_sessions_are_gone(leave: Callable[[str], asyncio.Future[None]]) -> None:
    async with serving_here(engines={"preset": "stand-in", "llm": {"options": SLOW}}) as server:
        await leave(server.ws_url)  # starts the threads that stay
        assert await eventually(lambda: gc.collect() >= 0 and living_sessions() == 0)
        before = {task.get_name() for task in asyncio.all_tasks()}
        count, threads = len(asyncio.all_tasks()), own_threads()
        # The hour of audio that a session may hold must not wait for the collector.
        with without_collector():
            await asyncio.gather(*(leave(server.ws_url) for _ in range(8)))
            assert await eventually(lambda: len(asyncio.all_tasks()) <= count), (
                f"left: {sorted({task.get_name() for task in asyncio.all_tasks()} - before)}"
            )
            assert await eventually(lambda: living_sessions() == 0), f"{living_sessions()} sessions left"
        assert await eventually(lambda: own_threads() <= threads)


def resident_mib(pid: int) -> float:
    """Return the resident memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory of another process is read from /proc")
async def test_memory_does_not_grow_with_sessions_that_are_over() -> None:
    with serving("stand-in", environment=SLOW_ENVIRONMENT) as server:

        async def sessions(rounds: int) -> float:
            for _ in range(rounds):
                await asyncio.gather(*(leave(server.ws_url) for leave in WAYS_TO_LEAVE * 2))
            return resident_mib(server.pid)

        before = await sessions(6)
        after = await sessions(18)
        # Each of these 108 sessions holds some 200 KiB of audio alone while it lives: 20 MiB if they stayed. The last
        # ones may still be ending.
        little = await eventually(lambda: resident_mib(server.pid) - before < 8)
        assert little, f"{before:.1f} MiB before, {after:.1f} MiB after 108 sessions more, and no less later"
