"""The exact shape of every GA server event that applies over WebSocket: the keys of the real service's own frames, with
null only where the service sends null.

They are stricter than any client's: pipecat's pydantic models raise on a wrong type and end its receive loop, the zod
schemas of @openai/agents-realtime drop a frame with null for an optional string.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from antiphon.session.timeline import Moment
from tests.conformance.shapes import (
    Check,
    anything,
    array,
    base64_audio,
    boolean,
    either,
    filled,
    integer,
    literal,
    mapping,
    matching,
    nullable,
    number,
    record,
    tagged,
    text,
)

# --- ids -------------------------------------------------------------------------------------------------------------

EVENT_ID = matching(r"event_[0-9A-Za-z]{21}")
RESPONSE_ID = matching(r"resp_[0-9A-Za-z]{21}")
CONVERSATION_ID = matching(r"conv_[0-9A-Za-z]{21}")
SESSION_ID = matching(r"sess_(?:u\d_)?[0-9A-Za-z]{21}")
SERVER_ITEM_ID = matching(r"item_[0-9A-Za-z]{21}")
SERVER_CALL_ID = matching(r"call_[0-9A-Za-z]{16,}")

# --- items -----------------------------------------------------------------------------------------------------------

_STATUS = literal("in_progress", "completed", "incomplete")

_INPUT_TEXT = record({"type": anything, "text": text})
_INPUT_IMAGE = record({"type": anything, "image_url": filled}, {"detail": literal("auto", "low", "high")})
# openai-agents and the JavaScript agents take audio and text for part types and output_audio and output_text for
# content types, and fail on the other spelling in either place.
_OUTPUT_TEXT = record({"type": anything, "text": text})


def _audio_content(extra: Mapping[str, Check]) -> tuple[Check, Check]:
    user = record({"type": anything, "transcript": nullable(text)}, extra)
    assistant = record({"type": anything, "transcript": text}, extra)
    return user, assistant


def _item(audio: Mapping[str, Check]) -> Check:
    input_audio, output_audio = _audio_content(audio)
    user = tagged("type", {"input_text": _INPUT_TEXT, "input_audio": input_audio, "input_image": _INPUT_IMAGE})
    assistant = tagged("type", {"output_text": _OUTPUT_TEXT, "output_audio": output_audio})
    common = {"id": filled, "type": anything, "status": _STATUS, "role": anything}
    message = tagged(
        "role",
        {
            "user": record({**common, "content": array(user, low=1)}),
            "system": record({**common, "content": array(tagged("type", {"input_text": _INPUT_TEXT}), low=1)}),
            "assistant": record({**common, "content": array(assistant)}),
        },
    )
    return tagged(
        "type",
        {
            "message": message,
            "function_call": record(
                {
                    "id": filled,
                    "type": anything,
                    "status": _STATUS,
                    "name": filled,
                    "call_id": filled,
                    "arguments": text,
                }
            ),
            "function_call_output": record({"id": filled, "type": anything, "call_id": filled, "output": text}),
        },
    )


ITEM = _item({})
# Empty where a reply was cut before any of it was heard.
RETRIEVED_ITEM = _item({"audio": either(literal(""), base64_audio)})

_PART = tagged(
    "type",
    {"audio": record({"type": anything, "transcript": text}), "text": record({"type": anything, "text": text})},
)

# --- session ---------------------------------------------------------------------------------------------------------

_FORMAT = tagged(
    "type",
    {
        # openai-agents fails on any other rate.
        "audio/pcm": record({"type": anything, "rate": literal(24000)}),
        "audio/pcmu": record({"type": anything}),
        "audio/pcma": record({"type": anything}),
    },
)
_TURN_DETECTION = tagged(
    "type",
    {
        "server_vad": record(
            {
                "type": anything,
                "threshold": number(0, 1),
                "prefix_padding_ms": integer(),
                "silence_duration_ms": integer(),
                "idle_timeout_ms": nullable(integer(5000, 30000)),
                "create_response": boolean,
                "interrupt_response": boolean,
            }
        ),
        "semantic_vad": record(
            {
                "type": anything,
                "eagerness": literal("low", "medium", "high", "auto"),
                "create_response": boolean,
                "interrupt_response": boolean,
            }
        ),
    },
)
# pipecat's transcription model takes exactly these three keys; the optional ones are only there when they were set.
_TRANSCRIPTION = record(
    {"model": filled, "language": nullable(filled), "prompt": nullable(text)},
    {"languages": array(filled, low=1), "keywords": array(filled), "delay": filled},
)
_AUDIO_INPUT = {
    "format": _FORMAT,
    "transcription": nullable(_TRANSCRIPTION),
    "noise_reduction": nullable(record({"type": literal("near_field", "far_field")}, {"strength": number(0)})),
    "turn_detection": nullable(_TURN_DETECTION),
}
_INCLUDE = nullable(array(literal("item.input_audio_transcription.logprobs")))
_TOOL = tagged(
    "type",
    {
        "function": record(
            {"type": anything, "name": filled}, {"description": text, "parameters": mapping, "strict": boolean}
        ),
        "mcp": mapping,
    },
)
_TOOL_CHOICE = either(
    literal("none", "auto", "required"),
    record({"type": literal("function"), "name": filled}),
    record({"type": literal("mcp"), "server_label": filled}, {"name": filled}),
)
_MAX_OUTPUT_TOKENS = either(literal("inf"), integer(1, 4096))
_MODALITIES = either(literal(["audio"]), literal(["text"]))
_TRUNCATION = either(
    literal("auto", "disabled"),
    record({"type": literal("retention_ratio"), "retention_ratio": number(0, 1)}, {"token_limits": mapping}),
)

REALTIME_SESSION = record(
    {
        "type": literal("realtime"),
        "object": literal("realtime.session"),
        "id": SESSION_ID,
        "model": filled,
        "output_modalities": _MODALITIES,
        "instructions": text,
        "tools": array(_TOOL),
        "tool_choice": _TOOL_CHOICE,
        "max_output_tokens": _MAX_OUTPUT_TOKENS,
        "tracing": nullable(either(literal("auto"), mapping)),
        "truncation": _TRUNCATION,
        "prompt": nullable(mapping),
        "expires_at": integer(1),
        "audio": record(
            {
                "input": record(_AUDIO_INPUT),
                # A voice that is an object is refused by pipecat and by the JavaScript agents.
                "output": record({"format": _FORMAT, "voice": filled, "speed": number(0.25, 1.5)}),
            }
        ),
        "include": _INCLUDE,
    },
    # Only models that reason have these.
    {"reasoning": mapping, "parallel_tool_calls": boolean},
)
TRANSCRIPTION_SESSION = record(
    {
        "type": literal("transcription"),
        "object": literal("realtime.transcription_session"),
        "id": SESSION_ID,
        "expires_at": integer(1),
        "audio": record({"input": record(_AUDIO_INPUT)}),
        "include": _INCLUDE,
    }
)
SESSION = tagged("type", {"realtime": REALTIME_SESSION, "transcription": TRANSCRIPTION_SESSION})

# --- response --------------------------------------------------------------------------------------------------------

_COUNT = integer()
USAGE = record(
    {
        "total_tokens": _COUNT,
        "input_tokens": _COUNT,
        "output_tokens": _COUNT,
        "input_token_details": record(
            {
                "text_tokens": _COUNT,
                "audio_tokens": _COUNT,
                "image_tokens": _COUNT,
                "cached_tokens": _COUNT,
                "cached_tokens_details": record(
                    {"text_tokens": _COUNT, "audio_tokens": _COUNT, "image_tokens": _COUNT}
                ),
            }
        ),
        "output_token_details": record({"text_tokens": _COUNT, "audio_tokens": _COUNT}),
    }
)
_STATUS_DETAILS = tagged(
    "type",
    {
        "cancelled": record({"type": anything, "reason": literal("turn_detected", "client_cancelled")}),
        "incomplete": record({"type": anything, "reason": literal("max_output_tokens", "content_filter")}),
        "failed": record(
            {"type": anything, "error": record({"type": filled, "message": filled}, {"code": nullable(filled)})}
        ),
    },
)


def _response(status: Check, *, done: bool) -> Check:
    return record(
        {
            "object": literal("realtime.response"),
            "id": RESPONSE_ID,
            "status": status,
            "status_details": nullable(_STATUS_DETAILS) if done else literal(None),
            # The items of a response that is done carry no audio bytes.
            "output": array(ITEM) if done else literal([]),
            "conversation_id": nullable(CONVERSATION_ID),
            "output_modalities": _MODALITIES,
            "max_output_tokens": _MAX_OUTPUT_TOKENS,
            "audio": record({"output": record({"format": _FORMAT, "voice": filled})}),
            "usage": nullable(USAGE) if done else literal(None),
            "metadata": nullable(mapping),
        }
    )


# --- events ----------------------------------------------------------------------------------------------------------

_IN_ITEM: dict[str, Check] = {"response_id": RESPONSE_ID, "item_id": SERVER_ITEM_ID, "output_index": _COUNT}
_IN_PART: dict[str, Check] = {**_IN_ITEM, "content_index": _COUNT}
_PADDED: dict[str, Check] = {"delta": filled, "obfuscation": matching(r"[0-9A-Za-z]+")}
_TRANSCRIBED: dict[str, Check] = {"item_id": filled, "content_index": _COUNT}
_LOGPROBS = array(record({"token": text, "logprob": number(-1e9, 0), "bytes": array(integer(0, 255))}))
_TRANSCRIPTION_USAGE = tagged(
    "type",
    {
        "duration": record({"type": anything, "seconds": number(0)}),
        "tokens": record(
            {
                "type": anything,
                "total_tokens": _COUNT,
                "input_tokens": _COUNT,
                "input_token_details": record({"text_tokens": _COUNT, "audio_tokens": _COUNT}),
                "output_tokens": _COUNT,
            }
        ),
    },
)

_FIELDS: dict[str, tuple[dict[str, Check], dict[str, Check]]] = {
    "error": (
        {
            "error": record(
                {
                    "type": literal("invalid_request_error", "server_error"),
                    "code": nullable(filled),
                    "message": filled,
                    "param": nullable(filled),
                    "event_id": nullable(text),
                }
            )
        },
        {},
    ),
    "session.created": ({"session": SESSION}, {}),
    "session.updated": ({"session": SESSION}, {}),
    "conversation.item.added": ({"previous_item_id": nullable(filled), "item": ITEM}, {}),
    "conversation.item.done": ({"previous_item_id": nullable(filled), "item": ITEM}, {}),
    "conversation.item.retrieved": ({"item": RETRIEVED_ITEM}, {}),
    "conversation.item.deleted": ({"item_id": filled}, {}),
    "conversation.item.truncated": ({"item_id": filled, "content_index": _COUNT, "audio_end_ms": _COUNT}, {}),
    "conversation.item.input_audio_transcription.delta": ({**_TRANSCRIBED, **_PADDED}, {"logprobs": _LOGPROBS}),
    "conversation.item.input_audio_transcription.completed": (
        {**_TRANSCRIBED, "transcript": text, "usage": _TRANSCRIPTION_USAGE},
        {"logprobs": _LOGPROBS, "languages": array(record({"code": filled}))},
    ),
    "conversation.item.input_audio_transcription.failed": (
        # The JavaScript agents drop the frame when code or param is null.
        {**_TRANSCRIBED, "error": record({"type": filled, "code": filled, "message": filled}, {"param": filled})},
        {},
    ),
    "input_audio_buffer.committed": ({"previous_item_id": nullable(filled), "item_id": SERVER_ITEM_ID}, {}),
    "input_audio_buffer.cleared": ({}, {}),
    "input_audio_buffer.speech_started": ({"audio_start_ms": _COUNT, "item_id": SERVER_ITEM_ID}, {}),
    "input_audio_buffer.speech_stopped": ({"audio_end_ms": _COUNT, "item_id": SERVER_ITEM_ID}, {}),
    "input_audio_buffer.timeout_triggered": (
        {"audio_start_ms": _COUNT, "audio_end_ms": _COUNT, "item_id": SERVER_ITEM_ID},
        {},
    ),
    "rate_limits.updated": (
        {
            "rate_limits": array(
                record(
                    {
                        "name": literal("tokens", "requests"),
                        "limit": _COUNT,
                        "remaining": _COUNT,
                        "reset_seconds": number(0),
                    }
                ),
                low=1,
                high=2,
            )
        },
        {},
    ),
    "response.created": ({"response": _response(literal("in_progress"), done=False)}, {}),
    "response.done": (
        {"response": _response(literal("completed", "cancelled", "incomplete", "failed"), done=True)},
        {},
    ),
    "response.output_item.added": ({"response_id": RESPONSE_ID, "output_index": _COUNT, "item": ITEM}, {}),
    "response.output_item.done": ({"response_id": RESPONSE_ID, "output_index": _COUNT, "item": ITEM}, {}),
    "response.content_part.added": ({**_IN_PART, "part": _PART}, {}),
    "response.content_part.done": ({**_IN_PART, "part": _PART}, {}),
    "response.output_text.delta": ({**_IN_PART, **_PADDED}, {}),
    "response.output_text.done": ({**_IN_PART, "text": text}, {}),
    "response.output_audio.delta": ({**_IN_PART, "delta": base64_audio}, {}),
    "response.output_audio.done": (_IN_PART, {}),
    "response.output_audio_transcript.delta": ({**_IN_PART, **_PADDED}, {}),
    "response.output_audio_transcript.done": ({**_IN_PART, "transcript": text}, {}),
    "response.function_call_arguments.delta": ({**_IN_ITEM, "call_id": filled, **_PADDED}, {}),
    "response.function_call_arguments.done": ({**_IN_ITEM, "call_id": filled, "name": filled, "arguments": text}, {}),
}

OWN_EVENTS: dict[str, dict[str, Check]] = {
    "antiphon.turn.timeline": {
        "item_id": SERVER_ITEM_ID,
        "response_id": nullable(RESPONSE_ID),
        "audio_ms": _COUNT,
        "drafts": _COUNT,
        "adopted": literal("nothing", "transcript", "reply"),
        "since_speech_stopped_ms": record({}, dict.fromkeys(get_args(Moment), number(-1e9))),
    },
}
"""Events beyond the protocol, which only clients get that asked for them."""

_HEAD: dict[str, Check] = {"type": anything, "event_id": EVENT_ID}
EVENTS: dict[str, Check] = {
    name: record({**_HEAD, **required}, optional) for name, (required, optional) in _FIELDS.items()
} | {name: record({**_HEAD, **fields}) for name, fields in OWN_EVENTS.items()}
"""The shape of every GA server event that applies over WebSocket, by its type."""
