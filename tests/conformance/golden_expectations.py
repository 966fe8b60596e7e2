"""What recordings of the real service (OpenAI and Azure, July and August 2026) show, values aside.

`RECORDED` has, for each recorded conversation, what the client did and the types of the events that came; `KEYS` has
the keys of each variant of event, as `golden.variant` names them. Facts about the protocol, taken from the frames that
pydantic-ai's tests recorded; the frames themselves are not here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Speak:
    """The client streams a spoken sentence and silence behind it."""


@dataclass(frozen=True, slots=True)
class AwaitCall:
    """The client waits for the arguments of a function call and answers with `output` at once."""

    output: str


Action = Event | Speak | AwaitCall | str
"""An event to send, something to do, or the type of an event to wait for."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One recorded conversation.

    Attributes:
        actions: what the client did, in order.
        events: types of what came, as `golden.sequence` reduces them.
        transcription: what `golden.transcription_steps` leaves of the transcription.
        sideband: whether the connection joined a call, so that no session.created came.
    """

    actions: tuple[Action, ...]
    events: tuple[str, ...]
    transcription: tuple[str, ...] = ()
    sideband: bool = False


def _update(instructions: str, modality: str, **more: Any) -> Event:
    pcm = {"type": "audio/pcm", "rate": 24000}
    audio = {
        "input": {
            "format": pcm,
            "turn_detection": {"type": "server_vad", "create_response": True, "interrupt_response": True},
            "transcription": {"model": "gpt-realtime-whisper"},
        },
        "output": {"format": pcm},
    }
    session = {"type": "realtime", "instructions": instructions, "output_modalities": [modality], "audio": audio}
    return {"type": "session.update", "session": {**session, **more}}


def _message(role: str, text: str) -> Event:
    part = {"type": "output_text" if role == "assistant" else "input_text", "text": text}
    return {"type": "conversation.item.create", "item": {"type": "message", "role": role, "content": [part]}}


_CREATE: Event = {"type": "response.create"}
_WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Look up the weather for a city.",
    "parameters": {
        "additionalProperties": False,
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "type": "object",
    },
}

_CONFIGURED = ("session.created", "session.updated")
_ITEM = ("conversation.item.added", "conversation.item.done")
_TURN = (
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    *_ITEM,
)
_OPENED = ("response.created", "response.output_item.added", "conversation.item.added")
_CLOSED = ("conversation.item.done", "response.output_item.done", "response.done")
_SPOKEN = (
    *_OPENED,
    "response.content_part.added",
    "response.output_audio.delta + response.output_audio_transcript.delta",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    *_CLOSED,
)
_WRITTEN = (
    *_OPENED,
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    *_CLOSED,
)
_CALLED = (*_OPENED, "response.function_call_arguments.delta", "response.function_call_arguments.done", *_CLOSED)

RECORDED = {
    "audio_in_server_vad_turn": Recorded(
        actions=(
            "session.created",
            _update("Reply in a few words.", "audio"),
            "session.updated",
            Speak(),
            "response.done",
        ),
        events=(*_CONFIGURED, *_TURN, *_SPOKEN),
        transcription=("delta", "completed"),
    ),
    "text_in_audio_out_turn": Recorded(
        actions=(
            "session.created",
            _update("Answer in two or three words.", "audio"),
            "session.updated",
            _message("user", "Say a short greeting."),
            _CREATE,
            "response.done",
        ),
        events=(*_CONFIGURED, *_ITEM, *_SPOKEN),
    ),
    "message_history_seeding": Recorded(
        actions=(
            "session.created",
            _update("", "text"),
            "session.updated",
            _message("user", "My name is Alice and my favorite color is teal."),
            _message("assistant", "Nice to meet you, Alice!"),
            _message("user", "What is my name and favorite color?"),
            _CREATE,
            "response.done",
        ),
        events=(*_CONFIGURED, *_ITEM * 3, *_WRITTEN),
    ),
    "tool_call_round": Recorded(
        actions=(
            "session.created",
            _update("Use the get_weather tool for any weather question, then answer.", "text", tools=[_WEATHER]),
            "session.updated",
            _message("user", "What is the weather in London?"),
            _CREATE,
            AwaitCall("It is foggy and 12 degrees in London."),
            "response.done",
            _CREATE,
            "response.done",
        ),
        events=(*_CONFIGURED, *_ITEM, *_CALLED, *_ITEM, *_WRITTEN),
    ),
    "sideband_text_turn": Recorded(
        actions=(
            _update("Answer in two words.", "text"),
            "session.updated",
            _message("user", "Say hello."),
            _CREATE,
            "response.done",
        ),
        events=("session.updated", *_ITEM, *_WRITTEN),
        sideband=True,
    ),
}


def _under(path: str, keys: str) -> list[str]:
    return [f"{path}.{key}" for key in keys.split()]


_HEAD = ["type", "event_id"]
_MESSAGE = "id type status role"
_TEXT, _SPEECH = f"{_MESSAGE} content[].type content[].text", f"{_MESSAGE} content[].type content[].transcript"
_CALL = "id type status name call_id arguments"
_OUTPUT = "id type call_id output"
_IN_ITEM = [*_HEAD, "response_id", "item_id", "output_index"]
_IN_PART = [*_IN_ITEM, "content_index"]
_TRANSCRIBED = [*_HEAD, "item_id", "content_index"]

_DETECTION = _under(
    "session.audio.input.turn_detection",
    "type threshold prefix_padding_ms silence_duration_ms idle_timeout_ms create_response interrupt_response",
)
_SESSION = [
    *_HEAD,
    *_under(
        "session",
        "type object id model output_modalities instructions tool_choice max_output_tokens tracing truncation prompt "
        "expires_at include audio.input.format.type audio.input.format.rate audio.input.noise_reduction "
        "audio.output.format.type audio.output.format.rate audio.output.voice audio.output.speed",
    ),
    *_DETECTION,
]
_NO_TOOLS = ["session.tools"]
_TOOLS = _under("session.tools[]", "type name description parameters")
_TRANSCRIPTION = _under("session.audio.input.transcription", "model language prompt")

_RESPONSE = [
    *_HEAD,
    *_under(
        "response",
        "object id status status_details conversation_id output_modalities max_output_tokens metadata "
        "audio.output.format.type audio.output.format.rate audio.output.voice",
    ),
]
_KINDS = "text_tokens audio_tokens image_tokens"
_USAGE = [
    *_under("response.usage", "total_tokens input_tokens output_tokens"),
    *_under("response.usage.input_token_details", f"{_KINDS} cached_tokens"),
    *_under("response.usage.input_token_details.cached_tokens_details", _KINDS),
    *_under("response.usage.output_token_details", "text_tokens audio_tokens"),
]


def _of_item(event: str, place: list[str], **items: str) -> dict[str, list[str]]:
    return {f"{event} {kind.replace('__', ' ')}": [*place, *_under("item", keys)] for kind, keys in items.items()}


_IN_CONVERSATION = [*_HEAD, "previous_item_id"]
_IN_RESPONSE = [*_HEAD, "response_id", "output_index"]
_CREATED_ITEMS = {
    "message__input_text": _TEXT,
    "message__output_text": _TEXT,
    "message__input_audio": _SPEECH,
    "function_call_output": _OUTPUT,
}
_OPEN_ITEMS = {"message": f"{_MESSAGE} content", "function_call": _CALL}
_DONE_ITEMS = {"message__output_text": _TEXT, "message__output_audio": _SPEECH, "function_call": _CALL}

_KEY_LISTS: dict[str, list[str]] = {
    "session.created": [*_SESSION, *_NO_TOOLS, "session.audio.input.transcription"],
    "session.updated transcription": [*_SESSION, *_NO_TOOLS, *_TRANSCRIPTION],
    "session.updated tools transcription": [*_SESSION, *_TOOLS, *_TRANSCRIPTION],
    "input_audio_buffer.speech_started": [*_HEAD, "audio_start_ms", "item_id"],
    "input_audio_buffer.speech_stopped": [*_HEAD, "audio_end_ms", "item_id"],
    "input_audio_buffer.committed": [*_HEAD, "previous_item_id", "item_id"],
    **_of_item("conversation.item.added", _IN_CONVERSATION, **_CREATED_ITEMS, **_OPEN_ITEMS),
    **_of_item("conversation.item.done", _IN_CONVERSATION, **_CREATED_ITEMS | _DONE_ITEMS),
    "conversation.item.input_audio_transcription.delta": [*_TRANSCRIBED, "delta", "obfuscation"],
    "conversation.item.input_audio_transcription.completed": [
        *_TRANSCRIBED,
        "transcript",
        "usage.type",
        "usage.seconds",
    ],
    "response.created in_progress": [*_RESPONSE, "response.output", "response.usage"],
    "response.done completed message output_audio": [*_RESPONSE, *_USAGE, *_under("response.output[]", _SPEECH)],
    "response.done completed message output_text": [*_RESPONSE, *_USAGE, *_under("response.output[]", _TEXT)],
    "response.done completed function_call": [*_RESPONSE, *_USAGE, *_under("response.output[]", _CALL)],
    **_of_item("response.output_item.added", _IN_RESPONSE, **_OPEN_ITEMS),
    **_of_item("response.output_item.done", _IN_RESPONSE, **_DONE_ITEMS),
    "response.content_part.added audio": [*_IN_PART, "part.type", "part.transcript"],
    "response.content_part.added text": [*_IN_PART, "part.type", "part.text"],
    "response.content_part.done audio": [*_IN_PART, "part.type", "part.transcript"],
    "response.content_part.done text": [*_IN_PART, "part.type", "part.text"],
    "response.output_text.delta": [*_IN_PART, "delta", "obfuscation"],
    "response.output_text.done": [*_IN_PART, "text"],
    "response.output_audio.delta": [*_IN_PART, "delta"],
    "response.output_audio.done": _IN_PART,
    "response.output_audio_transcript.delta": [*_IN_PART, "delta", "obfuscation"],
    "response.output_audio_transcript.done": [*_IN_PART, "transcript"],
    "response.function_call_arguments.delta": [*_IN_ITEM, "call_id", "delta", "obfuscation"],
    "response.function_call_arguments.done": [*_IN_ITEM, "call_id", "name", "arguments"],
}

KEYS = {name: frozenset(paths) for name, paths in _KEY_LISTS.items()}
"""The keys of every variant of event in the recordings. Azure repeats `part` as `content`; that is left out."""
