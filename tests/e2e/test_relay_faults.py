"""Upstreams that cannot be had, and upstreams that fail."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import trustme
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from antiphon.protocol.frames import server_event
from antiphon.relay import upstream
from tests.calling import Caller, calling
from tests.conformance.audio import tone
from tests.conformance.frames import validate_server_event
from tests.conformance.recorder import RealtimeClient
from tests.e2e.relaying import another_server, begun, created, in_front_of, reply_to, say, silent_server
from tests.remote_servers import eventually
from tests.serving import LocalServer, serving

Behaviour = Callable[[ServerConnection], Awaitable[None]]

KEY = "sk-upstream-secret"
SLOW = "pipelines: {theirs: {llm: {engine: stand-in-llm, words: 400, token_ms: 30}}}"


async def nothing(connection: ServerConnection) -> None:
    """Close at once."""


async def wait(connection: ServerConnection) -> None:
    """Take everything and say nothing more."""
    async for _ in connection:
        pass


async def refusal(server: LocalServer) -> tuple[dict[str, Any], int]:
    """Connect, and return the error with which the session is refused, and the close code."""
    async with connect(server.ws_url, close_timeout=0.5) as client, asyncio.timeout(20):
        event = json.loads(await client.recv())
        assert event["type"] == "error", event
        validate_server_event(event)
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
    assert closed.value.rcvd is not None
    assert KEY not in str(event)
    return event["error"], closed.value.rcvd.code


async def call_refused(server: LocalServer) -> str:
    """Call, and return with what the call is refused."""
    with pytest.raises(AssertionError) as caught:
        async with calling(server.base_url):
            pass
    return str(caught.value)


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (HTTPStatus.UNAUTHORIZED, "The upstream server refused this server's key."),
        (HTTPStatus.NOT_FOUND, "The upstream server does not have the model."),
        (HTTPStatus.TOO_MANY_REQUESTS, "The upstream server has no room for another session now."),
        (HTTPStatus.SERVICE_UNAVAILABLE, "The upstream server has no room for another session now."),
        (HTTPStatus.INTERNAL_SERVER_ERROR, "The upstream server answered with HTTP 500."),
        (HTTPStatus.TEMPORARY_REDIRECT, "The upstream server answered with HTTP 307."),
    ],
)
async def test_it_refuses(status: HTTPStatus, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSTREAM_KEY", KEY)
    settings = {"api_key": {"env": "UPSTREAM_KEY"}, "model": "theirs"}
    async with (
        another_server(wait, refuse=lambda request: status) as (url, requests),
        in_front_of(url, upstream=settings) as server,
    ):
        error, code = await refusal(server)
        assert (error["code"], error["type"], code) == ("upstream_unavailable", "server_error", 4000)
        assert error["message"] == told
        assert "upstream_unavailable" in await call_refused(server)
        await eventually(lambda: not server.service.metrics.sessions_open._value.get())
    assert [request.path for request in requests] == ["/v1/realtime?model=theirs"] * 2, "no redirection is followed"
    assert requests[0].headers["Authorization"] == f"Bearer {KEY}"


async def test_the_wrong_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSTREAM_KEY", "sk-wrong")
    with serving(environment={"ANTIPHON_API_KEYS": KEY}) as far:
        async with in_front_of(far.base_url, upstream={"api_key": {"env": "UPSTREAM_KEY"}}) as server:
            error, _ = await refusal(server)
            assert error["message"] == "The upstream server refused this server's key."


async def test_it_is_not_there() -> None:
    async with silent_server() as url:
        pass  # a port where nobody listens any more
    async with in_front_of(url) as server:
        error, _ = await refusal(server)
        assert error["message"] == "The upstream server cannot be reached."
        assert '"upstream_unavailable"' in await call_refused(server)


async def test_it_hangs() -> None:
    async with silent_server() as url, in_front_of(url, upstream={"connect_timeout_s": 0.3}) as server:
        error, _ = await refusal(server)
        assert error["message"] == "The upstream server opened no session in 0.3 s."
        assert "opened no session in 0.3 s" in await call_refused(server)


async def test_it_has_no_certificate_that_counts() -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)
    async with another_server(wait, tls=tls) as (url, _), in_front_of(url) as server:
        error, _ = await refusal(server)
        assert error["message"] == "There is no secure connection to the upstream server."


async def error_first(connection: ServerConnection) -> None:
    """Refuse as OpenAI does a key: the message has a part of it."""
    error = {"type": "invalid_request_error", "code": "invalid_api_key", "message": f"Incorrect API key: {KEY}"}
    await say(connection, {"type": "error", "event_id": "event_1", "error": error})


async def another_protocol(connection: ServerConnection) -> None:
    await say(connection, {"type": "welcome"})


async def deaf_to_updates(connection: ServerConnection) -> None:
    await say(connection, created())
    await wait(connection)


@pytest.mark.parametrize(
    ("behave", "told"),
    [
        (nothing, "The upstream server closed the connection."),
        (wait, "The upstream server opened no session in 1 s."),
        (error_first, "The upstream server refused this server's key."),
        (another_protocol, "The upstream server is no Realtime server."),
        (deaf_to_updates, "The upstream server opened no session in 1 s."),
    ],
)
async def test_no_session_comes(behave: Behaviour, told: str) -> None:
    async with (
        another_server(behave) as (url, _),
        in_front_of(
            url, upstream={"connect_timeout_s": 1 if "in 1 s" in told else 20}, instructions="Be brief."
        ) as server,
    ):
        error, _ = await refusal(server)
        assert error["message"] == told


# --- in the middle of a session --------------------------------------------------------------------------------------


async def ended(client: RealtimeClient) -> tuple[list[dict[str, Any]], int]:
    """Return the events up to the end of the connection, which the order checker has found in order, and its code."""
    with pytest.raises(ConnectionError):
        await client.expect("something that never comes")
    assert client.closed is not None
    assert client.closed.rcvd is not None
    return client.recording.received(), client.closed.rcvd.code


async def closes(connection: ServerConnection) -> None:
    await reply_to(connection)


async def breaks_off(connection: ServerConnection) -> None:
    await reply_to(connection)
    connection.transport.abort()


async def sends_garbage(connection: ServerConnection) -> None:
    await reply_to(connection)
    await connection.send("this is no JSON")
    await wait(connection)


async def sends_bytes(connection: ServerConnection) -> None:
    await reply_to(connection)
    await connection.send(b"\xff\xfe\x00")
    await wait(connection)


async def sends_nonsense(connection: ServerConnection) -> None:
    await reply_to(connection)
    await say(connection, {"type": "response.done", "event_id": "event_x", "response": "over"})
    await wait(connection)


async def stalls(connection: ServerConnection) -> None:
    await reply_to(connection)
    await wait(connection)


@pytest.mark.parametrize(
    ("behave", "reason", "close_code"),
    [
        (closes, "upstream_unavailable", 1013),
        (breaks_off, "upstream_unavailable", 1013),
        (sends_garbage, "upstream_failed", 1011),
        (sends_bytes, "upstream_failed", 1011),
        (sends_nonsense, "upstream_failed", 1011),
        (stalls, "upstream_failed", 1011),
    ],
)
async def test_it_fails_in_the_middle_of_a_reply(behave: Behaviour, reason: str, close_code: int) -> None:
    async with (
        another_server(behave) as (url, _),
        in_front_of(url, upstream={"stall_timeout_s": 2 if behave is stalls else 20}) as server,
        RealtimeClient(server.ws_url) as client,
    ):
        await client.send({"type": "response.create", "response": {"output_modalities": ["text"]}})
        events, code = await ended(client)
        assert code == close_code
        assert [event["type"] for event in events[-6:]] == [
            "response.output_text.done",
            "response.content_part.done",
            "conversation.item.done",
            "response.output_item.done",
            "response.done",
            "error",
        ]
        response, error = events[-2]["response"], events[-1]["error"]
        assert (response["status"], response["output"][0]["content"][0]["text"]) == ("failed", "Hello")
        assert response["status_details"]["error"]["code"] == error["code"] == reason
        assert error["type"] == "server_error"


async def test_it_is_killed_in_the_middle_of_a_spoken_reply(tmp_path: Path) -> None:
    file = tmp_path / "antiphon.yaml"
    file.write_text(SLOW)
    with serving(arguments=["--config", str(file)]) as far:
        async with in_front_of(far.base_url) as server, RealtimeClient(server.ws_url) as client:
            await client.speak(tone(800))
            await client.expect("response.output_audio.delta")
            os.kill(far.pid, signal.SIGKILL)
            events, code = await ended(client)
            assert code == 1013
            assert [event["type"] for event in events[-2:]] == ["response.done", "error"]
            assert events[-2]["response"]["status"] == "failed"


async def test_a_call_whose_upstream_goes() -> None:
    async with another_server(breaks_off) as (url, _), in_front_of(url) as server:
        caller = Caller()
        try:
            await caller.connect(server.base_url)
            caller.send({"type": "response.create"})
            error = await caller.expect("error")
            assert error["error"]["code"] == "upstream_unavailable"
            assert (await caller.expect("response.done"))["response"]["status"] == "failed"
        finally:
            await caller.close()


async def test_it_is_stopped_between_replies() -> None:
    async def goes_away(connection: ServerConnection) -> None:
        await say(connection, created())
        await connection.close(1001, "shutting down")

    async with (
        another_server(goes_away) as (url, _),
        in_front_of(url) as server,
        RealtimeClient(server.ws_url) as client,
    ):
        events, code = await ended(client)
        assert ([event["type"] for event in events], code) == (["session.created", "error"], 1013)


async def test_its_session_is_as_long_as_it_may_be() -> None:
    async def expires(connection: ServerConnection) -> None:
        error = {"type": "invalid_request_error", "code": "session_expired", "message": "Your session hit the maximum."}
        told = {**error, "param": None, "event_id": None}
        await say(connection, created(), server_event("error", error=told))

    async with (
        another_server(expires) as (url, _),
        in_front_of(url) as server,
        RealtimeClient(server.ws_url) as client,
    ):
        events, code = await ended(client)
        assert ([event["type"] for event in events], code) == (["session.created", "error"], 1001)
        assert events[-1]["error"]["code"] == "session_expired"


async def test_it_takes_nothing_any_more() -> None:
    over = asyncio.Event()

    async def deaf(connection: ServerConnection) -> None:
        await say(connection, created())
        connection.transport.pause_reading()
        await over.wait()
        connection.transport.abort()

    append = json.dumps({"type": "input_audio_buffer.append", "audio": "AAAA" * 25_000})
    async with (
        another_server(deaf) as (url, _),
        in_front_of(url, upstream={"stall_timeout_s": 0.5}, limits={"inbox_bytes": 100_000}) as server,
        connect(server.ws_url, close_timeout=0.5, compression=None) as client,
        asyncio.timeout(60),
    ):

        async def flood() -> None:
            while True:
                await client.send(append)

        assert json.loads(await client.recv())["type"] == "session.created"
        flooding = asyncio.create_task(flood())
        try:
            error = json.loads(await client.recv())["error"]
        finally:
            over.set()
            flooding.cancel()
            await asyncio.gather(flooding, return_exceptions=True)
        assert (error["code"], error["message"]) == ("upstream_failed", "The upstream server took nothing for 0.5 s.")


async def test_it_does_not_answer_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "PING_INTERVAL_S", 0.1)
    monkeypatch.setattr(upstream, "PONG_TIMEOUT_S", 2.0)
    over = asyncio.Event()

    async def deaf(connection: ServerConnection) -> None:
        await say(connection, created())
        await asyncio.sleep(0.5)  # it answers pings for a while
        connection.transport.pause_reading()
        await over.wait()
        connection.transport.abort()

    async with (
        another_server(deaf) as (url, _),
        in_front_of(url) as server,
        RealtimeClient(server.ws_url) as client,
    ):
        events, code = await ended(client)
        over.set()
        assert events[-1]["error"]["message"] == "The upstream server does not answer any more."
        assert code == 1013


async def test_a_newer_upstream() -> None:
    """What we do not know passes both ways."""
    seen: list[dict[str, Any]] = []

    async def newer(connection: ServerConnection) -> None:
        event = created()
        event["session"]["mood"] = "sunny"
        await say(connection, event)
        async for message in connection:
            seen.append(json.loads(message))
            await say(connection, server_event("session.mood.changed", mood="stormy"))

    async with (
        another_server(newer) as (url, _),
        in_front_of(url) as server,
        connect(server.ws_url, close_timeout=0.5) as client,
        asyncio.timeout(20),
    ):
        assert json.loads(await client.recv())["session"]["mood"] == "sunny"
        await client.send(json.dumps({"type": "session.mood.set", "mood": "stormy"}))
        assert json.loads(await client.recv())["mood"] == "stormy"
    assert seen == [{"type": "session.mood.set", "mood": "stormy"}]


async def test_a_client_that_is_slow_to_read_holds_the_upstream_up() -> None:
    sent = 0

    async def flood(connection: ServerConnection) -> None:
        nonlocal sent
        await say(connection, created(), *begun()[:1])
        while True:
            await connection.send(json.dumps(server_event("response.new.delta", padding="x" * 100_000)))
            sent += 1

    async with (
        another_server(flood) as (url, _),
        in_front_of(url) as server,
        connect(server.ws_url, close_timeout=0.5, max_queue=1) as client,
    ):
        await client.recv()
        before = -1
        async with asyncio.timeout(30):
            while before != sent:
                before = sent
                await asyncio.sleep(0.5)
        assert sent < 1500, "it goes on although nobody reads"
        client.transport.abort()
