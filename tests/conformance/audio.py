"""Audio for the tests' clients: files to PCM16, silence, and the pieces in which a microphone gives it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile  # type: ignore[import-untyped]
import soxr  # type: ignore[import-untyped]
from numpy.typing import NDArray

RATE = 24_000
"""Hz of `audio/pcm`."""

Pcm = NDArray[np.int16]


def read_speech(path: Path) -> Pcm:
    """Return a recording as int16[n], mono, 24 kHz."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return to_pcm(soxr.resample(samples.mean(axis=1), rate, RATE))


def to_pcm(samples: NDArray[np.float32]) -> Pcm:
    """Return float samples in [-1, 1] as int16."""
    return np.clip(np.round(samples * 32767.0), -32768, 32767).astype(np.int16)


def silence(ms: int) -> Pcm:
    """Return `ms` of silence at 24 kHz."""
    return np.zeros(RATE * ms // 1000, dtype=np.int16)


def tone(ms: int, hz: float = 440.0, level: float = 0.3) -> Pcm:
    """Return a sine of `ms` at 24 kHz: sound that is no speech."""
    time = np.arange(RATE * ms // 1000) / RATE
    return to_pcm((level * np.sin(2 * np.pi * hz * time)).astype(np.float32))


def pieces(pcm: Pcm, ms: int) -> Iterator[bytes]:
    """Yield PCM16 little-endian bytes, `ms` at a time."""
    step = RATE * ms // 1000
    for start in range(0, len(pcm), step):
        yield pcm[start : start + step].astype("<i2").tobytes()
