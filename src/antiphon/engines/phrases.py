"""Cutting text into what a small voice speaks at once, and the silence around what it spoke. Pure.

Such models put much silence around a phrase, or none at all: what is before it would be waited for, and both together
make the gaps between phrases.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import numpy as np

from antiphon.engines.base import Samples

_AUDIBLE = 0.001
"""Magnitude (-60 dBFS) where speech begins and ends."""

_LEAD_S = 0.02
_SENTENCE_PAUSE_S = 0.35
_CLAUSE_PAUSE_S = 0.18
_NO_PAUSE_S = 0.06

_SENTENCE = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+|(?<=[。！？])")
_CLAUSE = re.compile(r"(?<=[,;:—–])\s+|(?<=[、，；：])")
_SPACE = re.compile(r"\s+")


def phrases(text: str, longest: int) -> Iterator[str]:
    """Cut text into pieces of at most `longest` characters: at sentences, else at clauses, else at words."""
    yield from _pack(" ".join(text.split()), longest, (_SENTENCE, _CLAUSE, _SPACE))


def _pack(text: str, longest: int, separators: tuple[re.Pattern[str], ...]) -> Iterator[str]:
    if len(text) <= longest:
        yield text
        return
    if not separators:
        yield from (text[start : start + longest] for start in range(0, len(text), longest))
        return
    ends = [match.end() for match in separators[0].finditer(text)]
    start = 0
    for end, following in itertools.pairwise([*ends, len(text), len(text) + longest + 1]):
        if following - start > longest and end > start:
            yield from _pack(text[start:end], longest, separators[1:])
            start = end


def trim(samples: Samples, rate: int, text: str, speed: float) -> Samples:
    """Return speech with at most 20 ms of silence before it and the pause that the end of its text asks for after it.

    Args:
        samples: float32[n] at `rate` Hz; nothing is returned of what is all silence.
        rate: Hz.
        text: what was spoken.
        speed: of speaking; the pause is as much longer as the speech is slower.
    """
    audible = np.flatnonzero(np.abs(samples) >= _AUDIBLE)
    if not audible.size:
        return samples[:0]
    end = text.rstrip("\"'”’)]")[-1:]
    pause = _SENTENCE_PAUSE_S if end in ".!?…。！？" else _CLAUSE_PAUSE_S if end in ",;:—–、，；：" else _NO_PAUSE_S
    start = max(int(audible[0]) - round(_LEAD_S * rate), 0)
    stop = int(audible[-1]) + 1 + round(pause / speed * rate)
    missing = stop - samples.size
    return np.pad(samples[start:], (0, missing)) if missing > 0 else samples[start:stop]
