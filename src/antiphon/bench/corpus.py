"""Recordings with known words, and where the speech in them begins and ends."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.audio.files import AudioFileError, read_audio
from antiphon.audio.levels import to_pcm

SHIPPED = Path(__file__).parent / "recordings"
BACKCHANNELS = Path(__file__).parent / "backchannels"

RATE = 24_000
"""Hz at which recordings are sent: what every server of the protocol takes."""

_FRAME_S = 0.01
_BELOW_LOUDEST_DB = 35.0
"""A frame this far below the loudest one is not speech: 35 dB is below the weakest consonants of close speech."""

Pcm = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Recording:
    """One utterance.

    Attributes:
        name: of its file.
        text: what is said.
        pcm: int16[n] at 24 kHz.
        begin: sample at which speech begins.
        end: sample after which there is no more speech.
    """

    name: str
    text: str
    pcm: Pcm
    begin: int
    end: int


def load_recordings(directory: Path) -> list[Recording]:
    """Read `transcripts.tsv` of `directory` (columns file and text, among others) and the audio files that it lists.

    Raises:
        AudioFileError: the list or a recording cannot be read.
    """
    listing = directory / "transcripts.tsv"
    try:
        with listing.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines, delimiter="\t"))
    except (OSError, UnicodeDecodeError) as error:
        raise AudioFileError(f"{listing}: {error}") from error
    if not rows or not {"file", "text"} <= rows[0].keys():
        raise AudioFileError(f"{listing}: must be tab-separated, with a header that has the columns file and text")
    return [_load(directory / row["file"], row["text"]) for row in rows]


def joined(recordings: Sequence[Recording], seconds: float, gap_ms: int) -> list[Recording]:
    """Return the recordings put together, in their order, to ones of at least `seconds`, with `gap_ms` between them."""
    gap = np.zeros(RATE * gap_ms // 1000, np.int16)
    whole: list[Recording] = []
    parts: list[Recording] = []
    for recording in recordings:
        parts.append(recording)
        if sum(len(part.pcm) for part in parts) >= seconds * RATE or recording is recordings[-1]:
            pcm = np.concatenate([piece for part in parts for piece in (part.pcm, gap)][:-1])
            end = len(pcm) - len(parts[-1].pcm) + parts[-1].end
            text = " ".join(part.text for part in parts)
            whole.append(Recording(f"{parts[0].name} and {len(parts) - 1} more", text, pcm, parts[0].begin, end))
            parts = []
    return whole


def speech_bounds(samples: NDArray[np.float32], rate: int) -> tuple[int, int]:
    """Return the first sample of speech in float32[n] and the one after its last, by energy, to 10 ms; (0, n) if none.

    Speech is what is less than 35 dB below the loudest 10 ms.
    """
    width = round(rate * _FRAME_S)
    frames = samples[: len(samples) // width * width].reshape(-1, width)
    power = np.mean(np.square(frames, dtype=np.float64), axis=1)
    loudest = float(power.max(initial=0.0))
    if loudest == 0.0:
        return 0, len(samples)
    loud = np.flatnonzero(power > loudest * 10 ** (-_BELOW_LOUDEST_DB / 10))
    return int(loud[0]) * width, (int(loud[-1]) + 1) * width


def _load(path: Path, text: str) -> Recording:
    samples = read_audio(path, RATE)
    begin, end = speech_bounds(samples, RATE)
    return Recording(path.name, text, to_pcm(samples), begin, end)
