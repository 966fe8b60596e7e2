import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.audio.pauses import cut_at_pauses, quietest

RATE = 1_000


def test_quietest_finds_the_gap() -> None:
    samples = np.ones(2_000, np.float32)
    samples[1_200:1_260] = 0
    assert 1_200 < quietest(samples, RATE) < 1_260


def test_quietest_of_next_to_nothing_is_its_middle() -> None:
    assert quietest(np.ones(30, np.float32), RATE) == 15
    assert quietest(np.zeros(0, np.float32), RATE) == 0


def test_a_long_recording_is_cut_in_its_pauses() -> None:
    samples = np.random.default_rng(1).normal(0, 0.3, 10_000).astype(np.float32)
    for gap in (2_500, 5_200, 7_900):
        samples[gap : gap + 100] = 0
    pieces = list(cut_at_pauses([samples[:4_000], samples[4_000:]], RATE, 2.0, 3.0))
    ends = np.cumsum([len(piece) for piece in pieces])
    assert [any(gap <= end <= gap + 100 for gap in (2_500, 5_200, 7_900)) for end in ends[:-1]] == [True] * 3


@settings(deadline=None)
@given(sizes=st.lists(st.integers(0, 4_000), max_size=12), seed=st.integers(0, 9))
def test_nothing_is_lost_and_pieces_keep_their_bounds(sizes: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    blocks = [rng.normal(0, 0.1, size).astype(np.float32) for size in sizes]
    pieces = list(cut_at_pauses(blocks, RATE, 1.0, 2.0))
    whole = np.concatenate([np.zeros(0, np.float32), *blocks])
    assert np.array_equal(np.concatenate([np.zeros(0, np.float32), *pieces]), whole)
    assert all(1_000 <= len(piece) <= 2_000 for piece in pieces[:-1])
    assert all(0 < len(piece) <= 2_000 for piece in pieces[-1:])
