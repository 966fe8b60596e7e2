"""From a generation request to the body of a chat completion. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from antiphon.engines.base import (
    AudioPart,
    EngineError,
    GenerationRequest,
    ImagePart,
    Message,
    NamedTool,
    TextPart,
    Tool,
    ToolCall,
)
from antiphon.engines.llamacpp_prompt import chat_tools

_BYTES_PER_TOKEN = 3
"""UTF-8 bytes of a token, on the low side: English has more than four, Chinese about three."""

_TOKENS_PER_MESSAGE = 4
_TOKENS_PER_IMAGE = 1_100
"""An image of 1024 x 1024 in OpenAI's GPT-4o takes 765 tokens, in Qwen2.5-VL about 1,300."""


def chat_body(request: GenerationRequest, *, images: bool) -> dict[str, Any]:
    """Return messages, tools and how to use them; speech stands as its transcript.

    Raises:
        EngineError: code "unsupported" for an image, unless `images`.
    """
    body: dict[str, Any] = {"messages": [_entry(message, images) for message in request.messages]}
    if request.tools:
        body["tools"] = chat_tools(request.tools)
        choice = request.tool_choice
        body["tool_choice"] = (
            {"type": "function", "function": {"name": choice.name}} if isinstance(choice, NamedTool) else choice
        )
        if not request.parallel_tool_calls:
            body["parallel_tool_calls"] = False
    return body


def estimate_tokens(messages: Sequence[Message], tools: Sequence[Tool]) -> int:
    """Return about how many tokens these take, rather too many than too few: the server's tokenizer is not here."""
    length, tokens = 0, 0
    for message in messages:
        tokens += _TOKENS_PER_MESSAGE
        for part in message.content:
            if isinstance(part, ImagePart):
                tokens += _TOKENS_PER_IMAGE
            else:
                length += len(_text(part).encode())
        length += sum(len(call.name.encode()) + len(call.arguments.encode()) for call in message.tool_calls)
    if tools:
        length += len(json.dumps(chat_tools(tools), ensure_ascii=False).encode())
    return tokens + math.ceil(length / _BYTES_PER_TOKEN)


def _entry(message: Message, images: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {"role": message.role, "content": _content(message, images)}
    if message.tool_calls:
        entry["tool_calls"] = [_call(call) for call in message.tool_calls]
        if not entry["content"]:
            entry["content"] = None
    if message.tool_call_id is not None:
        entry["tool_call_id"] = message.tool_call_id
    return entry


def _content(message: Message, images: bool) -> str | list[dict[str, Any]]:
    """Return plain text where there are no images: every server takes that."""
    if not any(isinstance(part, ImagePart) for part in message.content):
        return "\n".join(filter(None, (_text(part) for part in message.content if not isinstance(part, ImagePart))))
    if not images:
        raise EngineError("this language model does not see images", code="unsupported")
    parts: list[dict[str, Any]] = []
    for part in message.content:
        if isinstance(part, ImagePart):
            parts.append({"type": "image_url", "image_url": {"url": part.url, "detail": part.detail}})
        elif text := _text(part):
            parts.append({"type": "text", "text": text})
    return parts


def _text(part: TextPart | AudioPart) -> str:
    return part.text if isinstance(part, TextPart) else part.transcript or ""


def _call(call: ToolCall) -> Mapping[str, Any]:
    """Return a call; without its arguments where they were cut short, because many servers refuse what is not JSON."""
    try:
        json.loads(call.arguments)
        arguments = call.arguments
    except ValueError:
        arguments = "{}"
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}
