"""The stand-in engines do what they say, always the same."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from antiphon.engines.base import (
    HEARING_RATE,
    VAD_WINDOW,
    AudioChunk,
    AudioPart,
    Engine,
    EngineContext,
    EngineError,
    Finish,
    GenerationRequest,
    ImagePart,
    Message,
    NamedTool,
    Samples,
    TextDelta,
    TextPart,
    Tool,
    ToolCallDelta,
    Usage,
)
from antiphon.engines.stand_in import (
    StandInLanguageModel,
    StandInSynthesizer,
    StandInTranscriber,
    StandInTurnClassifier,
    StandInVad,
    plausible,
)

LAMP = {
    "type": "object",
    "properties": {
        "room": {"type": "string", "enum": ["hall", "kitchen"]},
        "level": {"type": "integer", "minimum": 5},
        "on": {"type": "boolean"},
        "note": {"type": "string"},
    },
    "required": ["room", "level", "on"],
}


class NoModels:
    def path(self, name: str) -> Path:
        raise EngineError(f"{name} is not here", code="model_missing")


def context(**options: Any) -> EngineContext:
    return EngineContext(NoModels(), options=options)


def noise(seconds: float, dbfs: float) -> Samples:
    generator = np.random.default_rng(1)
    samples = generator.standard_normal(round(seconds * HEARING_RATE)).astype(np.float32)
    samples *= np.float32(10 ** (dbfs / 20)) / np.sqrt(np.mean(samples**2))
    return samples


def user(text: str) -> Message:
    return Message("user", (TextPart(text),))


async def generated(model: StandInLanguageModel, request: GenerationRequest) -> list[Any]:
    return [delta async for delta in model.generate(request)]


async def test_vad_goes_by_loudness() -> None:
    stream = (await StandInVad.load(context())).open()
    for dbfs, expected in ((-80, 0.0), (-45, 0.5), (-20, 1.0)):
        windows = noise(4 * VAD_WINDOW / HEARING_RATE, dbfs).reshape(4, VAD_WINDOW)
        probabilities = await stream.push(windows)
        assert probabilities.dtype == np.float32
        assert probabilities == pytest.approx([expected] * 4, abs=0.1)
    assert (await stream.push(np.zeros((0, VAD_WINDOW), np.float32))).shape == (0,)


async def test_turn_is_over_when_it_ends_in_silence() -> None:
    classifier = await StandInTurnClassifier.load(context())
    assert await classifier.complete(noise(1, -20)) == 0
    assert await classifier.complete(np.concatenate([noise(1, -20), noise(0.2, -80)])) == 1
    assert await classifier.complete(np.zeros(0, np.float32)) == 0


async def test_transcriber_tells_the_length() -> None:
    transcriber = await StandInTranscriber.load(context())
    assert (await transcriber.transcribe(noise(1.2, -20))).text == "Utterance of 1.2 seconds."
    assert (await transcriber.transcribe(np.zeros(16_000, np.float32))).text == ""
    assert (await transcriber.transcribe(np.zeros(0, np.float32))).text == ""
    assert (await transcriber.transcribe(noise(1, -20), language="de")).language == "de"


async def test_language_model_follows_its_script() -> None:
    model = await StandInLanguageModel.load(context(reply="You said: {user} I see."))
    messages = (Message("system", (TextPart("Be kind."),)), user("Hello there."))
    deltas = await generated(model, GenerationRequest(messages))
    assert deltas[0] == TextDelta("You")
    assert "".join(delta.text for delta in deltas[:-2]) == "You said: Hello there. I see."
    assert deltas[-2:] == [Usage(4, 6), Finish("stop")]


async def test_language_model_is_as_long_as_asked_and_stops_at_its_limit() -> None:
    model = await StandInLanguageModel.load(context(reply="one two three.", words=7))
    deltas = await generated(model, GenerationRequest((user("Hi"),)))
    assert "".join(delta.text for delta in deltas[:-2]) == "one two three. one two three. one"
    deltas = await generated(model, GenerationRequest((user("Hi"),), max_tokens=2))
    assert [delta.text for delta in deltas[:-2]] == ["one", " two"]
    assert deltas[-2:] == [Usage(1, 2), Finish("length")]


async def test_language_model_calls_the_tool_that_it_must() -> None:
    model = await StandInLanguageModel.load(context())
    tools = (Tool("time"), Tool("lamp", "Sets a lamp", LAMP))
    deltas = await generated(model, GenerationRequest((user("Hi"),), tools, NamedTool("lamp")))
    calls = [delta for delta in deltas if isinstance(delta, ToolCallDelta)]
    assert [call.name for call in calls if call.name] == ["lamp"]
    assert calls[0].name == "lamp"
    assert json.loads("".join(call.arguments for call in calls)) == {"room": "hall", "level": 5, "on": True}
    assert deltas[-1] == Finish("tool_calls")
    deltas = await generated(model, GenerationRequest((user("Hi"),), tools, "required"))
    assert deltas[0] == ToolCallDelta(0, "time", "{}")
    for choice in ("auto", "none"):
        deltas = await generated(model, GenerationRequest((user("Hi"),), tools, choice))
        assert isinstance(deltas[0], TextDelta)
    with pytest.raises(EngineError, match="door"):
        await generated(model, GenerationRequest((user("Hi"),), tools, NamedTool("door")))


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({}, "text"),
        ({"type": "number", "default": 3}, 3),
        ({"const": "x"}, "x"),
        ({"examples": ["Rome"]}, "Rome"),
        ({"type": ["string", "null"]}, "text"),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [0, 0]),
        ({"type": "null"}, None),
        ({"properties": {"a": {"type": "object"}}}, {"a": {}}),
    ],
)
def test_plausible_values(schema: dict[str, Any], value: Any) -> None:
    assert plausible(schema) == value


async def test_tokens_are_words() -> None:
    model = await StandInLanguageModel.load(context())
    speech = AudioPart(np.zeros(10, np.float32), 16_000, "three words here")
    messages = [Message("user", (TextPart("one two"), speech, ImagePart("data:image/png;base64,")))]
    assert await model.count_tokens(messages, [Tool("lamp", "Sets a lamp")]) == 9


async def test_synthesizer_lasts_as_long_as_the_text() -> None:
    synthesizer = await StandInSynthesizer.load(context(character_ms=10))

    async def seconds(chunks: AsyncIterator[AudioChunk]) -> float:
        return sum([chunk.samples.size / chunk.rate async for chunk in chunks])

    assert await seconds(synthesizer.synthesize("x" * 100)) == pytest.approx(1.0)
    assert await seconds(synthesizer.synthesize("x" * 100, speed=0.5, voice="high")) == pytest.approx(2.0)
    chunks = [chunk async for chunk in synthesizer.synthesize("x" * 100)]
    assert [chunk.samples.size for chunk in chunks] == [4_800] * 5
    tone = np.concatenate([chunk.samples for chunk in chunks])
    assert np.argmax(np.abs(np.fft.rfft(tone))) == 200
    with pytest.raises(EngineError, match="loud") as caught:
        await seconds(synthesizer.synthesize("Hi", voice="loud"))
    assert caught.value.code == "unsupported"


@pytest.mark.parametrize(
    ("engine", "options"),
    [
        (StandInVad, {"threshold": 1}),
        (StandInTurnClassifier, {"x": 1}),
        (StandInTranscriber, {"x": 1}),
        (StandInLanguageModel, {"reply": 5}),
        (StandInLanguageModel, {"reply": " "}),
        (StandInLanguageModel, {"words": 1.5}),
        (StandInLanguageModel, {"words": "many"}),
        (StandInLanguageModel, {"token_ms": -1}),
        (StandInSynthesizer, {"character_ms": "slow"}),
    ],
)
async def test_wrong_options_are_refused(engine: type[Engine], options: dict[str, Any]) -> None:
    with pytest.raises(EngineError) as caught:
        await engine.load(context(**options))
    assert caught.value.code == "invalid_option"
