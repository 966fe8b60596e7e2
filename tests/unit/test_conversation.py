"""The conversation: where items go, what truncation leaves, what is forgotten."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.protocol.errors import ProtocolError
from antiphon.session.conversation import APPEND, Conversation, Item, ItemAudio, words_heard


def conversation(max_items: int = 100, max_audio_s: float = 10.0) -> Conversation:
    return Conversation("conv_1", max_items=max_items, max_audio_s=max_audio_s)


def message(item_id: str, role: str = "user", content: list[dict[str, Any]] | None = None) -> Item:
    return Item({"id": item_id, "type": "message", "status": "completed", "role": role, "content": content or []})


def spoken(item_id: str, transcript: str, marks: list[tuple[int, int]]) -> Item:
    item = message(item_id, "assistant", [{"type": "output_audio", "transcript": transcript}])
    audio = item.audio[0] = ItemAudio(24_000)
    audio.append(np.zeros(marks[-1][0] * 24, np.int16))
    item.marks = marks
    item.spoken_end = marks[-1][1]
    return item


def ids(found: Conversation) -> list[str]:
    return [item.id for item in found.items]


def test_items_go_to_the_end_the_front_or_behind_another() -> None:
    found = conversation()
    assert found.add(message("a")) is None
    assert found.add(message("b"), APPEND) == "a"
    assert found.add(message("c"), "root") is None
    assert found.add(message("d"), "c") == "c"
    assert ids(found) == ["c", "d", "a", "b"]
    assert [found.previous_id(item_id) for item_id in ids(found)] == [None, "c", "d", "a"]


@pytest.mark.parametrize(
    ("item_id", "previous", "code", "param"),
    [
        ("a", APPEND, "item_create_duplicate_item_id", "item.id"),
        ("b", "nowhere", "item_create_invalid_previous_item_id", "previous_item_id"),
    ],
)
def test_a_refused_item_changes_nothing(item_id: str, previous: object, code: str, param: str) -> None:
    found = conversation()
    found.add(message("a"))
    version = found.version
    with pytest.raises(ProtocolError) as caught:
        found.add(message(item_id), previous)
    assert (caught.value.code, caught.value.param) == (code, param)
    assert (ids(found), found.version) == (["a"], version)


def test_a_full_conversation_says_so() -> None:
    found = conversation(max_items=1)
    found.add(message("a"))
    with pytest.raises(ProtocolError, match="the most that it can hold"):
        found.add(message("b"))


def test_delete_and_unknown_ids() -> None:
    found = conversation()
    found.add(message("a"))
    assert found.delete("a").id == "a"
    assert "a" not in found
    for doing, code in (("deleting", "delete"), ("retrieving", "retrieve"), ("truncating", "truncate")):
        with pytest.raises(ProtocolError) as caught:
            found.require("a", doing)  # type: ignore[arg-type]
        assert caught.value.code == f"item_{code}_invalid_item_id"
        assert caught.value.message == f"Error {doing} item: the item with id 'a' does not exist."


def test_truncation_cuts_audio_and_the_words_not_heard() -> None:
    found = conversation()
    item = spoken("a", "Hello there. How are you today?", [(400, 6), (900, 12), (1800, 31)])
    found.add(item)
    found.truncate("a", 0, 900)
    assert item.wire["content"][0]["transcript"] == "Hello there."
    assert item.audio[0].duration_ms == 900
    found.truncate("a", 0, 0)
    assert item.wire["content"][0]["transcript"] == ""
    assert item.audio[0].duration_ms == 0


def test_truncation_beyond_the_end_or_of_other_items_is_refused() -> None:
    found = conversation()
    found.add(spoken("a", "Hello", [(400, 5)]))
    found.add(message("b", content=[{"type": "input_text", "text": "Hi"}]))
    with pytest.raises(ProtocolError, match="Audio content of 400ms is already shorter than 401ms"):
        found.truncate("a", 0, 401)
    with pytest.raises(ProtocolError, match="Only model output audio messages can be truncated"):
        found.truncate("b", 0, 0)


def test_the_oldest_audio_is_forgotten_first() -> None:
    found = conversation(max_audio_s=2.0)
    for name in "abc":
        found.add(spoken(name, "x", [(1000, 1)]))
    assert [bool(item.audio[0].pcm) for item in found.items] == [False, True, True]
    assert found.items[0].audio[0].duration_ms == 1000


@pytest.mark.parametrize(
    ("end_ms", "heard"),
    [(0, ""), (500, "one"), (999, "one two"), (1000, "one two three"), (5000, "one two three")],
)
def test_words_heard_are_whole_words(end_ms: int, heard: str) -> None:
    assert words_heard("one two three", [(1000, 13)], end_ms) == heard


def test_chinese_is_cut_between_any_two_characters() -> None:
    assert words_heard("今天天气很好", [(600, 6)], 300) == "今天天"


def test_text_that_was_never_spoken_was_not_heard() -> None:
    assert words_heard("one two three", [(500, 3)], 500) == "one"


@given(st.text(max_size=60), st.lists(st.tuples(st.integers(1, 50), st.integers(0, 10)), max_size=8), st.data())
def test_more_audio_never_means_fewer_words(text: str, steps: list[tuple[int, int]], data: st.DataObject) -> None:
    marks: list[tuple[int, int]] = []
    at, chars = 0, 0
    for step_ms, step_chars in steps:
        at, chars = at + step_ms, min(chars + step_chars, len(text))
        marks.append((at, chars))
    first = data.draw(st.integers(0, at + 5))
    second = data.draw(st.integers(first, at + 5))
    shorter, longer = words_heard(text, marks, first), words_heard(text, marks, second)
    assert text.startswith(longer)
    assert longer.startswith(shorter)
