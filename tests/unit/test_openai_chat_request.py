"""From generation requests to the body of a chat completion."""

from __future__ import annotations

import numpy as np
import pytest

from antiphon.engines.base import (
    AudioPart,
    EngineError,
    GenerationRequest,
    ImagePart,
    Message,
    NamedTool,
    TextPart,
    Tool,
    ToolCall,
)
from antiphon.engines.openai.chat_request import chat_body, estimate_tokens

PICTURE = ImagePart("data:image/png;base64,AAAA", "low")
DIAL = Tool("dial", "Dials.", {"type": "object", "properties": {"number": {"type": "string"}}})


def test_a_conversation() -> None:
    heard = AudioPart(np.zeros(10, np.float32), 16_000, "Call Ada.")
    unheard = AudioPart(np.zeros(10, np.float32), 16_000)
    messages = (
        Message("system", (TextPart("Be short."),)),
        Message("user", (heard, unheard, TextPart("Now."))),
        Message("assistant", (), (ToolCall("c1", "dial", '{"number": "1"}'), ToolCall("c2", "dial", '{"numb'))),
        Message("tool", (TextPart("ringing"),), tool_call_id="c1"),
    )
    assert chat_body(GenerationRequest(messages), images=False) == {
        "messages": [
            {"role": "system", "content": "Be short."},
            {"role": "user", "content": "Call Ada.\nNow."},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "dial", "arguments": '{"number": "1"}'}},
                    {"id": "c2", "type": "function", "function": {"name": "dial", "arguments": "{}"}},
                ],
            },
            {"role": "tool", "content": "ringing", "tool_call_id": "c1"},
        ]
    }


def test_tools() -> None:
    body = chat_body(GenerationRequest((), (DIAL,), NamedTool("dial"), parallel_tool_calls=False), images=False)
    assert body["tools"][0]["function"]["name"] == "dial"
    assert body["tool_choice"] == {"type": "function", "function": {"name": "dial"}}
    assert body["parallel_tool_calls"] is False
    plain = chat_body(GenerationRequest((), (DIAL,), "required"), images=False)
    assert plain["tool_choice"] == "required"
    assert "parallel_tool_calls" not in plain
    assert chat_body(GenerationRequest((), (), "required"), images=False).keys() == {"messages"}


def test_images() -> None:
    request = GenerationRequest((Message("user", (TextPart("What is this?"), PICTURE)),))
    assert chat_body(request, images=True)["messages"][0]["content"] == [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": PICTURE.url, "detail": "low"}},
    ]
    with pytest.raises(EngineError) as error:
        chat_body(request, images=False)
    assert error.value.code == "unsupported"


def test_tokens_are_rather_over_estimated() -> None:
    text = "The quick brown fox jumps over the lazy dog, and then it rests for a while under the old oak tree."
    words = estimate_tokens([Message("user", (TextPart(text),))], ())
    assert len(text.split()) < words < 3 * len(text.split())
    assert estimate_tokens([Message("user", (PICTURE,))], ()) > 700
    assert estimate_tokens([], (DIAL,)) > 10
    assert estimate_tokens([], ()) == 0
