"""Responses: the life of each, of its items and of their parts."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.conformance.ordering.violation import Event, OrderViolation, require

MAX_AUDIO_DELTA_MS = 400
"""Longest audio of one delta, so that frames stay small and a reply can be cut finely."""

LEAST_MS = 96
"""Audio that a server has to hear after the beginning of speech to know that it was none that interrupts."""

_KEPT = ("id", "object", "conversation_id", "output_modalities", "max_output_tokens", "audio", "metadata")


def bytes_per_ms(audio_format: Event) -> int:
    """Return how many bytes a millisecond takes: PCM16 at 24 kHz or G.711 at 8 kHz."""
    return 48 if audio_format["type"] == "audio/pcm" else 8


@dataclass(slots=True)
class Part:
    """A content part while it is streamed."""

    kind: str
    text: str = ""
    audio_bytes: int = 0
    text_done: bool = False
    audio_done: bool = False
    done: bool = False


@dataclass(slots=True)
class ReplyItem:
    """An output item while it is streamed.

    Attributes:
        listed, settled: conversation.item.added and .done came for it.
        truncated: what follows of it is not kept, because the client said that nobody hears it.
    """

    item: Event
    index: int
    listed: bool = False
    settled: bool = False
    done: bool = False
    parts: list[Part] = field(default_factory=list)
    arguments: str = ""
    arguments_done: bool = False
    truncated: bool = False


@dataclass(slots=True)
class Reply:
    """A response while it runs.

    Attributes:
        interrupted: the user speaks over it: nothing more of it may be heard, unless it was no interruption.
        spoken_over: by the turn that will be this item.
        spoken_over_ms: where that speech begins, on the session clock.
    """

    response: Event
    items: list[ReplyItem] = field(default_factory=list)
    interrupted: bool = False
    spoken_over: str | None = None
    spoken_over_ms: float | None = None

    @property
    def out_of_band(self) -> bool:
        """Whether it stays outside the conversation."""
        return self.response["conversation_id"] is None


class RepliesOrder:
    """Follows `response.*` and the `conversation.item.added` and `.done` that belong to responses."""

    def __init__(self, *, recorded: bool, clock: Callable[[], float | None]) -> None:
        self._recorded = recorded
        self._clock = clock
        self._running: dict[str, Reply] = {}
        self._over: set[str] = set()
        self._items: dict[str, tuple[Reply, ReplyItem]] = {}
        self._conversation_id: str | None = None
        self.let_go_on: set[str] = set()
        """Turns that began over a response and did not end it: a listener's sound is not answered."""

    @property
    def active(self) -> Reply | None:
        """The response of the default conversation that runs now, if any."""
        return next((reply for reply in self._running.values() if not reply.out_of_band), None)

    def running(self, response_id: str) -> Reply | None:
        """Return the response `response_id` while it runs."""
        return self._running.get(response_id)

    def is_mine(self, item_id: str) -> bool:
        """Return whether an item was made by a response that this connection saw."""
        return item_id in self._items

    def spoken_ms(self, item_id: str) -> float | None:
        """Return how much audio an item of a response got, in ms; None for other items."""
        if item_id not in self._items or self._recorded:
            return None
        reply, item = self._items[item_id]
        total = sum(part.audio_bytes for part in item.parts)
        return total / bytes_per_ms(reply.response["audio"]["output"]["format"])

    def truncated(self, item_id: str) -> None:
        """Note that the client had an item of a response cut, perhaps while it was still streamed."""
        if item_id in self._items:
            self._items[item_id][1].truncated = True

    def created(self, response: Event) -> None:
        """Take `response.created`."""
        identity, conversation = response["id"], response["conversation_id"]
        require(identity not in self._over and identity not in self._running, f"response id {identity!r} used twice")
        if conversation is not None:
            active = self.active
            if active is not None:
                raise OrderViolation(f"response.created while {active.response['id']!r} runs in the same conversation")
            require(
                self._conversation_id in (None, conversation), "the id of the conversation changed between responses"
            )
            self._conversation_id = conversation
        self._running[identity] = Reply(response)

    def item_added(self, event: Event) -> None:
        """Take `response.output_item.added`."""
        reply, item = self._reply(event), event["item"]
        require(event["output_index"] == len(reply.items), f"output_index {event['output_index']} is not the next one")
        require(item["id"] not in self._items, f"output_item.added with an id that was used before: {item['id']!r}")
        require(item["status"] == "in_progress", "output_item.added with an item that is not in progress")
        if item["type"] == "message":
            require(item["role"] == "assistant" and item["content"] == [], "a message starts as assistant, content []")
        elif item["type"] == "function_call":
            require(item["arguments"] == "", "a function call starts with empty arguments")
        else:
            raise OrderViolation(f"a response has no output item of type {item['type']!r}")
        entry = ReplyItem(item, event["output_index"])
        reply.items.append(entry)
        self._items[item["id"]] = (reply, entry)

    def conversation_added(self, item: Event) -> None:
        """Take the `conversation.item.added` of an output item."""
        reply, entry = self._items[item["id"]]
        require(not reply.out_of_band, "conversation.item.added for an item of an out-of-band response")
        require(not entry.listed, f"conversation.item.added came twice for {item['id']!r}")
        require(not entry.parts and not entry.arguments, "conversation.item.added after the item's content had begun")
        require(item == entry.item, f"conversation.item.added shows {item!r}, output_item.added {entry.item!r}")
        entry.listed = True

    def conversation_done(self, item: Event) -> None:
        """Take the `conversation.item.done` of an output item."""
        reply, entry = self._items[item["id"]]
        require(not reply.out_of_band, "conversation.item.done for an item of an out-of-band response")
        require(not entry.done, "conversation.item.done after response.output_item.done")
        self._finished(reply, entry, item)
        entry.item, entry.settled = item, True

    def item_done(self, event: Event, *, deleted: bool) -> None:
        """Take `response.output_item.done`; an item that was `deleted` meanwhile has no conversation.item.done."""
        reply, entry = self._entry({**event, "item_id": event["item"]["id"]})
        require(not entry.done, "response.output_item.done came twice")
        require(
            all(earlier.done for earlier in reply.items[: entry.index]),
            f"output item {entry.index} is done before an earlier one",
        )
        if entry.settled:
            require(event["item"] == entry.item, "response.output_item.done differs from conversation.item.done")
        else:
            require(reply.out_of_band or deleted, "response.output_item.done before conversation.item.done")
            self._finished(reply, entry, event["item"])
        entry.item, entry.done = event["item"], True

    def part_added(self, event: Event) -> None:
        """Take `response.content_part.added`."""
        reply, entry = self._entry(event)
        self._open(reply, entry, "message")
        require(event["content_index"] == len(entry.parts), "content_index is not the next one")
        kind = event["part"]["type"]
        require([kind] == reply.response["output_modalities"], f"part of type {kind!r} does not fit the modalities")
        require(not event["part"].get("text", event["part"].get("transcript")), "a content part starts empty")
        entry.parts.append(Part(kind))

    def part_event(self, event: Event) -> None:
        """Take a delta or done of a content part, and `response.content_part.done`."""
        reply, entry = self._entry(event)
        self._open(reply, entry, "message")
        require(event["content_index"] < len(entry.parts), f"{event['type']} before response.content_part.added")
        part = entry.parts[event["content_index"]]
        require(not part.done, f"{event['type']} after response.content_part.done")
        name = event["type"].removeprefix("response.")
        if name.endswith(".delta"):
            self._goes_on(reply)
        {
            "output_text.delta": self._text_delta,
            "output_audio_transcript.delta": self._text_delta,
            "output_audio.delta": self._audio_delta,
            "output_audio.done": self._audio_done,
            "output_text.done": self._text_done,
            "output_audio_transcript.done": self._text_done,
            "content_part.done": self._part_done,
        }[name](reply, part, event)

    def arguments_delta(self, event: Event) -> None:
        """Take `response.function_call_arguments.delta`."""
        reply, entry = self._entry(event)
        self._open(reply, entry, "function_call")
        self._goes_on(reply)
        require(not entry.arguments_done, "function_call_arguments.delta after .done")
        require(event["call_id"] == entry.item["call_id"], "call_id of the arguments is not that of the item")
        entry.arguments += event["delta"]

    def arguments_done(self, event: Event) -> None:
        """Take `response.function_call_arguments.done`."""
        reply, entry = self._entry(event)
        self._open(reply, entry, "function_call")
        require(not entry.arguments_done, "function_call_arguments.done came twice")
        require(
            (event["call_id"], event["name"]) == (entry.item["call_id"], entry.item["name"]),
            "function_call_arguments.done with another call_id or name than its item",
        )
        require(event["arguments"] == entry.arguments, "arguments are not the sum of their deltas")
        entry.arguments_done = True

    def done(self, response: Event) -> Reply:
        """Take `response.done` and return what is over now."""
        reply = self._running.get(response["id"])
        if reply is None:
            raise OrderViolation(f"response.done for {response['id']!r}, which does not run")
        for key in _KEPT:
            require(response[key] == reply.response[key], f"response.{key} changed between created and done")
        status, details = response["status"], response["status_details"]
        if status == "completed":
            require(details is None, "a completed response has status_details null")
            self._goes_on(reply)
            self._said_in_full(reply)
        else:
            require(details is not None and details["type"] == status, f"status {status!r} with details {details!r}")
        require(all(entry.done for entry in reply.items), "response.done before every output_item.done")
        require(response["output"] == [entry.item for entry in reply.items], "response.output is not the items done")
        incomplete = [entry.item["id"] for entry in reply.items if entry.item["status"] != "completed"]
        require(status != "completed" or not incomplete, f"a completed response with incomplete items: {incomplete}")
        require(response["usage"] is not None or status == "failed", f"a {status} response without usage")
        if response["usage"] is not None:
            _adds_up(response["usage"])
        if (details or {}).get("reason") == "turn_detected" and reply.spoken_over is not None:
            self.let_go_on.discard(reply.spoken_over)
        del self._running[response["id"]]
        self._over.add(response["id"])
        return reply

    def outstanding(self) -> list[str]:
        """Return the responses that still run."""
        return [f"response.done of {identity!r} missing" for identity in self._running]

    def _goes_on(self, reply: Reply) -> None:
        if not reply.interrupted:
            return
        now, since = self._clock(), reply.spoken_over_ms
        paused = now is not None and since is not None and now - since >= LEAST_MS
        require(paused and reply.spoken_over is not None, "a reply goes on after the user spoke over the reply")
        self.let_go_on.add(str(reply.spoken_over))
        reply.interrupted = False

    def _reply(self, event: Event) -> Reply:
        reply = self._running.get(event["response_id"])
        if reply is None:
            over = "is over" if event["response_id"] in self._over else "was never created"
            raise OrderViolation(f"{event['type']} for {event['response_id']!r}, which {over}")
        return reply

    def _entry(self, event: Event) -> tuple[Reply, ReplyItem]:
        reply = self._reply(event)
        index = event["output_index"]
        require(index < len(reply.items), f"{event['type']} before response.output_item.added")
        entry = reply.items[index]
        require(entry.item["id"] == event["item_id"], f"{event['type']}: item_id is not that of output_index {index}")
        return reply, entry

    def _open(self, reply: Reply, entry: ReplyItem, kind: str) -> None:
        require(entry.item["type"] == kind, f"content of a {kind} for an item of type {entry.item['type']!r}")
        require(entry.listed or reply.out_of_band, "content of an item before its conversation.item.added")
        require(not entry.settled and not entry.done, "content of an item after it was done")

    def _text_delta(self, reply: Reply, part: Part, event: Event) -> None:
        _fits(part, event)
        require(not part.text_done, f"{event['type']} after its done")
        part.text += event["delta"]

    def _audio_delta(self, reply: Reply, part: Part, event: Event) -> None:
        _fits(part, event)
        require(not part.audio_done, "response.output_audio.delta after its done")
        delta = event["delta"]
        size = len(delta) * 3 // 4 - delta.count("=", -2)
        part.audio_bytes += size
        if not self._recorded:
            width = bytes_per_ms(reply.response["audio"]["output"]["format"])
            require(width == 8 or size % 2 == 0, f"an audio delta of {size} bytes ends inside a sample")
            require(size <= MAX_AUDIO_DELTA_MS * width, f"an audio delta of {size / width:.0f} ms")

    def _audio_done(self, reply: Reply, part: Part, event: Event) -> None:
        _fits(part, event)
        require(not part.audio_done, "response.output_audio.done came twice")
        require(not part.text_done, "response.output_audio.done after output_audio_transcript.done")
        part.audio_done = True

    def _text_done(self, reply: Reply, part: Part, event: Event) -> None:
        _fits(part, event)
        require(not part.text_done, f"{event['type']} came twice")
        require(part.kind == "text" or part.audio_done, "output_audio_transcript.done before output_audio.done")
        said = event["text"] if part.kind == "text" else event["transcript"]
        require(said == part.text, f"{said!r} is not the sum of its deltas, {part.text!r}")
        part.text_done = True

    def _part_done(self, reply: Reply, part: Part, event: Event) -> None:
        require(part.text_done, "response.content_part.done before its text was done")
        require(event["part"]["type"] == part.kind, "the type of a part changed")
        key = "text" if part.kind == "text" else "transcript"
        require(event["part"][key] == part.text, "response.content_part.done is not what its deltas said")
        part.done = True

    def _finished(self, reply: Reply, entry: ReplyItem, item: Event) -> None:
        """Check the final form of an output item against what was streamed."""
        status = item["status"]
        require(status != "in_progress", "an item that is done is still in progress")
        require(entry.listed or reply.out_of_band, "an item is done that was never added to the conversation")
        for key in ("type", "role", "name", "call_id"):
            require(item.get(key) == entry.item.get(key), f"{key} of an output item changed")
        if item["type"] == "function_call":
            require(item["arguments"] == entry.arguments, "arguments of the item are not the sum of their deltas")
            require(entry.arguments_done or status == "incomplete", "the item is done before its arguments")
            if status == "completed":
                require(_is_object(item["arguments"]), f"arguments are no JSON object: {item['arguments']!r}")
            return
        require(all(part.done for part in entry.parts), "the item is done before its content parts")
        streamed: list[dict[str, Any]] = [
            {"type": "output_text", "text": part.text}
            if part.kind == "text"
            else {"type": "output_audio", "transcript": part.text}
            for part in entry.parts
        ]
        same = item["content"] == streamed or (entry.truncated and _begins(streamed, item["content"]))
        require(same, f"content of the item is {item['content']!r}, streamed was {streamed!r}")

    def _said_in_full(self, reply: Reply) -> None:
        """Check that a complete reply has audio for its words."""
        for part in (part for entry in reply.items for part in entry.parts):
            words = any(unicodedata.category(character)[0] in "LN" for character in part.text)
            require(
                part.kind == "text" or not words or part.audio_bytes > 0, f"no audio at all for the words {part.text!r}"
            )


def _fits(part: Part, event: Event) -> None:
    kind = "text" if event["type"].startswith("response.output_text") else "audio"
    require(part.kind == kind, f"{event['type']} for a part of type {part.kind!r}")


def _begins(streamed: list[dict[str, Any]], kept: list[dict[str, Any]]) -> bool:
    """Return whether what was kept of a message is the beginning of what was streamed."""
    pairs = list(zip(streamed, kept, strict=False))
    return len(streamed) == len(kept) and all(
        whole["type"] == part["type"] == "output_audio" and whole["transcript"].startswith(part["transcript"].rstrip())
        for whole, part in pairs
    )


def _is_object(arguments: str) -> bool:
    try:
        return isinstance(json.loads(arguments), dict)
    except ValueError:
        return False


def _adds_up(usage: Event) -> None:
    details, made = usage["input_token_details"], usage["output_token_details"]
    kinds = ("text_tokens", "audio_tokens", "image_tokens")
    require(usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"], "usage: the total is not the sum")
    require(sum(details[kind] for kind in kinds) == usage["input_tokens"], "usage: input details are not the sum")
    require(made["text_tokens"] + made["audio_tokens"] == usage["output_tokens"], "usage: output details: no sum")
    cached = details["cached_tokens_details"]
    require(sum(cached[kind] for kind in kinds) == details["cached_tokens"], "usage: cached details are not the sum")
    require(all(cached[kind] <= details[kind] for kind in kinds), "usage: more cached tokens than tokens")
