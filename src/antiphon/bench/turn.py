"""What a server did in one spoken turn, as its events tell. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from antiphon.bench.connection import AUDIBLE, AUDIO_DELTAS, Event
from antiphon.bench.microphone import Spoken

_EARLY_S = 0.15
"""A turn closed this long before its last sound was closed early. Sounds are found by energy, which is not exact."""


@dataclass(slots=True)
class Turn:
    """One recording spoken, and the answer to it.

    Times are in ms; None when there was no such thing.

    Attributes:
        recording: name of what was said.
        status: of the response, e.g. "completed"; "none" when there was none in time.
        begin_to_started: speech begins at the microphone → speech_started comes.
        end_to_stopped: speech ends at the microphone → speech_stopped comes.
        stopped_to_audio: speech_stopped comes → the answer's first audio comes.
        end_to_audio: speech ends at the microphone → the answer's first audio comes.
        cuts: how often the turn was closed before its speech had ended.
        transcript: what the server heard; None when it sent none.
        errors: codes or messages of `error` events.
    """

    recording: str
    status: str = "none"
    begin_to_started: float | None = None
    end_to_stopped: float | None = None
    stopped_to_audio: float | None = None
    end_to_audio: float | None = None
    cuts: int = 0
    transcript: str | None = None
    errors: list[str] = field(default_factory=list)


class TurnTracker:
    """Follows the events of one turn.

    A server may close a turn early and open another for the rest: the answer is the one after the last speech.

    Args:
        recording: name of what is said.
        spoken: when.
        played: whether the server plays its answers (WebRTC): what is heard counts, and an answer is complete when it
            was played.
    """

    def __init__(self, recording: str, spoken: Spoken, *, played: bool = False) -> None:
        self._recording = recording
        self._spoken = spoken
        self._played = played
        self._ended: set[str] = set()
        self._speaks = False
        self._started: list[float] = []
        self._stopped: list[float] = []
        self._speaking = False
        self._items: list[str] = []
        self._transcripts: dict[str, str] = {}
        self._response: str | None = None
        self._first_audio: float | None = None
        self._status = "none"
        self._errors: list[str] = []

    def take(self, event: Event) -> None:
        """Take the next event of the connection."""
        match event.type:
            case "input_audio_buffer.speech_started":
                self._started.append(event.at)
                self._speaking = True
                self._first_audio = None
            case "input_audio_buffer.speech_stopped":
                self._stopped.append(event.at)
                self._speaking = False
                # Sound may overtake this event, which comes another way: what was heard since speech began stays.
                self._response, self._status = None, "none"
                if not self._played:
                    self._first_audio = None
            case "input_audio_buffer.committed":
                self._items.append(event.body["item_id"])
            case "conversation.item.input_audio_transcription.completed":
                self._transcripts[event.body["item_id"]] = event.body["transcript"]
            case "conversation.item.input_audio_transcription.failed":
                self._transcripts[event.body["item_id"]] = ""
                self._errors.append(_reason(event))
            case "response.created":
                self._response = event.body["response"]["id"]
            case "response.done":
                if event.body["response"]["id"] == self._response:
                    self._status = event.body["response"]["status"]
                    self._speaks = _speaks(event.body["response"])
            case "output_audio_buffer.stopped" | "output_audio_buffer.cleared":
                self._ended.add(event.body["response_id"])
            case kind if kind == AUDIBLE:
                if self._first_audio is None and self._started:
                    self._first_audio = event.at
            case "error":
                self._errors.append(_reason(event))
            case kind if kind in AUDIO_DELTAS:
                if event.body["response_id"] == self._response and self._first_audio is None:
                    self._first_audio = event.at

    def answered(self, now: float) -> bool:
        """Return whether all has been said and the answer to it is complete."""
        playing = self._played and self._speaks and self._response not in self._ended
        done = self._status not in ("none", "in_progress")
        return now >= self._spoken.end and not self._speaking and done and not playing

    @property
    def transcribed(self) -> bool:
        """Whether everything committed has its transcript."""
        return all(item in self._transcripts for item in self._items)

    def result(self) -> Turn:
        """Return what was measured."""
        turn = Turn(self._recording, self._status, errors=list(self._errors))
        if self._started:
            turn.begin_to_started = _ms(self._started[0] - self._spoken.begin)
        turn.cuts = sum(at < self._spoken.end - _EARLY_S for at in self._stopped)
        if self._stopped:
            turn.end_to_stopped = _ms(self._stopped[-1] - self._spoken.end)
        if self._stopped and self._first_audio is not None:
            turn.stopped_to_audio = _ms(self._first_audio - self._stopped[-1])
            turn.end_to_audio = _ms(self._first_audio - self._spoken.end)
        if self._transcripts:
            turn.transcript = " ".join(self._transcripts.get(item, "") for item in self._items)
        return turn


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)


def _speaks(response: dict[str, Any]) -> bool:
    parts = [part for item in response.get("output", ()) for part in item.get("content", ())]
    return any(part["type"] == "output_audio" for part in parts)


def _reason(event: Event) -> str:
    error = event.body.get("error") or {}
    return str(error.get("code") or error.get("message") or "unknown")
