"""Where speech pauses, by its energy alone: good places to cut a recording. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

WINDOW_MS = 40
"""Length, ms, of the quiet that is looked for: shorter than a pause between words, longer than a stop consonant."""


def quietest(samples: Samples, rate: int, window_ms: int = WINDOW_MS) -> int:
    """Return the index of the middle of the quietest `window_ms` of float32[n] at `rate` Hz; of n/2 if n is shorter."""
    width = round(rate * window_ms / 1000)
    if len(samples) <= width:
        return len(samples) // 2
    energy = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    return int(np.argmin(energy[width:] - energy[:-width])) + width // 2


def cut_at_pauses(blocks: Iterable[Samples], rate: int, shortest_s: float, longest_s: float) -> Iterator[Samples]:
    """Yield the audio of `blocks` (float32[n] at `rate` Hz), all of it, in pieces cut where it is quietest.

    Pieces last between `shortest_s` and `longest_s`; the last one may be shorter. At most one piece and one block are
    held in memory.
    """
    shortest, longest = round(shortest_s * rate), round(longest_s * rate)
    held: list[Samples] = []
    size = 0
    for block in blocks:
        held.append(block)
        size += len(block)
        while size > longest:
            audio = np.concatenate(held)
            cut = shortest + quietest(audio[shortest:longest], rate)
            yield audio[:cut]
            held, size = [audio[cut:]], size - cut
    if size:
        yield np.concatenate(held)
