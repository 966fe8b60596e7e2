"""Turn detection: when speech starts, pauses, goes on and is over. Pure: it is fed probabilities, one per window.

Time is counted in samples at 16 kHz from the beginning of the session's audio. The hysteresis is Silero's own: a
window at or above the threshold is speech, one below threshold - 0.15 is silence, and what lies between keeps the
state (silero-vad, `VADIterator`).
"""

from __future__ import annotations

from dataclasses import dataclass

from antiphon.audio.clock import VAD_WINDOW, ms_to_samples
from antiphon.session.config import SemanticVad, ServerVad

_HYSTERESIS = 0.15
_SURE_SPEECH = 0.85
"""One window this sure starts speech; less sure windows need `_ONSET_WINDOWS` in a row."""
_ONSET_WINDOWS = 2
_HANGOVER_WINDOWS = 3
"""Windows of silence (96 ms) that make a pause: shorter gaps are stop consonants, not pauses."""
_SURE, _LIKELY = 0.95, 0.5
"""Probabilities of a finished turn from which the classifier is sure, and from which it is likely (smart-turn's own
decision threshold). Of pauses of 800 ms inside sentences one in ten sounds surely finished, two in five likely."""
_ASK_AGAIN_MS = 300
"""Silence after which the classifier is asked once more, for those to whom the silence itself says something."""


@dataclass(frozen=True, slots=True)
class _Patience:
    """How long a silence has to be, ms, by what the classifier thinks of the turn."""

    sure_ms: int
    likely_ms: int
    unsure_ms: int


_PATIENCE = {
    "low": _Patience(900, 2500, 8000),
    "medium": _Patience(200, 1200, 4000),
    "auto": _Patience(200, 1200, 4000),
    "high": _Patience(0, 1000, 2000),
}
"""By eagerness. The longest are OpenAI's (Realtime guide); from 900 ms they outlast pauses inside sentences, most of
which are shorter than 800 ms, and from 1000 ms also those with a soft sound beside them. So low waits for those even
where the classifier is sure, and sometimes wrong."""


_NEVER_MS = 1 << 40
_SILENCE_BY_EAGERNESS_MS = {"low": 1000, "medium": 600, "auto": 600, "high": 400}
"""How long semantic detection waits where there is no turn classifier."""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Speech began at `start` (prefix padding included) and was noticed at `at`."""

    start: int
    at: int


@dataclass(frozen=True, slots=True)
class SpeechLasted:
    """Speech has gone on for as long as was asked, without a pause."""

    at: int


@dataclass(frozen=True, slots=True)
class SpeechDipped:
    """Speech has fallen silent, and the detector does not know it yet; what was said until `at` may be the whole turn.

    Either `SpeechPaused` follows or `SpeechResumed`: many dips are the closures of stop consonants. `ask` is as that of
    `SpeechPaused`.
    """

    at: int
    ask: bool


@dataclass(frozen=True, slots=True)
class SpeechPaused:
    """Speech has been silent since `speech_end`; what was said until `at` may be the whole turn.

    `ask` tells that the turn classifier's opinion is wanted; it is answered with `TurnDetector.judge`.
    """

    speech_end: int
    at: int
    ask: bool


@dataclass(frozen=True, slots=True)
class SpeechResumed:
    """Speech goes on after a dip or a pause."""

    at: int


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The turn is over. `end` includes the silence that closed it; the last speech was at `speech_end`."""

    speech_end: int
    end: int


Detection = SpeechStarted | SpeechLasted | SpeechDipped | SpeechPaused | SpeechResumed | SpeechStopped


def detection_in_force(mode: ServerVad | SemanticVad | None, *, judged: bool) -> ServerVad | SemanticVad:
    """Return how turns are found in a session whose client asked for `mode`.

    A client that commits by hand still has its pauses found, to draft at them. Where no classifier judges turns,
    semantic detection waits for a silence that fits its eagerness.
    """
    if mode is None:
        return ServerVad(silence_duration_ms=_NEVER_MS)
    if isinstance(mode, SemanticVad) and not judged:
        return ServerVad(silence_duration_ms=_SILENCE_BY_EAGERNESS_MS[mode.eagerness])
    return mode


class TurnDetector:
    """Finds the turns of one audio stream.

    Args:
        mode: the session's turn detection; `ServerVad` closes a turn after a fixed silence, `SemanticVad` as soon as
            the classifier is sure, and otherwise after a silence that depends on how likely it finds the end.
        position: where in the session's audio, in samples at 16 kHz, the first window begins.
        lasting_ms: length of speech without a pause that is told by `SpeechLasted`; None for none.
    """

    def __init__(self, mode: ServerVad | SemanticVad, position: int = 0, lasting_ms: int | None = None) -> None:
        self._lasting = None if lasting_ms is None else ms_to_samples(lasting_ms)
        self._run_start = position
        self._lasted = False
        self._position = position
        self._earliest_start = position
        self._onset = 0
        self._speaking = False
        self._speech_end: int | None = None
        self._dipped_at: int | None = None
        self._dip_confidence: float | None = None
        self._paused = False
        self._asked_again = False
        self._confidence = 0.0
        self.mode = mode

    @property
    def mode(self) -> ServerVad | SemanticVad:
        """The turn detection in force; setting it keeps the state of the turn in progress."""
        return self._mode

    @mode.setter
    def mode(self, mode: ServerVad | SemanticVad) -> None:
        self._mode = mode
        if isinstance(mode, ServerVad):
            self._threshold = mode.threshold
            self._padding = ms_to_samples(mode.prefix_padding_ms)
        else:
            self._threshold = 0.5
            self._padding = ms_to_samples(300)

    @property
    def speaking(self) -> bool:
        """Whether a turn is in progress, pauses included."""
        return self._speaking

    @property
    def paused(self) -> bool:
        """Whether the turn in progress is in a pause."""
        return self._paused

    @property
    def position(self) -> int:
        """Samples at 16 kHz that have been judged."""
        return self._position

    def push(self, probability: float, *, quiet: bool = False) -> list[Detection]:
        """Take the next window of 512 samples and return what follows from it.

        Args:
            probability: that there is speech in it.
            quiet: whether it is as quiet as the silence between turns. The probability falls some 60 ms later.
        """
        self._position += VAD_WINDOW
        if not self._speaking:
            return self._while_silent(probability)
        if quiet and self._dipped_at is None and not self._paused:
            self._dipped_at, self._dip_confidence = self._position, None
            semantic = isinstance(self._mode, SemanticVad)
            return [SpeechDipped(at=self._position, ask=semantic), *self._while_speaking(probability)]
        if self._dipped_at is not None and not quiet and not self._paused and probability >= self._threshold:
            self._dipped_at = None
            return [SpeechResumed(at=self._position), *self._while_speaking(probability)]
        return self._while_speaking(probability)

    def judge(self, probability: float, pause_at: int) -> list[Detection]:
        """Take the classifier's probability that the turn was complete at the dip or pause noticed at `pause_at`.

        An opinion about one that is over is ignored.
        """
        of_dip = pause_at == self._dipped_at
        if of_dip:
            self._dip_confidence = probability
        if not self._paused or self._speech_end is None or (pause_at < self._speech_end and not of_dip):
            return []
        self._confidence = max(self._confidence, probability)
        return self._close() if self._position - self._speech_end >= self._longest_silence() else []

    def stop(self) -> list[Detection]:
        """Close the turn in progress now, if there is one (a bound was reached)."""
        return self._close() if self._speaking else []

    def forget(self) -> None:
        """Drop the turn in progress: its audio was committed or cleared by the client."""
        self._speaking = False
        self._onset = 0
        self._earliest_start = self._position
        self._reset_pause()

    def _while_silent(self, probability: float) -> list[Detection]:
        if probability < self._threshold:
            self._onset = 0
            return []
        self._onset += 1
        if self._onset < _ONSET_WINDOWS and probability < max(self._threshold, _SURE_SPEECH):
            return []
        first = self._position - self._onset * VAD_WINDOW
        self._speaking = True
        self._onset = 0
        self._run_start, self._lasted = first, False
        self._dipped_at = None
        self._reset_pause()
        return [SpeechStarted(start=max(first - self._padding, self._earliest_start), at=self._position)]

    def _while_speaking(self, probability: float) -> list[Detection]:
        if probability >= self._threshold:
            followed: list[Detection] = []
            if self._paused:
                self._dipped_at = None
                self._run_start, self._lasted = self._position - VAD_WINDOW, False
                followed.append(SpeechResumed(at=self._position))
            self._reset_pause()
            run = self._position - self._run_start
            if self._lasting is not None and not self._lasted and run >= self._lasting:
                self._lasted = True
                followed.append(SpeechLasted(at=self._position))
            return followed
        if self._speech_end is None:
            if probability >= max(self._threshold - _HYSTERESIS, 0.01):
                return []
            self._speech_end = self._position - VAD_WINDOW
        paused = self._pause(self._speech_end)
        if self._position - self._speech_end >= self._longest_silence():
            return paused + self._close()
        return paused

    def _pause(self, speech_end: int) -> list[Detection]:
        silence = self._position - speech_end
        semantic = isinstance(self._mode, SemanticVad)
        if not self._paused:
            if silence < min(_HANGOVER_WINDOWS * VAD_WINDOW, self._longest_silence()):
                return []
            self._paused = True
            asked = self._dipped_at is not None
            self._confidence = self._dip_confidence or 0.0 if asked else 0.0
            return [SpeechPaused(speech_end=speech_end, at=self._position, ask=semantic and not asked)]
        if not semantic or self._asked_again or silence < ms_to_samples(_ASK_AGAIN_MS):
            return []
        self._asked_again = True
        return [SpeechPaused(speech_end=speech_end, at=self._position, ask=True)]

    def _longest_silence(self) -> int:
        """Return the silence, in samples, that closes the turn as things stand."""
        if isinstance(self._mode, ServerVad):
            return ms_to_samples(max(self._mode.silence_duration_ms, 1))
        patience = _PATIENCE[self._mode.eagerness]
        if self._confidence >= _SURE:
            return ms_to_samples(patience.sure_ms)
        return ms_to_samples(patience.likely_ms if self._confidence >= _LIKELY else patience.unsure_ms)

    def _close(self) -> list[Detection]:
        speech_end = self._position if self._speech_end is None else self._speech_end
        stopped = SpeechStopped(speech_end=speech_end, end=self._position)
        self.forget()
        return [stopped]

    def _reset_pause(self) -> None:
        self._speech_end = None
        self._paused = False
        self._asked_again = False
        self._confidence = 0.0
