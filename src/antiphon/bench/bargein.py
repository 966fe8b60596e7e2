"""How fast the server falls silent when a person speaks over its answer, and whether it stays so for a mere "mm-hm"."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from antiphon.bench.connection import AUDIO_DELTAS, Event, Target
from antiphon.bench.conversation import Conversation, SessionSetup, open_conversation
from antiphon.bench.corpus import RATE, Recording
from antiphon.bench.figures import PERCENTILE_COLUMNS, percentiles, summary
from antiphon.bench.microphone import Spoken
from antiphon.bench.report import Figures

_QUESTION = "Tell me a very long story about a ship and its crew, in at least forty sentences."
"""Typed, and for a long answer: one that is complete cannot be interrupted any more, over a WebSocket."""

_INTO_ANSWER_S = 0.2
"""How long after the answer's first audio the person speaks, s: models make speech faster than it is heard."""
_ANSWER_S = 30.0
_AFTER_S = 3.0
"""How long after a sound over the answer its effect is waited for, s."""
_PAUSE_S = 1.0


@dataclass(slots=True)
class Interruption:
    """Something said over an answer. Times in ms; None when there was no such thing.

    Attributes:
        recording: name of what was said over it.
        begin_to_started: speech begins at the microphone → speech_started comes.
        started_to_last_audio: speech_started comes → the answer's last audio comes; negative when it came before.
        started_to_done: speech_started comes → the answer's response.done comes.
        status: of the answer, e.g. "cancelled".
        in_progress: whether the answer was still being made when the speech began; else nothing could be interrupted.
    """

    recording: str
    begin_to_started: float | None = None
    started_to_last_audio: float | None = None
    started_to_done: float | None = None
    status: str = "none"
    in_progress: bool = False


class InterruptionTracker:
    """Follows the answer, and what is said over it."""

    def __init__(self) -> None:
        """Begin before the answer is asked for."""
        self.answering = asyncio.Event()
        self._response: str | None = None
        self._last_audio: float | None = None
        self._started: list[float] = []
        self._done: tuple[float, str] | None = None

    def take(self, event: Event) -> None:
        """Take the next event of the connection."""
        match event.type:
            case "input_audio_buffer.speech_started":
                self._started.append(event.at)
            case "response.created" if not self.answering.is_set():
                self._response = event.body["response"]["id"]
            case "response.done" if event.body["response"]["id"] == self._response:
                self._done = (event.at, event.body["response"]["status"])
            case kind if kind in AUDIO_DELTAS and event.body["response_id"] == self._response:
                self._last_audio = event.at
                self.answering.set()

    @property
    def done(self) -> bool:
        """Whether the answer has ended."""
        return self._done is not None

    def result(self, recording: str, spoken: Spoken) -> Interruption:
        """Return what the speech at `spoken` did to the answer."""
        found = Interruption(recording, status=self._done[1] if self._done else "none")
        found.in_progress = self._done is None or self._done[0] > spoken.begin
        started = next((at for at in self._started if at > spoken.begin), None)
        if started is None:
            return found
        found.begin_to_started = _ms(started - spoken.begin)
        if found.in_progress and self._last_audio is not None:
            found.started_to_last_audio = _ms(self._last_audio - started)
        if found.in_progress and self._done is not None:
            found.started_to_done = _ms(self._done[0] - started)
        return found


async def measure_interruptions(
    target: Target, setup: SessionSetup, over: Sequence[Recording], on_turn: Callable[[], None]
) -> list[Interruption]:
    """Ask for a long answer and speak over it, once for each recording in `over`, each time in a new session.

    Raises:
        BenchError: the server cannot be reached or breaks the connection.
    """
    found = []
    for recording in over:
        async with open_conversation(target, setup) as conversation:
            found.append(await _interrupt(conversation, recording))
        on_turn()
    return found


async def _interrupt(conversation: Conversation, over: Recording) -> Interruption:
    tracker = InterruptionTracker()
    conversation.listeners.append(tracker.take)
    await asyncio.sleep(_PAUSE_S)
    question = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": _QUESTION}]}
    await conversation.connection.send_event({"type": "conversation.item.create", "item": question})
    await conversation.connection.send_event({"type": "response.create"})
    if not await conversation.connection.until(tracker.answering.is_set, _ANSWER_S):
        return Interruption(over.name)
    await asyncio.sleep(_INTO_ANSWER_S)
    spoken = conversation.microphone.say(over)
    await asyncio.sleep(len(over.pcm) / RATE)
    await conversation.connection.until(lambda: tracker.done, _AFTER_S)
    return tracker.result(over.name, spoken)


def as_results(
    label: str, interruptions: Sequence[Interruption], backchannels: Sequence[Interruption]
) -> dict[str, Any]:
    """Return the figures of interruptions and of sounds that are none, for programs."""
    real = [one for one in interruptions if one.in_progress]
    sounds = [one for one in backchannels if one.in_progress]
    return {
        "label": label,
        "begin_to_started_ms": summary(one.begin_to_started for one in interruptions),
        "started_to_last_audio_ms": summary(one.started_to_last_audio for one in real),
        "started_to_done_ms": summary(one.started_to_done for one in real),
        "interruptions": len(real),
        "interrupted": sum(one.status == "cancelled" for one in real),
        "backchannels": len(sounds),
        "backchannels_that_interrupted": sum(one.status == "cancelled" for one in sounds),
        "answers_over_before": len(interruptions) + len(backchannels) - len(real) - len(sounds),
        "each": [asdict(one) for one in (*interruptions, *backchannels)],
    }


def as_figures(results: dict[str, Any]) -> Figures:
    """Return the table of what `as_results` returned."""
    names = {
        "begin_to_started_ms": "speech begins → started",
        "started_to_last_audio_ms": "started → last audio",
        "started_to_done_ms": "started → response.done",
    }
    rows = [(name, *percentiles(results[key])) for key, name in names.items()]
    notes = [
        f"{results['interrupted']} of {results['interruptions']} answers were interrupted by speech, "
        f"{results['backchannels_that_interrupted']} of {results['backchannels']} by a mere “mm-hm”",
    ]
    if results["answers_over_before"]:
        notes.append(f"{results['answers_over_before']} answers were complete before anything was said over them")
    return Figures(results["label"], ("ms", *PERCENTILE_COLUMNS, "times"), rows, notes)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)
