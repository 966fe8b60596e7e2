"""What Chromium hears at its microphone: WAV files made of recordings and silence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile  # type: ignore[import-untyped]
import soxr  # type: ignore[import-untyped]

from tests.conformance.audio import RATE, Pcm, read_speech, silence

MICROPHONE_RATE = 48_000
SPEECH = Path(__file__).parents[1] / "data" / "speech"

BEFORE_MS = 3_000
"""Silence before the first words: the file begins when the page opens the microphone, and the call takes a moment."""

AFTER_MS = 60_000
"""Silence after the last words; when the file is over, Chromium's microphone gives nothing more at all."""


def recording(name: str) -> Pcm:
    """Return a recording of tests/data/speech as int16[n] at 24 kHz."""
    return read_speech(SPEECH / f"{name}.flac")


def words_of(name: str) -> str:
    """Return the text that was read in a recording."""
    for line in (SPEECH / "transcripts.tsv").read_text("utf-8").splitlines()[1:]:
        file, _, text = line.split("\t")
        if file == f"{name}.flac":
            return text
    raise ValueError(f"there is no recording {name!r}")


def microphone(path: Path, parts: Sequence[Pcm | int]) -> Path:
    """Write a WAV of recordings (int16 at 24 kHz) and pauses (ms), and return its path."""
    pieces = [silence(part) if isinstance(part, int) else part for part in (BEFORE_MS, *parts, AFTER_MS)]
    pcm = np.concatenate(pieces).astype(np.float32) / 32768
    soundfile.write(path, soxr.resample(pcm, RATE, MICROPHONE_RATE), MICROPHONE_RATE, subtype="PCM_16")
    return path
