"""From messages and tools to what the chat templates of omni models take. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from antiphon.audio.resampling import StreamResampler
from antiphon.engines.base import (
    HEARING_RATE,
    AudioPart,
    EngineError,
    GenerationRequest,
    Message,
    Samples,
    TextPart,
)
from antiphon.engines.heard_turns import older_turns_as_words
from antiphon.engines.llamacpp.prompt import Template, chat_messages, chat_tools

# Private-use characters around the number of a sound, which stand for it until the text around it is known.
_SOUND = re.compile("\ue000(\\d+)\ue001")


@dataclass(frozen=True, slots=True)
class OmniPrompt:
    """What a chat template is given.

    Attributes:
        messages: with content as a list of `{"type": "text", "text"}` and `{"type": "audio", "audio"}`.
        tools: for a template that lists them; else they are in the messages.
        sounds: float32[n] at 16 kHz, in the order of the messages.
        names: the functions that may be called.
    """

    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]] | None
    sounds: list[Samples]
    names: frozenset[str]


def omni_prompt(
    request: GenerationRequest, *, audio_turns: int, lists_tools: bool, preamble: str | None = None
) -> OmniPrompt:
    """Return the prompt for a request.

    Args:
        request: what is to be continued.
        audio_turns: how many of the user's last turns are heard; see `older_turns_as_words`.
        lists_tools: whether the chat template lists tools itself.
        preamble: what the instructions begin with, for models that want it.

    Raises:
        EngineError: code "unsupported" for an image, or for a function that has to be called.
    """
    tools = () if request.tool_choice == "none" else request.tools
    if tools and request.tool_choice != "auto":
        raise EngineError("this model cannot be made to call a function", code="unsupported")
    sounds: list[Samples] = []

    def marked(part: Any) -> Any:
        if not isinstance(part, AudioPart):
            return part
        sounds.append(_at_hearing_rate(part))
        return TextPart(f"\ue000{len(sounds) - 1}\ue001")

    messages = [
        replace(message, content=tuple(map(marked, message.content)))
        for message in older_turns_as_words(_with_preamble(request.messages, preamble), audio_turns)
    ]
    chat = chat_messages(messages, tools, Template(tools=lists_tools, alternating=False, end_token=-1))
    for entry in chat:
        if isinstance(entry.get("content"), str):
            entry["content"] = _parts(entry["content"], sounds)
    listed = chat_tools(tools) if tools and lists_tools else None
    return OmniPrompt(chat, listed, sounds, frozenset(tool.name for tool in tools))


def _with_preamble(messages: Sequence[Message], preamble: str | None) -> Sequence[Message]:
    if preamble is None:
        return messages
    if messages and messages[0].role == "system":
        first = messages[0]
        return (replace(first, content=(TextPart(f"{preamble}\n"), *first.content)), *messages[1:])
    return (Message("system", (TextPart(preamble),)), *messages)


def _parts(text: str, sounds: Sequence[Samples]) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    for index, piece in enumerate(_SOUND.split(text)):
        if index % 2:
            parts.append({"type": "audio", "audio": sounds[int(piece)]})
        elif piece:
            parts.append({"type": "text", "text": piece})
    return parts


def _at_hearing_rate(part: AudioPart) -> Samples:
    if part.rate == HEARING_RATE:
        return part.samples
    resampler = StreamResampler(part.rate, HEARING_RATE)
    return np.concatenate([resampler.push(part.samples), resampler.flush()])
