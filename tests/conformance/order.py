"""The order checker: is every frame of a connection where the protocol's documented order allows it?

It is pure: it is fed the events of one connection, in order and in both directions, and raises at the first one that is
out of place. What a single event must look like is the business of `frames.py`; events are validated there first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Literal

from tests.conformance.event_shapes import SERVER_CALL_ID, SERVER_ITEM_ID
from tests.conformance.ordering.conversation import ConversationOrder
from tests.conformance.ordering.hearing import HearingOrder
from tests.conformance.ordering.replies import RepliesOrder
from tests.conformance.ordering.requests import Requests
from tests.conformance.ordering.session import SessionOrder
from tests.conformance.ordering.violation import Event, OrderViolation, require

__all__ = ["Direction", "OrderChecker", "OrderViolation"]

Direction = Literal["sent", "received"]
"""Seen from the client: `sent` to the server or `received` from it."""

HISTORY = 30
"""How many of the last events a violation shows."""

_TRANSCRIPTION = "conversation.item.input_audio_transcription."


class OrderChecker:
    """Checks the frames of one connection as they come.

    Args:
        sideband: the connection joins a running call, so that no `session.created` comes first.
        recorded: the frames are a recording of the real service: audio is cut, and `conversation.item.done` may have
            a null `previous_item_id` behind the first item of the conversation.
    """

    def __init__(self, *, sideband: bool = False, recorded: bool = False) -> None:
        self._sideband = sideband
        self._recorded = recorded
        self._requests = Requests()
        self._session = SessionOrder()
        self._conversation = ConversationOrder(recorded=recorded)
        self._hearing = HearingOrder()
        self._replies = RepliesOrder(recorded=recorded, clock=self._clock)
        self._event_ids: set[str] = set()
        self._history: deque[str] = deque(maxlen=HISTORY)
        self._sent_ms = 0.0
        self._sent_g711 = False
        self._chosen_ids: set[str] = set()
        self._reply_due: str | None = None
        self._reply_queued: str | None = None
        self._undecided: str | None = None
        self._timelines: set[str] = set()
        self._before = ""
        self._handlers = self._table()

    def feed(self, direction: Direction, event: Event | None) -> None:
        """Take the next event; a frame of the client that is no JSON object is None.

        Raises:
            OrderViolation: it is out of place. The checker is of no use after that.
        """
        try:
            if direction == "sent":
                self._history.append(f"  client → {_line(event)}")
                self._sent(event)
            else:
                if event is None:
                    raise OrderViolation("a frame of the server is no JSON object")
                self._history.append(f"  server → {_line(event)}")
                self._received(event)
        except OrderViolation as violation:
            raise OrderViolation(violation.reason, "\n".join(self._history)) from violation

    def outstanding(self) -> list[str]:
        """Return a line for everything that must still come: answers, ends of responses, transcripts, items."""
        lines = [
            *self._requests.outstanding(),
            *self._hearing.outstanding(),
            *self._conversation.outstanding(),
            *self._replies.outstanding(),
        ]
        if self._reply_due is not None:
            lines.append(f"response.created for the turn {self._reply_due!r} missing")
        if not self._event_ids and not self._sideband:
            lines.append("session.created missing")
        return lines

    def finish(self) -> None:
        """Check that nothing is left open. For connections that were given the time to settle.

        Raises:
            OrderViolation: something was promised and never came.
        """
        lines = self.outstanding()
        if lines:
            raise OrderViolation("at the end: " + "; ".join(lines), "\n".join(self._history))

    # --- what the client sends -----------------------------------------------------------------------------------

    def _sent(self, event: Event | None) -> None:
        self._requests.sent(event)
        if event is None:
            return
        if event.get("type") == "session.update":
            self._sent_g711 = self._sent_g711 or _asks_for_g711(event)
        if event.get("type") == "input_audio_buffer.append" and isinstance(event.get("audio"), str):
            self._sent_ms += len(event["audio"]) * 3 / 4 / (8 if self._sent_g711 else 48)

    # --- what the server sends -----------------------------------------------------------------------------------

    def _received(self, event: Event) -> None:
        kind, event_id = event["type"], event["event_id"]
        first = not self._event_ids
        require(event_id not in self._event_ids, f"event_id {event_id!r} came twice")
        self._event_ids.add(event_id)
        if not self._sideband:
            require(first == (kind == "session.created"), f"{kind}: session.created comes first, and only once")
        require(kind in self._handlers, f"{kind!r} is never sent over a GA WebSocket")
        require(
            not (kind.startswith("response.") and self._session.transcribes_only),
            f"{kind} in a transcription session",
        )
        if self._reply_due is not None:
            self._before_due_reply(kind)
        self._handlers[kind](event)
        self._before = kind

    def _table(self) -> dict[str, Callable[[Event], None]]:
        replies, hearing = self._replies, self._hearing
        part_events = (
            *(f"response.output_text.{end}" for end in ("delta", "done")),
            *(f"response.output_audio.{end}" for end in ("delta", "done")),
            *(f"response.output_audio_transcript.{end}" for end in ("delta", "done")),
            "response.content_part.done",
        )
        return {
            "error": self._on_error,
            "session.created": self._session.created,
            "session.updated": self._on_session_updated,
            "conversation.item.added": self._on_item_added,
            "conversation.item.done": self._on_item_done,
            "conversation.item.deleted": self._on_item_deleted,
            "conversation.item.truncated": self._on_item_truncated,
            "conversation.item.retrieved": self._on_item_retrieved,
            _TRANSCRIPTION + "delta": hearing.transcription_delta,
            _TRANSCRIPTION + "completed": self._on_transcription_ended,
            _TRANSCRIPTION + "failed": self._on_transcription_ended,
            "input_audio_buffer.speech_started": self._on_speech_started,
            "input_audio_buffer.speech_stopped": self._on_speech_stopped,
            "input_audio_buffer.timeout_triggered": self._on_timeout,
            "input_audio_buffer.committed": self._on_committed,
            "input_audio_buffer.cleared": self._on_cleared,
            "rate_limits.updated": self._on_rate_limits,
            "response.created": self._on_response_created,
            "response.done": self._on_response_done,
            "response.output_item.added": self._on_output_item_added,
            "response.output_item.done": self._on_output_item_done,
            "response.content_part.added": replies.part_added,
            "response.function_call_arguments.delta": replies.arguments_delta,
            "response.function_call_arguments.done": replies.arguments_done,
            "antiphon.turn.timeline": self._on_timeline,
            **dict.fromkeys(part_events, replies.part_event),
        }

    def _before_due_reply(self, kind: str) -> None:
        """Check what may come between the end of a turn and the response to it: only what is of another response."""
        blocked = kind.startswith(("input_audio_buffer.speech", "input_audio_buffer.timeout", _TRANSCRIPTION + "c"))
        require(not blocked, f"{kind} between the end of the turn {self._reply_due!r} and its response.created")

    def _on_error(self, event: Event) -> None:
        self._requests.failed(event["error"], response_active=self._replies.active is not None)

    def _on_session_updated(self, event: Event) -> None:
        asked = self._requests.answer("session.update").event["session"]
        detection = self._session.turn_detection
        self._session.updated(event, asked)
        if self._session.turn_detection != detection:
            self._hearing.dropped()
            self._speech_forgotten()

    def _on_item_added(self, event: Event) -> None:
        item = event["item"]
        if self._replies.is_mine(item["id"]):
            self._replies.conversation_added(item)
            self._conversation.added(event, None, append=True)
        elif self._hearing.committed_item is not None:
            require(item["id"] == self._hearing.committed_item, "another item comes before the committed one")
            self._hearing.added(item)
            self._conversation.added(event, None, append=True)
        else:
            request = self._requests.answer("conversation.item.create", lambda sent: _is_echo(item, sent.get("item")))
            self._chosen_ids.add(str(request.event["item"].get("id")))
            if item["id"] not in self._chosen_ids:
                self._made_here("item.id", item["id"], SERVER_ITEM_ID)
            after = request.event.get("previous_item_id") or None
            append = after is None
            self._conversation.added(event, None if after == "root" else after, append=append)

    def _on_item_done(self, event: Event) -> None:
        item = event["item"]
        mine = self._replies.is_mine(item["id"])
        if mine:
            self._replies.conversation_done(item)
        self._conversation.done(event, same_as_added=not mine)

    def _on_item_deleted(self, event: Event) -> None:
        self._requests.answer("conversation.item.delete", lambda sent: sent.get("item_id") == event["item_id"])
        entry = self._conversation.entry(event["item_id"])
        require(
            entry.done or self._replies.is_mine(event["item_id"]),
            "an item is deleted before its conversation.item.done",
        )
        self._conversation.deleted(event["item_id"])
        self._hearing.deleted(event["item_id"])

    def _on_item_truncated(self, event: Event) -> None:
        keys = ("item_id", "content_index", "audio_end_ms")
        self._requests.answer(
            "conversation.item.truncate", lambda sent: all(sent.get(key) == event[key] for key in keys)
        )
        self._conversation.truncated(event, self._replies.spoken_ms(event["item_id"]))
        self._replies.truncated(event["item_id"])

    def _on_item_retrieved(self, event: Event) -> None:
        item = event["item"]
        self._requests.answer("conversation.item.retrieve", lambda sent: sent.get("item_id") == item["id"])
        self._conversation.retrieved(item)

    def _on_transcription_ended(self, event: Event) -> None:
        item_id = event["item_id"]
        gone = self._conversation.was_deleted(item_id)
        item_done = gone or (item_id in self._conversation and self._conversation.entry(item_id).done)
        self._hearing.transcription_ended(event, item_done=item_done)
        if "transcript" in event:
            self._conversation.transcribed(item_id, event["transcript"])

    def _on_speech_started(self, event: Event) -> None:
        detection = self._session.turn_detection
        detects = detection is not None or not self._session.known
        self._hearing.speech_started(event, sent_ms=self._clock(), detects=detects)
        active = self._replies.active
        if detection is not None and detection["interrupt_response"]:
            if active is None or self._reply_queued == active.spoken_over:
                self._reply_queued = None
            if active is not None:
                active.interrupted, active.spoken_over = True, event["item_id"]
                active.spoken_over_ms = event["audio_start_ms"] + detection.get("prefix_padding_ms", 300)

    def _on_speech_stopped(self, event: Event) -> None:
        self._hearing.speech_stopped(event, sent_ms=self._clock())

    def _on_timeout(self, event: Event) -> None:
        detection = self._session.turn_detection
        idle = detection.get("idle_timeout_ms") if detection is not None else None
        require(idle is not None or not self._session.known, "timeout_triggered without idle_timeout_ms")
        require(self._replies.active is None, "timeout_triggered while a response runs")
        self._hearing.timeout_triggered(event, sent_ms=self._clock())

    def _on_committed(self, event: Event) -> None:
        by_server = self._hearing.turn_closing is not None
        if not by_server:
            self._requests.answer("input_audio_buffer.commit")
            if self._reply_queued == self._undecided:
                self._reply_queued = None
        self._conversation.expect_last(event["previous_item_id"], "input_audio_buffer.committed")
        transcribes = self._session.transcription is not None if self._session.known else None
        self._hearing.committed(event, transcribes=transcribes)
        detection = self._session.turn_detection
        automatic = by_server and detection is not None and detection["create_response"]
        if automatic and not self._session.transcribes_only:
            if self._replies.active is None and event["item_id"] not in self._replies.let_go_on:
                self._reply_due = event["item_id"]
            else:
                self._reply_queued = event["item_id"]
                spoken_over = self._replies.active.spoken_over if self._replies.active is not None else None
                self._undecided = event["item_id"] if spoken_over == event["item_id"] else None

    def _on_cleared(self, event: Event) -> None:
        self._requests.answer("input_audio_buffer.clear")
        self._hearing.dropped()
        self._speech_forgotten()

    def _on_response_created(self, event: Event) -> None:
        response = event["response"]
        metadata, out_of_band = response["metadata"], response["conversation_id"] is None

        def asked(sent: Event) -> bool:
            wanted = sent.get("response") or {}
            return (wanted.get("metadata") or None) == (metadata or None) and (
                wanted.get("conversation") == "none"
            ) == out_of_band

        automatic = not out_of_band and not metadata
        if automatic and self._reply_due is not None:
            self._reply_due = None
        elif automatic and self._reply_queued is not None and not self._dropped(asked):
            self._reply_queued = None
        else:
            self._requests.answer("response.create", asked)
        self._replies.created(response)

    def _dropped(self, asked: Callable[[Event], bool]) -> bool:
        """Return whether the turn that was to be answered was a mere sound, so that this is what the client asked."""
        sound = self._reply_queued in self._replies.let_go_on
        return sound and self._requests.waiting("response.create", asked) is not None

    def _on_output_item_added(self, event: Event) -> None:
        item = event["item"]
        self._made_here("item.id", item["id"], SERVER_ITEM_ID)
        if item["type"] == "function_call":
            self._made_here("call_id", item["call_id"], SERVER_CALL_ID)
        require(item["id"] not in self._conversation, f"{item['id']!r} is in the conversation already")
        self._replies.item_added(event)

    def _on_output_item_done(self, event: Event) -> None:
        self._replies.item_done(event, deleted=self._conversation.was_deleted(event["item"]["id"]))

    def _on_response_done(self, event: Event) -> None:
        response = event["response"]
        reply = self._replies.done(response)
        details = response["status_details"] or {}
        if details.get("reason") == "client_cancelled":
            self._requests.answer(
                "response.cancel",
                lambda sent: (
                    sent.get("response_id") == response["id"]
                    or (sent.get("response_id") is None and response["conversation_id"] is not None)
                ),
            )
        elif details.get("reason") == "turn_detected":
            require(
                reply.spoken_over is not None or not self._session.known,
                "turn_detected, but nobody spoke over the reply",
            )

    def _on_rate_limits(self, event: Event) -> None:
        require(self._before == "response.done", "rate_limits.updated that does not follow a response.done")

    def _on_timeline(self, event: Event) -> None:
        item_id, response_id = event["item_id"], event["response_id"]
        self._conversation.entry(item_id)
        require(item_id not in self._timelines, f"a second timeline of the turn {item_id!r}")
        self._timelines.add(item_id)
        running = response_id is not None and self._replies.running(response_id) is not None
        require(not running, f"the timeline of a turn before the end of its response {response_id!r}")

    # --- small things --------------------------------------------------------------------------------------------

    def _speech_forgotten(self) -> None:
        if self._replies.active is not None:
            self._replies.active.interrupted = False

    def _clock(self) -> float | None:
        return None if self._recorded else self._sent_ms

    def _made_here(self, what: str, value: str, check: Callable[[object, str], Any]) -> None:
        problems = list(check(value, what))
        if problems:
            raise OrderViolation(f"an id of the server's own is malformed: {problems[0]}")


def _is_echo(item: Event, sent: object) -> bool:
    """Return whether `item`, as the server added it, is the one that the client sent."""
    if not isinstance(sent, Mapping) or sent.get("type") != item["type"]:
        return False
    plain = ("id", "role", "name", "arguments", "call_id", "output")
    if any(key in sent and sent[key] is not None and sent[key] != item.get(key) for key in plain):
        return False
    parts = sent.get("content") or []
    echoed = item.get("content", [])
    return len(parts) == len(echoed) and all(
        part.get("type") == echo["type"] and part.get("text") == echo.get("text")
        for part, echo in zip(parts, echoed, strict=True)
    )


def _asks_for_g711(update: Event) -> bool:
    """Return whether a `session.update` makes the input G.711, whose bytes last six times as long."""
    node: Any = update
    for key in ("session", "audio", "input", "format", "type"):
        node = node.get(key) if isinstance(node, Mapping) else None
    return node in ("audio/pcmu", "audio/pcma")


def _line(event: Event | None) -> str:
    if event is None:
        return "a frame that is no JSON object"
    keys = ("event_id", "response_id", "item_id", "previous_item_id", "output_index", "content_index")
    shown = {key: event[key] for key in keys if key in event}
    if isinstance(event.get("item"), Mapping):
        shown["item"] = {key: event["item"].get(key) for key in ("id", "type", "status")}
    if isinstance(event.get("response"), Mapping):
        shown["response"] = {key: event["response"].get(key) for key in ("id", "status")}
    if "error" in event:
        shown["error"] = event["error"]
    if event.get("type") != "response.output_audio.delta" and isinstance(event.get("delta"), str):
        shown["delta"] = event["delta"]
    return f"{event.get('type')} {shown}"
