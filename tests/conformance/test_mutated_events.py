"""Whatever is wrong with an event: exactly one error that says where, and nothing has changed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conformance.recorder import Event, RealtimeClient

Path = tuple[str | int, ...]

PCM = {"type": "audio/pcm", "rate": 24000}
TOOL = {"type": "function", "name": "look", "description": "Look.", "parameters": {"type": "object"}}

EVENTS: list[Event] = [
    {
        "type": "session.update",
        "session": {
            "type": "realtime",
            "instructions": "Changed.",
            "output_modalities": ["text"],
            "tools": [TOOL],
            "tool_choice": "auto",
            "max_output_tokens": 100,
            "audio": {
                "input": {
                    "format": PCM,
                    "transcription": {"model": "whisper-1", "language": "en", "prompt": "Names."},
                    "turn_detection": {"type": "server_vad", "threshold": 0.6, "silence_duration_ms": 400},
                },
                "output": {"format": PCM, "speed": 1.25},
            },
        },
    },
    {"type": "input_audio_buffer.append", "audio": "AAAA"},
    {
        "type": "conversation.item.create",
        "previous_item_id": "known",
        "item": {
            "id": "new",
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "Hello."}, {"type": "input_audio", "audio": "AAAA"}],
        },
    },
    {"type": "conversation.item.create", "item": {"type": "function_call", "name": "look", "arguments": "{}"}},
    {"type": "conversation.item.delete", "item_id": "known"},
    {"type": "conversation.item.retrieve", "item_id": "known"},
    {"type": "conversation.item.truncate", "item_id": "known", "content_index": 0, "audio_end_ms": 0},
    {
        "type": "response.create",
        "response": {
            "conversation": "none",
            "output_modalities": ["text"],
            "instructions": "Once.",
            "metadata": {"key": "value"},
            "max_output_tokens": 10,
            "tools": [TOOL],
            "audio": {"output": {"format": PCM}},
            "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello."}]}],
        },
    },
    {"type": "response.cancel", "response_id": "none"},
]

FREE = ("metadata", "parameters")
"""Objects whose keys are the client's own."""

TAGS = ("type", "role", "tool_choice")
"""Keys whose value decides what else there may be, or may be an object itself."""


def nodes(node: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield every value in an event with its path."""
    yield path, node
    if isinstance(node, dict) and not set(path) & set(FREE):
        for key, value in node.items():
            yield from nodes(value, (*path, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from nodes(value, (*path, index))


def written(path: Path) -> str:
    """Return a path as errors give it: "item.content[0].text"."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def at(event: Event, path: Path) -> Any:
    node: Any = event
    for step in path:
        node = node[step]
    return node


@st.composite
def mutated(draw: st.DrawFn) -> tuple[Event, str, str]:
    """Return an event with one mistake, and the code and the param of the error that it must get."""
    event = json.loads(json.dumps(draw(st.sampled_from(EVENTS))))
    found = list(nodes(event))
    if draw(st.booleans()):
        places = [path for path, node in found if isinstance(node, dict) and not set(path) & set(FREE)]
        path = draw(st.sampled_from(places))
        at(event, path)["surplus"] = 1
        return event, "unknown_parameter", written((*path, "surplus"))
    leaves = [path for path, node in found if isinstance(node, str | int | float) and path[-1] not in TAGS]
    path = draw(st.sampled_from(leaves))
    at(event, path[:-1])[path[-1]] = draw(st.sampled_from([[[]], {"a": 1}, True]))
    return event, "invalid_type", written(path)


async def send_mutated(url: str, event: Event, code: str, param: str) -> None:
    async with RealtimeClient(url) as client:
        session = (await client.expect("session.created"))["session"]
        item = {"id": "known", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "Known."}]}
        await client.send({"type": "conversation.item.create", "item": item})
        await client.expect("conversation.item.done")
        event_id = await client.send(event)
        error = (await client.expect("error"))["error"]
        assert (error["type"], error["event_id"]) == ("invalid_request_error", event_id)
        assert (error["code"], error["param"]) == (code, param)
        await client.send({"type": "conversation.item.retrieve", "item_id": "known"})
        await client.expect("conversation.item.retrieved")
        await client.send({"type": "session.update", "session": {"type": "realtime"}})
        assert (await client.expect("session.updated"))["session"] == session
        assert client.recording.types() == [
            "session.created",
            "conversation.item.added",
            "conversation.item.done",
            "error",
            "conversation.item.retrieved",
            "session.updated",
        ]


@given(mutation=mutated())
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_any_mistake_gets_one_error_that_says_where(stand_in: str, mutation: tuple[Event, str, str]) -> None:
    asyncio.run(send_mutated(stand_in, *mutation))
