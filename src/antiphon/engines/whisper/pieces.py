"""Cutting speech that is too long to be read at once, and joining what was read. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from antiphon.audio.pauses import quietest
from antiphon.engines.base import HEARING_RATE, Samples, TokenLogprob, Transcript
from antiphon.engines.loudness import FRAME, loud_frames

MOST_AUDIO = 28 * HEARING_RATE
"""Samples (28 s) that can be read at once: Whisper's window, less the silence that shows it the end."""

SHORTEST_S = 8.0
"""Pieces of a stream are at least this long: Whisper needs some context."""

LONGEST_S = 20.0
"""Pieces of a stream are at most this long, pause or not: it bounds the cost of what is left at the end."""

_PAUSE_MS = 300
"""A pause that separates phrases; the closure before a consonant is shorter."""

_WITHOUT_SPACES = frozenset({"ja", "lo", "my", "th", "yue", "zh"})


def find_cut(audio: Samples) -> int | None:
    """Return where the first piece of `audio` (float32[n], 16 kHz) ends, in samples; None to wait for more audio.

    It is the middle of the last pause within `LONGEST_S`; one that `audio` ends in counts from the moment it is long
    enough.
    """
    shortest, longest = round(SHORTEST_S * HEARING_RATE), round(LONGEST_S * HEARING_RATE)
    if len(audio) < shortest:
        return None
    edges = np.diff(np.concatenate([[False], ~loud_frames(audio), [False]]).astype(np.int8))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    pauses = ends - starts >= _PAUSE_MS * HEARING_RATE // 1000 // FRAME
    middles = (starts[pauses] + ends[pauses]) // 2 * FRAME
    fitting = middles[(middles >= shortest) & (middles <= longest)]
    if fitting.size:
        return int(fitting[-1])
    if len(audio) > longest:
        return shortest + quietest(audio[shortest:longest], HEARING_RATE, _PAUSE_MS)
    return None


def pieces(audio: Samples) -> list[Samples]:
    """Return all of `audio` (float32[n], 16 kHz) in pieces of 14 to 28 s, the last one of any, cut at pauses.

    Whisper reads better what it reads in one piece, so nothing is cut that need not be.
    """
    parts = []
    while len(audio) > MOST_AUDIO:
        shortest = MOST_AUDIO // 2
        cut = shortest + quietest(audio[shortest:MOST_AUDIO], HEARING_RATE, _PAUSE_MS)
        parts.append(audio[:cut])
        audio = audio[cut:]
    return [*parts, audio]


def join(parts: Iterable[Transcript]) -> Transcript:
    """Return one transcript of consecutive pieces, as confident as the least of them."""
    text = ""
    language: str | None = None
    logprobs: list[TokenLogprob] = []
    confidences: list[float | None] = []
    for part in parts:
        if part.text:
            text += part.text if not text or part.language in _WITHOUT_SPACES else f" {part.text}"
            language = language or part.language
            logprobs += part.logprobs
            confidences.append(part.confidence)
    known = [confidence for confidence in confidences if confidence is not None]
    return Transcript(text, language, tuple(logprobs), min(known) if len(known) == len(confidences) and known else None)
