"""Ten pauses in one turn, with the embedded engines: drafts stop when speech goes on, and nothing is left of them."""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
import psutil
import pytest

from antiphon.audio.levels import to_float
from antiphon.audio.resampling import StreamResampler
from antiphon.bench.corpus import RATE, SHIPPED, load_recordings
from antiphon.engines.base import (
    Engine,
    EngineContext,
    EngineLoad,
    GenerationRequest,
    Message,
    Priority,
    TextPart,
)
from antiphon.engines.hibari import HibariSynthesizer
from antiphon.engines.llamacpp.model import LlamaCppModel
from antiphon.engines.silero import SileroVad
from antiphon.engines.whisper.transcriber import WhisperTranscriber
from antiphon.models.store import ModelStore
from antiphon.pipeline.cascade import Cascade
from tests.leftovers import own_threads, tasks_left
from tests.unit.session_harness import Conversing, conversing, stand_in_pipeline
from tests.unit.test_session import Listener

pytestmark = [pytest.mark.models, pytest.mark.realtime]

RESUMPTIONS = 10
SPEECH_S, PAUSE_S = 1.2, 0.4
"""Shorter than the silence that closes a turn, long enough for a transcript and the first tokens."""


def load_of(engine: Engine) -> EngineLoad:
    return engine.load_now()


class Engines:
    """The embedded engines."""

    vad: SileroVad
    transcription: WhisperTranscriber
    llm: LlamaCppModel
    tts: HibariSynthesizer

    @classmethod
    async def load(cls) -> Engines:
        context = EngineContext(ModelStore.default())
        engines = cls()
        engines.vad = await SileroVad.load(context)
        engines.transcription = await WhisperTranscriber.load(context)
        engines.llm = await LlamaCppModel.load(context)
        engines.tts = await HibariSynthesizer.load(context)
        for engine in engines.all:
            await engine.warm_up()
        return engines

    @property
    def all(self) -> list[Engine]:
        return [self.vad, self.transcription, self.llm, self.tts]

    async def pipeline(self) -> Cascade:
        return await stand_in_pipeline(vad=self.vad, transcription=self.transcription, llm=self.llm, tts=self.tts)

    async def idle(self) -> None:
        """Wait until nothing runs or waits in any of them."""
        async with asyncio.timeout(30):
            while any(load.running or load.waiting for load in map(load_of, self.all)):  # noqa: ASYNC110 - by threads
                await asyncio.sleep(0.001)


async def say(client: Conversing, pcm: np.ndarray[tuple[int, ...], np.dtype[np.int16]]) -> None:
    """Send audio as fast as it is spoken."""
    began = time.monotonic()
    for start in range(0, len(pcm), RATE // 50):
        await client.append(pcm[start : start + RATE // 50])
        await asyncio.sleep(max(0.0, began + (start / RATE) + 0.02 - time.monotonic()))


async def turn_with_resumptions(engines: Engines, resumptions: int) -> list[str]:
    """Speak one turn with pauses, and return what became of its drafts."""
    listener = Listener()
    recordings = load_recordings(SHIPPED)
    hiss = np.random.default_rng(0).normal(0, 3, round(PAUSE_S * RATE)).astype(np.int16)
    async with conversing(await engines.pipeline(), observer=listener) as client:
        await client.send({"type": "session.update", "session": {"type": "realtime", "max_output_tokens": 24}})
        for number in range(resumptions + 1):
            recording = recordings[number % len(recordings)]
            begin = recording.begin
            await say(client, np.concatenate([recording.pcm[begin : begin + round(SPEECH_S * RATE)], hiss]))
        await say(client, np.resize(hiss, RATE))
        done = await client.expect("response.done")
        assert done["response"]["status"] in ("completed", "incomplete")
        assert client.kinds().count("input_audio_buffer.speech_started") == 1, "it was one turn"
    await engines.idle()
    return listener.drafts


async def test_ten_resumptions_leave_nothing_behind() -> None:
    engines = await Engines.load()
    try:
        await turn_with_resumptions(engines, 2)  # the first one allocates what is kept for good
        gc.collect()
        process = psutil.Process()
        assert await tasks_left() == set()
        threads, memory = own_threads(), process.memory_info().rss
        drafts = await turn_with_resumptions(engines, RESUMPTIONS)
        gc.collect()
        print(f"drafts: {drafts.count('dropped')} dropped, {drafts.count('adopted')} adopted")
        assert drafts.count("dropped") >= RESUMPTIONS
        assert own_threads() <= threads
        assert await tasks_left() == set()
        assert process.memory_info().rss - memory < 30 * 2**20
    finally:
        for engine in engines.all:
            await engine.close()


async def test_engines_stop_when_nobody_wants_their_work() -> None:
    """Prints, for each engine, how long it still worked after a call was cancelled; nothing of it is asserted."""
    engines = await Engines.load()
    recording = load_recordings(SHIPPED)[0]
    heard = to_float(StreamResampler(RATE, 16_000).push(recording.pcm))
    story = GenerationRequest((Message("user", (TextPart("Tell me a long story."),)),), priority=Priority.DRAFT)

    async def think() -> None:
        async for _ in engines.llm.generate(story):
            pass

    async def speak() -> None:
        async for _ in engines.tts.synthesize("Once upon a time there was a ship, and its crew was a merry one."):
            pass

    try:
        works: dict[str, Callable[[], Coroutine[Any, Any, object]]] = {
            "transcription": lambda: engines.transcription.transcribe(heard),
            "llm": think,
            "tts": speak,
        }
        for name, work in works.items():
            took = []
            for delay_ms in range(5, 105, 10):
                task = asyncio.create_task(work())
                await asyncio.sleep(delay_ms / 1000)
                task.cancel()
                began = time.perf_counter()
                await asyncio.gather(task, return_exceptions=True)
                await engines.idle()
                took.append((time.perf_counter() - began) * 1000)
            print(f"{name}: stops {statistics.median(took):.0f} ms after it was cancelled, at most {max(took):.0f} ms")
    finally:
        for engine in engines.all:
            await engine.close()
