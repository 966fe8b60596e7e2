"""livekit-plugins-openai's streaming transcription."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from livekit import rtc
from livekit.agents.stt import SpeechEvent, SpeechEventType
from livekit.agents.utils import http_context
from livekit.plugins.openai import STT
from livekit.plugins.openai.stt import SpeechStream

from tests.conformance.audio import RATE, Pcm, pieces, read_speech, silence, tone
from tests.conformance.clients.stimuli import SPEECH, TIMEOUT
from tests.conformance.tap import Tap

RECORDING = Path(__file__).parents[2] / "data" / "speech" / "transfer.flac"


class Transcribing:
    """A stream, and everything that it reported."""

    def __init__(self, stream: SpeechStream) -> None:
        self.stream = stream
        self.events: list[SpeechEvent] = []

    def speak(self, pcm: Pcm = SPEECH) -> None:
        for piece in pieces(pcm, 20):
            self.stream.push_frame(rtc.AudioFrame(piece, RATE, 1, len(piece) // 2))

    async def until(self, kind: SpeechEventType) -> SpeechEvent:
        """Return the next event of type `kind`."""
        async with asyncio.timeout(TIMEOUT):
            async for event in self.stream:
                self.events.append(event)
                if event.type == kind:
                    return event
        raise AssertionError(f"the stream ended without {kind}")

    async def heard(self) -> tuple[str, str]:
        """Return the next final transcript and its language."""
        event = await self.until(SpeechEventType.FINAL_TRANSCRIPT)
        return event.alternatives[0].text, str(event.alternatives[0].language)

    def kinds(self) -> list[SpeechEventType]:
        return [event.type for event in self.events]


@asynccontextmanager
async def transcribing(tap: Tap, **options: Any) -> AsyncIterator[Transcribing]:
    async with http_context.open():
        stt = STT(base_url=f"http://127.0.0.1:{tap.port}/v1", api_key="any", **options)
        stream = stt.stream()
        try:
            yield Transcribing(stream)
        finally:
            await stream.aclose()
            await stt.aclose()
    kinds = {kind for connection in tap.connections for kind in connection.recording.types()}
    assert not any(kind.startswith("response.") or kind == "error" for kind in kinds)


@pytest.mark.parametrize("model", ["gpt-4o-mini-transcribe", "whisper-1", "gpt-transcribe"])
async def test_turns_that_the_server_ends(tap: Tap, model: str) -> None:
    async with transcribing(tap, model=model, use_realtime=True) as client:
        for _ in range(2):
            client.speak()
            text, language = await client.heard()
            assert text.startswith("Utterance of")
            assert language == "en"
            usage = (await client.until(SpeechEventType.RECOGNITION_USAGE)).recognition_usage
            assert usage is not None
            assert 0.8 < usage.audio_duration < 2.0
        kinds = [kind for kind in client.kinds() if kind != SpeechEventType.INTERIM_TRANSCRIPT]
    turn = [
        SpeechEventType.START_OF_SPEECH,
        SpeechEventType.END_OF_SPEECH,
        SpeechEventType.FINAL_TRANSCRIPT,
        SpeechEventType.RECOGNITION_USAGE,
    ]
    assert kinds == turn * 2


@pytest.mark.parametrize("model", ["gpt-realtime-whisper", "gpt-live-transcribe"])
async def test_turns_that_the_clients_own_vad_ends(tap: Tap, model: str) -> None:
    """These models end no turn: the client's VAD commits, here after the words of a recording."""
    async with transcribing(tap, model=model) as client:
        client.speak(np.concatenate([silence(500), read_speech(RECORDING), silence(1500)]))
        text, _ = await client.heard()
        assert text.startswith("Utterance of")
        assert SpeechEventType.START_OF_SPEECH in client.kinds()
    (connection,) = tap.connections
    assert "input_audio_buffer.speech_started" not in connection.recording.types()


async def test_changing_options_on_the_way(tap: Tap) -> None:
    async with transcribing(tap, model="gpt-transcribe", use_realtime=True, language=["en", "de"]) as client:
        client.speak()
        await client.heard()
        client.stream.update_options(language="de")
        await asyncio.sleep(0)  # the update goes out in a task of its own
        client.speak(np.concatenate([tone(600), silence(900)]))
        await client.heard()
    updates = [event["session"] for event in tap.connections[0].recording.received("session.updated")]
    languages = [update["audio"]["input"]["transcription"]["languages"] for update in updates]
    assert languages == [["en", "de"], ["de"]]


async def test_a_stream_goes_on_after_a_lost_connection(tap: Tap) -> None:
    async with transcribing(tap, use_realtime=True, noise_reduction_type="near_field") as client:
        client.speak()
        await client.heard()
        await tap.disconnect(1001)
        async with asyncio.timeout(TIMEOUT):
            while len(tap.connections) < 2:  # noqa: ASYNC110 - the client is silent on it
                await asyncio.sleep(0.01)
        client.speak()
        text, _ = await client.heard()
        assert text.startswith("Utterance of")
    assert len(tap.connections) == 2
