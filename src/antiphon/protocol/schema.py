"""Client events checked against OpenAI's own types, strictly, with the errors of the real service.

The models of `openai.types.realtime` say which keys and types there are; they are compiled once into checks. What
the package leaves open (ranges, lengths, which content a role may have) stands in the tables of this module, taken
from the OpenAPI specification 2.3.0 and from the answers of the real service.
"""

from __future__ import annotations

import types
from collections.abc import Iterable
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from openai.types.realtime import (
    ConversationItemCreateEvent,
    ConversationItemDeleteEvent,
    ConversationItemRetrieveEvent,
    ConversationItemTruncateEvent,
    InputAudioBufferAppendEvent,
    InputAudioBufferClearEvent,
    InputAudioBufferCommitEvent,
    OutputAudioBufferClearEvent,
    RealtimeConversationItemAssistantMessage,
    RealtimeConversationItemFunctionCall,
    RealtimeConversationItemFunctionCallOutput,
    RealtimeConversationItemSystemMessage,
    RealtimeConversationItemUserMessage,
    RealtimeMcpApprovalResponse,
    ResponseCancelEvent,
    ResponseCreateEvent,
    ResponseItemReference,
    SessionUpdateEvent,
)
from pydantic import BaseModel

from antiphon.protocol.checks import (
    Array,
    Boolean,
    ByType,
    Check,
    Choice,
    FreeObject,
    ImageUrl,
    Map,
    Metadata,
    Number,
    Object,
    String,
    Variants,
    decode_base64,
)
from antiphon.protocol.errors import ProtocolError, invalid_value
from antiphon.protocol.frames import EVENT_ID_MAX_LENGTH, event_id_of

_T = TypeVar("_T")

APPEND_MAX_LENGTH = 15 * 1024 * 1024
"""Longest base64 of one `input_audio_buffer.append`, in characters."""


class _InputText(BaseModel):
    type: Literal["input_text"]
    text: str


class _InputAudio(BaseModel):
    type: Literal["input_audio"]
    audio: str
    transcript: str | None = None


class _InputImage(BaseModel):
    type: Literal["input_image"]
    image_url: str
    detail: Literal["auto", "low", "high"] | None = None


class _OutputText(BaseModel):
    type: Literal["output_text"]
    text: str


_EVENTS: tuple[type[BaseModel], ...] = (
    SessionUpdateEvent,
    InputAudioBufferAppendEvent,
    InputAudioBufferCommitEvent,
    InputAudioBufferClearEvent,
    ConversationItemCreateEvent,
    ConversationItemTruncateEvent,
    ConversationItemDeleteEvent,
    ConversationItemRetrieveEvent,
    ResponseCreateEvent,
    ResponseCancelEvent,
)
"""What a client may send over any transport."""

_CREATABLE_ITEMS = (
    RealtimeConversationItemSystemMessage
    | RealtimeConversationItemUserMessage
    | RealtimeConversationItemAssistantMessage
    | RealtimeConversationItemFunctionCall
    | RealtimeConversationItemFunctionCallOutput
    | RealtimeMcpApprovalResponse
)
"""Items that a client may create; those of MCP calls and lists are the server's own."""

# The tables below are keyed by "Model.field", or by "field" for every model that has it.

_ANNOTATIONS: dict[str, Any] = {
    "ConversationItemCreateEvent.item": _CREATABLE_ITEMS,
    "RealtimeResponseCreateParams.input": list[_CREATABLE_ITEMS | ResponseItemReference],
    "RealtimeResponseCreateParams.conversation": Literal["auto", "none"],
    "RealtimeConversationItemSystemMessage.content": list[_InputText],
    "RealtimeConversationItemUserMessage.content": list[_InputText | _InputAudio | _InputImage],
    "RealtimeConversationItemAssistantMessage.content": list[_OutputText],
}
"""Narrower types than the package's, where those describe what the server sends too."""

_CHECKS: dict[str, Check] = {
    "RealtimeResponseCreateParams.metadata": Metadata(),
    "_InputImage.image_url": ImageUrl(),
}
"""Checks that no type expresses."""

_REQUIRED: dict[str, bool] = {
    "RealtimeFunctionTool.name": True,
    "RealtimeMcpApprovalResponse.id": False,
}
"""Where the service differs from the package on what is required."""

_RANGES: dict[str, tuple[float | None, float | None]] = {
    "content_index": (0, None),
    "audio_end_ms": (0, None),
    "max_output_tokens": (1, 4096),
    "speed": (0.25, 1.5),
    "strength": (0, 1),
    "threshold": (0, 1),
    "prefix_padding_ms": (0, 10_000),
    "silence_duration_ms": (0, 60_000),
    "idle_timeout_ms": (5_000, 30_000),
    "retention_ratio": (0, 1),
    "post_instructions": (0, None),
}
"""Smallest and largest numbers, both allowed."""

_MAX_LENGTHS: dict[str, int] = {
    "event_id": EVENT_ID_MAX_LENGTH,
    "instructions": 262_144,
    "tools": 128,
    "InputAudioBufferAppendEvent.audio": APPEND_MAX_LENGTH,
    "AudioTranscription.prompt": 1024,
    "RealtimeFunctionTool.name": 64,
    "RealtimeConversationItemSystemMessage.id": 32,
    "RealtimeConversationItemUserMessage.id": 32,
    "RealtimeConversationItemAssistantMessage.id": 32,
    "RealtimeConversationItemFunctionCall.id": 32,
    "RealtimeConversationItemFunctionCallOutput.id": 32,
    "RealtimeMcpApprovalResponse.id": 32,
}
"""Longest strings, in characters, and arrays."""

_PATTERNS: dict[str, str] = {"RealtimeFunctionTool.name": "[a-zA-Z0-9_-]+"}


def parse_client_event(frame: dict[str, Any], *, playing: bool = False) -> dict[str, Any]:
    """Return `frame`, a decoded frame with a string `type`, found to be a valid client event.

    A null stands for an absent key where the key is optional; what it means for a session is the session's affair.
    Base64 is not decoded here.

    Args:
        frame: what `decode_frame` returned.
        playing: whether the transport plays the audio itself, so that `output_audio_buffer.clear` has a meaning.

    Raises:
        ProtocolError: the first mistake in it, with its dotted path and the event's own `event_id`.
    """
    if frame["type"] == "input_audio_buffer.append" and _is_plain_append(frame):
        return frame
    try:
        known = _PLAYING_EVENTS if playing else _CLIENT_EVENTS
        check = known.get(frame["type"])
        if check is None:
            raise invalid_value("type", frame["type"], tuple(known))
        check(frame, "")
    except ProtocolError as error:
        error.event_id = event_id_of(frame)
        raise
    return frame


def decode_audio(audio: str, param: str = "audio", *, bytes_per_sample: int = 1) -> bytes:
    """Return the bytes of base64 audio, strictly written and not empty.

    Args:
        audio: the base64 text.
        param: path of the field that holds it.
        bytes_per_sample: of the session's input format; the audio must be whole samples.

    Raises:
        ProtocolError: code "invalid_value"; it is not base64, empty or ends inside a sample.
    """
    data = decode_base64(audio)
    if data and len(data) % bytes_per_sample == 0:
        return data
    got = "an invalid value" if data is None else "an incomplete sample" if data else "empty bytes"
    raise ProtocolError(
        f"Invalid '{param}'. Expected base64-encoded audio bytes but got {got}.", code="invalid_value", param=param
    )


def _is_plain_append(frame: dict[str, Any]) -> bool:
    """Tell a valid append, the event of which there are most, without walking the schema."""
    audio = frame.get("audio")
    if type(audio) is not str or len(audio) > APPEND_MAX_LENGTH:
        return False
    return len(frame) == 2 or (len(frame) == 3 and event_id_of(frame) is not None)


def _compile_model(model: type[BaseModel]) -> Object:
    """Return the check of an object described by a model."""
    fields: dict[str, Check] = {}
    required: list[str] = []
    for name, info in model.model_fields.items():
        key = f"{model.__name__}.{name}"
        if _REQUIRED.get(key, info.is_required()):
            required.append(name)
        fields[name] = _CHECKS.get(key) or _compile(_ANNOTATIONS.get(key, info.annotation), (key, name))
    return Object(fields, tuple(required))


def _compile(annotation: Any, keys: tuple[str, ...] = ()) -> Check:
    """Return the check of a type; `keys` are where the tables may say more about it."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _compile(arguments[0], keys)
    if origin in (Union, types.UnionType):
        return _compile_union(arguments, keys)
    if origin is Literal:
        if isinstance(arguments[0], int):
            return Number(min(arguments), max(arguments))
        return Choice(arguments)
    if origin is list:
        return Array(_compile(arguments[0]), _look_up(_MAX_LENGTHS, keys))
    if origin is dict:
        return Map(_compile(arguments[1]))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _compile_variants([annotation])
    if annotation is str:
        return String(_look_up(_MAX_LENGTHS, keys), _look_up(_PATTERNS, keys))
    if annotation in (int, float):
        minimum, maximum = _look_up(_RANGES, keys) or (None, None)
        return Number(minimum, maximum, decimal=annotation is float)
    if annotation is bool:
        return Boolean()
    if annotation is object:
        return FreeObject()
    raise TypeError(f"no check for {annotation!r} at {keys}")


def _compile_union(arms: Iterable[Any], keys: tuple[str, ...]) -> Check:
    """Return the check of a union: of models told apart by a tag, of JSON types, or of both.

    Null is left to the object that holds the value, and choices beside a free string are only examples.
    """
    arms = [arm for arm in arms if arm is not type(None)]
    models = [arm for arm in arms if isinstance(arm, type) and issubclass(arm, BaseModel)]
    others = [arm for arm in arms if arm not in models]
    if str in others:
        others = [arm for arm in others if get_origin(arm) is not Literal]
    checks = [_compile(arm, keys) for arm in others]
    if models:
        checks.insert(0, _compile_variants(models))
    return checks[0] if len(checks) == 1 else ByType(tuple(checks))


def _compile_variants(models: list[type[BaseModel]], tags: tuple[str, ...] = ("type", "role")) -> Check:
    """Return the check of an object that is one of `models`: told apart by the first tag, then by the next."""
    groups: dict[str, list[type[BaseModel]]] = {}
    for model in models:
        tag = _tag_of(model, tags[0]) if tags else None
        if tag is None:
            (only,) = models
            return _compile_model(only)
        groups.setdefault(tag, []).append(model)
    return Variants(tags[0], {tag: _compile_variants(group, tags[1:]) for tag, group in groups.items()})


def _tag_of(model: type[BaseModel], tag: str) -> str | None:
    """Return the one string that a model's field `tag` may be, or None when it does not tell the model from others."""
    info = model.model_fields.get(tag)
    check = _compile(info.annotation) if info else None
    return check.values[0] if isinstance(check, Choice) and len(check.values) == 1 else None


def _look_up(table: dict[str, _T], keys: tuple[str, ...]) -> _T | None:
    """Return the entry for the most special of `keys`, or None."""
    return next((table[key] for key in keys if key in table), None)


_CLIENT_EVENTS: dict[str, Check] = {str(_tag_of(model, "type")): _compile_model(model) for model in _EVENTS}

_PLAYING_EVENTS: dict[str, Check] = {
    **_CLIENT_EVENTS,
    "output_audio_buffer.clear": _compile_model(OutputAudioBufferClearEvent),
}
"""What a client may send over a transport that plays the audio."""
