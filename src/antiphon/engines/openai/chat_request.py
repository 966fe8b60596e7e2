"""From a generation request to the body of a chat completion. Pure."""

from __future__ import annotations

import base64
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
from antiphon.engines.heard_turns import older_turns_as_words
from antiphon.engines.llamacpp.prompt import chat_tools
from antiphon.engines.wav import wav_file

_BYTES_PER_TOKEN = 3
"""UTF-8 bytes of a token, on the low side: English has more than four, Chinese about three."""

_TOKENS_PER_MESSAGE = 4
_TOKENS_PER_IMAGE = 1_100
"""An image of 1024 x 1024 in OpenAI's GPT-4o takes 765 tokens, in Qwen2.5-VL about 1,300."""
_TOKENS_PER_SECOND = 25
"""Of speech that is heard: 25 in Qwen2.5-Omni, 10 at OpenAI."""


def chat_body(
    request: GenerationRequest,
    *,
    images: bool,
    audio_turns: int = 0,
    audio_ids: Mapping[int, str] | None = None,
) -> dict[str, Any]:
    """Return messages, tools and how to use them.

    Args:
        request: what to continue.
        images: whether the model sees images.
        audio_turns: how many of the user's last turns the model hears; older ones stand as their transcripts, and are
            heard where there is none. 0 for a model that does not hear: then only transcripts count.
        audio_ids: ids by which the server knows the speech of assistant messages, by their index.

    Raises:
        EngineError: code "unsupported" for an image, unless `images`.
    """
    entries = [
        {"role": message.role, "audio": {"id": audio_ids[index]}}
        if audio_ids and index in audio_ids
        else _entry(message, images)
        for index, message in enumerate(older_turns_as_words(request.messages, audio_turns))
    ]
    body: dict[str, Any] = {"messages": entries}
    if request.tools:
        body["tools"] = chat_tools(request.tools)
        choice = request.tool_choice
        body["tool_choice"] = (
            {"type": "function", "function": {"name": choice.name}} if isinstance(choice, NamedTool) else choice
        )
        if not request.parallel_tool_calls:
            body["parallel_tool_calls"] = False
    return body


def estimate_tokens(messages: Sequence[Message], tools: Sequence[Tool], *, hears: bool = False) -> int:
    """Return about how many tokens these take, rather too many than too few: the server's tokenizer is not here."""
    length, tokens = 0, 0
    for message in messages:
        tokens += _TOKENS_PER_MESSAGE
        for part in message.content:
            if isinstance(part, ImagePart):
                tokens += _TOKENS_PER_IMAGE
            elif isinstance(part, AudioPart) and hears:
                tokens += math.ceil(part.samples.size / part.rate * _TOKENS_PER_SECOND)
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
    """Return plain text where there is nothing else: every server takes that."""
    parts: list[dict[str, Any]] = []
    for part in message.content:
        if isinstance(part, ImagePart):
            if not images:
                raise EngineError("this language model does not see images", code="unsupported")
            parts.append({"type": "image_url", "image_url": {"url": part.url, "detail": part.detail}})
        elif isinstance(part, AudioPart):
            data = base64.b64encode(wav_file(part.samples, part.rate)).decode("ascii")
            parts.append({"type": "input_audio", "input_audio": {"data": data, "format": "wav"}})
        elif part.text:
            parts.append({"type": "text", "text": part.text})
    if all(part["type"] == "text" for part in parts):
        return "\n".join(part["text"] for part in parts)
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
