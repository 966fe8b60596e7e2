"""Which words a speech model has said at each moment, where it does not say which sound belongs to which word. Pure."""

from __future__ import annotations

import bisect
import re

import numpy as np

from antiphon.pipeline.alignment import AUDIBLE
from antiphon.pipeline.reply import SPEECH_RATE, Pcm

_FRAME = SPEECH_RATE // 100
"""Samples of a frame, 10 ms."""
_PAUSE = 15
"""Frames of silence that are taken for a pause between clauses; the closures of stops are shorter."""
_PACE = 6.0
"""Audible frames per character of English at an ordinary pace, until a pause has told better."""
_SLOWEST, _FASTEST = 16.0, 2.5
"""Bounds of what a pause may tell."""
_NEAR = 0.3
_NEAREST = 12
"""How far from the estimate the end of a clause may be that a pause is taken for: a share of the way since the last
one, and at least so many characters."""

# The end of a clause, which is where speakers pause.
_CLAUSE_END = re.compile(r"[.!?,;:…—–]+[\"'”’)\]]*(?=\s|$)|[。！？，、；：]|\n")
# The end of a word, or one character of a script without spaces.
_WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U000323af]|[^\s\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+"
)


class SpeechAlignment:
    """How far into a reply's text its speech gets, while both are being made.

    Words are spread evenly over the audible speech at the pace so far. A pause that comes about where a clause ends is
    taken for that end, which corrects both place and pace.
    """

    def __init__(self) -> None:
        self._text = ""
        self._rest: Pcm = np.zeros(0, np.int16)
        self._audible: list[int] = []  # audible frames up to and with each frame
        self._silent = 0  # silent frames in a row at the end
        self._anchors = [(0, 0)]  # (audible frames, characters) that belong together
        self._pace = _PACE
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
            if self._silent == _PAUSE and count > self._anchors[-1][0]:
                self._paused(count)

    def finish(self) -> None:
        """Neither text nor speech comes any more."""
        self._finished = True
        spoken = self._audible[-1] if self._audible else 0
        self._anchors = [anchor for anchor in self._anchors if anchor[0] < spoken]
        self._anchors = [*(self._anchors or [(0, 0)]), (spoken, len(self._text))]

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
        index = bisect.bisect_left(self._anchors, (spoken, 0), lo=1) - 1
        start_frames, start = self._anchors[index]
        if index + 1 < len(self._anchors):
            end_frames, end = self._anchors[index + 1]
            return start + (end - start) * (spoken - start_frames) / max(end_frames - start_frames, 1)
        return start + (spoken - start_frames) / self._pace

    def _paused(self, spoken: int) -> None:
        """Take a pause after so many audible frames for the end of a clause, if one is near."""
        start = self._anchors[-1][1]
        guess = self._position(spoken)
        ends = (match.end() for match in _CLAUSE_END.finditer(self._text, start))
        found = min((end for end in ends if end > start), key=lambda end: abs(end - guess), default=None)
        if found is None or abs(found - guess) > max(_NEAREST, _NEAR * (guess - start)):
            return
        pace = spoken / found
        if _FASTEST <= pace <= _SLOWEST:
            self._anchors.append((spoken, found))
            self._pace = pace
