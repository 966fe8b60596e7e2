"""What a model that hears is given: which turns as audio, how much audio, and which words. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from antiphon.engines.base import AudioPart, ImagePart, Message, TextPart


def older_turns_as_words(messages: Sequence[Message], audio_turns: int) -> list[Message]:
    """Return messages with as little audio as there may be: audio costs more each time that it is read.

    Args:
        messages: the context, oldest first.
        audio_turns: how many of the last messages with speech keep it. In older ones it stands as its transcript, where
            there is one. 0 for a model that does not hear: then all speech stands as its transcript, or as nothing.
    """
    spoken = [index for index, message in enumerate(messages) if any(map(_is_speech, message.content))]
    kept = frozenset(spoken[-audio_turns:]) if audio_turns else frozenset()
    return [
        message
        if index in kept
        else replace(message, content=tuple(_as_words(part, needed=not audio_turns) for part in message.content))
        for index, message in enumerate(messages)
    ]


def seconds_of(messages: Sequence[Message]) -> float:
    """Return how much audio messages have, in s."""
    parts = (part for message in messages for part in message.content)
    return sum(part.samples.size / part.rate for part in parts if isinstance(part, AudioPart))


def words_of(messages: Sequence[Message]) -> str:
    """Return all texts and function calls of messages, a line each: what takes tokens besides audio."""
    texts = [part.text for message in messages for part in message.content if isinstance(part, TextPart)]
    texts += [call.name + call.arguments for message in messages for call in message.tool_calls]
    return "\n".join(texts)


def _is_speech(part: TextPart | AudioPart | ImagePart) -> bool:
    return isinstance(part, AudioPart)


def _as_words(part: TextPart | AudioPart | ImagePart, *, needed: bool) -> TextPart | AudioPart | ImagePart:
    if isinstance(part, AudioPart) and (needed or part.transcript is not None):
        return TextPart(part.transcript or "")
    return part
