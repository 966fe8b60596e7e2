"""Text cut into phrases, and the silence around them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.engines.phrases import phrases, trim

STORY = "She sells sea shells by the sea shore, and the quick brown fox jumps over the lazy dog. " * 12
CHINESE = "今天天气很好，我们去公园散步吧。" * 20


@pytest.mark.parametrize(
    "text", [STORY, "no punctuation at all " * 40, "x" * 900, "Short. " * 100, "a, b, " * 120, CHINESE]
)
def test_phrases_are_bounded_and_lose_nothing(text: str) -> None:
    cut = list(phrases(text, 250))
    assert "".join(cut).split() == text.split()
    assert all(len(phrase) <= 250 for phrase in cut)


@given(st.text(alphabet="ab .,!?。、\n", max_size=200), st.integers(1, 40))
def test_phrases_of_any_text(text: str, longest: int) -> None:
    cut = list(phrases(text, longest))
    assert "".join(cut) == " ".join(text.split())
    assert all(len(phrase) <= longest for phrase in cut)


def test_sentences_stay_whole_where_they_fit() -> None:
    assert list(phrases("One two. Three four! Five six?", 12)) == ["One two. ", "Three four! ", "Five six?"]
    assert list(phrases(CHINESE, 20)) == ["今天天气很好，我们去公园散步吧。"] * 20


def test_silence_is_trimmed_away_and_pauses_follow_the_text() -> None:
    assert trim(np.zeros(1000, np.float32), 24_000, "Hm.", 1.0).size == 0
    quiet, loud = np.zeros(24_000, np.float32), np.full(2_400, 0.1, np.float32)
    speech = np.concatenate([quiet, loud, quiet])
    assert trim(speech, 24_000, 'He said "hm."', 1.0).size == 480 + 2_400 + 8_400
    assert trim(speech, 24_000, "hm,", 0.5).size == 480 + 2_400 + 8_640
    assert trim(speech, 24_000, "好。", 1.0).size == 480 + 2_400 + 8_400


def test_a_pause_that_is_not_there_is_added() -> None:
    loud = np.full(2_400, 0.1, np.float32)
    spoken = trim(loud, 24_000, "hm", 1.0)
    assert spoken.size == 2_400 + 1_440
    assert np.array_equal(spoken[:2_400], loud)
    assert not spoken[2_400:].any()
