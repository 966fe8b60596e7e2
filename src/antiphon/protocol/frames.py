"""Frames: JSON text in, checked to be an event; server events out, with a fast path for audio."""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from typing import Any

import orjson

from antiphon.protocol.errors import ProtocolError, invalid_type
from antiphon.protocol.ids import new_id, random_base62

EVENT_ID_MAX_LENGTH = 512
"""Longest `event_id` that a client may choose, in characters (OpenAPI specification 2.3.0)."""

_OBFUSCATION_BLOCK = 16


@dataclass(frozen=True, slots=True)
class AudioDelta:
    """An audio delta event before it is encoded. `audio` is in the client's own format; `type` is its dialect's.

    `event_id` is None for a fresh one. Ids must need no escaping in JSON.
    """

    response_id: str
    item_id: str
    output_index: int
    content_index: int
    audio: bytes
    type: str = "response.output_audio.delta"
    event_id: str | None = None


ServerEvent = dict[str, Any] | AudioDelta
"""What a session sends: an event as a dict, or audio that is only turned to text when it leaves."""


def decode_frame(text: str | bytes) -> dict[str, Any]:
    """Return the client event in one text frame: a JSON object whose `type` is a string, with nothing else checked.

    Raises:
        ProtocolError: not JSON in UTF-8, not an object, nested too deep, or without a usable `type`. The error
            carries the event's own `event_id` where it has a usable one.
    """
    try:
        frame = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ProtocolError(f"The event is not valid JSON: {error}.", code="invalid_event") from None
    if not isinstance(frame, dict):
        raise ProtocolError("The event must be a JSON object.", code="invalid_event")
    if "type" not in frame:
        raise ProtocolError("The 'type' field is missing.", code="invalid_event", event_id=event_id_of(frame))
    if not isinstance(frame["type"], str):
        mistake = invalid_type("type", "a string", frame["type"])
        mistake.event_id = event_id_of(frame)
        raise mistake
    return frame


def event_id_of(frame: dict[str, Any]) -> str | None:
    """Return the client's own id of `frame` when it is one that an `error` event can give back, else None."""
    event_id = frame.get("event_id")
    return event_id if isinstance(event_id, str) and len(event_id) <= EVENT_ID_MAX_LENGTH else None


def server_event(type: str, /, **fields: Any) -> dict[str, Any]:
    """Return the server event `type` with a fresh `event_id` and then `fields`, in their order."""
    return {"type": type, "event_id": new_id("event"), **fields}


def obfuscation(delta: str) -> str:
    """Return random padding for a text-like delta: together they are a multiple of 16 characters.

    So that the size of a frame does not tell the size of a token; the lengths are those of the real service.
    """
    length = _OBFUSCATION_BLOCK - len(delta) % _OBFUSCATION_BLOCK
    return random_base62(length)


def encode_event(event: ServerEvent) -> str:
    """Return the text frame of `event`."""
    if not isinstance(event, AudioDelta):
        return orjson.dumps(event).decode("utf-8")
    # The frames of which there are most. Ids are plain and base64 is ASCII, so nothing needs escaping, and
    # writing the text directly leaves little to do beside the base64.
    audio = binascii.b2a_base64(event.audio, newline=False).decode("ascii")
    return (
        f'{{"type":"{event.type}","event_id":"{event.event_id or new_id("event")}",'
        f'"response_id":"{event.response_id}","item_id":"{event.item_id}",'
        f'"output_index":{event.output_index},"content_index":{event.content_index},"delta":"{audio}"}}'
    )
