"""The cascade: order, alignment, back-pressure, failures, and that stopping it leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pytest

from antiphon.engines.base import (
    AudioChunk,
    EngineContext,
    EngineError,
    Finish,
    GenerationRequest,
    LanguageModel,
    Message,
    NamedTool,
    Priority,
    Synthesizer,
    TextDelta,
    TextPart,
    Tool,
    ToolCallDelta,
    Usage,
    Voice,
)
from antiphon.engines.hibari import HibariSynthesizer
from antiphon.engines.stand_in import StandInSynthesizer, StandInTurnClassifier
from antiphon.pipeline.cascade_reply import MOST_CLAUSES_AHEAD, MOST_EVENTS_AHEAD, make_reply
from antiphon.pipeline.reply import (
    Pipeline,
    ReplyEnd,
    ReplyEvent,
    ReplyMoment,
    ReplyRequest,
    ReplySpeech,
    ReplyText,
    ReplyToolCall,
)
from tests.unit.session_harness import stand_in_pipeline

Delta = TextDelta | ToolCallDelta | Usage | Finish
LONG = "This is a sentence of the reply. " * 30


class NoModels:
    def path(self, name: str) -> Path:
        raise EngineError(f"{name} is not here", code="model_missing")


class ScriptedModel(LanguageModel):
    """Gives `deltas` one by one; an exception among them is raised, an Event waited for. Counts what it gave."""

    name: ClassVar[str] = "scripted"

    def __init__(self, *deltas: Delta | Exception | asyncio.Event | str) -> None:
        self._deltas = deltas
        self.given = 0
        self.open = 0

    @classmethod
    async def load(cls, context: EngineContext) -> Self:
        return cls()

    def generate(self, request: GenerationRequest) -> AsyncIterator[Delta]:
        self.stream = self._generate()  # kept, so that it is closed by whoever should, not by the garbage collector
        return self.stream

    async def _generate(self) -> AsyncIterator[Delta]:
        self.open += 1
        try:
            for delta in self._deltas:
                await asyncio.sleep(0)
                if isinstance(delta, Exception):
                    raise delta
                if isinstance(delta, asyncio.Event):
                    await delta.wait()
                else:
                    self.given += 1
                    yield TextDelta(delta) if isinstance(delta, str) else delta
        finally:
            self.open -= 1

    async def count_tokens(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> int:
        return len(messages)


class ScriptedSynthesizer(Synthesizer):
    """Speaks 10 ms a character at `rate` in chunks of `chunk_ms`; fails or waits on a clause with the given word."""

    name: ClassVar[str] = "scripted"
    voices = (Voice("one"),)

    def __init__(self, *, rate: int = 24_000, chunk_ms: int = 50, fail_on: str = "\0", wait_on: str = "\0") -> None:
        self._chunk = rate * chunk_ms // 1000
        self.sample_rate = rate
        self._fail_on = fail_on
        self._wait_on = wait_on
        self.said: list[str] = []
        self.how: list[dict[str, Any]] = []
        self.open = 0

    @classmethod
    async def load(cls, context: EngineContext) -> Self:
        return cls()

    def synthesize(
        self,
        text: str,
        *,
        voice: str | None = None,
        speed: float = 1.0,
        language: str | None = None,
        priority: Priority = Priority.LIVE,
    ) -> AsyncIterator[AudioChunk]:
        self.how.append({"voice": voice, "speed": speed, "language": language, "priority": priority})
        self.stream = self._synthesize(text)
        return self.stream

    async def _synthesize(self, text: str) -> AsyncIterator[AudioChunk]:
        self.open += 1
        self.said.append(text)
        try:
            left = len(text) * self.sample_rate // 100
            while left > 0:
                await asyncio.sleep(0)
                size = min(left, self._chunk)
                yield AudioChunk(np.full(size, 0.5, np.float32), self.sample_rate)
                left -= size
                if self._fail_on in text:
                    raise EngineError("the voice broke")
                if self._wait_on in text:
                    await asyncio.Event().wait()
        finally:
            self.open -= 1


def request(modality: Any = "audio", **generation: Any) -> ReplyRequest:
    return ReplyRequest(GenerationRequest((Message("user", (TextPart("Hi"),)),), **generation), modality)


def words(text: str) -> list[str]:
    first, *rest = text.split(" ")
    return [first, *(f" {word}" for word in rest)]


async def reply(*deltas: Any, voice: Synthesizer | None = None, modality: Any = "audio") -> list[ReplyEvent]:
    model = ScriptedModel(*deltas)
    return [event async for event in make_reply(model, voice or ScriptedSynthesizer(), request(modality))]


def text_of(events: Sequence[ReplyEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, ReplyText))


def speech_of(events: Sequence[ReplyEvent]) -> list[ReplySpeech]:
    return [event for event in events if isinstance(event, ReplySpeech)]


def tasks() -> int:
    return len(asyncio.all_tasks())


async def test_text_and_speech_in_order() -> None:
    text = "Of course, I can help you. The weather is sunny today. Bye!"
    voice = ScriptedSynthesizer()
    usage = Usage(3, 4, 1)
    events = await reply(*words(text), usage, Finish("stop"), voice=voice)
    assert text_of(events) == text
    assert events[-1] == ReplyEnd("stop", usage)
    assert [event.name for event in events if isinstance(event, ReplyMoment)] == [
        "first_token",
        "first_clause",
        "first_audio",
    ]
    assert isinstance(events[0], ReplyMoment)
    assert voice.said == ["Of course, I can help you.", "The weather is sunny today.", "Bye!"]
    written, spoken = 0, 0
    for event in events:
        if isinstance(event, ReplyText):
            written += len(event.text)
        elif isinstance(event, ReplySpeech):
            assert spoken <= event.text_end <= written
            spoken = event.text_end
    assert spoken == len(text)


async def test_speech_is_whole_in_pieces_of_100_to_400_ms() -> None:
    events = await reply(LONG, Finish("stop"))
    sizes = [event.pcm.size for event in speech_of(events)]
    assert sizes[:2] == [2_400, 2_400]
    assert all(2_400 <= size <= 9_600 for size in sizes)
    assert sum(sizes) == 30 * len("This is a sentence of the reply.") * 240
    assert all(event.pcm.dtype == np.int16 for event in speech_of(events))


@pytest.mark.parametrize("chunk_ms", [50, 500])
async def test_speech_of_any_rate_comes_at_24_khz(chunk_ms: int) -> None:
    voice = ScriptedSynthesizer(rate=22_050, chunk_ms=chunk_ms)
    events = await reply("Hello there, this is me.", Finish("stop"), voice=voice)
    pcm = np.concatenate([event.pcm for event in speech_of(events)])
    assert abs(pcm.size - 24 * 240) <= 2
    assert np.abs(pcm[2_000:4_000] - 16_384).max() < 200


async def test_text_end_is_exact_when_the_engine_gives_a_clause_whole() -> None:
    events = await reply(
        "one two three four. ", Finish("stop"), voice=await StandInSynthesizer.load(EngineContext(NoModels()))
    )
    ends = {event.text_end for event in speech_of(events)}
    assert ends <= {0, 3, 7, 13, 20}
    assert max(ends) == 20


async def test_speech_begins_while_the_model_is_still_talking() -> None:
    never = asyncio.Event()
    stream = make_reply(ScriptedModel("Hello there, my friend. And", never), ScriptedSynthesizer(), request())
    async for event in stream:
        if isinstance(event, ReplySpeech):
            break
    await stream.aclose()


async def test_markup_and_reasoning_are_not_spoken() -> None:
    voice = ScriptedSynthesizer()
    parts = ["<thi", "nk>Hm. What?</think>\n", "**Hello** there. \U0001f600\n", "```\ncode\n```\n", "Bye."]
    events = await reply(*parts, Finish("stop"), voice=voice)
    assert text_of(events) == "**Hello** there. \U0001f600\n```\ncode\n```\nBye."
    assert voice.said == ["Hello there.", "Bye."]
    assert speech_of(events)[-1].text_end == len(text_of(events))


class EnglishVoice(ScriptedSynthesizer):
    voices = (Voice("one", "", ("en",)),)


async def test_numbers_are_spoken_as_words_and_written_as_they_were() -> None:
    voice = EnglishVoice()
    events = await reply("It costs $", "3", ".14 now, e", ".g. at 7:30", ".", Finish("stop"), voice=voice)
    assert text_of(events) == "It costs $3.14 now, e.g. at 7:30."
    assert voice.said == ["It costs three dollars and fourteen cents now,", "for example at seven thirty."]
    ends = {event.text_end for event in speech_of(events)}
    assert ends <= {0, 2, 8, 14, 20, 24, 27, 33}
    assert max(ends) == 33


async def test_how_it_is_spoken_is_passed_on() -> None:
    voice = ScriptedSynthesizer()
    asked = ReplyRequest(request(priority=Priority.DRAFT).generation, "audio", "one", 0.5, "de")
    async for _ in make_reply(ScriptedModel("Hi.", Finish("stop")), voice, asked):
        pass
    assert voice.how == [{"voice": "one", "speed": 0.5, "language": "de", "priority": Priority.DRAFT}]


async def test_text_alone_is_not_spoken() -> None:
    voice = ScriptedSynthesizer()
    events = await reply(
        "<think>Hm</think>", *words("Hello there. Bye."), Finish("length"), voice=voice, modality="text"
    )
    assert text_of(events) == "Hello there. Bye."
    assert events[-1] == ReplyEnd("length", None)
    assert not voice.said
    assert not speech_of(events)


async def test_function_calls_pass_unspoken_and_what_was_said_before_is_spoken_at_once() -> None:
    voice = ScriptedSynthesizer()
    never = asyncio.Event()
    calls = [ToolCallDelta(0, "lamp", "", "call_1"), ToolCallDelta(0, None, '{"on": true}')]
    model = ScriptedModel("Let me", " look", *calls, never)
    stream = make_reply(model, voice, request())
    events = []
    async for event in stream:
        events.append(event)
        if isinstance(event, ReplySpeech) and event.text_end == len("Let me look"):
            break
    await stream.aclose()
    assert [event for event in events if isinstance(event, ReplyToolCall)] == [
        ReplyToolCall(0, "lamp", "", "call_1"),
        ReplyToolCall(0, None, '{"on": true}'),
    ]
    assert voice.said == ["Let me look"]


async def test_a_reader_that_falls_behind_stops_both_engines() -> None:
    voice = ScriptedSynthesizer()
    model = ScriptedModel(*["This is a clause. "] * 1000, Finish("stop"))
    stream = make_reply(model, voice, request())
    await anext(stream)
    given = -1
    while given != model.given:
        given = model.given
        for _ in range(500):
            await asyncio.sleep(0)
    assert given <= MOST_EVENTS_AHEAD
    assert len(voice.said) <= given - MOST_CLAUSES_AHEAD
    events = [event async for event in stream]
    assert model.given == 1001
    assert text_of(events) == "This is a clause. " * 1000
    assert isinstance(events[-1], ReplyEnd)


async def test_a_slow_voice_holds_the_model_back() -> None:
    voice = ScriptedSynthesizer(wait_on="clause")
    model = ScriptedModel(*["This is a clause. "] * 100, Finish("stop"))
    stream = make_reply(model, voice, request())
    read = asyncio.create_task(consume(stream))
    for _ in range(2000):
        await asyncio.sleep(0)
    assert model.given == MOST_CLAUSES_AHEAD + 3, "one is spoken, some wait, one waits to wait, one is not sure yet"
    read.cancel()
    await asyncio.wait({read})
    assert (model.open, voice.open, tasks()) == (0, 0, 1)


async def consume(stream: AsyncIterator[ReplyEvent]) -> None:
    async for _ in stream:
        pass


@pytest.mark.parametrize("fails", ["model", "voice", "bug", "no end"])
async def test_a_failure_comes_after_what_was_made_and_stops_the_other(fails: str) -> None:
    voice = ScriptedSynthesizer(fail_on="bad" if fails == "voice" else "\0", wait_on="waits")
    deltas: list[Any] = ["All is well. ", "This is bad. ", "This waits. ", "And so on. "]
    if fails == "model":
        deltas += [EngineError("out of memory", code="engine_failed")]
    elif fails == "bug":
        deltas += [KeyError("oops")]
    elif fails == "no end":
        deltas, voice = ["All is well. ", "This is bad. "], ScriptedSynthesizer()
    else:
        deltas += [asyncio.Event()]
    model = ScriptedModel(*deltas)
    events = []
    expected = {"model": "out of memory", "voice": "voice broke", "bug": "oops", "no end": "without saying why"}[fails]
    with pytest.raises(KeyError if fails == "bug" else EngineError, match=expected):
        async for event in make_reply(model, voice, request()):
            events.append(event)  # noqa: PERF401 - what came before the failure is wanted
    assert text_of(events).startswith("All is well. ")
    assert not any(isinstance(event, ReplyEnd) for event in events)
    assert (model.open, voice.open, tasks()) == (0, 0, 1)


async def test_closing_it_after_any_event_leaves_nothing_behind() -> None:
    total = len(await reply(*words(LONG), Finish("stop")))
    for count in range(total + 1):
        model, voice = ScriptedModel(*words(LONG), Finish("stop")), ScriptedSynthesizer()
        stream = make_reply(model, voice, request())
        for _ in range(count):
            await anext(stream)
        await stream.aclose()
        assert (model.open, voice.open, tasks()) == (0, 0, 1), count


async def test_cancelling_its_reader_at_any_moment_leaves_nothing_behind() -> None:
    for turns in range(0, 240, 3):
        model, voice = ScriptedModel(*words(LONG), Finish("stop")), ScriptedSynthesizer()
        reader = asyncio.create_task(consume(make_reply(model, voice, request())))
        for _ in range(turns):
            await asyncio.sleep(0)
        reader.cancel()
        await asyncio.wait({reader})
        assert (model.open, voice.open, tasks()) == (0, 0, 1), turns


@pytest.mark.parametrize("phase", ["before the first token", "while a clause is spoken", "while more text comes"])
async def test_cancelling_its_reader_while_it_waits(phase: str) -> None:
    never = asyncio.Event()
    deltas: list[Any] = [never] if phase == "before the first token" else ["Hello there, my friend. ", "More", never]
    voice = ScriptedSynthesizer(wait_on="friend" if phase == "while a clause is spoken" else "\0")
    model = ScriptedModel(*deltas)
    reader = asyncio.create_task(consume(make_reply(model, voice, request())))
    for _ in range(300):
        await asyncio.sleep(0)
    assert model.open == 1
    reader.cancel()
    await asyncio.wait({reader})
    assert (model.open, voice.open, tasks()) == (0, 0, 1)


async def test_a_reply_that_is_never_read_starts_nothing() -> None:
    stream = make_reply(ScriptedModel("Hi."), ScriptedSynthesizer(), request())
    assert tasks() == 1
    await stream.aclose()


# --- the pipeline ---


async def test_stand_in_cascade_end_to_end() -> None:
    pipeline: Pipeline = await stand_in_pipeline()
    assert (pipeline.name, pipeline.drafts, pipeline.supports_audio) == ("stand-in", "full", False)
    assert [voice.name for voice in pipeline.voices] == ["low", "high"]
    assert pipeline.open_denoiser("near_field") is None
    assert isinstance(pipeline.turn_classifier, StandInTurnClassifier)
    assert (await pipeline.open_vad().push(np.ones((1, 512), np.float32)))[0] == 1
    heard = await pipeline.transcribe(np.ones(16_000, np.float32))
    assert heard.text == "Utterance of 1.0 seconds."
    events = [event async for event in pipeline.reply(request())]
    assert text_of(events).startswith("Hello, this is a stand-in.")
    assert speech_of(events)[-1].text_end == len(text_of(events))
    await pipeline.prefill(request().generation)
    assert await pipeline.count_tokens([Message("user", (TextPart("one two"),))]) == 2


async def test_a_demanded_call_through_the_cascade() -> None:
    pipeline = await stand_in_pipeline()
    lamp = Tool("lamp", "", {"type": "object", "properties": {"on": {"type": "boolean"}}})
    asked = request(tools=(lamp,), tool_choice=NamedTool("lamp"))
    events = [event async for event in pipeline.reply(asked)]
    calls = [event for event in events if isinstance(event, ReplyToolCall)]
    assert json.loads("".join(call.arguments for call in calls)) == {"on": True}
    assert events[-1] == ReplyEnd("tool_calls", Usage(2, len(calls)))


@pytest.mark.models
async def test_hibari_in_the_cascade() -> None:
    pytest.importorskip("hibari")
    voice = await HibariSynthesizer.load(EngineContext(NoModels()))
    await voice.warm_up()
    pipeline = await stand_in_pipeline(tts=voice)
    before = tasks()
    events = [event async for event in pipeline.reply(request())]
    spoken = speech_of(events)
    assert spoken[-1].text_end == len(text_of(events))
    ends = [event.text_end for event in spoken]
    assert ends == sorted(ends)
    assert len(set(ends)) > 6
    assert 3 < sum(event.pcm.size for event in spoken) / 24_000 < 10
    stream = pipeline.reply(request())
    async for event in stream:
        if isinstance(event, ReplySpeech):
            break
    await stream.aclose()
    assert tasks() == before
    await voice.close()
