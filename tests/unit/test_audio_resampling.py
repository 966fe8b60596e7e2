import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from antiphon.audio.levels import rms_dbfs
from antiphon.audio.resampling import StreamResampler

RATES = [(24_000, 16_000), (8_000, 16_000), (24_000, 8_000), (16_000, 24_000), (22_050, 24_000), (44_100, 16_000)]


def chunked(resampler: StreamResampler, samples: NDArray[Any], sizes: list[int]) -> NDArray[Any]:
    out, at, turn = [], 0, 0
    while at < samples.size:
        out.append(resampler.push(samples[at : at + sizes[turn % len(sizes)]]))
        at += sizes[turn % len(sizes)]
        turn += 1
    return np.concatenate([*out, resampler.flush()])


def tone(rate: int, hertz: float, seconds: float = 1.0) -> NDArray[np.float32]:
    return (0.5 * np.sin(2 * math.pi * hertz * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


@settings(deadline=None, max_examples=60)
@given(
    rates=st.sampled_from(RATES),
    count=st.integers(0, 6_000),
    sizes=st.lists(st.integers(1, 900), min_size=1, max_size=5),
    dtype=st.sampled_from([np.int16, np.float32]),
)
def test_counts_are_exact_and_chunking_changes_nothing(
    rates: tuple[int, int], count: int, sizes: list[int], dtype: type[Any]
) -> None:
    noise = np.random.default_rng(count).uniform(-0.5, 0.5, count)
    samples = (noise * (32767 if dtype is np.int16 else 1)).astype(dtype)
    resampler = StreamResampler(*rates)
    out = chunked(resampler, samples, sizes)
    assert out.size == round(count * rates[1] / rates[0])
    assert count == 0 or out.dtype == dtype
    # A flushed resampler starts anew, and pieces give what the whole gives.
    assert np.array_equal(out, chunked(resampler, samples, [count or 1]))


@pytest.mark.parametrize("rates", RATES)
def test_output_keeps_its_place_in_time(rates: tuple[int, int]) -> None:
    source, target = (tone(rate, 440.0) for rate in rates)
    out = chunked(StreamResampler(*rates), source, [rates[0] // 50])
    inner = slice(rates[1] // 10, -rates[1] // 10)
    assert rms_dbfs(out[inner] - target[inner]) < rms_dbfs(target[inner]) - 50


@pytest.mark.parametrize("rates", RATES)
def test_delay_stays_under_three_milliseconds(rates: tuple[int, int]) -> None:
    resampler, given_s, taken_s = StreamResampler(*rates), 0.0, 0.0
    for _ in range(50):
        taken_s += (rates[0] // 50) / rates[0]
        given_s += resampler.push(np.zeros(rates[0] // 50, np.float32)).size / rates[1]
        assert taken_s - given_s < 0.003


@pytest.mark.parametrize(("rates", "hertz"), [((24_000, 16_000), 10_000), ((24_000, 8_000), 5_000)])
def test_what_does_not_fit_is_removed_and_not_folded(rates: tuple[int, int], hertz: float) -> None:
    out = chunked(StreamResampler(*rates), tone(rates[0], hertz), [480])
    inner = slice(rates[1] // 10, -rates[1] // 10)
    assert rms_dbfs(out[inner]) < -80


def test_equal_rates_change_nothing() -> None:
    resampler = StreamResampler(24_000, 24_000)
    samples = np.arange(100, dtype=np.int16)
    assert np.array_equal(resampler.push(samples), samples)
    assert resampler.flush().size == 0


def test_loud_pcm_is_clipped_not_wrapped() -> None:
    square = np.where(np.arange(2_400) // 240 % 2, 32_767, -32_768).astype(np.int16)
    out = chunked(StreamResampler(24_000, 16_000), square, [480])
    middles = out[80::160]
    assert (middles[::2] < -30_000).all()
    assert (middles[1::2] > 30_000).all()


def test_wrong_sample_types_are_refused() -> None:
    resampler = StreamResampler(24_000, 16_000)
    with pytest.raises(ValueError, match="float64"):
        resampler.push(np.zeros(10, np.float64))  # type: ignore[type-var]
    resampler.push(np.zeros(10, np.int16))
    with pytest.raises(ValueError, match="began with int16"):
        resampler.push(np.zeros(10, np.float32))
