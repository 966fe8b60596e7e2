"""The context that the model is given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.engines.base import AudioPart, Message, TextPart, Tool, ToolCall
from antiphon.session.config import RetentionRatio
from antiphon.session.conversation import Item, ItemAudio
from antiphon.session.history import ContextTooLong, certainly_fits, exchanges, first_kept


def item(item_id: str, **wire: Any) -> Item:
    return Item({"id": item_id, **wire})


def user(text: str) -> Item:
    return item("u", type="message", role="user", content=[{"type": "input_text", "text": text}])


def call(call_id: str) -> Item:
    return item(call_id, type="function_call", name="lamp", call_id=call_id, arguments="{}")


def result(call_id: str, output: str) -> Item:
    return item(f"r{call_id}", type="function_call_output", call_id=call_id, output=output)


def messages(*items: Item, hears: bool = False) -> list[Message]:
    return [message for exchange in exchanges(items, hears=hears) for message in exchange.messages]


def test_results_follow_their_calls_even_when_they_came_later() -> None:
    found = messages(user("on"), call("1"), call("2"), user("quick"), result("2", "two"), result("1", "one"))
    assert found == [
        Message("user", (TextPart("on"),)),
        Message("assistant", tool_calls=(ToolCall("1", "lamp", "{}"), ToolCall("2", "lamp", "{}"))),
        Message("tool", (TextPart("one"),), tool_call_id="1"),
        Message("tool", (TextPart("two"),), tool_call_id="2"),
        Message("user", (TextPart("quick"),)),
    ]


def test_calls_and_results_are_one_exchange() -> None:
    assert [len(exchange.messages) for exchange in exchanges([call("1"), result("1", "x")], hears=False)] == [2]


def test_a_call_without_a_result_says_so_and_a_result_without_its_call_is_left_out() -> None:
    found = messages(call("1"), result("2", "lost"))
    assert found[1] == Message("tool", (TextPart("No result yet."),), tool_call_id="1")
    assert len(found) == 2


def test_an_answer_counts_as_far_as_it_was_spoken() -> None:
    answer = item("a", type="message", role="assistant", content=[{"type": "output_audio", "transcript": "One. Two."}])
    answer.spoken_end = 4
    assert messages(answer) == [Message("assistant", (TextPart("One."),))]
    answer.spoken_end = 0
    assert messages(answer) == []


def test_audio_is_read_or_heard() -> None:
    heard = np.zeros(160, np.float32)
    said = item("a", type="message", role="user", content=[{"type": "input_audio", "transcript": None}])
    said.audio[0] = ItemAudio(24_000, heard=heard)
    said.transcript = "Hello."
    assert messages(said) == [Message("user", (TextPart("Hello."),))]
    (part,) = messages(said, hears=True)[0].content
    assert isinstance(part, AudioPart)
    assert (part.rate, part.transcript, part.samples is heard) == (16_000, "Hello.", True)


def test_silence_is_described() -> None:
    quiet = item("a", type="message", role="user", content=[{"type": "input_audio", "transcript": None}])
    quiet.silence_s = 6.0
    assert messages(quiet) == [Message("user", (TextPart("[The user has said nothing for 6 seconds.]"),))]


def test_what_fits_is_all_kept() -> None:
    assert first_kept([10, 10, 10], 30, "auto") == 0
    assert first_kept([10, 10, 10], 30, "disabled") == 0


def test_auto_drops_the_oldest_and_a_little_more() -> None:
    assert first_kept([10] * 10, 95, "auto") == 3


def test_retention_ratio_says_how_much_stays() -> None:
    assert first_kept([10] * 10, 95, RetentionRatio(0.5)) == 6
    assert first_kept([10] * 10, 1000, RetentionRatio(0.5, post_instructions_tokens=40)) == 8


def test_disabled_truncation_and_an_oversized_exchange_fail() -> None:
    with pytest.raises(ContextTooLong):
        first_kept([10] * 10, 95, "disabled")
    with pytest.raises(ContextTooLong):
        first_kept([1, 200], 95, "auto")


@given(st.lists(st.integers(1, 50), min_size=1), st.integers(1, 300), st.floats(0, 1))
def test_what_is_kept_fits(counts: list[int], budget: int, ratio: float) -> None:
    try:
        first = first_kept(counts, budget, RetentionRatio(ratio))
    except ContextTooLong:
        assert counts[-1] > budget
    else:
        kept = counts[first:]
        assert kept
        assert sum(kept) <= budget


def test_short_contexts_need_no_tokenizer() -> None:
    short = [Message("user", (TextPart("Hello"),))]
    assert certainly_fits(short, [], 100)
    assert not certainly_fits(short, [Tool("lamp")], 100)
    assert not certainly_fits([Message("user", (TextPart("ä" * 40),))], [], 100)
