"""The context that a model is given: the conversation as the user heard it, cut to what fits. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from antiphon.audio.clock import HEARING_RATE
from antiphon.engines.base import AudioPart, ImagePart, Message, TextPart, Tool, ToolCall
from antiphon.session.config import RetentionRatio
from antiphon.session.conversation import Item

_TEMPLATE_TOKENS_PER_MESSAGE = 32
"""More than any chat template that we know spends on one message."""
_AUTO_RETENTION = 0.8
"""With truncation "auto", how much of what fits is kept when something must go: dropping a little more than needed
keeps the prefix the same, and so in the model's cache, for several turns."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """Messages that belong together and are kept or dropped as one: a message, or tool calls with their results."""

    item_id: str
    messages: tuple[Message, ...]


class ContextTooLong(Exception):  # noqa: N818 - the name says it
    """The conversation does not fit the model and truncation is disabled, or the newest exchange alone is too long."""


def exchanges(items: Sequence[Item], *, hears: bool) -> list[Exchange]:
    """Return the conversation as messages, oldest first.

    An assistant's speech counts as far as it was heard; tool results stand right behind their calls, where every
    chat template wants them, and a call that has no result yet says so.

    Args:
        items: the items of the context.
        hears: whether the model takes audio; otherwise it reads what was said.
    """
    results = {item.wire["call_id"]: item.wire["output"] for item in items if item.type == "function_call_output"}
    found: list[Exchange] = []
    calls: list[Item] = []
    for item in items:
        if item.type == "function_call":
            calls.append(item)
            continue
        if item.type != "message":
            continue
        if calls:
            found.append(_tool_exchange(calls, results))
            calls = []
        message = _message(item, hears=hears)
        if message is not None:
            found.append(Exchange(item.id, (message,)))
    if calls:
        found.append(_tool_exchange(calls, results))
    return found


def certainly_fits(messages: Sequence[Message], tools: Sequence[Tool], budget: int) -> bool:
    """Tell without a tokenizer whether a context fits: a token is at least one byte of UTF-8."""
    size = sum(len(json.dumps(tool.parameters)) + len(tool.description) + 256 for tool in tools)
    for message in messages:
        size += _TEMPLATE_TOKENS_PER_MESSAGE
        size += sum(len(call.name) + len(call.arguments.encode()) + 64 for call in message.tool_calls)
        for part in message.content:
            if not isinstance(part, TextPart):
                return False
            size += len(part.text.encode())
    return size <= budget


def first_kept(counts: Sequence[int], budget: int, truncation: Literal["auto", "disabled"] | RetentionRatio) -> int:
    """Return the index of the first exchange to keep.

    Args:
        counts: tokens of each exchange, oldest first.
        budget: tokens that they may take together.
        truncation: the session's; what is dropped is dropped whole and from the oldest end.

    Raises:
        ContextTooLong: truncation is disabled, or the newest exchange alone does not fit.
    """
    limit = budget
    ratio = _AUTO_RETENTION
    if isinstance(truncation, RetentionRatio):
        ratio = truncation.ratio
        if truncation.post_instructions_tokens is not None:
            limit = min(limit, truncation.post_instructions_tokens)
    total = sum(counts)
    if total <= limit:
        return 0
    if truncation == "disabled" or (counts and counts[-1] > limit):
        raise ContextTooLong
    keep = int(limit * ratio)
    index = 0
    while index < len(counts) - 1 and total > keep:
        total -= counts[index]
        index += 1
    return index


def _tool_exchange(calls: Sequence[Item], results: dict[str, str]) -> Exchange:
    called = tuple(ToolCall(c.wire["call_id"], c.wire["name"], c.wire["arguments"]) for c in calls)
    answers = (
        Message("tool", (TextPart(results.get(call.id, "No result yet.")),), tool_call_id=call.id) for call in called
    )
    return Exchange(calls[0].id, (Message("assistant", tool_calls=called), *answers))


def _message(item: Item, *, hears: bool) -> Message | None:
    role = item.wire["role"]
    if item.silence_s is not None:
        return Message("user", (TextPart(f"[The user has said nothing for {item.silence_s:.0f} seconds.]"),))
    parts: list[TextPart | AudioPart | ImagePart] = []
    for index, part in enumerate(item.wire["content"]):
        kind = part["type"]
        if kind in ("input_text", "output_text"):
            parts.append(TextPart(part["text"]))
        elif kind == "output_audio":
            parts.append(TextPart(part["transcript"][: item.spoken_end]))
        elif kind == "input_image":
            parts.append(ImagePart(part["image_url"], part.get("detail") or "auto"))
        elif kind == "input_audio":
            said = part.get("transcript") or item.transcript
            audio = item.audio.get(index)
            if hears and audio is not None and audio.heard is not None:
                parts.append(AudioPart(audio.heard, HEARING_RATE, said or None))
            else:
                parts.append(TextPart(said))
    kept = tuple(part for part in parts if not isinstance(part, TextPart) or part.text.strip())
    return Message(role, kept) if kept else None
