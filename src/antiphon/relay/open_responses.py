"""The responses of an upstream that are in progress: what is to be said when it does not end them itself. Pure."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from antiphon.protocol.errors import ProtocolError
from antiphon.protocol.frames import AudioDelta, ServerEvent, server_event

MAX_RESPONSES = 64
MAX_CHARACTERS = 4_000_000
"""Of what the responses in progress have said, all together."""

Event = dict[str, Any]


class TooMuchError(Exception):
    """There are more responses in progress, or more is said in them, than any session needs."""


@dataclass(slots=True)
class _Part:
    """A content part. `kind` is "audio" or "text"."""

    kind: str
    text: list[str] = field(default_factory=list)
    audio_done: bool = False
    text_done: bool = False
    done: bool = False


@dataclass(slots=True)
class _Output:
    """An output item, and whether it stands in the conversation."""

    index: int
    item: Event
    parts: dict[int, _Part] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)
    arguments_done: bool = False
    listed: bool = False
    settled: bool = False
    done: bool = False
    previous_id: str | None = None


@dataclass(slots=True)
class _Response:
    wire: Event
    outputs: dict[int, _Output] = field(default_factory=dict)


class OpenResponses:
    """Follows server events, and can close what they have left open. Events of responses that it does not know are
    passed over: what they mean is their sender's affair."""

    def __init__(self) -> None:
        self._responses: dict[str, _Response] = {}
        self._characters = 0
        self._last_item: str | None = None

    def __bool__(self) -> bool:
        return bool(self._responses)

    def __contains__(self, response_id: str) -> bool:
        return response_id in self._responses

    def follow(self, event: ServerEvent) -> None:
        """Take an event as it is sent to the client.

        Raises:
            TooMuchError: see there.
        """
        if isinstance(event, AudioDelta):
            return
        match event["type"]:
            case "response.created":
                if len(self._responses) >= MAX_RESPONSES:
                    raise TooMuchError(f"more than {MAX_RESPONSES} responses are in progress")
                self._responses[event["response"]["id"]] = _Response(event["response"])
            case "response.done":
                self._responses.pop(event["response"]["id"], None)
                if not self._responses:
                    self._characters = 0
            case "conversation.item.added" | "conversation.item.done":
                self._in_conversation(event)
            case kind if kind.startswith("response.") and event.get("response_id") in self._responses:
                self._of_response(self._responses[event["response_id"]], event)

    def close(self, error: ProtocolError) -> list[ServerEvent]:
        """Return the events that end every response as failed because of `error`, in the documented order."""
        events: list[ServerEvent] = []
        for response in self._responses.values():
            for _, output in sorted(response.outputs.items()):
                if output.done:
                    continue
                if not output.listed and response.wire.get("conversation_id") is not None:
                    events.append(self._listed(output))
                events.extend(_closed(response.wire["id"], output))
            output_items = [output.item for _, output in sorted(response.outputs.items())]
            told = {"type": error.type, "code": error.code, "message": error.message}
            details = {"type": "failed", "error": told}
            wire = {**response.wire, "status": "failed", "status_details": details, "output": output_items}
            events.append(server_event("response.done", response=wire))
        self._responses.clear()
        return events

    def _listed(self, output: _Output) -> ServerEvent:
        """Return the event that the upstream did not get to: what is closed must have been opened."""
        output.listed, output.previous_id, self._last_item = True, self._last_item, output.item["id"]
        item = copy.deepcopy(output.item)
        return server_event("conversation.item.added", previous_item_id=output.previous_id, item=item)

    def _in_conversation(self, event: Event) -> None:
        if event["type"] == "conversation.item.added":
            self._last_item = event["item"]["id"]
        for response in self._responses.values():
            for output in response.outputs.values():
                if output.item["id"] == event["item"]["id"]:
                    output.listed = True
                    output.previous_id = event.get("previous_item_id")
                    if event["type"] == "conversation.item.done":
                        output.settled, output.item = True, event["item"]

    def _of_response(self, response: _Response, event: Event) -> None:
        index = event.get("output_index")
        kind = event["type"].removeprefix("response.")
        if kind == "output_item.added" and isinstance(index, int):
            response.outputs[index] = _Output(index, copy.deepcopy(event["item"]))
            return
        output = response.outputs.get(index) if isinstance(index, int) else None
        if output is None:
            return
        if kind == "output_item.done":
            output.item, output.done = event["item"], True
        elif kind == "function_call_arguments.delta":
            self._count(event)
            output.arguments.append(event["delta"])
        elif kind == "function_call_arguments.done":
            output.arguments_done = True
        elif isinstance(event.get("content_index"), int):
            self._of_part(output, kind, event)

    def _of_part(self, output: _Output, kind: str, event: Event) -> None:
        number = event["content_index"]
        if kind == "content_part.added":
            output.parts[number] = _Part(event["part"]["type"])
        part = output.parts.get(number)
        if part is None:
            return
        match kind:
            case "output_audio_transcript.delta" | "output_text.delta":
                self._count(event)
                part.text.append(event["delta"])
            case "output_audio.done":
                part.audio_done = True
            case "output_audio_transcript.done" | "output_text.done":
                part.text_done = True
            case "content_part.done":
                part.done = True

    def _count(self, event: Event) -> None:
        self._characters += len(event["delta"])
        if self._characters > MAX_CHARACTERS:
            raise TooMuchError(f"a reply has more than {MAX_CHARACTERS} characters")


def _closed(response_id: str, output: _Output) -> Iterator[ServerEvent]:
    item = output.item
    if not output.settled:
        item["status"] = "incomplete"
        if item["type"] == "message":
            for number, part in sorted(output.parts.items()):
                yield from _part_closed({"response_id": response_id, **_place(output, number)}, part)
            item["content"] = [_content(part) for _, part in sorted(output.parts.items())]
        elif item["type"] == "function_call":
            item["arguments"] = "".join(output.arguments)
            if not output.arguments_done:
                yield server_event(
                    "response.function_call_arguments.done",
                    response_id=response_id,
                    item_id=item["id"],
                    output_index=output.index,
                    call_id=item.get("call_id"),
                    name=item.get("name"),
                    arguments=item["arguments"],
                )
        if output.listed:
            yield server_event("conversation.item.done", previous_item_id=output.previous_id, item=copy.deepcopy(item))
    yield server_event(
        "response.output_item.done", response_id=response_id, output_index=output.index, item=copy.deepcopy(item)
    )


def _part_closed(ids: Event, part: _Part) -> Iterator[ServerEvent]:
    text = "".join(part.text)
    if part.kind == "audio":
        if not part.audio_done:
            yield server_event("response.output_audio.done", **ids)
        if not part.text_done:
            yield server_event("response.output_audio_transcript.done", **ids, transcript=text)
    elif not part.text_done:
        yield server_event("response.output_text.done", **ids, text=text)
    if not part.done:
        said = {"transcript": text} if part.kind == "audio" else {"text": text}
        yield server_event("response.content_part.done", **ids, part={"type": part.kind, **said})


def _place(output: _Output, number: int) -> Event:
    return {"item_id": output.item["id"], "output_index": output.index, "content_index": number}


def _content(part: _Part) -> Event:
    text = "".join(part.text)
    if part.kind == "audio":
        return {"type": "output_audio", "transcript": text}
    return {"type": "output_text", "text": text}
