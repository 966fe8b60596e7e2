"""Speech over a reply: it is silenced at once, ended by an interruption, and goes on after a listener's sound."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast

import numpy as np
import pytest

from antiphon.engines.base import (
    EngineContext,
    EngineError,
    Finish,
    GenerationRequest,
    Priority,
    Samples,
    TextDelta,
    ToolCallDelta,
    Transcript,
    Usage,
)
from antiphon.engines.stand_in import StandInTranscriber
from antiphon.session.limits import SessionLimits
from antiphon.session.player import Cut
from tests.unit.session_harness import Conversing, Event, conversing, stand_in_pipeline
from tests.unit.test_session import Deaf, Recorded, pause

COMPLETED = "conversation.item.input_audio_transcription.completed"
TRANSCRIBE = {"type": "realtime", "audio": {"input": {"transcription": {"model": "whisper-1"}}}}


class Hears(StandInTranscriber):
    """Understands `text`, whatever is said."""

    text = "Mm-hm."

    @classmethod
    async def of(cls, text: str) -> Hears:
        transcriber = await cls.load(EngineContext(models=None))  # type: ignore[arg-type]
        transcriber.text = text
        return transcriber

    async def transcribe(
        self,
        audio: Samples,
        *,
        language: str | None = None,
        prompt: str | None = None,
        logprobs: bool = False,
        priority: Priority = Priority.LIVE,
    ) -> Transcript:
        return Transcript(self.text, "en")

    def stream(self, *, language: str | None = None, prompt: str | None = None) -> None:  # type: ignore[override]
        return None


@pytest.fixture(autouse=True)
def a_pause_of_the_machine_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is held waits for what the test says, and not for 3 s of this machine's clock."""
    monkeypatch.setattr("antiphon.session.barge_in.MOST_HOLD_S", 60.0)


async def replying(client: Conversing, llm: Recorded) -> int:
    """Get a long reply going that has not ended, and return how many events came until then."""
    await client.send({"type": "session.update", "session": TRANSCRIBE})
    content = [{"type": "input_text", "text": "Tell me a story."}]
    item = {"type": "message", "role": "user", "content": content}
    await client.send({"type": "conversation.item.create", "item": item})
    await client.send({"type": "response.create"})
    await client.expect("response.output_audio.delta")
    llm.gate.clear()
    await pause(client)
    return len(client.received)


def after(client: Conversing, kind: str, start: int) -> list[str]:
    """The types of what came after the first `kind`."""
    kinds = [event["type"] for event in client.received[start:]]
    return kinds[kinds.index(kind) + 1 :]


async def test_a_listeners_sound_makes_the_reply_pause_and_is_not_answered() -> None:
    llm = await Recorded.make(words=300)
    async with conversing(await stand_in_pipeline(llm=llm, transcription=await Hears.of("Mm-hm."))) as client:
        start = await replying(client, llm)
        await client.speak(0.4, silence=0.05)
        await client.expect("input_audio_buffer.speech_started", start)
        llm.gate.set()
        await pause(client)
        assert "response.output_audio.delta" not in after(client, "input_audio_buffer.speech_started", start)
        await client.append(np.zeros(24_000, np.int16))
        done = await client.expect("response.done", start)
        assert done["response"]["status"] == "completed"
        completed = await client.expect(COMPLETED, start)
        assert completed["transcript"] == "Mm-hm.", "what was accepted is transcribed"
        await pause(client)
        assert client.kinds(start).count("response.created") == 0
        assert len(llm.asked) == 1


async def test_a_short_word_ends_the_reply_at_the_pause_after_it() -> None:
    llm = await Recorded.make(words=300)
    async with conversing(await stand_in_pipeline(llm=llm, transcription=await Hears.of("Stop."))) as client:
        start = await replying(client, llm)
        await client.speak(0.4, silence=0.2)
        done = await client.expect("response.done", start)
        assert done["response"]["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        assert "input_audio_buffer.speech_stopped" not in client.kinds(start), "long before the turn is over"
        llm.gate.set()
        await client.append(np.zeros(24_000, np.int16))
        await client.expect("response.created", start)


async def test_the_answer_to_a_short_interruption_is_drafted() -> None:
    llm = await Recorded.make(words=300)
    async with conversing(await stand_in_pipeline(llm=llm, transcription=await Hears.of("Stop."))) as client:
        start = await replying(client, llm)
        await client.speak(0.4, silence=0.2)
        await client.expect("response.done", start)
        await pause(client)
        assert llm.texts()[-1] == "Stop."
        assert "response.created" not in client.kinds(start)
        llm.gate.set()
        await client.append(np.zeros(24_000, np.int16))
        await client.expect("response.done", client.received.index(await client.expect("response.created", start)))
        assert len(llm.asked) == 2


async def test_speech_that_lasts_ends_the_reply_whatever_it_says() -> None:
    llm = await Recorded.make(words=300)
    async with conversing(await stand_in_pipeline(llm=llm, transcription=await Hears.of("Mm-hm."))) as client:
        start = await replying(client, llm)
        await client.speak(0.9, silence=0)
        done = await client.expect("response.done", start)
        assert done["response"]["status_details"]["reason"] == "turn_detected"
        llm.gate.set()
        await client.append(np.zeros(24_000, np.int16))
        await client.expect("response.created", start)


async def test_zero_lets_every_sound_interrupt_at_once() -> None:
    llm = await Recorded.make(words=300)
    pipeline = await stand_in_pipeline(llm=llm, transcription=await Hears.of("Mm-hm."))
    async with conversing(pipeline, limits=SessionLimits(min_interruption_ms=0)) as client:
        start = await replying(client, llm)
        await client.speak(0.1, silence=0)
        done = await client.expect("response.done", start)
        assert done["response"]["status"] == "cancelled"
        llm.gate.set()
        await client.append(np.zeros(24_000, np.int16))
        await client.expect("response.created", start)


async def test_words_after_a_listeners_sound_interrupt() -> None:
    llm = await Recorded.make(words=300)
    ears = await Hears.of("Mm-hm.")
    async with conversing(await stand_in_pipeline(llm=llm, transcription=ears)) as client:
        start = await replying(client, llm)
        await client.speak(0.3, silence=0.25)
        await pause(client)
        ears.text = "Mm-hm, but why?"
        await client.speak(0.3, silence=0.3)
        done = await client.expect("response.done", start)
        assert done["response"]["status"] == "cancelled"
        llm.gate.set()
        await client.append(np.zeros(24_000, np.int16))
        await client.expect("response.created", start)
        assert llm.texts()[-1] == "Mm-hm, but why?"


@pytest.mark.parametrize("drafts", ["off", "full"])
async def test_what_nobody_understood_ends_the_reply(drafts: str) -> None:
    llm = await Recorded.make(words=300)
    deaf = await Deaf.load(EngineContext(models=None))  # type: ignore[arg-type]
    async with conversing(await stand_in_pipeline(llm=llm, transcription=deaf, drafts=drafts)) as client:
        start = await replying(client, llm)
        await client.speak(0.4, silence=0.8)
        done = await client.expect("response.done", start)
        assert done["response"]["status"] == "cancelled"
        llm.gate.set()
        failed = await client.expect("response.done", client.received.index(done) + 1)
        assert failed["response"]["status"] == "failed"


@pytest.mark.parametrize(("text", "status"), [("Mm-hm.", "completed"), ("Stop.", "cancelled"), ("", "completed")])
async def test_without_drafts_it_is_decided_when_the_turn_is_over(text: str, status: str) -> None:
    llm = await Recorded.make(words=300)
    pipeline = await stand_in_pipeline(llm=llm, transcription=await Hears.of(text), drafts="off")
    async with conversing(pipeline) as client:
        start = await replying(client, llm)
        await client.speak(0.4, silence=0.3)
        await pause(client)
        assert "response.done" not in client.kinds(start)
        llm.gate.set()
        await client.append(np.zeros(12_000, np.int16))
        done = await client.expect("response.done", start)
        assert done["response"]["status"] == status
        if status == "cancelled":
            await client.expect("response.created", start)


@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.cancel"},
        {"type": "input_audio_buffer.commit"},
        {"type": "conversation.item.truncate", "content_index": 0, "audio_end_ms": 10},
    ],
    ids=lambda event: event["type"],
)
async def test_a_client_that_cuts_the_reply_has_decided(event: Event) -> None:
    llm = await Recorded.make(words=300)
    async with conversing(await stand_in_pipeline(llm=llm, transcription=await Hears.of("Mm-hm."))) as client:
        start = await replying(client, llm)
        await client.speak(0.3, silence=0)
        await client.expect("input_audio_buffer.speech_started", start)
        if event["type"].endswith("truncate"):
            added = await client.expect("response.output_item.added")
            event = {**event, "item_id": added["item"]["id"]}
        await client.send(event)
        done = await client.expect("response.done", start)
        assert done["response"]["status"] == "cancelled"
        llm.gate.set()
        if event["type"] != "input_audio_buffer.commit":
            await client.append(np.zeros(24_000, np.int16))
            await client.expect("response.created", start)


async def test_a_client_that_forgets_what_was_said_lets_the_reply_go_on() -> None:
    llm = await Recorded.make(words=300)
    async with conversing(await stand_in_pipeline(llm=llm)) as client:
        start = await replying(client, llm)
        await client.speak(0.3, silence=0)
        await client.expect("input_audio_buffer.speech_started", start)
        llm.gate.set()
        await client.send({"type": "input_audio_buffer.clear"})
        done = await client.expect("response.done", start)
        assert done["response"]["status"] == "completed"


class Failing(Recorded):
    """Falls over when it is told to."""

    falls = False

    async def generate(self, request: GenerationRequest) -> AsyncIterator[TextDelta | ToolCallDelta | Usage | Finish]:
        async for delta in super().generate(request):
            if self.falls:
                raise EngineError("the model fell over", code="engine_failed")
            yield delta


async def test_a_reply_that_fails_while_it_is_held_says_so_afterwards() -> None:
    llm = cast(Failing, await Failing.make(words=300))
    async with conversing(await stand_in_pipeline(llm=llm, transcription=await Hears.of("Mm-hm."))) as client:
        start = await replying(client, llm)
        await client.speak(0.3, silence=0)
        llm.falls = True
        llm.gate.set()
        await pause(client)
        assert "response.done" not in client.kinds(start)
        await client.append(np.zeros(24_000, np.int16))
        done = await client.expect("response.done", start)
        assert done["response"]["status"] == "failed"


class Speaker:
    """Plays for ever."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def hold(self) -> bool:
        self.log.append("hold")
        return True

    def release(self) -> None:
        self.log.append("release")

    def clear(self) -> list[Cut]:
        self.log.append("clear")
        return []


@pytest.mark.parametrize(
    ("text", "log", "answers"), [("Mm-hm.", ["hold", "release"], 0), ("Stop.", ["hold", "clear"], 1)]
)
async def test_a_player_is_held_until_it_is_known(text: str, log: list[str], answers: int) -> None:
    speaker = Speaker()
    llm = await Recorded.make(words=3)
    pipeline = await stand_in_pipeline(llm=llm, transcription=await Hears.of(text))
    async with conversing(pipeline, player=speaker, settle=False) as client:
        await client.speak(0.4, silence=0.3)
        await pause(client)
        assert speaker.log == log
        await client.append(np.zeros(24_000, np.int16))
        await client.expect("input_audio_buffer.committed")
        await pause(client)
        assert client.kinds().count("response.created") == answers


async def test_where_nobody_transcribes_only_the_length_counts() -> None:
    llm = await Recorded.make(words=300)
    llm.supports_audio = True
    pipeline = await stand_in_pipeline(llm=llm)
    pipeline.transcribes = False
    async with conversing(pipeline) as client:
        await client.send(
            {
                "type": "conversation.item.create",
                "item": {
                    "type": "message",
                    "role": "user",
                    "content": [{"type": "input_text", "text": "Tell me a story."}],
                },
            }
        )
        await client.send({"type": "response.create"})
        await client.expect("response.output_audio.delta")
        llm.gate.clear()
        await pause(client)
        start = len(client.received)
        await client.speak(0.4, silence=0.3)
        llm.gate.set()
        done = await client.expect("response.done", start)
        assert done["response"]["status"] == "completed"
        await client.append(np.zeros(24_000, np.int16))
        await client.expect("input_audio_buffer.committed", start)
        await pause(client)
        assert client.kinds(start).count("response.created") == 0


async def test_a_client_that_asks_is_told_where_each_turns_time_went() -> None:
    async with conversing(await stand_in_pipeline(), tells_timeline=True) as client:
        await client.speak(0.5)
        await client.append(np.zeros(12_000, np.int16))
        told = await client.expect("antiphon.turn.timeline")
        done = await client.expect("response.done")
        assert told["response_id"] == done["response"]["id"]
        assert told["adopted"] == "reply"
        moments = told["since_speech_stopped_ms"]
        assert moments["speech_started"] < moments["speech_paused"] < 0 <= moments["first_audio_sent"]
        assert client.kinds()[-3:] == ["response.done", "rate_limits.updated", "antiphon.turn.timeline"]


async def test_a_reply_is_not_held_for_ever_when_the_client_falls_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("antiphon.session.barge_in.MOST_HOLD_S", 0.05)
    llm = await Recorded.make(words=300)
    async with conversing(await stand_in_pipeline(llm=llm)) as client:
        start = await replying(client, llm)
        await client.speak(0.3, silence=0)
        done = await client.expect("response.done", start)
        assert done["response"]["status"] == "cancelled"
        llm.gate.set()
        await client.append(np.zeros(24_000, np.int16))
        await client.expect("response.created", start)


async def test_a_turn_that_waits_for_its_answer_gets_it_although_a_sound_came_between() -> None:
    llm = await Recorded.make(words=30)
    async with conversing(await stand_in_pipeline(llm=llm)) as client:
        llm.gate.clear()
        await client.speak(0.3, silence=0)
        await client.expect("input_audio_buffer.speech_started")
        await client.send({"type": "response.create"})
        first = await client.expect("response.created")
        await client.append(np.zeros(24_000, np.int16))
        await client.expect("input_audio_buffer.committed")
        await pause(client)
        start = len(client.received)
        await client.speak(0.3, silence=0)
        await client.expect("input_audio_buffer.speech_started", start)
        await client.send({"type": "input_audio_buffer.clear"})
        llm.gate.set()
        second = await client.expect("response.created", start)
        assert second["response"]["id"] != first["response"]["id"]
