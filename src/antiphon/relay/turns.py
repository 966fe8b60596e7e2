"""Where the time of relayed turns went, as far as it can be seen from here."""

from __future__ import annotations

from antiphon.protocol.frames import AudioDelta, ServerEvent
from antiphon.session.observer import SessionObserver
from antiphon.session.timeline import Moment, TurnTimeline

_MOMENTS: dict[str, Moment] = {
    "response.output_audio_transcript.delta": "first_token",
    "response.output_text.delta": "first_token",
}


class RelayedTurns:
    """Tells an observer of spoken turns and of responses.

    Args:
        observer: who keeps the metrics.
    """

    def __init__(self, observer: SessionObserver) -> None:
        self._observer = observer
        self._turn: TurnTimeline | None = None
        self._response_id: str | None = None

    def note(self, event: ServerEvent, now: float) -> None:
        """Take an event that is sent to the client at `now` (s, of any steady clock)."""
        if isinstance(event, AudioDelta):
            if self._turn is not None and event.response_id == self._response_id:
                self._turn.mark("first_audio_sent", now)
            return
        match event["type"]:
            case "input_audio_buffer.speech_started":
                self._finish()
                self._turn = TurnTimeline(str(event.get("item_id")))
                self._turn.mark("speech_started", now)
            case "input_audio_buffer.speech_stopped" if self._turn is not None:
                self._turn.mark("speech_stopped", now)
            case "response.created" if self._turn is not None and self._response_id is None:
                if "speech_stopped" in self._turn.moments:
                    self._response_id = event["response"]["id"]
                    self._turn.mark("response_created", now)
            case "response.done":
                self._observer.response_finished(_status(event["response"]["status"]))
                if self._turn is not None and event["response"]["id"] == self._response_id:
                    self._turn.mark("response_done", now)
                    self._finish()
            case kind if kind in _MOMENTS and self._turn is not None:
                if event.get("response_id") == self._response_id:
                    self._turn.mark(_MOMENTS[kind], now)

    def _finish(self) -> None:
        if self._turn is not None and "speech_stopped" in self._turn.moments:
            self._observer.turn_finished(self._turn)
        self._turn = self._response_id = None


def _status(status: str) -> str:
    """Return a status that may be a label: an upstream must not be able to make any number of them."""
    return status if status in ("completed", "cancelled", "failed", "incomplete") else "other"
