"""A pipeline around one speech model: what it makes of the model's deltas, and which words are said when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any, ClassVar, Self

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.engines.base import (
    AudioChunk,
    EngineContext,
    EngineError,
    Finish,
    GenerationRequest,
    Message,
    Samples,
    SpeechModel,
    TextDelta,
    Tool,
    ToolCallDelta,
    Usage,
    Voice,
)
from antiphon.engines.stand_in import StandInVad
from antiphon.pipeline.direct import Direct
from antiphon.pipeline.reply import (
    Pcm,
    Pipeline,
    ReplyEnd,
    ReplyEvent,
    ReplyMoment,
    ReplyRequest,
    ReplySpeech,
    ReplyText,
    ReplyToolCall,
)
from antiphon.pipeline.speech_alignment import SpeechAlignment

Delta = TextDelta | AudioChunk | ToolCallDelta | Usage | Finish


class ScriptedSpeechModel(SpeechModel):
    """Gives `deltas` one by one; an exception among them is raised, an Event waited for."""

    name: ClassVar[str] = "scripted"
    voices: Sequence[Voice] = (Voice("one"),)
    sample_rate = 24_000

    def __init__(self, *deltas: Delta | Exception | asyncio.Event) -> None:
        self._deltas = deltas
        self.open = 0
        self.asked: list[Any] = []

    @classmethod
    async def load(cls, context: EngineContext) -> Self:
        return cls()

    async def respond(
        self, request: GenerationRequest, *, voice: str | None = None, speech: bool = True
    ) -> AsyncIterator[Delta]:
        self.asked.append((voice, speech))
        self.open += 1
        try:
            for delta in self._deltas:
                await asyncio.sleep(0)
                if isinstance(delta, Exception):
                    raise delta
                if isinstance(delta, asyncio.Event):
                    await delta.wait()
                else:
                    yield delta
        finally:
            self.open -= 1

    async def count_tokens(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> int:
        return len(messages)


def loud(ms: int, rate: int = 24_000) -> Samples:
    return np.full(rate * ms // 1000, 0.2, np.float32)


def quiet(ms: int) -> Samples:
    return np.zeros(24 * ms, np.float32)


def pipeline(model: SpeechModel) -> Direct:
    return Direct("direct", vad=StandInVad(), speech=model)


async def events(model: SpeechModel, modality: Any = "audio") -> list[ReplyEvent]:
    direct: Pipeline = pipeline(model)
    return [event async for event in direct.reply(ReplyRequest(GenerationRequest(()), modality, voice="one"))]


async def test_text_speech_and_usage() -> None:
    chunk, rest = AudioChunk(loud(500, 16_000), 16_000), AudioChunk(loud(1500, 16_000), 16_000)
    model = ScriptedSpeechModel(
        TextDelta("Hello the"), chunk, TextDelta("re, you."), rest, Usage(5, 9, 0, 3, 7), Finish("stop")
    )
    made = await events(model)
    assert "".join(event.text for event in made if isinstance(event, ReplyText)) == "Hello there, you."
    speech = [event for event in made if isinstance(event, ReplySpeech)]
    assert sum(event.pcm.size for event in speech) == 2 * 24_000
    assert speech[0].pcm.size == 2_400
    ends = [event.text_end for event in speech]
    assert ends == sorted(ends)
    assert ends[-1] == len("Hello there, you.")
    assert made[-1] == ReplyEnd("stop", Usage(5, 9, 0, 3, 7))
    assert [event.name for event in made if isinstance(event, ReplyMoment)] == ["first_token", "first_audio"]
    assert model.asked == [("one", True)]
    written = 0
    for event in made:
        written += len(event.text) if isinstance(event, ReplyText) else 0
        assert not isinstance(event, ReplySpeech) or event.text_end <= written


async def test_text_alone_and_thoughts() -> None:
    deltas: list[Delta] = [
        TextDelta("<thi"),
        TextDelta("nk>Hm.</think>Yes."),
        AudioChunk(loud(100), 24_000),
        Finish("length"),
    ]
    model = ScriptedSpeechModel(*deltas)
    made = await events(model, "text")
    assert [event.text for event in made if isinstance(event, ReplyText)] == ["Yes."]
    assert not any(isinstance(event, ReplySpeech) for event in made)
    assert made[-1] == ReplyEnd("length", None)
    assert model.asked == [("one", False)]


async def test_function_calls() -> None:
    call = ToolCallDelta(0, "dial", "{}", "call_1")
    made = await events(ScriptedSpeechModel(TextDelta("Wait."), call, Finish("tool_calls")))
    assert made[-2:] == [ReplyToolCall(0, "dial", "{}", "call_1"), ReplyEnd("tool_calls", None)]


@pytest.mark.parametrize("last", [EngineError("broken", code="timeout"), None])
async def test_failures_come_after_what_was_made(last: Exception | None) -> None:
    model = ScriptedSpeechModel(TextDelta("Hello."), AudioChunk(loud(300), 24_000), last or Usage(1, 1))
    made = []
    with pytest.raises(EngineError, match="broken" if last else "without saying why"):
        async for event in pipeline(model).reply(ReplyRequest(GenerationRequest(()), "audio")):
            made.append(event)  # noqa: PERF401 - it raises
    assert any(isinstance(event, ReplySpeech) for event in made)
    assert model.open == 0


async def test_closing_the_reply_stops_the_model() -> None:
    model = ScriptedSpeechModel(TextDelta("Hello."), AudioChunk(loud(300), 24_000), asyncio.Event())
    async with aclosing(pipeline(model).reply(ReplyRequest(GenerationRequest(()), "audio"))) as reply:
        async for event in reply:
            if isinstance(event, ReplySpeech):
                break
        assert model.open == 1
    assert model.open == 0


async def test_what_it_cannot_do() -> None:
    mute = ScriptedSpeechModel()
    mute.voices = ()
    with pytest.raises(EngineError, match="tts") as refused:
        pipeline(mute)
    assert refused.value.code == "invalid_option"
    with pytest.raises(EngineError) as unsupported:
        await pipeline(ScriptedSpeechModel()).transcribe(loud(100))
    assert unsupported.value.code == "unsupported"


# --- which words are said when ---

SENTENCES = ["Good morning to you all.", "Today is a rather long day, I fear.", "Shall we begin?", "Yes, let us."]


def spoken(sentences: Sequence[str], ms_per_character: Sequence[int], pause_ms: int) -> tuple[Pcm, list[int]]:
    """Speech of sentences with pauses between them, and the samples at which each ends."""
    parts, ends = [np.zeros(2_400, np.int16)], []
    for sentence, ms in zip(sentences, ms_per_character, strict=True):
        parts.append(np.full(len(sentence) * ms * 24, 3000, np.int16))
        ends.append(sum(map(len, parts)))
        parts.append(np.zeros(pause_ms * 24, np.int16))
    return np.concatenate(parts), ends


@pytest.mark.parametrize("pace", [[45] * 4, [60] * 4, [85] * 4, [55, 70, 60, 80]])
@pytest.mark.parametrize("ahead", [True, False], ids=["all text first", "text with its speech"])
def test_pauses_correct_place_and_pace(pace: list[int], ahead: bool) -> None:
    text = " ".join(SENTENCES)
    pcm, ends = spoken(SENTENCES, pace, 300)
    alignment = SpeechAlignment()
    if ahead:
        alignment.add_text(text)
    starts = [sum(len(sentence) + 1 for sentence in SENTENCES[:index]) for index in range(4)]
    told: list[tuple[int, int]] = []
    added = -1
    for start in range(0, pcm.size, 2_400):
        sentence = sum(end <= start for end in ends[:-1])
        while not ahead and added < sentence:
            added += 1
            alignment.add_text(SENTENCES[added] + " ")
        alignment.add_speech(pcm[start : start + 2_400])
        told.append((start + 2_400, alignment.text_end(start + 2_400)))
    for index, (end, start) in enumerate(zip(ends, starts, strict=True)):
        # 200 ms after a sentence, its end is known, after two of them to within a word, although the pace was not.
        at_end = next(position for played, position in told if played >= end + 4_800)
        expected = start + len(SENTENCES[index])
        assert abs(at_end - expected) <= (6 if index > 1 else 12), (SENTENCES[index], text[:at_end])
    alignment.finish()
    assert alignment.text_end(pcm.size) >= len(text)


@given(
    st.lists(
        st.one_of(
            st.text(alphabet="ab .,!?。中\n", max_size=12),
            st.tuples(st.integers(0, 700), st.booleans()),
        ),
        max_size=30,
    )
)
def test_it_never_goes_back_nor_past_the_text(script: list[str | tuple[int, bool]]) -> None:
    alignment = SpeechAlignment()
    written = played = reached = 0
    for step in script:
        if isinstance(step, str):
            alignment.add_text(step)
            written += len(step)
        else:
            ms, is_loud = step
            alignment.add_speech(np.full(ms * 24, 3000 if is_loud else 0, np.int16))
            played += ms * 24
        end = alignment.text_end(played)
        assert reached <= end <= written
        reached = end
    alignment.finish()
    assert reached <= alignment.text_end(played) <= written


def test_all_is_said_in_the_end() -> None:
    alignment = SpeechAlignment()
    alignment.add_text("One two three")
    alignment.add_speech(np.full(24_000, 3000, np.int16))
    assert alignment.text_end(24_000) < 13
    alignment.finish()
    assert alignment.text_end(24_000) == 13
