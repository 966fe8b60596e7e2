"""The chunks of llama.cpp's streams become events."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from antiphon.engines.base import EngineError, Finish, TextDelta, ToolCallDelta, Usage
from antiphon.engines.llamacpp.reply import ReplyEvent, ReplyReader

USAGE = {"prompt_tokens": 31, "completion_tokens": 8, "prompt_tokens_details": {"cached_tokens": 30}}


def delta(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "finish_reason": None, "delta": fields}]}


def end(reason: str) -> list[dict[str, Any]]:
    return [{"choices": [{"finish_reason": reason, "delta": {}}]}, {"choices": [], "usage": USAGE}]


def read(chunks: list[dict[str, Any]], *names: str, must_call: bool = False) -> list[ReplyEvent]:
    reader = ReplyReader(names, must_call=must_call)
    events = [event for chunk in chunks for event in reader.read(chunk)]
    return events + reader.finish()


def test_a_chat_stream() -> None:
    chunks = [
        delta(role="assistant", content=None) | {"prompt_progress": {"processed": 3}},
        delta(reasoning_content="What may he want?"),
        delta(content="Hello"),
        delta(content=" you."),
        *end("stop"),
    ]
    assert read(chunks) == [TextDelta("Hello"), TextDelta(" you."), Usage(31, 8, 30), Finish("stop")]


def test_a_text_stream() -> None:
    last = {"choices": [{"text": "", "finish_reason": "length"}], "usage": USAGE}
    assert read([{"choices": [{"text": "Hello", "finish_reason": None}]}, last]) == [
        TextDelta("Hello"),
        Usage(31, 8, 30),
        Finish("length"),
    ]


def test_calls_that_llama_cpp_parsed() -> None:
    def call(index: int, **function: str) -> dict[str, Any]:
        return {"index": index, "id": f"id{index}", "type": "function", "function": function}

    chunks = [
        delta(tool_calls=[call(0, name="lamp", arguments="{")]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": "}"}}]),
        delta(tool_calls=[call(1, name="bomb", arguments="{}")]),
        delta(tool_calls=[{"index": 1, "function": {"arguments": " "}}]),
        delta(tool_calls=[call(2, name="time", arguments="{}")]),
        *end("tool_calls"),
    ]
    assert read(chunks, "lamp", "time") == [
        ToolCallDelta(0, "lamp", "{", "id0"),
        ToolCallDelta(0, None, "}"),
        ToolCallDelta(1, "time", "{}", "id2"),
        Usage(31, 8, 30),
        Finish("tool_calls"),
    ]


def test_a_call_that_is_cut_short_ends_with_length() -> None:
    chunks = [delta(content='<tool_call>{"name": "lamp", "arguments": {"on"'), *end("length")]
    assert read(chunks, "lamp", must_call=True)[-1] == Finish("length")
    assert read([*chunks[:1], *end("stop")], "lamp")[-1] == Finish("length")


def test_a_reply_that_had_to_be_a_call_and_is_none_is_an_error_and_says_nothing() -> None:
    reader = ReplyReader({"lamp"}, must_call=True)
    assert reader.read(delta(content="I would rather talk.")) == []
    reader.read(end("stop")[0])
    with pytest.raises(EngineError) as caught:
        reader.finish()
    assert caught.value.code == "unsupported"


def test_a_stream_that_just_ends_is_an_error() -> None:
    with pytest.raises(EngineError):
        read([delta(content="Hel")])


def test_a_dropped_call_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        events = read([delta(content='<tool_call>{"name": "bomb", "arguments": {}}</tool_call>'), *end("stop")], "lamp")
    assert events == [Usage(31, 8, 30), Finish("stop")]
    assert "dropped 1" in caplog.text
    assert "bomb" not in caplog.text
