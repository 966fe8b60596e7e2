"""A transcript that becomes known at the very moment at which its turn ends is told once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from antiphon.engines.base import EngineContext, Samples, Transcript
from antiphon.engines.stand_in import StandInTranscriber
from antiphon.protocol.frames import ServerEvent
from tests.unit.session_harness import Conversing, conversing, stand_in_pipeline

_TOLD = "conversation.item.input_audio_transcription.completed"


async def test_a_draft_whose_transcript_is_ready_while_the_turn_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    closing = asyncio.Event()

    class JustInTime(StandInTranscriber):
        async def transcribe(self, audio: Samples, **_: Any) -> Transcript:
            await closing.wait()
            return Transcript("Just in time.")

        def stream(self, **_: Any) -> None:  # type: ignore[override]
            return None

    emit = Conversing.emit

    async def emit_slowly(self: Conversing, event: ServerEvent) -> None:
        await emit(self, event)
        if self.received[-1]["type"] == "input_audio_buffer.speech_stopped":
            closing.set()
            for _ in range(20):  # the transcription ends, and its notice waits for the session
                await asyncio.sleep(0)

    monkeypatch.setattr(Conversing, "emit", emit_slowly)
    transcriber = await JustInTime.load(EngineContext(models=None))  # type: ignore[arg-type]
    async with conversing(await stand_in_pipeline(transcription=transcriber)) as client:
        heard = {"input": {"transcription": {"model": "whisper-1"}}}
        await client.send({"type": "session.update", "session": {"type": "realtime", "audio": heard}})
        await client.speak(0.5)
        await client.expect("response.done")
        await client.expect(_TOLD)
    assert client.kinds().count(_TOLD) == 1
