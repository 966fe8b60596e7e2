"""Bounds and the end of a connection: nothing of it stays, and the server goes on for everybody else."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from antiphon.server import realtime
from antiphon.transports.websocket import WebSocketConnection
from tests.serving import LocalServer, serving_here

MIB = 1024 * 1024
LONG_REPLY = {"llm": {"options": {"words": 3000}}}
"""A reply that is far longer than all buffers between the session and a client that does not read."""


async def event(client: ClientConnection, kind: str) -> dict[str, Any]:
    """Return the next event of a type, skipping others."""
    while True:
        told: dict[str, Any] = json.loads(await client.recv())
        if told["type"] == kind:
            return told


async def works(server: LocalServer) -> None:
    """Check that a new session answers."""
    async with connect(server.ws_url) as client:
        await event(client, "session.created")
        await client.send(json.dumps({"type": "input_audio_buffer.clear"}))
        await event(client, "input_audio_buffer.cleared")


async def ask(client: ClientConnection) -> None:
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Talk."}]}
    await client.send(json.dumps({"type": "conversation.item.create", "item": item}))
    await client.send(json.dumps({"type": "response.create"}))


def sessions_open(server: LocalServer) -> float | None:
    return server.service.metrics.registry.get_sample_value("antiphon_sessions_open")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


@asynccontextmanager
async def leaves_nothing(server: LocalServer) -> AsyncIterator[None]:
    """Check that no session, connection or task of what happens inside stays."""
    before = asyncio.all_tasks()
    yield
    await until(lambda: sessions_open(server) == 0)
    await until(lambda: not server.server.server_state.connections)
    await until(lambda: asyncio.all_tasks() <= before)


async def close_code(client: ClientConnection) -> int | None:
    with pytest.raises(ConnectionClosed) as caught:
        while True:
            await client.recv()
    return caught.value.rcvd.code if caught.value.rcvd else None


# --- sizes -----------------------------------------------------------------------------------------------------------


async def test_the_largest_append_is_taken() -> None:
    async with serving_here() as server, leaves_nothing(server), connect(server.ws_url) as client:
        await event(client, "session.created")
        audio = "A" * (15 * MIB)
        await client.send(
            json.dumps(
                {
                    "type": "session.update",
                    "session": {"type": "realtime", "audio": {"input": {"turn_detection": None}}},
                }
            )
        )
        await event(client, "session.updated")
        await client.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
        await client.send(json.dumps({"type": "input_audio_buffer.commit"}))
        await event(client, "input_audio_buffer.committed")


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_a_frame_of_20_mib_closes_with_1009(compression: Any) -> None:
    noise = base64.b64encode(os.urandom(15 * MIB)).decode()  # 20 MiB
    async with serving_here() as server:
        async with leaves_nothing(server), connect(server.ws_url, compression=compression) as client:
            await event(client, "session.created")
            await client.send(json.dumps({"type": "input_audio_buffer.append", "audio": noise}))
            assert await close_code(client) == 1009
        await works(server)


async def test_a_small_frame_that_inflates_to_100_mib_closes_with_1009() -> None:
    async with serving_here() as server:
        async with leaves_nothing(server), connect(server.ws_url, compression="deflate") as client:
            await event(client, "session.created")
            await client.send("A" * (100 * MIB))
            assert await close_code(client) == 1009
        await works(server)


async def test_text_that_is_not_utf_8_closes_with_1007() -> None:
    async with serving_here() as server:
        async with leaves_nothing(server), connect(server.ws_url) as client:
            await event(client, "session.created")
            await client.send(b"\xff\xfe", text=True)
            assert await close_code(client) == 1007
        await works(server)


async def test_fragments_make_one_event() -> None:
    async with serving_here() as server, connect(server.ws_url) as client:
        await event(client, "session.created")
        await client.send(['{"type": "input_audio', '_buffer.clear"}'])
        await event(client, "input_audio_buffer.cleared")


async def test_too_many_sessions_are_refused_until_one_ends() -> None:
    async with serving_here(max_sessions=2) as server:
        async with connect(server.ws_url) as first, connect(server.ws_url) as second:
            await asyncio.gather(event(first, "session.created"), event(second, "session.created"))
            with pytest.raises(InvalidStatus) as caught:
                await connect(server.ws_url)
            assert caught.value.response.status_code == 503
            assert caught.value.response.headers["retry-after"] == "5"
            assert json.loads(caught.value.response.body or b"")["error"]["code"] == "session_limit_reached"
        async with leaves_nothing(server):
            pass
        await works(server)


# --- clients that go away --------------------------------------------------------------------------------------------


async def test_a_polite_client() -> None:
    async with serving_here() as server, leaves_nothing(server):
        async with connect(server.ws_url) as client:
            await event(client, "session.created")
        assert client.close_code == 1000


async def test_a_client_that_vanishes_mid_reply() -> None:
    async with serving_here(engines={"preset": "stand-in", **LONG_REPLY}) as server:
        async with leaves_nothing(server):
            client = await connect(server.ws_url)
            await ask(client)
            await event(client, "response.output_audio.delta")
            client.transport.abort()
        await works(server)


async def test_many_clients_come_and_go_and_nothing_stays() -> None:
    async with serving_here(engines={"preset": "stand-in", **LONG_REPLY}) as server:

        async def visit(number: int) -> None:
            client = await connect(server.ws_url)
            await event(client, "session.created")
            if number % 2:
                await ask(client)
                await event(client, "response.output_audio.delta")
            if number % 3:
                client.transport.abort()
            else:
                await client.close()

        async with leaves_nothing(server):
            for _ in range(5):
                await asyncio.gather(*(visit(number) for number in range(12)))

        def left() -> int:
            gc.collect()
            return sum(isinstance(thing, WebSocketConnection) for thing in gc.get_objects())

        await until(lambda: left() == 0)


def deaf_client(port: int) -> socket.socket:
    """Return a connection that has asked for a reply and reads nothing of it."""
    raw = socket.create_connection(("127.0.0.1", port))
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.sendall(
        b"GET /v1/realtime HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    assert raw.recv(1), "the server refused the handshake"
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Talk."}]}
    for frame in ({"type": "conversation.item.create", "item": item}, {"type": "response.create"}):
        payload = json.dumps(frame).encode()
        raw.sendall(struct.pack(">BBHI", 0x81, 0xFE, len(payload), 0) + payload)  # a mask of zeros changes nothing
    return raw


async def test_a_client_that_does_not_read_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(realtime, "WebSocketConnection", partial(WebSocketConnection, stall_s=0.3))
    monkeypatch.setattr("antiphon.server.websocket_protocol._LINGER_S", 0.3)
    async with serving_here(engines={"preset": "stand-in", **LONG_REPLY}) as server:
        async with leaves_nothing(server):
            connecting = asyncio.to_thread(deaf_client, server.port)
            raw, _ = await asyncio.gather(connecting, until(lambda: sessions_open(server) == 1))
            await works(server)
        raw.close()


async def test_a_client_that_does_not_answer_pings_is_disconnected() -> None:
    async with serving_here(engines={"preset": "stand-in", **LONG_REPLY}) as server:
        config = server.server.config
        patience = config.ws_ping_interval, config.ws_ping_timeout
        config.ws_ping_interval = config.ws_ping_timeout = 0.1
        async with leaves_nothing(server):
            raw = await asyncio.to_thread(deaf_client, server.port)
            await asyncio.sleep(0.05)
        raw.close()
        config.ws_ping_interval, config.ws_ping_timeout = patience
        await works(server)
