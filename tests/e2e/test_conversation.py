"""A spoken conversation with the embedded models, held by the unmodified `openai` package at real-time pace.

Every frame passes a tap, which checks its shape and its place.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import csv
import itertools
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pytest
import soxr  # type: ignore[import-untyped]
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from whisper_normalizer.english import EnglishTextNormalizer

from antiphon.models import ModelStore
from tests.conformance.audio import RATE, Pcm, pieces, read_speech, silence
from tests.conformance.recorder import RealtimeClient, Recording
from tests.conformance.tap import Tap
from tests.serving import ServerProcess, serving

pytestmark = [pytest.mark.models, pytest.mark.realtime, pytest.mark.timeout(300)]

SPEECH = Path(__file__).parents[1] / "data" / "speech"
TEXTS = {
    row["file"]: row["text"]
    for row in csv.DictReader((SPEECH / "transcripts.tsv").open(encoding="utf-8"), delimiter="\t")
}
CONVERSATION = ("transfer.flac", "vm-sorry.flac", "agent-pass.flac")

CHUNK_MS = 20
PATIENCE_S = 60.0
"""Seconds to wait for an event: a bound for a hung server on a busy machine."""

INSTRUCTIONS = "You are a telephone operator. Answer in one short sentence."


def word_errors(said: list[str], heard: list[str]) -> float:
    """Return the word error rate after Whisper's normalisation of English."""
    normalise = EnglishTextNormalizer()
    return float(jiwer.wer([normalise(text) for text in said], [normalise(text) for text in heard]))


class Listener:
    """The same Whisper, run offline over the full window of 30 s."""

    def __init__(self) -> None:
        from faster_whisper import WhisperModel

        path = ModelStore.default().path("whisper-tiny.en")
        self._model = WhisperModel(str(path), device="cpu", compute_type="int8", cpu_threads=2)

    def hear(self, pcm: Pcm) -> str:
        """Return what is said in int16[n] at 24 kHz."""
        samples = soxr.resample(pcm.astype(np.float32) / 32768, RATE, 16_000)
        segments, _ = self._model.transcribe(samples, language="en", condition_on_previous_text=False)
        return " ".join(segment.text.strip() for segment in segments)


@pytest.fixture(scope="module")
def embedded_server() -> Iterator[ServerProcess]:
    """The embedded models, which give the same answers each time: a story that is long, and words that are heard."""
    with serving("embedded", environment={"ANTIPHON_ENGINES__LLM__OPTIONS": '{"seed": 1}'}) as server:
        yield server


@pytest.fixture(scope="module")
def listener() -> Listener:
    return Listener()


class Microphone:
    """Streams at real-time pace for as long as the context lasts: silence, but for what it is told to say."""

    def __init__(self, connection: AsyncRealtimeConnection) -> None:
        self._connection = connection
        self._waiting: list[bytes] = []
        self._said = asyncio.Event()

    async def say(self, pcm: Pcm) -> None:
        """Speak, and return when the last of it was sent."""
        self._waiting += pieces(pcm, CHUNK_MS)
        self._said.clear()
        await self._said.wait()

    async def stream(self) -> None:
        """Send 20 ms every 20 ms until cancelled."""
        clock = asyncio.get_running_loop().time
        due = clock()
        while True:
            if self._waiting:
                piece = self._waiting.pop(0)
            else:
                self._said.set()
                piece = bytes(RATE * 2 * CHUNK_MS // 1000)
            await self._connection.input_audio_buffer.append(audio=base64.b64encode(piece).decode("ascii"))
            due += CHUNK_MS / 1000
            await asyncio.sleep(max(0.0, due - clock()))


@contextlib.asynccontextmanager
async def calling(tap: Tap) -> AsyncIterator[tuple[AsyncRealtimeConnection, Microphone]]:
    """Connect as an application does, configure the session and open the microphone."""
    async with (
        # Closed, or its end is a task of whatever test runs when it is collected.
        AsyncOpenAI(base_url=f"http://127.0.0.1:{tap.port}/v1", api_key="any") as client,
        client.realtime.connect(model="gpt-realtime") as connection,
    ):
        await connection.session.update(
            session={
                "type": "realtime",
                "instructions": INSTRUCTIONS,
                "audio": {"input": {"transcription": {"model": "whisper-1", "language": "en"}}},
            }
        )
        await until(connection, "session.updated")
        microphone = Microphone(connection)
        streaming = asyncio.create_task(microphone.stream())
        try:
            yield connection, microphone
        finally:
            streaming.cancel()
            await asyncio.gather(streaming, return_exceptions=True)


async def until(connection: AsyncRealtimeConnection, *kinds: str) -> dict[str, Any]:
    """Return the event of each of `kinds`, by type, once all have come."""
    found: dict[str, Any] = {}
    async with asyncio.timeout(PATIENCE_S):
        while not found.keys() >= set(kinds):
            event = await connection.recv()
            assert event.type != "error", event
            if event.type in kinds:
                found[event.type] = event
    return found


TRANSCRIBED = "conversation.item.input_audio_transcription.completed"


async def test_three_turns(embedded_server: ServerProcess, listener: Listener) -> None:
    heard, replies = [], []
    async with Tap(embedded_server.base_url) as tap, calling(tap) as (connection, microphone):
        for name in CONVERSATION:
            answering = asyncio.create_task(until(connection, TRANSCRIBED, "response.done"))
            await microphone.say(np.concatenate([silence(300), read_speech(SPEECH / name)]))
            came = await answering
            heard.append(came[TRANSCRIBED].transcript)
            replies.append(came["response.done"].response)
    tap.finish()

    assert word_errors([TEXTS[name] for name in CONVERSATION], heard) <= 0.1, heard
    assert [reply.status for reply in replies] == ["completed"] * len(CONVERSATION)

    recording = tap.connections[0].recording
    said = [reply.output[0].content[0].transcript for reply in replies]
    again = [listener.hear(recording.speech(reply.id)) for reply in replies]
    assert word_errors(said, again) <= 0.25, list(zip(said, again, strict=True))

    assert_context_grows(replies)
    assert_audio_is_paced_by_the_microphone(recording)


def assert_context_grows(replies: list[Any]) -> None:
    """Check that each turn was given the turns before it: what was asked and what was answered."""
    for before, after in itertools.pairwise(replies):
        answered = before.usage.output_token_details.text_tokens
        assert after.usage.input_tokens >= before.usage.input_tokens + answered


def assert_audio_is_paced_by_the_microphone(recording: Recording) -> None:
    """Check that speech_stopped follows the end of speech by the silence asked for, in audio time."""
    (updated,) = recording.received("session.updated")
    silence_ms = updated["session"]["audio"]["input"]["turn_detection"]["silence_duration_ms"]
    started = recording.received("input_audio_buffer.speech_started")
    stopped = recording.received("input_audio_buffer.speech_stopped")
    for name, start, stop in zip(CONVERSATION, started, stopped, strict=True):
        length = len(read_speech(SPEECH / name)) * 1000 / RATE
        assert abs(stop["audio_end_ms"] - start["audio_start_ms"] - length - silence_ms) < 600


async def test_speaking_over_the_reply(embedded_server: ServerProcess) -> None:
    speech = read_speech(SPEECH / "vm-sorry.flac")
    async with RealtimeClient(embedded_server.ws_url) as client:
        # Typed, so that the model is sure to have been asked for a reply that takes it seconds to make.
        text = "Tell me a very long story about a dragon and a king."
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        await client.send({"type": "conversation.item.create", "item": item})
        long = "You tell very long stories, of at least three hundred words, and never stop early."
        await client.send({"type": "response.create", "response": {"instructions": long}})
        await client.expect("response.output_audio.delta", within=PATIENCE_S)
        await client.speak(speech, pace=1.0, trailing_silence_ms=0)
        interrupted = (await client.expect("response.done", within=PATIENCE_S))["response"]
        # The checker has seen that nothing of it came after speech_started.
        assert interrupted["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        (told,) = interrupted["output"]
        heard = {"item_id": told["id"], "content_index": 0, "audio_end_ms": 1000}
        await client.send({"type": "conversation.item.truncate", **heard})
        await client.expect("conversation.item.truncated")
        await client.send({"type": "session.update", "session": {"type": "realtime", "max_output_tokens": 40}})
        await client.speak(silence(1000), pace=1.0)
        answer = (await client.expect("response.done", within=PATIENCE_S))["response"]
        assert answer["status"] in ("completed", "incomplete")


async def converse(url: str, name: str) -> tuple[str, str]:
    """Hold one turn and return what was heard and what was answered."""
    async with RealtimeClient(url) as client:
        hearing = {"input": {"transcription": {"model": "whisper-1"}}}
        await client.send({"type": "session.update", "session": {"type": "realtime", "audio": hearing}})
        await client.speak(np.concatenate([silence(300), read_speech(SPEECH / name)]), pace=1.0)
        done = await client.expect("response.done", within=2 * PATIENCE_S)
        await client.settle(PATIENCE_S)
        heard: Mapping[str, Any] = client.recording.received(TRANSCRIBED)[0]
        assert done["response"]["status"] == "completed"
        assert len(client.recording.speech(done["response"]["id"])) > 0
        return heard["transcript"], done["response"]["output"][0]["content"][0]["transcript"]


async def test_eight_sessions_at_once(embedded_server: ServerProcess) -> None:
    names = sorted(TEXTS, key=lambda name: len(TEXTS[name]))[:8]
    held = await asyncio.gather(*(converse(embedded_server.ws_url, name) for name in names))
    assert word_errors([TEXTS[name] for name in names], [heard for heard, _ in held]) <= 0.1, held
    assert all(answer for _, answer in held)


async def test_transcripts_are_as_good_as_offline(embedded_server: ServerProcess, listener: Listener) -> None:
    names, heard, offline = sorted(TEXTS), [], []
    async with RealtimeClient(f"{embedded_server.ws_url}?intent=transcription") as client:
        hearing = {"input": {"transcription": {"model": "whisper-1"}}}
        await client.send({"type": "session.update", "session": {"type": "transcription", "audio": hearing}})
        for name in names:
            speech = np.concatenate([silence(300), read_speech(SPEECH / name)])
            await client.speak(speech, pace=4.0, trailing_silence_ms=1000)
            heard.append((await client.expect(TRANSCRIBED, within=PATIENCE_S))["transcript"])
            offline.append(listener.hear(speech))
    said = [TEXTS[name] for name in names]
    # Over all recordings that the models were chosen with the difference is bounded by 0.5 points; one word of these
    # ten sentences is 1.1.
    assert word_errors(said, heard) <= word_errors(said, offline) + 0.012, list(zip(heard, offline, strict=True))
