"""Which words have been said when, and the sizes of the pieces that speech is cut into."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.pipeline.alignment import ClauseAudio, PieceCutter
from antiphon.pipeline.clauses import Clause
from antiphon.pipeline.reply import Pcm
from antiphon.pipeline.speech_text.languages import LANGUAGES
from antiphon.pipeline.speech_text.reader import Reader
from antiphon.pipeline.speech_text.traced import Traced
from antiphon.pipeline.spoken_text import spoken_text

TEXT = "one two three four "
CLAUSE = Clause(TEXT, 100, 100 + len(TEXT))
SPOKEN = Traced.of(TEXT)


def loud(samples: int) -> Pcm:
    return np.full(samples, 3000, np.int16)


def silent(samples: int) -> Pcm:
    return np.zeros(samples, np.int16)


def test_words_are_spread_over_the_audible_part() -> None:
    audio = ClauseAudio(CLAUSE, SPOKEN, 0.065)
    audio.add(silent(1000))
    audio.add(loud(1900))
    audio.add(silent(5000))
    audio.finish()
    ends = [audio.text_end(played) - 100 for played in (0, 1000, 1299, 1300, 1700, 2300, 2899, 2900, 7900)]
    assert ends == [0, 0, 0, 3, 7, 13, 13, 19, 19]
    assert audio.pace == 1900 / 24_000 / len(TEXT)


def test_before_its_length_is_known_it_is_estimated_and_never_reaches_the_end() -> None:
    audio = ClauseAudio(CLAUSE, SPOKEN, 0.05)  # 22,800 samples
    audio.add(loud(12_000))
    assert audio.pace is None
    assert audio.text_end(12_000) == 107
    audio.add(loud(48_000))
    assert audio.text_end(60_000) == 113
    audio.finish()
    assert audio.text_end(30_000) == 113, "it never goes back"
    assert audio.text_end(60_000) == 119


def test_scripts_without_spaces_go_by_characters() -> None:
    audio = ClauseAudio(Clause("今天天气", 0, 4), Traced.of("今天天气"), 0.065)
    audio.add(loud(400))
    audio.finish()
    assert [audio.text_end(played) for played in (50, 100, 250, 400)] == [0, 1, 2, 4]


READER = Reader(LANGUAGES["en"])


def ends_of(text: str, steps: int = 400) -> tuple[list[int], int]:
    """Return what has been said of a finished clause at so many moments, and how long what is said is."""
    spoken = spoken_text(text, READER)
    audio = ClauseAudio(Clause(text, 0, len(text)), spoken, 0.065)
    audio.add(loud(len(spoken.text) * 100))
    audio.finish()
    return [audio.text_end(len(spoken.text) * 100 * step // steps) for step in range(steps + 1)], len(spoken.text)


def test_a_number_lasts_as_long_as_its_words() -> None:
    ends, length = ends_of("It is $3.14 now")
    assert length == len("It is three dollars and fourteen cents now")
    assert dict.fromkeys(ends) == dict.fromkeys([0, 2, 5, 11, 15])
    assert ends.count(5) / len(ends) == pytest.approx(len(" three dollars and fourteen cents") / length, abs=0.01)


def test_a_number_that_the_synthesizer_reads_lasts_longer_than_its_digits() -> None:
    text = "In 1999 we met"
    audio = ClauseAudio(Clause(text, 0, len(text)), Traced.of(text), 0.065)
    audio.add(loud(3000))  # 100 samples for each of 10 letters and spaces, and 500 for each digit
    audio.finish()
    assert [audio.text_end(played) for played in (199, 200, 2299, 2300, 2599, 2600, 3000)] == [0, 2, 2, 7, 7, 10, 14]
    chinese = ClauseAudio(Clause("3天", 0, 2), Traced.of("3天"), 0.065)
    chinese.add(loud(200))
    chinese.finish()
    assert [chinese.text_end(played) for played in (99, 100, 200)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("Pay 5 € now", [0, 3, 7, 11]),
        ("Card 4111 1111 1111 1111 please", [0, 4, 24, 31]),
        ("On Jan. 3, 2025 we met", [0, 2, 15, 18, 22]),
        ("See **this** 😀 [link here](http://a.b/c) ok", [0, 3, 12, 14, 20, 40, 43]),
        ("From 3–5 km on", [0, 4, 11, 14]),
    ],
)
def test_a_cut_never_falls_inside_what_is_said_as_one(text: str, ends: list[int]) -> None:
    assert list(dict.fromkeys(ends_of(text)[0])) == ends


WRITTEN = "It $3.14 5 € 7:30 a.m. **x** `1` 😀 2026-11-21 1/2 3天 é. 10-15 km"


@given(st.lists(st.sampled_from(WRITTEN.split(" ")), max_size=9))
def test_cuts_fall_at_the_ends_of_written_words(words: list[str]) -> None:
    text = " ".join(words)
    ends, length = ends_of(text)
    assert ends == sorted(ends)
    boundaries = {0, len(text), *(match.end() for match in re.finditer(r"[^\s天]+|天", text))}
    assert set(ends) <= boundaries
    assert ends[-1] == len(text) or not length


def test_silence_says_its_clause_when_it_is_over() -> None:
    audio = ClauseAudio(CLAUSE, SPOKEN, 0.065)
    audio.add(silent(100))
    audio.finish()
    assert audio.pace is None
    assert audio.text_end(50) < 119
    assert audio.text_end(100) == 119


@given(st.text(max_size=40), st.lists(st.integers(0, 5000), max_size=6), st.booleans())
def test_text_end_stays_in_its_clause_and_never_falls(text: str, sizes: list[int], finished: bool) -> None:
    audio = ClauseAudio(Clause(text, 7, 7 + len(text)), Traced.of(text), 0.065)
    for index, size in enumerate(sizes):
        audio.add(loud(size) if index % 2 else silent(size))
    if finished:
        audio.finish()
    ends = [audio.text_end(played) for played in range(0, sum(sizes) + 1, 700)]
    assert ends == sorted(ends)
    assert all(7 <= end <= 7 + len(text) for end in ends)


@given(st.lists(st.lists(st.integers(0, 30_000), max_size=5), max_size=5))
def test_pieces_are_the_speech_and_neither_long_nor_splinters(clauses: list[list[int]]) -> None:
    cutter, count, first = PieceCutter(), 0, True
    for chunks in clauses:
        pieces = []
        for size in chunks:
            pieces += cutter.push(np.arange(count, count + size).astype(np.int16))
            count += size
        pieces += cutter.flush()
        assert sum(piece.size for piece in pieces) == sum(chunks)
        whole = np.concatenate([silent(0), *pieces])
        assert np.array_equal(whole, np.arange(count - sum(chunks), count).astype(np.int16))
        for piece in pieces:
            assert piece.size <= (2_400 if first else 9_600)
            first = False
        if len(pieces) > 1 and sum(chunks) >= 4_800:
            assert all(piece.size >= 1_200 for piece in pieces)


def test_first_pieces_are_short() -> None:
    sizes = [piece.size for piece in PieceCutter().push(loud(60_000))]
    assert sizes[:5] == [2_400, 2_400, 4_800, 4_800, 9_600]
