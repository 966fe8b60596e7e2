"""From messages and tools to what llama.cpp's chat templates take. Pure.

A template that knows tools lists them and writes their calls itself. For one that does not, the tools are listed in
the system message, calls are written as `<tool_call>` blocks and their results as `<tool_response>` blocks of the
user: the Hermes format, which many models have seen in training.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from antiphon.engines.base import EngineError, ImagePart, Message, TextPart, Tool, ToolCall

CALL_OPENS = "<tool_call>"
CALL_CLOSES = "</tool_call>"

_TOOLS_TEXT = """\
You can call these functions:
<tools>
{tools}
</tools>
To call one, reply with nothing but
<tool_call>
{{"name": <function name>, "arguments": <arguments as a JSON object>}}
</tool_call>
Call one only when the user asks for what it does. In all other cases answer in plain words."""

_NOT_SPOKEN_YET = "(The user has not spoken yet.)"


@dataclass(frozen=True, slots=True)
class Template:
    """What a model's chat template can do, and how its turns end.

    Attributes:
        tools: it lists tools and writes calls and their results itself.
        alternating: it refuses anything but user and assistant in turn, after one system message at most.
        end_token: the token that ends a turn.
    """

    tools: bool
    alternating: bool
    end_token: int


def chat_messages(messages: Sequence[Message], tools: Sequence[Tool], template: Template) -> list[dict[str, Any]]:
    """Return `messages` as llama.cpp's chat completions take them.

    Speech stands as its transcript. Tools stand in the first system message, unless the template lists them itself.

    Raises:
        EngineError: code "unsupported" for an image.
    """
    if template.tools:
        chat = [_native(message) for message in messages]
    else:
        chat = _described(messages)
        if tools:
            chat = _with_tools(chat, tools)
    return alternate(chat) if template.alternating else chat


def chat_tools(tools: Sequence[Tool]) -> list[dict[str, Any]]:
    """Return `tools` as llama.cpp's chat completions take them."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": dict(tool.parameters) or {"type": "object", "properties": {}},
            },
        }
        for tool in tools
    ]


def _with_tools(chat: list[dict[str, Any]], tools: Sequence[Tool]) -> list[dict[str, Any]]:
    listed = (json.dumps(tool["function"], ensure_ascii=False) for tool in chat_tools(tools))
    text = _TOOLS_TEXT.format(tools="\n".join(listed))
    if chat and chat[0]["role"] == "system":
        return [{"role": "system", "content": f"{chat[0]['content']}\n\n{text}"}, *chat[1:]]
    return [{"role": "system", "content": text}, *chat]


def _text(message: Message) -> str:
    words = []
    for part in message.content:
        if isinstance(part, ImagePart):
            raise EngineError("this language model does not see images", code="unsupported")
        text = part.text if isinstance(part, TextPart) else part.transcript
        if text:
            words.append(text)
    return "\n".join(words)


def _native(message: Message) -> dict[str, Any]:
    entry: dict[str, Any] = {"role": message.role, "content": _text(message)}
    if message.tool_calls:
        entry["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": _whole(call)}}
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        entry["tool_call_id"] = message.tool_call_id
    return entry


def _whole(call: ToolCall) -> str:
    """Return the call's arguments; none where they were cut short, because llama.cpp refuses what is not JSON."""
    try:
        json.loads(call.arguments)
    except ValueError:
        return "{}"
    return call.arguments


def _described(messages: Sequence[Message]) -> list[dict[str, Any]]:
    chat: list[dict[str, Any]] = []
    last_role = None
    for message in messages:
        text = _text(message)
        if message.role == "tool":
            response = f"<tool_response>\n{text}\n</tool_response>"
            if last_role == "tool":
                chat[-1]["content"] += f"\n{response}"
            else:
                chat.append({"role": "user", "content": response})
        else:
            calls = [
                f'{CALL_OPENS}\n{{"name": {json.dumps(call.name)}, "arguments": {call.arguments}}}\n{CALL_CLOSES}'
                for call in message.tool_calls
            ]
            chat.append({"role": message.role, "content": "\n".join([text, *calls] if text else calls)})
        last_role = message.role
    return chat


def alternate(chat: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Fold chat entries so that user and assistant alternate: later system messages become the user's, others merge."""
    turns: list[dict[str, Any]] = []
    for entry in chat:
        role = entry["role"]
        if role == "system" and any(turn["role"] != "system" for turn in turns):
            role = "user"
        if role == "assistant" and (not turns or turns[-1]["role"] == "system"):
            turns.append({"role": "user", "content": _NOT_SPOKEN_YET})
        whole = "tool_calls" in entry or role == "tool"
        if turns and turns[-1]["role"] == role and not whole and "tool_calls" not in turns[-1]:
            turns[-1] = {"role": role, "content": f"{turns[-1]['content']}\n\n{entry['content']}"}
        else:
            turns.append({**entry, "role": role})
    if all(turn["role"] == "system" for turn in turns):
        turns.append({"role": "user", "content": _NOT_SPOKEN_YET})
    return turns
