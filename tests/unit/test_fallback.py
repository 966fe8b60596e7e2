"""Engines that stand in for each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, cast

import numpy as np
import pytest

from antiphon.engines.base import (
    AudioChunk,
    Engine,
    EngineContext,
    EngineError,
    Finish,
    GenerationRequest,
    LanguageModel,
    Message,
    Priority,
    Samples,
    Synthesizer,
    TextDelta,
    TextPart,
    Transcriber,
    Transcript,
    Usage,
    Voice,
)
from antiphon.engines.fallback import fallback
from antiphon.engines.stand_in import StandInLanguageModel, StandInSynthesizer, StandInTranscriber, StandInVad
from tests.remote_servers import NoModels
from tests.skipping_time import skipping_time

REQUEST = GenerationRequest((Message("user", (TextPart("Hello"),)),))
LOUD = np.ones(16_000, np.float32)


NOTHING = EngineContext(NoModels())


class Failing:
    """Fails `broken` in its calls and, where `cold`, when warming up, after `after` pieces."""

    broken: Exception | None = EngineError("on fire", code="timeout")
    cold: Exception | None = None
    after = 0
    calls = 0
    closed = 0

    async def warm_up(self) -> None:
        if self.cold is not None:
            raise self.cold

    async def close(self) -> None:
        self.closed += 1

    async def through(self, pieces: AsyncIterator[Any]) -> AsyncGenerator[Any, None]:
        self.calls += 1
        count = 0
        async for piece in pieces:
            if self.broken is not None and count == self.after:
                raise self.broken
            count += 1
            yield piece


class FailingModel(Failing, StandInLanguageModel):
    async def generate(self, request: GenerationRequest) -> AsyncIterator[Any]:
        async for delta in self.through(super().generate(request)):
            yield delta


class FailingTranscriber(Failing, StandInTranscriber):
    async def transcribe(self, audio: Samples, **options: Any) -> Transcript:
        self.calls += 1
        if self.broken is not None:
            raise self.broken
        return Transcript("first")


class FailingSynthesizer(Failing, StandInSynthesizer):
    voices = (Voice("ada"), Voice("high"))

    async def synthesize(self, text: str, **options: Any) -> AsyncIterator[AudioChunk]:
        async for chunk in self.through(super().synthesize(text, **{**options, "voice": "high"})):
            yield chunk


class EightKilohertz(Synthesizer):
    """Speaks a second of a constant for every call, at 8 kHz."""

    name = "eight"
    voices = (Voice("high"),)
    sample_rate = 8_000

    @classmethod
    async def load(cls, context: EngineContext) -> EightKilohertz:
        return cls()

    async def synthesize(
        self,
        text: str,
        *,
        voice: str | None = None,
        speed: float = 1.0,
        language: str | None = None,
        priority: Priority = Priority.LIVE,
    ) -> AsyncIterator[AudioChunk]:
        self.voice = voice
        for _ in range(10):
            yield AudioChunk(np.full(800, 0.5, np.float32), 8_000)


async def models(**options: Any) -> tuple[FailingModel, StandInLanguageModel, LanguageModel]:
    first, second = await FailingModel.load(NOTHING), await StandInLanguageModel.load(NOTHING)
    return first, second, cast(LanguageModel, fallback("llm", [first, second], **options))


async def said(model: LanguageModel) -> str:
    deltas = [delta async for delta in model.generate(REQUEST)]
    assert isinstance(deltas[-1], Finish)
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


@pytest.mark.parametrize("broken", [EngineError("on fire"), EngineError("no", code="unsupported"), RuntimeError("bug")])
async def test_the_next_model_answers(broken: Exception) -> None:
    first, _, model = await models()
    first.broken = broken
    assert (await said(model)).startswith("Hello, this is a stand-in.")


async def test_a_model_that_fails_after_a_word_fails_the_reply() -> None:
    first, _, model = await models()
    first.after = 2
    got = []
    with pytest.raises(EngineError, match="on fire"):
        async for delta in model.generate(REQUEST):
            got.append(delta)  # noqa: PERF401 - what came before the failure counts
    assert got == [TextDelta("Hello,"), TextDelta(" this")]


@pytest.mark.parametrize("delta", [TextDelta(""), TextDelta("\n"), Usage(5, 0)])
async def test_a_model_that_fails_before_its_first_word_is_followed_by_the_next(delta: Any) -> None:
    class Blank(FailingModel):
        async def generate(self, request: GenerationRequest) -> AsyncIterator[Any]:
            yield delta
            raise EngineError("on fire")

    model = cast(LanguageModel, fallback("llm", [await Blank.load(NOTHING), await StandInLanguageModel.load(NOTHING)]))
    assert (await said(model)).lstrip().startswith("Hello, this is a stand-in.")


async def test_when_all_fail_all_is_told() -> None:
    first, second = await FailingModel.load(NOTHING), await FailingModel.load(NOTHING)
    second.broken = EngineError("under water")
    model = cast(LanguageModel, fallback("llm", [first, second]))
    with pytest.raises(EngineError, match="on fire; under water") as error:
        await said(model)
    assert error.value.code == "timeout"


async def test_one_that_fails_again_and_again_is_passed_over_and_tried_later() -> None:
    first, _, model = await models(failures=2, rest_s=30.0)
    with skipping_time():
        for _ in range(4):
            await said(model)
        assert first.calls == 2
        await asyncio.sleep(31)
        first.broken = None
        await said(model)
        await said(model)
    assert first.calls == 4


async def test_requests_that_are_at_fault_do_not_open_the_circuit() -> None:
    first, _, model = await models(failures=1)
    first.broken = EngineError("too long", code="context_length_exceeded")
    await said(model)
    await said(model)
    assert first.calls == 2


async def test_all_resting_is_told_at_once() -> None:
    first = await FailingModel.load(NOTHING)
    model = cast(LanguageModel, fallback("llm", [first], failures=1))
    with pytest.raises(EngineError, match="on fire"):
        await said(model)
    with pytest.raises(EngineError) as error:
        await said(model)
    assert error.value.code == "engine_unavailable"
    assert first.calls == 1


async def test_a_reply_that_nobody_wants_any_more_is_no_failure() -> None:
    first, _, model = await models(failures=1)
    first.after = 5
    for _ in range(3):
        deltas = cast(AsyncGenerator[Any, None], model.generate(REQUEST))
        assert await anext(deltas) == TextDelta("Hello,")
        await deltas.aclose()
    assert first.calls == 3


async def test_transcription() -> None:
    first, second = await FailingTranscriber.load(NOTHING), await StandInTranscriber.load(NOTHING)
    transcriber = cast(Transcriber, fallback("transcription", [first, second]))
    assert (await transcriber.transcribe(LOUD)).text == "Utterance of 1.0 seconds."
    assert transcriber.stream() is None
    first.broken = None
    assert (await transcriber.transcribe(LOUD)).text == "first"


async def test_speech_comes_at_one_rate_and_in_a_voice_that_there_is() -> None:
    first, second = await FailingSynthesizer.load(NOTHING), EightKilohertz()
    speaker = cast(Synthesizer, fallback("tts", [first, second]))
    assert [voice.name for voice in speaker.voices] == ["ada", "high"]
    for voice, known in (("ada", None), ("high", "high"), (None, None)):
        chunks = [chunk async for chunk in speaker.synthesize("Hello.", voice=voice)]
        assert {chunk.rate for chunk in chunks} == {24_000}
        assert sum(chunk.samples.size for chunk in chunks) == 24_000
        assert second.voice == known


class Reader(StandInSynthesizer):
    """Notes what it was asked to say."""

    async def synthesize(self, text: str, **options: Any) -> AsyncIterator[AudioChunk]:
        self.asked = text
        async for chunk in super().synthesize(text, **options):
            yield chunk


async def broken_off(text: str, chunks: int, *, before: str | None, speed: float = 1.0) -> tuple[str | None, float]:
    """Break a voice off after so many chunks of 200 ms; return what the next one was asked to say, and how long all
    speech was, in s. `before`: what the voice has said as a whole."""
    first, second = await FailingSynthesizer.load(NOTHING), await Reader.load(NOTHING)
    speaker = cast(Synthesizer, fallback("tts", [first, second]))
    first.broken = None
    if before is not None:
        [chunk async for chunk in speaker.synthesize(before, speed=speed)]
    first.broken, first.after = EngineError("on fire"), chunks
    said = [chunk async for chunk in speaker.synthesize(text, speed=speed)]
    return getattr(second, "asked", None), sum(chunk.samples.size / chunk.rate for chunk in said)


CLAUSE = "Hello, everybody out there in the dark of the night."


@pytest.mark.parametrize(
    ("chunks", "rest"),
    [
        (0, CLAUSE),
        (1, CLAUSE),
        (4, "everybody out there in the dark of the night."),
        (10, "there in the dark of the night."),
        (15, "of the night."),
    ],
)
@pytest.mark.parametrize("speed", [1.0, 2.0])
async def test_speech_that_fails_inside_a_clause_goes_on_with_the_rest(chunks: int, rest: str, speed: float) -> None:
    asked, seconds = await broken_off(CLAUSE, int(chunks / speed), before="A clause of some length.", speed=speed)
    assert asked is not None
    # 60 ms a character: no word that was not said is left out, and at most two words are said twice.
    said = int(chunks / speed) * 0.2 * speed / 0.06
    assert CLAUSE.endswith(asked)
    assert len(CLAUSE) - len(asked) <= said
    if speed == 1:
        assert asked == rest
        assert seconds == pytest.approx(0.2 * chunks + 0.06 * len(rest), abs=0.01)


async def test_a_clause_whose_pace_is_not_known_is_said_again() -> None:
    assert (await broken_off(CLAUSE, 5, before=None))[0] == CLAUSE


async def test_nothing_more_is_said_when_only_marks_are_left() -> None:
    asked, seconds = await broken_off("Yes, fine. " + "." * 40, 10, before="A clause of some length.")
    assert asked is None
    assert seconds == pytest.approx(2.0)


async def test_chinese_goes_on_at_a_character() -> None:
    text = "今天天气很好我们去公园散步吧然后回家吃饭看书"
    asked, _ = await broken_off(text, 5, before="今天天气很好我们去公园散步吧")
    assert asked is not None
    assert text.endswith(asked)
    assert 0 < len(text) - len(asked) <= 1.0 / 0.06


async def test_when_the_last_voice_fails_too_the_clause_fails() -> None:
    first, second = await FailingSynthesizer.load(NOTHING), await FailingSynthesizer.load(NOTHING)
    first.after = second.after = 1
    speaker = cast(Synthesizer, fallback("tts", [first, second]))
    got = []
    with pytest.raises(EngineError, match="on fire; on fire"):
        async for chunk in speaker.synthesize(CLAUSE):
            got.append(chunk)  # noqa: PERF401 - what came before the failure counts
    assert len(got) == 2


async def test_one_that_is_not_ready_at_the_start_rests() -> None:
    first, _, model = await models()
    first.cold = EngineError("cannot be reached", code="engine_unavailable")
    await model.warm_up()
    await said(model)
    assert first.calls == 0


@pytest.mark.parametrize("cold", [EngineError("no such option", code="invalid_option"), RuntimeError("bug")])
async def test_wrong_settings_are_told_although_another_is_ready(cold: Exception) -> None:
    first, _, model = await models()
    first.cold = cold
    with pytest.raises(type(cold), match=str(cold)):
        await model.warm_up()


async def test_none_ready_is_told() -> None:
    first = await FailingModel.load(NOTHING)
    first.cold = EngineError("cannot be reached")
    with pytest.raises(EngineError, match="cannot be reached"):
        await fallback("llm", [first]).warm_up()


async def test_all_are_closed() -> None:
    first, second = await FailingModel.load(NOTHING), await FailingModel.load(NOTHING)
    await fallback("llm", [first, second]).close()
    assert (first.closed, second.closed) == (1, 1)


async def test_what_cannot_be_combined() -> None:
    vad, model = await StandInVad.load(NOTHING), await StandInLanguageModel.load(NOTHING)
    for role, engines, code in (
        ("vad", [vad], "wrong_role"),
        ("llm", [model, vad], "wrong_role"),
        ("llm", [], "invalid_option"),
    ):
        with pytest.raises(EngineError) as error:
            fallback(role, cast(list[Engine], engines))
        assert error.value.code == code


async def test_it_is_remote_when_one_of_its_engines_is() -> None:
    first, second = await FailingModel.load(NOTHING), await StandInLanguageModel.load(NOTHING)
    assert not fallback("llm", [first, second]).remote
    first.remote = True
    assert fallback("llm", [first, second]).remote


async def test_it_hears_when_all_of_its_models_do() -> None:
    hearing, deaf = await StandInLanguageModel.load(NOTHING), await StandInLanguageModel.load(NOTHING)
    hearing.supports_audio = True
    assert cast(LanguageModel, fallback("llm", [hearing, hearing])).supports_audio
    assert not cast(LanguageModel, fallback("llm", [hearing, deaf])).supports_audio
