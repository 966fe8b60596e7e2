"""The session engine with stand-in engines: turns, interruptions, manual commits, drafts, failures."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest

from antiphon.engines.base import (
    EngineContext,
    EngineError,
    Finish,
    GenerationRequest,
    LanguageModel,
    Priority,
    Samples,
    TextDelta,
    ToolCallDelta,
    Transcript,
    Usage,
)
from antiphon.engines.stand_in import StandInLanguageModel, StandInTranscriber
from antiphon.session.config import ServerVad, default_session_config
from antiphon.session.limits import SessionLimits
from antiphon.session.observer import SilentObserver
from antiphon.session.timeline import TurnTimeline
from tests.unit.session_harness import PATIENCE_S, Conversing, Event, conversing, stand_in_pipeline

TRANSCRIPTION = {"transcription": {"model": "whisper-1"}}


def update(audio_input: Event | None = None, **session: Any) -> Event:
    audio = {"audio": {"input": audio_input}} if audio_input is not None else {}
    return {"type": "session.update", "session": {"type": "realtime", **audio, **session}}


def user_text(text: str, **item: Any) -> Event:
    content = [{"type": "input_text", "text": text}]
    return {"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": content, **item}}


class Listener(SilentObserver):
    """Keeps what the session tells about drafts and turns."""

    def __init__(self) -> None:
        self.drafts: list[str] = []
        self.turns: list[TurnTimeline] = []

    def draft_ended(self, outcome: Literal["adopted", "dropped"], seconds_saved: float) -> None:
        self.drafts.append(outcome)

    def turn_finished(self, timeline: TurnTimeline) -> None:
        self.turns.append(timeline)


class Recorded(StandInLanguageModel):
    """Keeps what it was asked, and can be held up."""

    asked: list[GenerationRequest]
    gate: asyncio.Event
    running: int

    @classmethod
    async def make(cls, **options: Any) -> Recorded:
        model = await cls.load(EngineContext(models=None, options=options))  # type: ignore[arg-type]
        model.asked, model.gate, model.running = [], asyncio.Event(), 0
        model.gate.set()
        return model

    async def generate(self, request: GenerationRequest) -> AsyncIterator[TextDelta | ToolCallDelta | Usage | Finish]:
        self.asked.append(request)
        self.running += 1
        try:
            async for delta in super().generate(request):
                await self.gate.wait()
                yield delta
        finally:
            self.running -= 1

    def texts(self, index: int = -1) -> list[str]:
        return [part.text for message in self.asked[index].messages for part in message.content]  # type: ignore[union-attr]


class Broken(LanguageModel):
    """Fails after its first word."""

    name = "broken"

    @classmethod
    async def load(cls, context: EngineContext) -> Broken:
        return cls()

    async def generate(self, request: GenerationRequest) -> AsyncIterator[TextDelta | ToolCallDelta | Usage | Finish]:
        yield TextDelta("Well, ")
        raise EngineError("the model fell over", code="engine_failed")

    async def count_tokens(self, messages: Any, tools: Any = ()) -> int:
        return 1


class Deaf(StandInTranscriber):
    """Cannot transcribe anything."""

    async def transcribe(
        self,
        audio: Samples,
        *,
        language: str | None = None,
        prompt: str | None = None,
        logprobs: bool = False,
        priority: Priority = Priority.LIVE,
    ) -> Transcript:
        raise EngineError("no ears", code="engine_failed")

    def stream(self, *, language: str | None = None, prompt: str | None = None) -> None:  # type: ignore[override]
        return None


async def pause(client: Conversing) -> None:
    """Let the session and its engines do what they can."""
    for _ in range(200):
        await asyncio.sleep(0)


async def test_a_spoken_turn_in_the_documented_order() -> None:
    async with conversing(await stand_in_pipeline()) as client:
        await client.send(update(TRANSCRIPTION))
        await client.speak(1.0)
        await client.expect("response.done")
    transcription = "conversation.item.input_audio_transcription."
    assert client.kinds(without=transcription) == [
        "session.created",
        "session.updated",
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
        "rate_limits.updated",
    ]
    completed = await client.expect(f"{transcription}completed")
    assert completed["transcript"].startswith("Utterance of")
    assert completed["usage"] == {"type": "duration", "seconds": 2}


async def test_nothing_of_a_draft_is_seen_before_the_turn_is_over_and_it_is_adopted_whole() -> None:
    llm, listener = await Recorded.make(), Listener()
    async with conversing(await stand_in_pipeline(llm=llm), observer=listener) as client:
        await client.speak(1.0, silence=0.3)
        await pause(client)
        assert len(llm.asked) == 1
        assert llm.asked[0].priority is Priority.DRAFT
        assert client.kinds() == ["session.created", "input_audio_buffer.speech_started"]
        await client.append(np.zeros(24_000, np.int16))
        await client.expect("response.done")
        assert len(llm.asked) == 1
    assert listener.drafts == ["adopted"]
    (turn,) = listener.turns
    assert turn.adopted == "reply"
    assert turn.drafts == 1
    moments = turn.since_speech_stopped_ms()
    assert moments["first_audio_made"] < 0 <= moments["first_audio_sent"]


async def test_ten_resumptions_leave_one_draft_and_no_work_behind() -> None:
    llm, listener = await Recorded.make(), Listener()
    async with conversing(await stand_in_pipeline(llm=llm), observer=listener) as client:
        llm.gate.clear()
        for _ in range(10):
            await client.speak(0.3, silence=0.2)
            await pause(client)
            assert llm.running == 1
        llm.gate.set()
        await client.append(np.zeros(24_000, np.int16))
        await client.expect("response.done")
    assert listener.drafts == ["dropped"] * 9 + ["adopted"]
    assert llm.running == 0


async def test_drafts_per_turn_are_bounded_and_the_turn_is_answered_all_the_same() -> None:
    llm, listener = await Recorded.make(), Listener()
    limits = SessionLimits(drafts_per_turn=2)
    async with conversing(await stand_in_pipeline(llm=llm), observer=listener, limits=limits) as client:
        for _ in range(4):
            await client.speak(0.3, silence=0.2)
            await pause(client)
        await client.append(np.zeros(24_000, np.int16))
        await client.expect("response.done")
    assert listener.drafts == ["dropped", "dropped"]
    assert listener.turns[0].adopted == "nothing"


@pytest.mark.parametrize(
    "change",
    [update(instructions="Be rude."), user_text("By the way."), update(tools=[{"type": "function", "name": "lamp"}])],
)
async def test_a_draft_made_from_something_else_is_dropped(change: Event) -> None:
    llm, listener = await Recorded.make(), Listener()
    async with conversing(await stand_in_pipeline(llm=llm), observer=listener) as client:
        await client.speak(1.0, silence=0.3)
        await pause(client)
        await client.send(change)
        await client.append(np.zeros(24_000, np.int16))
        await client.expect("response.done")
    assert listener.drafts == ["dropped"]
    assert [request.priority for request in llm.asked] == [Priority.DRAFT, Priority.LIVE]


@pytest.mark.parametrize(("drafts", "asked"), [("off", 0), ("transcription", 0), ("full", 1)])
async def test_drafting_goes_as_far_as_the_pipeline_allows(drafts: str, asked: int) -> None:
    llm = await Recorded.make()
    async with conversing(await stand_in_pipeline(llm=llm, drafts=drafts)) as client:
        await client.speak(1.0, silence=0.3)
        await pause(client)
        assert len(llm.asked) == asked
        await client.append(np.zeros(24_000, np.int16))
        await client.expect("response.done")
        assert len(llm.asked) == 1


async def test_a_manual_turn_is_drafted_and_adopted_when_the_client_asks() -> None:
    llm, listener = await Recorded.make(), Listener()
    async with conversing(await stand_in_pipeline(llm=llm), observer=listener) as client:
        await client.send(update({"turn_detection": None, **TRANSCRIPTION}))
        await client.speak(1.0, silence=0.3)
        await pause(client)
        assert len(llm.asked) == 1
        await client.send({"type": "input_audio_buffer.commit"})
        await client.send({"type": "response.create", "response": {"metadata": {"key": "value"}}})
        done = await client.expect("response.done")
        assert done["response"]["metadata"] == {"key": "value"}
    assert len(llm.asked) == 1
    assert listener.drafts == ["adopted"]
    assert "input_audio_buffer.speech_started" not in client.kinds()


async def test_a_manual_turn_that_is_asked_something_else_gets_a_reply_of_its_own() -> None:
    llm, listener = await Recorded.make(), Listener()
    async with conversing(await stand_in_pipeline(llm=llm), observer=listener) as client:
        await client.send(update({"turn_detection": None}))
        await client.speak(1.0, silence=0.3)
        await pause(client)
        await client.send({"type": "input_audio_buffer.commit"})
        await client.send({"type": "response.create", "response": {"instructions": "Sing."}})
        await client.expect("response.done")
    assert listener.drafts == ["dropped"]
    assert llm.texts()[0] == "Sing."


async def test_speaking_over_the_reply_cancels_it() -> None:
    llm = await Recorded.make(words=500)
    async with conversing(await stand_in_pipeline(llm=llm)) as client:
        await client.speak(0.5)
        await client.expect("response.output_audio.delta")
        llm.gate.clear()
        await pause(client)
        start = len(client.received)
        await client.speak(0.8, silence=0.0)
        done = await client.expect("response.done", start)
        assert done["response"]["status"] == "cancelled"
        assert done["response"]["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        llm.gate.set()
        position = client.received.index(done)
        await client.append(np.zeros(24_000, np.int16))
        second = await client.expect("response.done", position + 1)
        assert second["response"]["status"] == "completed"
        cancelled = done["response"]["id"]
        assert not [e for e in client.received[position + 1 :] if e.get("response_id") == cancelled]


async def test_a_reply_that_may_not_be_interrupted_is_finished_first() -> None:
    llm = await Recorded.make()
    async with conversing(await stand_in_pipeline(llm=llm)) as client:
        await client.send(update({"turn_detection": {"type": "server_vad", "interrupt_response": False}}))
        llm.gate.clear()
        await client.speak(0.5)
        first = await client.expect("response.created")
        await client.speak(0.5)
        await pause(client)
        assert [e["type"] for e in client.received].count("response.created") == 1
        llm.gate.set()
        done = await client.expect("response.done")
        assert done["response"]["id"] == first["response"]["id"]
        assert done["response"]["status"] == "completed"
        await client.expect("response.done", client.received.index(done) + 1)


async def test_without_create_response_the_client_asks() -> None:
    async with conversing(await stand_in_pipeline()) as client:
        await client.send(update({"turn_detection": {"type": "server_vad", "create_response": False}}))
        await client.speak(0.5)
        await client.expect("conversation.item.done")
        await pause(client)
        assert "response.created" not in client.kinds()
        await client.send({"type": "response.create"})
        await client.expect("response.done")


async def test_noise_without_words_is_committed_and_answered_with_nothing() -> None:
    class Wordless(StandInTranscriber):
        async def transcribe(self, audio: Samples, **_: Any) -> Transcript:
            return Transcript("")

        def stream(self, **_: Any) -> None:  # type: ignore[override]
            return None

    transcription = await Wordless.load(EngineContext(models=None))  # type: ignore[arg-type]
    async with conversing(await stand_in_pipeline(transcription=transcription)) as client:
        await client.send(update(TRANSCRIPTION))
        await client.speak(0.5)
        done = await client.expect("response.done")
        assert done["response"]["status"] == "completed"
        assert done["response"]["output"] == []
        completed = await client.expect("conversation.item.input_audio_transcription.completed")
        assert completed["transcript"] == ""


async def test_a_failed_transcription_is_told_and_the_session_lives_on() -> None:
    deaf = await Deaf.load(EngineContext(models=None))  # type: ignore[arg-type]
    async with conversing(await stand_in_pipeline(transcription=deaf)) as client:
        await client.send(update(TRANSCRIPTION))
        await client.speak(0.5)
        failed = await client.expect("conversation.item.input_audio_transcription.failed")
        assert failed["error"]["message"] == "no ears"
        done = await client.expect("response.done")
        assert done["response"]["status"] == "failed"
        assert done["response"]["status_details"]["error"]["code"] == "transcription_failed"
        await client.send(user_text("Hello"))
        await client.send({"type": "response.create"})
        answered = await client.expect("response.done", client.received.index(done) + 1)
        assert answered["response"]["status"] == "completed"


async def test_a_model_that_falls_over_fails_the_response() -> None:
    async with conversing(await stand_in_pipeline(llm=Broken())) as client:
        await client.send(user_text("Hello"))
        await client.send({"type": "response.create"})
        done = await client.expect("response.done")
        assert done["response"]["status"] == "failed"
        error = done["response"]["status_details"]["error"]
        assert error == {"type": "server_error", "code": "engine_failed", "message": "the model fell over"}


async def test_out_of_band_responses_run_beside_the_spoken_one() -> None:
    llm = await Recorded.make()
    async with conversing(await stand_in_pipeline(llm=llm)) as client:
        llm.gate.clear()
        await client.send(user_text("Hello"))
        await client.send({"type": "response.create"})
        for number in range(3):
            asked = {"conversation": "none", "metadata": {"n": str(number)}, "output_modalities": ["text"]}
            await client.send({"type": "response.create", "response": {**asked, "input": [user_text("Odd?")["item"]]}})
        await client.expect("response.created")
        await pause(client)
        assert [e["type"] for e in client.received].count("response.created") == 4
        await client.send({"type": "response.create"})
        error = await client.expect("error")
        assert error["error"]["code"] == "conversation_already_has_active_response"
        llm.gate.set()
        async with asyncio.timeout(PATIENCE_S):
            while client.kinds().count("response.done") < 4:  # noqa: ASYNC110 - four of one type are awaited
                await asyncio.sleep(0.01)
    outside = [e["response"] for e in client.received if e["type"] == "response.done" and e["response"]["metadata"]]
    assert [response["conversation_id"] for response in outside] == [None] * 3
    assert llm.texts(1) == ["Be brief.", "Odd?"]


async def test_what_was_not_heard_is_not_in_the_context() -> None:
    llm = await Recorded.make(reply="One two three four five six seven eight nine ten.")
    async with conversing(await stand_in_pipeline(llm=llm)) as client:
        await client.send(user_text("Count"))
        await client.send({"type": "response.create"})
        done = await client.expect("response.done")
        item = done["response"]["output"][0]["id"]
        await client.send(
            {"type": "conversation.item.truncate", "item_id": item, "content_index": 0, "audio_end_ms": 700}
        )
        await client.send({"type": "conversation.item.retrieve", "item_id": item})
        kept = (await client.expect("conversation.item.retrieved"))["item"]["content"][0]
        assert "One two three four five six seven eight nine ten.".startswith(kept["transcript"])
        assert 0 < len(kept["transcript"]) < 30
        assert len(base64.b64decode(kept["audio"])) == 700 * 48
        await client.send(user_text("Go on"))
        await client.send({"type": "response.create"})
        await client.expect("response.done", client.received.index(done) + 1)
    assert llm.texts() == ["Be brief.", "Count", kept["transcript"], "Go on"]


async def test_an_idle_user_is_spoken_to() -> None:
    llm = await Recorded.make()
    config = default_session_config(model="stand-in", voice="alloy", instructions="")
    config = replace(config, input=replace(config.input, turn_detection=ServerVad(idle_timeout_ms=5000)))
    async with conversing(await stand_in_pipeline(llm=llm), config=config, settle=False) as client:
        await client.append(np.zeros(24_000, np.int16))
        await client.send({"type": "response.create", "response": {"output_modalities": ["text"]}})
        await client.expect("response.done")
        timeout = await client.expect("input_audio_buffer.timeout_triggered")
        assert (timeout["audio_start_ms"], timeout["audio_end_ms"]) == (0, 1000)
        second = await client.expect("response.created", client.received.index(timeout))
        await client.expect("response.done", client.received.index(second))
    assert llm.texts()[-1].startswith("[The user has said nothing for")


async def test_the_session_expires() -> None:
    async with conversing(await stand_in_pipeline(), limits=SessionLimits(max_duration_s=0.05)) as client:
        error = await client.expect("error")
        assert error["error"]["code"] == "session_expired"
        await asyncio.sleep(0.01)
        assert client.session.end_reason == "expired"


async def test_an_overlong_manual_turn_is_refused_and_nothing_is_lost() -> None:
    async with conversing(await stand_in_pipeline(), limits=SessionLimits(max_turn_s=2)) as client:
        await client.send(update({"turn_detection": None}))
        await client.append(np.zeros(36_000, np.int16))
        await client.append(np.zeros(24_000, np.int16))
        error = await client.expect("error")
        assert error["error"]["code"] == "input_audio_buffer_full"
        await client.send({"type": "input_audio_buffer.commit"})
        item = (await client.expect("conversation.item.done"))["item"]["id"]
        await client.send({"type": "conversation.item.retrieve", "item_id": item})
        shown = await client.expect("conversation.item.retrieved")
        assert len(base64.b64decode(shown["item"]["content"][0]["audio"])) == 72_000


async def test_an_overlong_spoken_turn_is_closed() -> None:
    async with conversing(await stand_in_pipeline(), limits=SessionLimits(max_turn_s=1)) as client:
        await client.speak(1.6)
        first = await client.expect("input_audio_buffer.committed")
        await client.expect("input_audio_buffer.committed", client.received.index(first) + 1)


async def test_ending_in_the_middle_of_everything_leaves_no_task() -> None:
    llm = await Recorded.make()
    llm.gate.clear()
    async with conversing(await stand_in_pipeline(llm=llm), settle=False) as client:
        await client.send(user_text("Hello"))
        await client.send({"type": "response.create"})
        await client.send({"type": "response.create", "response": {"conversation": "none"}})
        await client.speak(0.5, silence=0.2)
        await pause(client)
    assert llm.running == 0


async def test_words_are_told_while_they_are_spoken_and_never_taken_back() -> None:
    llm = await Recorded.make()
    async with conversing(await stand_in_pipeline(llm=llm)) as client:
        await client.send(update(TRANSCRIPTION))
        await client.speak(2.5, silence=0.0)
        kind = "conversation.item.input_audio_transcription.delta"
        assert (await client.expect(kind))["delta"].startswith("Utterance")
        assert "input_audio_buffer.committed" not in client.kinds()
        await client.append(np.zeros(24_000, np.int16))
        completed = await client.expect("conversation.item.input_audio_transcription.completed")
        deltas = [e for e in client.received if e["type"] == kind]
        assert "".join(e["delta"] for e in deltas) == completed["transcript"]
        assert {e["item_id"] for e in deltas} == {completed["item_id"]}
        await client.expect("response.done")
    assert llm.texts()[-1] == completed["transcript"]


async def test_transcription_sessions_never_respond() -> None:
    config = default_session_config(model="", voice="alloy", instructions="", type="transcription")
    async with conversing(await stand_in_pipeline(), config=config) as client:
        session = {"type": "transcription", "audio": {"input": TRANSCRIPTION}}
        await client.send({"type": "session.update", "session": session})
        await client.speak(0.5)
        await client.expect("conversation.item.input_audio_transcription.completed")
        await client.send({"type": "response.create"})
        await client.expect("error")
    assert not [kind for kind in client.kinds() if kind.startswith("response.")]
