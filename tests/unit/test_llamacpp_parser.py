"""Tool calls and thoughts are taken out of what a model writes, in pieces of any size."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.engines.base import TextDelta, ToolCallDelta
from antiphon.engines.llamacpp.parser import ReplyParser

CALL = '<tool_call>\n{"name": "lamp", "arguments": {"on": true, "to": "}\\"{]"}}\n</tool_call>'
ARGUMENTS = '{"on": true, "to": "}\\"{]"}'


def read(pieces: Iterable[str], tools: Iterable[str] = ("lamp", "time")) -> tuple[str, list[list[str]], ReplyParser]:
    """Return the text, the calls as [name, arguments], and the parser."""
    parser = ReplyParser(frozenset(tools))
    text = ""
    calls: list[list[str]] = []
    found = [delta for piece in pieces for delta in parser.feed(piece)] + parser.finish()
    for delta in found:
        if isinstance(delta, TextDelta):
            assert delta.text
            text += delta.text
        else:
            assert isinstance(delta, ToolCallDelta)
            if delta.name is not None:
                assert delta.index == len(calls)
                calls.append([delta.name, ""])
            assert delta.index == len(calls) - 1
            calls[-1][1] += delta.arguments
    return text, calls, parser


@pytest.mark.parametrize(
    ("written", "text", "calls", "dropped"),
    [
        ("Hello there.", "Hello there.", [], 0),
        ("\n Hello\nyou. \n", "Hello\nyou.", [], 0),
        (CALL, "", [["lamp", ARGUMENTS]], 0),
        (f"Well. \n{CALL}", "Well.", [["lamp", ARGUMENTS]], 0),
        (f"{CALL}\n{CALL}", "", [["lamp", ARGUMENTS]] * 2, 0),
        ('<tool_call>{"name":"time","arguments":{}}</tool_call>', "", [["time", "{}"]], 0),
        ('<tool_call>{"name":"time","arguments":{}} and more</tool_call>', "", [["time", "{}"]], 0),
        ('<tool_call>{"name": "bomb", "arguments": {"a": 1}}</tool_call> Done.', "Done.", [], 1),
        ("<tool_call>lamp(on)</tool_call>", "", [], 1),
        ('<tool_call>{"name": "la\\mp", "arguments": {}}</tool_call>', "", [], 1),
        ('<tool_call>{"name": "lamp", "arguments": "on"}</tool_call>Yes.', "Yes.", [], 1),
        ('<tool_call>{"name": "la', "", [], 1),
        (f"<tool_call>{' ' * 500}" + '{"name": "lamp", "arguments": {}}</tool_call>', "", [], 1),
        ("a < b and <tea>", "a < b and <tea>", [], 0),
        ("is it <", "is it <", [], 0),
        ("is it <tool_c", "is it", [], 0),
        ("<think>Hm, <tool_call> or not?</think>\n\nYes.", "Yes.", [], 0),
        ("So <think>hm</think>it is", "So it is", [], 0),
        ("<think>never closed", "", [], 0),
    ],
)
def test_what_is_told_from_what_is_written(written: str, text: str, calls: list[list[str]], dropped: int) -> None:
    for pieces in ([written], list(written)):
        found_text, found_calls, parser = read(pieces)
        assert (found_text, found_calls, parser.dropped) == (text, calls, dropped)


def test_arguments_come_as_they_are_written() -> None:
    parser = ReplyParser({"lamp"})
    assert parser.feed('<tool_call>{"name": "lamp", "arguments": {"on"') == [
        ToolCallDelta(0, name="lamp"),
        ToolCallDelta(0, arguments='{"on"'),
    ]
    assert parser.inside_call
    assert parser.feed(": true") == [ToolCallDelta(0, arguments=": true")]
    assert parser.feed("}}</tool_call>") == [ToolCallDelta(0, arguments="}")]
    assert not parser.inside_call


TAGS = ("<tool_call>", "</tool_call>", "<think>", "</think>", "<", "<t")
PARTS = ('{"name": "lamp", "arguments": ', '{"a": [1, "}"]}', "{", "}", '"', "\\", "lamp", CALL)
FRAGMENTS = st.sampled_from([*TAGS, *PARTS, " ", "\n", "hello"])


@given(st.lists(FRAGMENTS, max_size=12), st.data())
def test_pieces_do_not_matter_and_no_tag_is_spoken(fragments: list[str], data: st.DataObject) -> None:
    written = "".join(fragments)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(written)), max_size=8)))
    pieces = [written[start:end] for start, end in zip([0, *cuts], [*cuts, len(written)], strict=True)]
    whole_text, whole_calls, whole = read([written])
    text, calls, parser = read(pieces)
    assert (text, calls, parser.dropped) == (whole_text, whole_calls, whole.dropped)
    assert "<tool_call>" not in text
    assert "<think>" not in text


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )
)
def test_any_json_object_comes_through_unchanged(value: object) -> None:
    arguments = json.dumps({"value": value})
    text, calls, _ = read(f'<tool_call>{{"name": "lamp", "arguments": {arguments}}}</tool_call>')
    assert (text, calls) == ("", [["lamp", arguments]])
