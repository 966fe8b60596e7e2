"""From the chunks of chat completions to deltas, as different servers send them."""

from __future__ import annotations

from typing import Any

import pytest

from antiphon.engines.base import Finish, TextDelta, ToolCallDelta, Usage
from antiphon.engines.openai.chat_stream import ChatStream

A, B = "call_aaaaaaaaaaaaaaaa", "call_bbbbbbbbbbbbbbbb"


def delta(finish_reason: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"id": "c", "choices": [{"index": 0, "delta": fields, "finish_reason": finish_reason}]}


def call(**fields: Any) -> dict[str, Any]:
    return delta(tool_calls=[fields])


def read(*chunks: Any) -> list[Any]:
    stream = ChatStream()
    return [made for chunk in chunks for made in stream.feed(chunk)] + stream.finish()


def test_text_with_usage_in_a_chunk_of_its_own() -> None:
    usage = {"prompt_tokens": 12, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 8}}
    assert read(
        delta(role="assistant", content=""),
        delta(content="Hello"),
        delta(content=" there."),
        delta("stop"),
        {"id": "c", "choices": [], "usage": usage},
    ) == [TextDelta("Hello"), TextDelta(" there."), Usage(12, 2, 8), Finish("stop")]


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_reasoning_is_not_part_of_the_reply(field: str) -> None:
    assert read(delta(**{field: "Let me think."}), delta(content="Yes."), delta("stop")) == [
        TextDelta("Yes."),
        Finish("stop"),
    ]


def test_content_in_parts_without_thinking() -> None:
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}, {"type": "text", "text": "Yes."}]
    assert read(delta(content=parts), delta("stop")) == [TextDelta("Yes."), Finish("stop")]


def test_a_refusal_is_said() -> None:
    assert read(delta(refusal="I cannot."), delta("stop"))[0] == TextDelta("I cannot.")


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        ("stop", "stop"),
        ("eos", "stop"),
        ("length", "length"),
        ("MAX_TOKENS", "length"),
        ("content_filter", "content_filter"),
        ("function_call", "tool_calls"),
    ],
)
def test_why_it_ended(told: str, meant: Any) -> None:
    assert read(delta(content="a"), delta(told))[-1] == Finish(meant)


def test_calls_as_openai_streams_them() -> None:
    assert read(
        call(index=0, id=A, type="function", function={"name": "dial", "arguments": ""}),
        call(index=0, function={"arguments": '{"number":'}),
        call(index=0, function={"arguments": " 1}"}),
        call(index=1, id=B, type="function", function={"name": "wait", "arguments": "{}"}),
        delta("tool_calls"),
    ) == [
        ToolCallDelta(0, "dial", "", A),
        ToolCallDelta(0, None, '{"number":'),
        ToolCallDelta(0, None, " 1}"),
        ToolCallDelta(1, "wait", "{}", B),
        Finish("tool_calls"),
    ]


def test_whole_calls_that_all_have_the_same_number() -> None:
    assert read(
        call(index=0, id="a", function={"name": "dial", "arguments": "{}"}),
        call(index=0, id="b", function={"name": "wait", "arguments": "{}"}),
        delta("stop"),
    ) == [ToolCallDelta(0, "dial", "{}"), ToolCallDelta(1, "wait", "{}"), Finish("tool_calls")]


def test_whole_calls_without_numbers_and_ids() -> None:
    assert read(
        call(function={"name": "dial", "arguments": "{}"}),
        call(function={"name": "dial", "arguments": "{}"}),
        delta("tool_calls"),
    ) == [ToolCallDelta(0, "dial", "{}"), ToolCallDelta(1, "dial", "{}"), Finish("tool_calls")]


def test_names_and_ids_repeated_in_every_piece() -> None:
    piece = {"index": 0, "id": "a"}
    assert read(
        call(**piece, function={"name": "dial", "arguments": "{"}),
        call(**piece, function={"name": "dial", "arguments": "}"}),
        delta("tool_calls"),
    ) == [ToolCallDelta(0, "dial", "{"), ToolCallDelta(0, None, "}"), Finish("tool_calls")]


def test_a_name_that_comes_after_arguments() -> None:
    assert read(
        call(index=0, id="a", function={"arguments": "{"}),
        call(index=0, function={"name": "dial", "arguments": "}"}),
        delta("tool_calls"),
    ) == [ToolCallDelta(0, "dial", "{}"), Finish("tool_calls")]


@pytest.mark.parametrize(
    "chunks",
    [
        ["text"],
        [None],
        [[1]],
        [{"choices": "none"}],
        [{"choices": [{"delta": {"content": 5}}]}],
        [{"choices": [{"delta": {"content": ["a"]}}]}],
        [delta(tool_calls={"index": 0})],
        [{"choices": [], "usage": {"prompt_tokens": -1}}],
        [delta(content="cut off")],
        [delta(content="bad"), delta("error")],
        [call(index=0, id="a", function={"arguments": "{}"}), delta("tool_calls")],
        [
            call(index=0, id="a", function={"name": "x"}),
            call(index=1, id="b", function={"name": "y"}),
            call(index=0, function={"arguments": "{}"}),
            delta("tool_calls"),
        ],
    ],
)
def test_what_is_malformed(chunks: list[Any]) -> None:
    with pytest.raises(ValueError):
        read(*chunks)


def test_other_choices_are_left_alone() -> None:
    assert read({"choices": [{"index": 1, "delta": {"content": "b"}}]}, delta(content="a"), delta("stop")) == [
        TextDelta("a"),
        Finish("stop"),
    ]
