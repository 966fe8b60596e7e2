"""Loudness of audio, and the two ways to write a sample."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from antiphon.audio.g711 import Pcm

SILENCE_DBFS = -100.0
"""The level given to digital silence, which has none. Below the last bit of 16-bit audio (-90.3 dBFS)."""


def to_float(pcm: Pcm) -> NDArray[np.float32]:
    """Return int16[n] as float32[n] in [-1, 1)."""
    return pcm.astype(np.float32) / np.float32(32768)


def to_pcm(samples: NDArray[np.float32]) -> Pcm:
    """Return float32[n] in [-1, 1] as int16[n], rounded; what is out of range is clipped."""
    scaled: NDArray[np.float32] = np.rint(samples * np.float32(32768))
    return scaled.clip(-32768, 32767).astype(np.int16)


def rms_dbfs(samples: NDArray[np.float32]) -> float:
    """Return the RMS level of float32[n] in dBFS (0 is a full-scale square wave), at least `SILENCE_DBFS`."""
    if not samples.size:
        return SILENCE_DBFS
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    return max(10 * math.log10(power), SILENCE_DBFS) if power > 0 else SILENCE_DBFS


def peak(samples: NDArray[np.float32]) -> float:
    """Return the largest magnitude of float32[n]; 0.0 when there are none."""
    return float(np.max(np.abs(samples), initial=0.0))
