"""The beta protocol (`OpenAI-Beta: realtime=v1`), which many clients still speak. Pure."""

from __future__ import annotations

from typing import Any

from antiphon.protocol.dialects.beta_session import (
    DEFAULT_TEMPERATURE,
    modalities_from_ga,
    param_from_ga,
    response_from_ga,
    response_to_ga,
    session_from_ga,
    session_to_ga,
    temperature_of,
)
from antiphon.protocol.errors import ProtocolError, invalid_type, missing_parameter
from antiphon.protocol.frames import AudioDelta, ServerEvent, event_id_of, server_event
from antiphon.protocol.ids import new_id

AUDIO_DELTA = "response.audio.delta"

_RENAMED = {
    "response.output_text.": "response.text.",
    "response.output_audio.": "response.audio.",
    "response.output_audio_transcript.": "response.audio_transcript.",
}
_CONTENT_FROM_GA = {"output_text": "text", "output_audio": "audio"}
_CONTENT_TO_GA = {"text": "output_text", "audio": "output_audio"}


class Beta:
    """Translates one connection.

    `temperature` is checked and shown, and has no effect: GA sessions have none.

    Args:
        sixteen_kilohertz: PCM16 that comes in is at 16 kHz, as open-realtime clients send it, and the session was
            made so; a `pcm16` in an update then asks for nothing new.
    """

    def __init__(self, *, sixteen_kilohertz: bool = False) -> None:
        self._sixteen_kilohertz = sixteen_kilohertz
        self._conversation_id = new_id("conv")
        self._temperature = DEFAULT_TEMPERATURE

    def to_ga(self, frame: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the GA client events that a client's frame stands for.

        Raises:
            ProtocolError: the frame is not valid in this dialect; carries the frame's own `event_id`.
        """
        try:
            return [self._to_ga(frame)]
        except ProtocolError as error:
            error.event_id = event_id_of(frame)
            raise

    def from_ga(self, event: ServerEvent) -> list[ServerEvent]:
        """Return what the client is sent for a GA server event, possibly nothing."""
        if isinstance(event, AudioDelta):
            return [
                AudioDelta(
                    event.response_id,
                    event.item_id,
                    event.output_index,
                    event.content_index,
                    event.audio,
                    type=AUDIO_DELTA,
                    event_id=event.event_id,
                )
            ]
        match event["type"]:
            case "session.created" | "session.updated":
                return self._session(event)
            case "conversation.item.added":
                created = {**event, "type": "conversation.item.created", "item": item_from_ga(event["item"])}
                return [created]
            case "conversation.item.done" | "rate_limits.updated":
                return []
            case "conversation.item.retrieved" | "response.output_item.added" | "response.output_item.done":
                return [{**event, "item": item_from_ga(event["item"])}]
            case "response.created":
                return [self._response(event), _rate_limits()]
            case "response.done":
                return [self._response(event)]
            case "error":
                return [_error(event)]
            case kind:
                renamed = next((new + kind[len(old) :] for old, new in _RENAMED.items() if kind.startswith(old)), kind)
                return [{**{key: event[key] for key in event if key != "obfuscation"}, "type": renamed}]

    def _to_ga(self, frame: dict[str, Any]) -> dict[str, Any]:
        match frame["type"]:
            case "session.update":
                return {**frame, "session": self._session_to_ga(_object(frame, "session"), "realtime")}
            case "transcription_session.update":
                session = self._session_to_ga(_object(frame, "session"), "transcription")
                return {**frame, "type": "session.update", "session": session}
            case "conversation.item.create" if isinstance(frame.get("item"), dict):
                return {**frame, "item": item_to_ga(frame["item"])}
            case "response.create" if isinstance(frame.get("response"), dict):
                asked = frame["response"]
                temperature_of(asked, "response", self._temperature)
                response = response_to_ga(asked)
                if isinstance(response.get("input"), list):
                    response["input"] = [item_to_ga(item) for item in response["input"]]
                return {**frame, "response": response}
            case _:
                return frame

    def _session_to_ga(self, flat: dict[str, Any], kind: str) -> dict[str, Any]:
        self._temperature = temperature_of(flat, "session", self._temperature)
        session = session_to_ga(flat, kind)
        if self._sixteen_kilohertz and flat.get("input_audio_format") == "pcm16":
            del session["audio"]["input"]["format"]
        return session

    def _session(self, event: dict[str, Any]) -> list[ServerEvent]:
        session = event["session"]
        modalities = modalities_from_ga(session.get("output_modalities", ["audio"]))
        flat = {**event, "session": session_from_ga(session, modalities, self._temperature)}
        if session["type"] == "transcription":
            flat["type"] = f"transcription_{event['type']}"
        if event["type"] == "session.updated":
            return [flat]
        conversation = {"id": self._conversation_id, "object": "realtime.conversation"}
        return [flat, server_event("conversation.created", conversation=conversation)]

    def _response(self, event: dict[str, Any]) -> dict[str, Any]:
        response = event["response"]
        flat = response_from_ga(response, modalities_from_ga(response["output_modalities"]), self._temperature)
        flat["output"] = [item_from_ga(item) for item in response["output"]]
        if flat["conversation_id"] is not None:
            flat["conversation_id"] = self._conversation_id
        return {**event, "response": flat}


def item_from_ga(item: dict[str, Any]) -> dict[str, Any]:
    """Return a GA item in beta's shape."""
    flat = {"id": item["id"], "object": "realtime.item", **item}
    flat.setdefault("status", "completed")
    if "content" in item:
        flat["content"] = [
            {**part, "type": _CONTENT_FROM_GA.get(part["type"], part["type"])} for part in item["content"]
        ]
    return flat


def item_to_ga(item: Any) -> Any:
    """Return a client's beta item in GA's shape; whatever is no such item is left for the schema to refuse."""
    if not isinstance(item, dict) or not isinstance(item.get("content"), list) or item.get("role") != "assistant":
        return item
    content = [
        {**part, "type": _CONTENT_TO_GA.get(part["type"], part["type"])}
        if isinstance(part, dict) and isinstance(part.get("type"), str)
        else part
        for part in item["content"]
    ]
    return {**item, "content": content}


def _object(frame: dict[str, Any], name: str) -> dict[str, Any]:
    value = frame.get(name)
    if value is None:
        raise missing_parameter(name)
    if not isinstance(value, dict):
        raise invalid_type(name, "an object", value)
    return value


def _error(event: dict[str, Any]) -> dict[str, Any]:
    """Name the parameter as the client knows it, in the message too."""
    error = dict(event["error"])
    if isinstance(error["param"], str):
        flat = param_from_ga(error["param"])
        error["message"] = error["message"].replace(f"'{error['param']}'", f"'{flat}'")
        error["param"] = flat
    return {**event, "error": error}


def _rate_limits() -> dict[str, Any]:
    unlimited = {"limit": 2_147_483_647, "remaining": 2_147_483_647, "reset_seconds": 0.0}
    return server_event(
        "rate_limits.updated", rate_limits=[{"name": name, **unlimited} for name in ("requests", "tokens")]
    )
