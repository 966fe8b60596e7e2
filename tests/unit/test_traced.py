"""Rewriting text and finding the way back."""

from __future__ import annotations

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from antiphon.pipeline.speech_text.traced import Piece, Traced, join


def source(text: str, traced: Traced) -> list[str]:
    """Return what each character says of the original."""
    return [text[start:end] for start, end in zip(traced.starts, traced.ends, strict=True)]


def test_new_characters_say_the_whole_match() -> None:
    text = "a $5 b"
    traced = Traced.of(text).sub(re.compile(r"\$5"), lambda _: "five")
    assert traced.text == "a five b"
    assert source(text, traced) == ["a", " ", *["$5"] * 4, " ", "b"]


def test_kept_groups_say_themselves_and_what_is_between_them_the_rest() -> None:
    text = "[ab](url)!"
    assert source(text, Traced.of(text).sub(re.compile(r"\[(.+)\]\(.+\)"), lambda _: [1])) == ["a", "b", "!"]
    traced = Traced.of("3-5").sub(re.compile(r"(\d)-(\d)"), lambda _: [1, " to ", 2])
    assert source("3-5", traced) == ["3", *["-"] * 4, "5"]


def test_none_leaves_a_match() -> None:
    traced = Traced.of("1 2")
    assert traced.sub(re.compile(r"\d"), lambda _: None) is traced


def test_what_is_put_into_a_token_says_nothing_outside_of_it() -> None:
    traced = Traced.of("$5 a").sub(re.compile(r"\$5"), lambda _: "five$").sub(re.compile(r"(?=\$)"), lambda _: " ")
    assert traced.text == "five $ a"
    assert list(traced.ends) == sorted(traced.ends)


def test_join_and_add() -> None:
    text = "ab\ncd"
    whole = Traced.of(text)
    traced = join([whole[:2].add(".", whole[2:3]), whole[3:]])
    assert traced.text == "ab. cd"
    assert source(text, traced) == ["a", "b", "\n", "", "c", "d"]


PATTERNS = [r"\d+", r"(\d)-", r"(a)(b)", r"(?=b)", r"\s+", r"-(\d)", r"$", r"^"]


@given(
    st.text("ab12- ", max_size=12),
    st.lists(st.tuples(st.sampled_from(PATTERNS), st.sampled_from(["", "x", "two words"]), st.booleans()), max_size=5),
)
def test_spans_never_fall(text: str, steps: list[tuple[str, str, bool]]) -> None:
    traced = Traced.of(text)
    for pattern, new, keeps in steps:

        def replace(match: re.Match[str], new: str = new, keeps: bool = keeps) -> str | list[Piece]:
            return [new, 1, new] if keeps and match.re.groups else new

        traced = traced.sub(re.compile(pattern), replace)
    assert len(traced.text) == len(traced.starts) == len(traced.ends)
    assert all(before <= after for spans in (traced.starts, traced.ends) for before, after in pairwise(spans))
    assert all(0 <= start <= end <= len(text) for start, end in zip(traced.starts, traced.ends, strict=True))
