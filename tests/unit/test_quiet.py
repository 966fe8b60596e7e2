"""Energy tells the end of speech at once."""

from __future__ import annotations

import numpy as np

from antiphon.audio.quiet import QuietWindows
from antiphon.engines.base import Samples

WINDOW = 512


def windows(*levels_dbfs: float) -> Samples:
    noise = np.random.default_rng(1).standard_normal((len(levels_dbfs), WINDOW)).astype(np.float32)
    noise /= np.sqrt(np.mean(np.square(noise), axis=1, keepdims=True))
    gains: Samples = np.power(10.0, np.array(levels_dbfs) / 20).astype(np.float32)
    scaled: Samples = noise * gains[:, None]
    return scaled


def judge(quiet: QuietWindows, levels: list[float], probability: float) -> list[bool]:
    return quiet.judge(windows(*levels), np.full(len(levels), probability, np.float32))


def test_the_end_of_speech_is_quiet_although_the_detector_still_hears_it() -> None:
    quiet = QuietWindows()
    assert judge(quiet, [-70.0] * 10, 0.01) == [True] * 10
    assert judge(quiet, [-20.0, -25.0, -70.0, -70.0], 0.9) == [False, False, True, True]


def test_a_weak_consonant_is_not_quiet() -> None:
    quiet = QuietWindows()
    judge(quiet, [-70.0] * 10, 0.01)
    assert judge(quiet, [-20.0, -45.0, -52.0], 0.9) == [False, False, False]


def test_in_a_loud_room_quiet_is_what_the_room_is() -> None:
    quiet = QuietWindows()
    judge(quiet, [-45.0] * 200, 0.05)
    assert judge(quiet, [-15.0, -35.0, -45.0], 0.9) == [False, False, True]


def test_where_speech_hardly_stands_out_nothing_is_quiet() -> None:
    quiet = QuietWindows()
    judge(quiet, [-40.0] * 200, 0.05)
    assert judge(quiet, [-25.0, -40.0, -40.0], 0.9) == [False, False, False]


def test_digital_silence_does_not_make_a_hiss_loud() -> None:
    quiet = QuietWindows()
    judge(quiet, [-120.0] * 20, 0.0)
    assert judge(quiet, [-20.0, -81.0], 0.9) == [False, True]
