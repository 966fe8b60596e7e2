"""Which windows are as quiet as the silence between turns. Pure.

A voice activity detector looks at more than the last window, so that it notices the end of speech late. Energy tells it
at once, though it cannot tell speech from other sounds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LOWEST_FLOOR_DBFS = -60.0
"""Nothing below this is worth telling apart."""
_ABOVE_FLOOR_DB = 6.0
_BELOW_SPEECH_DB = 25.0
"""The weakest consonants at the end of a word are nearer to its vowels than this."""
_SILENT = 0.2
"""Probability of speech below which a window is background."""
_RISE = 0.05
"""How fast the floor follows louder background, per window."""


class QuietWindows:
    """Follows the background of one audio stream and the speech over it."""

    def __init__(self) -> None:
        self._floor = _LOWEST_FLOOR_DBFS
        self._speech = _LOWEST_FLOOR_DBFS

    def judge(self, windows: NDArray[np.float32], probabilities: NDArray[np.float32]) -> list[bool]:
        """Return of each window whether it is quiet.

        Args:
            windows: float32[n, samples] in [-1, 1).
            probabilities: float32[n], of speech in them.
        """
        power = np.mean(np.square(windows), axis=1)
        levels = 10 * np.log10(power + 1e-12)
        return [self._judge(float(level), float(p)) for level, p in zip(levels, probabilities, strict=True)]

    def _judge(self, level: float, probability: float) -> bool:
        if probability < _SILENT:
            level = max(level, _LOWEST_FLOOR_DBFS)
            self._floor = min(level, self._floor + (level - self._floor) * _RISE)
            self._speech = self._floor
            return True
        self._speech = max(self._speech, level)
        return level < self._floor + _ABOVE_FLOOR_DB and level < self._speech - _BELOW_SPEECH_DB
