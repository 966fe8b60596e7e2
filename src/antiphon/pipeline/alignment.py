"""Which words of a reply have been said at each moment of its speech. Pure."""

from __future__ import annotations

import bisect
import re
from itertools import accumulate

import numpy as np

from antiphon.pipeline.clauses import Clause
from antiphon.pipeline.reply import SPEECH_RATE, Pcm
from antiphon.pipeline.speech_text.traced import Traced

AUDIBLE = 104
"""The smallest magnitude of a sample that counts as speech, not pause: -50 dBFS."""

_DIGIT_LETTERS = 5
"""Letters that a digit is read as, about, where the synthesizer reads numbers: "1999" is "nineteen ninety-nine"."""

_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U000323af]")
# A word, or one character of a script without spaces.
_WORD = re.compile(rf"{_UNSPACED.pattern}|[^\s\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+")


class ClauseAudio:
    """The speech of one clause while it is being made, and how far into the reply's text it gets.

    The spoken letters are spread evenly over the audible part of the speech. A written word has been said when all
    of the words that it is read as have been; markup that is not said goes with the word after it. Until the speech's
    whole length is known, it is estimated.

    Args:
        clause: what is written.
        spoken: what is said of it.
        pace: seconds per letter, for the estimate.
    """

    def __init__(self, clause: Clause, spoken: Traced, pace: float) -> None:
        self._clause = clause
        digit = 1 if _UNSPACED.search(spoken.text) else _DIGIT_LETTERS
        letters = list(accumulate((digit if character.isdigit() else 1 for character in spoken.text), initial=0))
        self._length = letters[-1]
        self._words: list[tuple[int, int]] = []  # letters said at the end of each word, and where it ends
        for word in _WORD.finditer(clause.text):
            said = bisect.bisect_left(spoken.starts, word.end())
            if said and spoken.ends[said - 1] > word.start():
                self._words.append((letters[said], word.end()))
        self._expected = round(self._length * pace * SPEECH_RATE)
        self._made = 0
        self._first: int | None = None
        self._last = 0
        self._finished = False
        self._reached = clause.start

    def add(self, pcm: Pcm) -> None:
        """Take more speech (int16[n], 24 kHz)."""
        audible = np.flatnonzero((pcm >= AUDIBLE) | (pcm <= -AUDIBLE))
        if audible.size:
            if self._first is None:
                self._first = self._made + int(audible[0])
            self._last = self._made + int(audible[-1]) + 1
        self._made += pcm.size

    def finish(self) -> None:
        """No more speech of this clause is coming."""
        self._finished = True

    @property
    def pace(self) -> float | None:
        """Seconds per letter; None until it is finished, and when nothing was audible."""
        if not self._finished or self._first is None:
            return None
        return (self._last - self._first) / SPEECH_RATE / self._length

    def text_end(self, played: int) -> int:
        """Return how many characters of the reply have been said after `played` samples; never decreasing."""
        if self._finished and played >= (self._last or self._made):
            self._reached = self._clause.end
        else:
            start = self._first or 0
            end = self._last if self._finished else max(self._made, start + self._expected)
            position = (played - start) / max(end - start, 1) * self._length
            reached = max((word_end for said, word_end in self._words[:-1] if said <= position), default=0)
            self._reached = max(self._reached, self._clause.start + reached)
        return self._reached


class PieceCutter:
    """Cuts the speech of one reply into pieces: short at first, so that the first is heard early.

    The first pieces are short enough that even speech made little faster than it is played never runs dry.
    """

    _FIRST = tuple(SPEECH_RATE * ms // 1000 for ms in (100, 100, 200, 200))
    _LATER = SPEECH_RATE * 400 // 1000
    _LEAST = SPEECH_RATE * 100 // 1000

    def __init__(self) -> None:
        self._held: Pcm = np.zeros(0, np.int16)
        self._count = 0

    def push(self, pcm: Pcm) -> list[Pcm]:
        """Take speech (int16[n], 24 kHz) and return the pieces that are ready. At least 100 ms stay, except of the
        first piece, so that no clause ends in a splinter."""
        self._held = np.concatenate([self._held, pcm]) if self._held.size else pcm
        pieces = []
        while self._held.size >= self._size() + (self._LEAST if self._count else 0):
            pieces.append(self._take(self._size()))
        return pieces

    def flush(self) -> list[Pcm]:
        """Return what is left of a clause: no piece, or one, or two of equal length."""
        pieces = []
        if self._held.size > self._size():
            pieces.append(self._take(self._held.size // 2))
        if self._held.size:
            pieces.append(self._take(self._held.size))
        return pieces

    def _size(self) -> int:
        return self._FIRST[self._count] if self._count < len(self._FIRST) else self._LATER

    def _take(self, size: int) -> Pcm:
        piece, self._held = self._held[:size], self._held[size:]
        self._count += 1
        return piece
