"""A server whose model `ours` is that of another server, and other servers that do what none should."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from antiphon.protocol.frames import server_event
from antiphon.protocol.ids import new_id
from antiphon.session.config import default_session_config
from tests.serving import LocalServer, serving_here

Event = dict[str, Any]


@asynccontextmanager
async def in_front_of(base_url: str, *, upstream: Event | None = None, **pipeline: Any) -> AsyncIterator[LocalServer]:
    """A server in this event loop, in front of the one at `base_url`.

    Args:
        base_url: of the upstream.
        upstream: more of its settings.
        pipeline: more settings of the pipeline.
    """
    settings = {"upstream": {"base_url": base_url, **(upstream or {})}, **pipeline}
    async with serving_here(pipelines={"ours": settings}) as server:
        yield server


def created() -> Event:
    """The first event of a session."""
    config = default_session_config(model="theirs", voice="low", instructions="Be brief.")
    return server_event("session.created", session=config.wire(new_id("sess"), 4_000_000_000))


def begun() -> list[Event]:
    """The events of a response that has said a word."""
    response: Event = {
        "object": "realtime.response",
        "id": new_id("resp"),
        "status": "in_progress",
        "status_details": None,
        "output": [],
        "conversation_id": new_id("conv"),
        "output_modalities": ["text"],
        "max_output_tokens": "inf",
        "audio": {"output": {"format": {"type": "audio/pcm", "rate": 24_000}, "voice": "low"}},
        "usage": None,
        "metadata": None,
    }
    item = {"id": new_id("item"), "type": "message", "status": "in_progress", "role": "assistant", "content": []}
    ids = {"response_id": response["id"], "output_index": 0}
    place = {**ids, "item_id": item["id"], "content_index": 0}
    return [
        server_event("response.created", response=response),
        server_event("response.output_item.added", **ids, item=item),
        server_event("conversation.item.added", previous_item_id=None, item=item),
        server_event("response.content_part.added", **place, part={"type": "text", "text": ""}),
        server_event("response.output_text.delta", **place, delta="Hello", obfuscation="0123456789a"),
    ]


async def say(connection: ServerConnection, *events: Event) -> None:
    """Send events."""
    for event in events:
        await connection.send(json.dumps(event))


async def reply_to(connection: ServerConnection) -> None:
    """Open a session, wait for a `response.create`, and begin to answer."""
    first = created()
    await say(connection, first)
    async for message in connection:
        kind = json.loads(message)["type"]
        if kind == "session.update":
            await say(connection, server_event("session.updated", session=first["session"]))
        elif kind == "response.create":
            break
    await say(connection, *begun())


@asynccontextmanager
async def another_server(
    behave: Callable[[ServerConnection], Awaitable[None]],
    *,
    refuse: Callable[[Request], HTTPStatus | None] | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[tuple[str, list[Request]]]:
    """A WebSocket server that does with each connection what `behave` says; yields its base URL and the requests.

    Args:
        behave: with a connection, which is closed when it returns.
        refuse: returns the status with which a handshake is refused; None to let it in.
        tls: makes it a server that is reached by TLS.
    """
    requests: list[Request] = []

    def look(connection: ServerConnection, request: Request) -> Response | None:
        requests.append(request)
        status = refuse(request) if refuse is not None else None
        if status is None:
            return None
        answer = connection.respond(status, "refused\n")
        if status == HTTPStatus.TEMPORARY_REDIRECT:
            answer.headers["Location"] = "/elsewhere"
        return answer

    async with serve(behave, "127.0.0.1", 0, process_request=look, close_timeout=0.5, ssl=tls) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}/v1", requests


@asynccontextmanager
async def silent_server() -> AsyncIterator[str]:
    """A TCP server that takes connections and says nothing; yields its base URL."""
    writers: list[asyncio.StreamWriter] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader
        writers.append(writer)

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        server.close()
        for writer in writers:
            writer.close()
