"""From requests to what the chat templates of omni models take."""

from __future__ import annotations

import numpy as np
import pytest

from antiphon.engines.base import (
    AudioPart,
    EngineError,
    GenerationRequest,
    ImagePart,
    Message,
    TextPart,
    Tool,
    ToolCall,
)
from antiphon.engines.transformers_omni_prompt import omni_prompt

DIAL = Tool("dial", "Dials.", {"type": "object"})
OLD = AudioPart(np.zeros(160, np.float32), 16_000, "Good morning.")
NEW = AudioPart(np.ones(320, np.float32), 16_000, "Call Ada.")


def test_speech_stays_where_it_was() -> None:
    messages = (
        Message("system", (TextPart("Be short."),)),
        Message("user", (OLD,)),
        Message("assistant", (TextPart("Morning!"),)),
        Message("user", (TextPart("Listen:"), NEW)),
    )
    prompt = omni_prompt(GenerationRequest(messages), audio_turns=1, lists_tools=False, preamble="You are Qwen.")
    assert [entry["role"] for entry in prompt.messages] == ["system", "user", "assistant", "user"]
    assert prompt.messages[0]["content"][0]["text"].split() == ["You", "are", "Qwen.", "Be", "short."]
    assert prompt.messages[1]["content"] == [{"type": "text", "text": "Good morning."}]
    text, audio = prompt.messages[3]["content"]
    assert text["text"].strip() == "Listen:"
    assert audio["audio"] is NEW.samples
    assert [sound.size for sound in prompt.sounds] == [320]
    both = omni_prompt(GenerationRequest(messages), audio_turns=2, lists_tools=False)
    assert [sound.size for sound in both.sounds] == [160, 320]


def test_speech_at_another_rate() -> None:
    part = AudioPart(np.zeros(2400, np.float32), 24_000)
    prompt = omni_prompt(GenerationRequest((Message("user", (part,)),)), audio_turns=1, lists_tools=False)
    assert abs(prompt.sounds[0].size - 1600) < 5


def test_tools_are_listed_by_the_template_or_described() -> None:
    messages = (
        Message("user", (NEW,)),
        Message("assistant", (), (ToolCall("c1", "dial", '{"number": "1"}'),)),
        Message("tool", (TextPart("It rings."),), tool_call_id="c1"),
    )
    listed = omni_prompt(GenerationRequest(messages, (DIAL,)), audio_turns=1, lists_tools=True)
    assert listed.tools is not None
    assert listed.names == {"dial"}
    assert listed.messages[-1]["role"] == "tool"
    described = omni_prompt(GenerationRequest(messages, (DIAL,)), audio_turns=1, lists_tools=False)
    assert described.tools is None
    assert "dial" in described.messages[0]["content"][0]["text"]
    assert {"type": "audio", "audio": NEW.samples} in described.messages[1]["content"]
    assert "It rings." in str(described.messages[-1]["content"])


def test_what_it_cannot_do() -> None:
    for request in (
        GenerationRequest((Message("user", (ImagePart("data:image/png;base64,AA"),)),)),
        GenerationRequest((), (DIAL,), "required"),
    ):
        with pytest.raises(EngineError) as refused:
            omni_prompt(request, audio_turns=1, lists_tools=False)
        assert refused.value.code == "unsupported"
