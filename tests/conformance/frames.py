"""The exact shape of every server event that may be sent over a WebSocket, and what strict clients make of it.

An event is checked three times:

1. against `openai.types.realtime`, strictly, as openai-agents (Python) does with every frame it gets;
2. against the exact shapes in `event_shapes.py`;
3. against the demands of single clients that no shape can say (`_client_demands`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from openai.types.realtime import RealtimeServerEvent
from pydantic import Field, TypeAdapter, ValidationError

from tests.conformance.event_shapes import EVENTS, OWN_EVENTS
from tests.conformance.shapes import brief

MAX_FRAME_BYTES = 1 << 20
"""Largest text frame that every client takes: the default limit of the `websockets` library, which pipecat keeps."""


class FrameError(AssertionError):
    """A server frame is not what the protocol says; the message lists everything that is wrong with it."""


_OPENAI: TypeAdapter[Any] = TypeAdapter(Annotated[RealtimeServerEvent, Field(discriminator="type")])


def parse_server_frame(data: str | bytes) -> dict[str, Any]:
    """Return the event of one frame as it came over the wire.

    Raises:
        FrameError: not a text frame, too large for some client, or not a JSON object.
    """
    if not isinstance(data, str):
        raise FrameError(f"expected a text frame, got {len(data)} bytes of binary")
    size = len(data.encode("utf-8"))
    if size > MAX_FRAME_BYTES:
        raise FrameError(f"the frame has {size} bytes, more than the {MAX_FRAME_BYTES} that pipecat takes")
    try:
        frame = json.loads(data, parse_constant=_no_constant)
    except ValueError as error:
        raise FrameError(f"not JSON ({error}): {brief(data)}") from error
    if not isinstance(frame, dict):
        raise FrameError(f"expected a JSON object, got {brief(frame)}")
    return frame


def validate_server_event(frame: Mapping[str, Any]) -> None:
    """Check one GA server event.

    Raises:
        FrameError: anything about it is not what PROTOCOL section 2 and the strict clients demand.
    """
    problems = list(_problems(frame))
    if problems:
        raise FrameError(
            f"{brief(frame.get('type'))}:\n  " + "\n  ".join(problems) + f"\n  in {brief(dict(frame), 1000)}"
        )


def _problems(frame: Mapping[str, Any]) -> Iterator[str]:
    kind = frame.get("type")
    if not isinstance(kind, str) or kind not in EVENTS:
        yield f"type: {brief(kind)} is no event that a server sends over WebSocket"
        return
    yield from EVENTS[kind](frame, kind)
    if kind in OWN_EVENTS:
        return
    # openai-agents reads a null previous_item_id as "".
    read = {**frame, "previous_item_id": ""} if frame.get("previous_item_id", "") is None else dict(frame)
    try:
        _OPENAI.validate_python(read, strict=True)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            yield f"openai.types.realtime: {'.'.join(map(str, detail['loc']))}: {detail['msg']}"
    yield from _client_demands(kind, frame)


def _client_demands(kind: str, frame: Mapping[str, Any]) -> Iterator[str]:
    """Yield what single clients would choke on although the shape is right."""
    item = frame.get("item")
    if (
        kind == "response.output_item.done"
        and isinstance(item, Mapping)
        and item.get("type") == "function_call"
        and item.get("status") == "in_progress"
    ):
        yield "item.status: the agents clients call a function only when its item is completed, this one never ends"
    if kind == "rate_limits.updated" and isinstance(frame.get("rate_limits"), list):
        names = [str(limit.get("name")) for limit in frame["rate_limits"] if isinstance(limit, Mapping)]
        if len(set(names)) != len(names):
            yield f"rate_limits: a name comes twice: {names}"


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
