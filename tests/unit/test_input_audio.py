"""The input audio buffer: nothing is lost, nothing comes twice, time is counted in samples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.audio.clock import VAD_WINDOW
from antiphon.audio.track import Track
from antiphon.session.input_audio import InputAudioBuffer


def tone(seconds: float, rate: int) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    return (np.sin(np.arange(round(seconds * rate)) * 2 * np.pi * 440 / rate) * 8000).astype(np.int16)


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000])
def test_the_clock_counts_what_came_whatever_the_rate(rate: int) -> None:
    buffer = InputAudioBuffer(rate)
    buffer.append(tone(1.5, rate))
    assert buffer.position == 24_000
    assert buffer.duration_s == 1.5
    assert 0 <= buffer.position - buffer.heard_until < 160


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000])
@given(sizes=st.lists(st.integers(1, 3000), max_size=20))
@settings(max_examples=20)
def test_a_commit_has_every_sample_once(rate: int, sizes: list[int]) -> None:
    sound = tone(4, rate)[: sum(sizes)]
    buffer = InputAudioBuffer(rate)
    position = 0
    for size in sizes:
        buffer.append(sound[position : position + size])
        position += size
    committed = buffer.commit()
    np.testing.assert_array_equal(committed.pcm, sound)
    assert len(committed.heard) == committed.end - committed.start == len(sound) * 16_000 // rate
    assert buffer.duration_s == 0
    assert buffer.start == buffer.position


def test_windows_cover_the_audio_without_gaps() -> None:
    buffer = InputAudioBuffer(16_000)
    sound = tone(1, 16_000)
    windows = []
    for start in range(0, len(sound), 700):
        buffer.append(sound[start : start + 700])
        windows.append(buffer.windows())
    found = np.concatenate(windows)
    assert found.shape == (len(sound) // VAD_WINDOW, VAD_WINDOW)
    np.testing.assert_allclose(found.ravel(), sound[: found.size] / 32768.0)


def test_a_turn_is_cut_out_at_its_bounds() -> None:
    buffer = InputAudioBuffer(24_000)
    sound = tone(3, 24_000)
    buffer.append(sound)
    turn = buffer.commit(16_000, 32_000)
    np.testing.assert_array_equal(turn.pcm, sound[24_000:48_000])
    assert (turn.start, turn.end, len(turn.heard)) == (16_000, 32_000, 16_000)
    np.testing.assert_array_equal(buffer.commit().pcm, sound[48_000:])


def test_audio_not_judged_yet_survives_a_clear() -> None:
    buffer = InputAudioBuffer(16_000)
    buffer.append(tone(0.05, 16_000))
    buffer.windows()
    buffer.clear()
    assert buffer.duration_s == 0
    buffer.append(tone(0.05, 16_000))
    assert len(buffer.windows()) == 2


def test_the_rate_may_change_under_way() -> None:
    buffer = InputAudioBuffer(24_000)
    buffer.append(tone(1, 24_000))
    buffer.set_rate(8_000)
    assert buffer.position == 16_000
    buffer.append(tone(1, 8_000))
    committed = buffer.commit()
    assert (committed.rate, len(committed.pcm), len(committed.heard)) == (8_000, 16_000, 32_000)


def test_what_is_heard_is_denoised_and_what_came_is_not() -> None:
    buffer = InputAudioBuffer(16_000, denoise=lambda samples: samples * 0)
    sound = tone(0.5, 16_000)
    buffer.append(sound)
    committed = buffer.commit()
    np.testing.assert_array_equal(committed.pcm, sound)
    assert not committed.heard.any()


@given(st.lists(st.integers(0, 9), max_size=12), st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_a_track_is_a_sliceable_stretch(sizes: list[int], drop: int, start: int, end: int) -> None:
    everything = np.arange(sum(sizes), dtype=np.int16)
    track: Track[np.int16] = Track(np.int16)
    for chunk in np.split(everything, np.cumsum(sizes)[:-1]) if sizes else []:
        track.append(chunk)
    track.drop_before(drop)
    assert track.start == min(drop, len(everything))
    np.testing.assert_array_equal(track.slice(start, end), everything[max(start, drop) : max(end, drop)])
