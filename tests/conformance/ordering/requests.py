"""Client events and what answers them: each exactly once, in the order in which they were sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.conformance.ordering.violation import Event, OrderViolation, require

ANSWERS = {
    "session.update": "session.updated",
    "input_audio_buffer.commit": "input_audio_buffer.committed",
    "input_audio_buffer.clear": "input_audio_buffer.cleared",
    "conversation.item.create": "conversation.item.added",
    "conversation.item.truncate": "conversation.item.truncated",
    "conversation.item.delete": "conversation.item.deleted",
    "conversation.item.retrieve": "conversation.item.retrieved",
    "response.create": "response.created",
    "response.cancel": "response.done",
}
"""The event that each client event is answered with; any may be answered with `error` instead, all others must be."""

UNANSWERED = frozenset({"input_audio_buffer.append"})
"""Client events that are never answered except with an error."""

OF_THE_SERVER = frozenset({"session_expired", "rate_limit_exceeded", "insufficient_quota", "server_shutting_down"})
"""Codes of errors that no client event brought about."""

_CODES = {
    "input_audio_buffer_commit_empty": "input_audio_buffer.commit",
    "conversation_already_has_active_response": "response.create",
    "response_cancel_not_active": "response.cancel",
    "item_create_duplicate_item_id": "conversation.item.create",
    "item_truncate_invalid_item_id": "conversation.item.truncate",
    "item_delete_invalid_item_id": "conversation.item.delete",
    "item_retrieve_invalid_item_id": "conversation.item.retrieve",
    "cannot_update_voice": "session.update",
}


@dataclass(slots=True)
class Request:
    """A client event that waits for its answer. `kind` is "" for a frame without a readable type."""

    kind: str
    event_id: str | None
    event: Event

    def __str__(self) -> str:
        return f"{self.kind or 'unreadable frame'} ({self.event_id or 'no event_id'})"


class Requests:
    """Pairs client events with their answers."""

    def __init__(self) -> None:
        self._waiting: list[Request] = []
        self._given: set[str] = set()
        self._append_ids: set[str] = set()
        self._append_errors_possible = 0

    def sent(self, event: Event | None) -> None:
        """Note a client event; None for a frame that is no JSON object."""
        event = {} if event is None else event
        kind = event.get("type")
        event_id = event.get("event_id")
        if not isinstance(event_id, str) or len(event_id) > 512:
            event_id = None
        if kind in UNANSWERED:
            if event_id is None:
                self._append_errors_possible += 1
            else:
                self._append_ids.add(event_id)
            return
        if event_id is not None:
            self._given.add(event_id)
        self._waiting.append(Request(kind if isinstance(kind, str) else "", event_id, event))

    def waiting(self, kind: str, matches: Callable[[Event], bool] = lambda event: True) -> Request | None:
        """Return the oldest waiting request of `kind` whose event `matches`, or None."""
        return next((request for request in self._waiting if request.kind == kind and matches(request.event)), None)

    def answer(self, kind: str, matches: Callable[[Event], bool] = lambda event: True) -> Request:
        """Take the oldest waiting request of `kind` whose event `matches`: it is answered now.

        Raises:
            OrderViolation: there is none, or an earlier one of another kind was passed over.
        """
        request = self.waiting(kind, matches)
        if request is None:
            raise OrderViolation(f"{ANSWERS[kind]} answers no {kind} that the client sent and that still waits")
        self._take(request)
        return request

    def failed(self, error: Event, *, response_active: bool) -> None:
        """Take the request that an `error` event (its `error` object) answers.

        Raises:
            OrderViolation: nothing that the client sent can have brought it about, or it was answered before.
        """
        event_id, code = error.get("event_id"), error.get("code")
        if event_id is not None:
            request = next((request for request in self._waiting if request.event_id == event_id), None)
            if request is not None:
                self._take(request)
            elif event_id not in self._append_ids:
                known = event_id in self._given
                raise OrderViolation(
                    f"error for {event_id!r}, " + ("which was answered before" if known else "an id nobody sent")
                )
            return
        request = self._guess(error)
        if request is not None:
            self._waiting.remove(request)
        elif error.get("type") == "server_error" or code in OF_THE_SERVER:
            pass
        elif code == "conversation_already_has_active_response" and response_active:
            pass  # a turn of the user's own, for which there is no client event
        else:
            require(self._append_errors_possible > 0, f"error {code!r} without event_id answers nothing that waits")
            self._append_errors_possible -= 1

    def outstanding(self) -> list[str]:
        """Return what still waits for an answer."""
        return [f"no answer to {request}" for request in self._waiting]

    def _take(self, request: Request) -> None:
        for earlier in self._waiting:
            if earlier is request:
                break
            if earlier.kind != "response.cancel" and request.kind != "response.cancel":
                raise OrderViolation(f"{request} was answered before {earlier}, which was sent earlier")
        self._waiting.remove(request)

    def _guess(self, error: Event) -> Request | None:
        nameless = [request for request in self._waiting if request.event_id is None]
        kind = _CODES.get(str(error.get("code")))
        if kind is not None:
            return next((request for request in nameless if request.kind == kind), None)
        if str(error.get("param")).startswith("session"):
            return next((request for request in nameless if request.kind == "session.update"), None)
        broken = [request for request in nameless if request.kind not in ANSWERS]
        return next(iter(broken or nameless), None)
