"""Which parts of a recording are as loud as speech, by energy alone. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from antiphon.engines.base import HEARING_RATE, Samples

FRAME = HEARING_RATE // 50
"""Samples (20 ms) that are judged together."""

_RANGE_DB = 35.0
"""Speech is at most this far below the loudest frame, and clear of the quietest tenth by a third of what is between."""


def loud_frames(audio: Samples) -> NDArray[np.bool_]:
    """Tell of each whole frame of `audio` (float32[n], 16 kHz) whether it is as loud as the speech in it."""
    frames = len(audio) // FRAME
    if not frames:
        return np.zeros(0, np.bool_)
    power = np.mean(np.square(audio[: frames * FRAME].reshape(frames, FRAME)), axis=1)
    level = 10 * np.log10(power + 1e-12)
    quiet, loud = float(np.percentile(level, 10)), float(level.max())
    return np.asarray(level > max(loud - _RANGE_DB, quiet + (loud - quiet) / 3))


def end_of_loudness(audio: Samples) -> int:
    """Return the sample after the last loud frame of `audio`; its length when no part is louder than the rest."""
    loud = np.flatnonzero(loud_frames(audio))
    return (int(loud[-1]) + 1) * FRAME if loud.size else len(audio)
