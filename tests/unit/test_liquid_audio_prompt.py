"""The options of `liquid-audio`, and from requests to the turns of its chat; needs neither its package nor PyTorch."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import yaml

from antiphon.engines.base import (
    AudioPart,
    EngineError,
    GenerationRequest,
    ImagePart,
    Message,
    SpeechModel,
    TextPart,
    Tool,
    ToolCall,
)
from antiphon.engines.liquid_audio_prompt import LiquidAudioOptions, liquid_turns
from antiphon.engines.options import read_options
from antiphon.engines.registry import find_engine
from tests.engine_pages import documented_options, options_in_force

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "engines" / "liquid-audio.md"
OLD = AudioPart(np.zeros(16_000, np.float32), 16_000, "Good morning.")
NEW = AudioPart(np.ones(4_800, np.float32), 24_000, "Call Ada.")
MESSAGES = (
    Message("system", (TextPart("Be short."),)),
    Message("user", (OLD,)),
    Message("assistant", (TextPart("Morning!"),)),
    Message("user", (TextPart("Listen:"), NEW)),
)


def test_the_chat_of_a_spoken_reply() -> None:
    turns = liquid_turns(GenerationRequest(MESSAGES), audio_turns=1, speech=True)
    assert [turn.role for turn in turns] == ["system", "user", "assistant", "user"]
    (instructions,) = turns[0].parts
    assert isinstance(instructions, str)
    assert instructions.split("\n")[0] == "Respond with interleaved text and audio."
    assert instructions.endswith("Be short.")
    assert turns[1].parts == ("Good morning.",)
    assert turns[2].parts == ("Morning!",)
    text, sound = turns[3].parts
    assert isinstance(text, str)
    assert text.strip() == "Listen:"
    assert isinstance(sound, np.ndarray)
    assert sound.size == pytest.approx(3_200, abs=2), "it hears at 16 kHz"


def test_a_written_reply_wants_no_such_instructions() -> None:
    turns = liquid_turns(GenerationRequest(MESSAGES), audio_turns=2, speech=False)
    assert turns[0].parts == ("Be short.",)
    assert np.array_equal(turns[1].parts[0], OLD.samples)
    assert liquid_turns(GenerationRequest(MESSAGES[1:]), audio_turns=1, speech=False)[0].role == "user"
    assert liquid_turns(GenerationRequest(MESSAGES[1:]), audio_turns=1, speech=True)[0].role == "system"


def test_a_short_sound_is_long_enough_for_the_encoder() -> None:
    message = Message("user", (AudioPart(np.ones(160, np.float32), 16_000),))
    (turn,) = liquid_turns(GenerationRequest((message,)), audio_turns=1, speech=False)
    (sound,) = turn.parts
    assert isinstance(sound, np.ndarray)
    assert sound.size == 1_600
    assert sound.sum() == 160


@pytest.mark.parametrize("choice", ["auto", "required"])
def test_it_calls_no_functions(choice: Literal["auto", "required"]) -> None:
    with pytest.raises(EngineError, match="cannot call functions") as error:
        liquid_turns(GenerationRequest(MESSAGES, (Tool("dial"),), choice), audio_turns=1, speech=True)
    assert error.value.code == "unsupported"
    liquid_turns(GenerationRequest(MESSAGES, (Tool("dial"),), "none"), audio_turns=1, speech=True)


def test_calls_of_before_stand_in_words() -> None:
    called = Message("assistant", tool_calls=(ToolCall("1", "dial", '{"to": "Ada"}'),))
    answered = Message("tool", (TextPart("busy"),), tool_call_id="1")
    turns = liquid_turns(GenerationRequest((called, answered)), audio_turns=1, speech=False)
    assert [turn.role for turn in turns] == ["assistant", "user"]
    assert "Ada" in str(turns[0].parts)
    assert "busy" in str(turns[1].parts)


def test_it_sees_nothing() -> None:
    request = GenerationRequest((Message("user", (ImagePart("data:image/png;base64,"),)),))
    with pytest.raises(EngineError, match="images") as error:
        liquid_turns(request, audio_turns=1, speech=True)
    assert error.value.code == "unsupported"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({}, "option 'model' is missing"),
        ({"model": "x", "tempo": 1}, "there is no option 'tempo'"),
        ({"model": "x", "dtype": "float16"}, "option 'dtype'"),
        ({"model": "x", "audio_top_k": 0}, "option 'audio_top_k'"),
        ({"model": "x", "temperature": 2.5}, "option 'temperature'"),
    ],
)
def test_wrong_options_are_told(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(EngineError, match=message) as error:
        read_options("liquid-audio", LiquidAudioOptions, wrong)
    assert error.value.code == "invalid_option"


@pytest.mark.skipif(sys.hexversion >= 0x030C0000, reason="only where Python is too old for the package")
def test_a_python_that_is_too_old_is_told() -> None:
    with pytest.raises(EngineError, match=r"needs Python 3\.12 or newer") as error:
        find_engine("liquid-audio", SpeechModel)
    assert error.value.code == "missing_package"


def test_the_page_lists_every_option() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert documented_options(page) == options_in_force(LiquidAudioOptions)


def test_its_examples_are_valid() -> None:
    examples = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert examples
    for example in examples:
        ((_, pipeline),) = yaml.safe_load(example)["pipelines"].items()
        engine = pipeline["speech"]
        assert engine.pop("engine") == "liquid-audio"
        read_options("liquid-audio", LiquidAudioOptions, engine)
