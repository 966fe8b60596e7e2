"""Which words a speech model has said at each moment, where it does not say which sound belongs to which word. Pure."""

from __future__ import annotations

import bisect
import math
import re
from dataclasses import dataclass

import numpy as np

from antiphon.pipeline.alignment import AUDIBLE
from antiphon.pipeline.reply import SPEECH_RATE, Pcm

_FRAME = SPEECH_RATE // 100
"""Samples of a frame, 10 ms."""
_PAUSE = 15
"""Frames of silence that are taken for a pause between clauses; the closures of stops are shorter."""
_PACE = 5.0
"""Audible frames per character of English at an ordinary pace, until a pause has told better."""

# What it costs to believe in a pairing of pauses and ends of clauses. Chosen on synthetic speech of known timing.
_UNPAIRED_PAUSE = 1.5
_UNPAIRED_CLAUSE = 0.5
_UNPAIRED_SENTENCE = 2.0
_PACE_SPREAD = 0.2
_FIRST_PACE_SPREAD = 0.3
_BEAM = 12

# The end of a clause, which is where speakers pause; group 1 when it ends a sentence.
_CLAUSE_END = re.compile(r"(?:([.!?…]+)|[,;:—–]+)[\"'”’)\]]*(?=\s|$)|([。！？\n])|[，、；：]")
# The end of a word, or one character of a script without spaces.
_WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U000323af]|[^\s\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+"
)


@dataclass(frozen=True, slots=True)
class _Pairing:
    """A belief in which pauses are which ends of clauses.

    Attributes:
        cost: how unlikely it is.
        anchors: (audible frames, characters) that belong together, rising.
    """

    cost: float = 0.0
    anchors: tuple[tuple[int, int], ...] = ((0, 0),)

    @property
    def pace(self) -> float:
        """Audible frames per character so far."""
        frames, characters = self.anchors[-1]
        return frames / characters if characters else _PACE

    def paired(self, spoken: int, clause: tuple[int, float], passed: float) -> _Pairing:
        """Return this belief and that a pause after `spoken` frames is the end of a clause.

        Args:
            spoken: audible frames.
            clause: the characters at the end of the clause, and what it would cost to leave it out.
            passed: the cost of the clauses left out before it.
        """
        frames, characters = self.anchors[-1]
        length = clause[0] - characters
        spread = (_PACE_SPREAD if characters else _FIRST_PACE_SPREAD) + 1.5 / length
        surprise = math.log((spoken - frames) / length / self.pace) / spread
        return _Pairing(self.cost + surprise * surprise / 2 + passed, (*self.anchors, (spoken, clause[0])))


class SpeechAlignment:
    """How far into a reply's text its speech gets, while both are being made.

    Words are spread evenly over the audible speech at the pace so far. Pauses are paired with the ends of clauses, as
    seems most likely of all that was heard, which corrects both place and pace.
    """

    def __init__(self) -> None:
        self._text = ""
        self._rest: Pcm = np.zeros(0, np.int16)
        self._audible: list[int] = []  # audible frames up to and with each frame
        self._silent = 0  # silent frames in a row at the end
        self._beliefs = [_Pairing()]  # the most likely one first
        self._finished = False
        self._reached = 0

    def add_text(self, text: str) -> None:
        """Take more of the reply's text, which comes no later than its speech."""
        self._text += text

    def add_speech(self, pcm: Pcm) -> None:
        """Take more speech (int16[n], 24 kHz)."""
        pcm = np.concatenate([self._rest, pcm]) if self._rest.size else pcm
        whole = pcm.size // _FRAME * _FRAME
        self._rest = pcm[whole:]
        frames = pcm[:whole].reshape(-1, _FRAME)
        audible = (frames.max(axis=1) >= AUDIBLE) | (frames.min(axis=1) <= -AUDIBLE)
        for is_audible in audible:
            count = self._audible[-1] if self._audible else 0
            self._audible.append(count + int(is_audible))
            self._silent = 0 if is_audible else self._silent + 1
            if self._silent == _PAUSE and count:
                self._paused(count)

    def finish(self) -> None:
        """Neither text nor speech comes any more."""
        self._finished = True
        spoken = self._audible[-1] if self._audible else 0
        anchors = tuple(anchor for anchor in self._beliefs[0].anchors if anchor[0] < spoken) or ((0, 0),)
        self._beliefs = [_Pairing(0.0, (*anchors, (spoken, len(self._text))))]

    def text_end(self, played: int) -> int:
        """Return how many characters of the text have been said after `played` samples; never decreasing."""
        frame = min(played // _FRAME, len(self._audible))
        spoken = self._audible[frame - 1] if frame else 0
        position = self._position(spoken)
        if not self._finished:
            # The word that is being said, and the last one so far, which may go on, do not count.
            ends = [match.end() for match in _WORD.finditer(self._text)][:-1]
            position = max((end for end in ends if end <= position), default=0)
        self._reached = max(self._reached, min(int(position), len(self._text)))
        return self._reached

    def _position(self, spoken: int) -> float:
        belief = self._beliefs[0]
        anchors = belief.anchors
        index = bisect.bisect_left(anchors, (spoken, 0), lo=1) - 1
        start_frames, start = anchors[index]
        if index + 1 < len(anchors):
            end_frames, end = anchors[index + 1]
            return start + (end - start) * (spoken - start_frames) / max(end_frames - start_frames, 1)
        return start + (spoken - start_frames) / belief.pace

    def _paused(self, spoken: int) -> None:
        """Take a pause after so many audible frames into account."""
        clauses = [
            (match.end(), _UNPAIRED_SENTENCE if match[1] or match[2] else _UNPAIRED_CLAUSE)
            for match in _CLAUSE_END.finditer(self._text)
        ]
        found: list[_Pairing] = []
        for belief in self._beliefs:
            found.append(_Pairing(belief.cost + _UNPAIRED_PAUSE, belief.anchors))
            frames, characters = belief.anchors[-1]
            if spoken <= frames:
                continue
            passed = 0.0
            for clause in clauses:
                if clause[0] > characters:
                    found.append(belief.paired(spoken, clause, passed))
                    passed += clause[1]
        found.sort(key=lambda belief: belief.cost)
        self._beliefs = found[:_BEAM]
