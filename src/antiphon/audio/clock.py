"""The session clock: time is counted in samples at 16 kHz received since the session's audio began."""

from __future__ import annotations

HEARING_RATE = 16_000
"""Sample rate, Hz, of the audio that is heard, and of the session clock."""

VAD_WINDOW = 512
"""Samples at 16 kHz (32 ms) in one voice activity window."""


def ms_to_samples(ms: float) -> int:
    """Return the samples at 16 kHz in `ms` milliseconds, rounded to the nearest."""
    return round(ms * HEARING_RATE / 1000)


def samples_to_ms(samples: int) -> int:
    """Return the whole milliseconds in `samples` at 16 kHz, rounded down."""
    return samples * 1000 // HEARING_RATE
