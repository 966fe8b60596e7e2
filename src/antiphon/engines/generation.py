"""What language and speech models are asked, and what they give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from antiphon.engines.scheduling import Priority


@dataclass(frozen=True, slots=True)
class TextPart:
    """Text of a message."""

    text: str


@dataclass(frozen=True, slots=True)
class AudioPart:
    """Speech of a message: float32[n] at `rate` Hz, with its transcript where it is known."""

    samples: NDArray[np.float32]
    rate: int
    transcript: str | None = None


@dataclass(frozen=True, slots=True)
class ImagePart:
    """A picture of a message: a data URI (image/png or image/jpeg)."""

    url: str
    detail: Literal["auto", "low", "high"] = "auto"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function that the model called. `arguments` is JSON text."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the context. `tool_calls` only with role assistant, `tool_call_id` only with role tool."""

    role: Literal["system", "user", "assistant", "tool"]
    content: tuple[TextPart | AudioPart | ImagePart, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call. `parameters` is a JSON Schema object."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NamedTool:
    """A tool choice that forces the function `name`."""

    name: str


ToolChoice = Literal["auto", "none", "required"] | NamedTool


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """What a language or speech model is asked to continue.

    Attributes:
        messages: the context, oldest first; instructions are the first message, with role system.
        tools: functions that may be called.
        tool_choice: whether a function may, must not or must be called.
        parallel_tool_calls: whether several functions may be called in one reply.
        max_tokens: most tokens to generate; None for no limit of the request's own.
        temperature: sampling temperature; None for the engine's own.
        cache_key: requests with the same key share a prefix (a session); engines use it to keep their cache warm.
        priority: a draft waits behind live work.
    """

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = "auto"
    parallel_tool_calls: bool = True
    max_tokens: int | None = None
    temperature: float | None = None
    cache_key: str | None = None
    priority: Priority = Priority.LIVE


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More text of the reply."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """More of a function call.

    Attributes:
        index: which call of the reply this belongs to, from 0, never decreasing.
        name: the function's name, whole, in the first delta of a call only.
        arguments: more JSON text, possibly empty.
        call_id: the model's own id for the call in the first delta, if it has one.
    """

    index: int
    name: str | None = None
    arguments: str = ""
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one generation, as the model counts them.

    Attributes:
        input_tokens: of the context, audio included where the model hears.
        output_tokens: of the reply, audio included where the model speaks.
        cached_tokens: the part of the input found in cache.
        input_audio_tokens: the part of the input that is audio, where the model tells.
        output_audio_tokens: the part of the output that is audio, where the model tells.
    """

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    input_audio_tokens: int | None = None
    output_audio_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Finish:
    """The generation ended: by itself, at `max_tokens` or the context's end, with tool calls, or by a filter."""

    reason: Literal["stop", "length", "tool_calls", "content_filter"]


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """A piece of speech: float32[n] mono at `rate` Hz."""

    samples: NDArray[np.float32]
    rate: int
