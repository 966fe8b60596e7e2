"""The recording client and the tap, against a WebSocket server that plays a script."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import InvalidStatus
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from tests.conformance.frames import FrameError
from tests.conformance.order import OrderViolation
from tests.conformance.recorder import RealtimeClient
from tests.conformance.scenarios import SCENARIOS
from tests.conformance.script import Event, Step
from tests.conformance.tap import Tap

KEY = {"Authorization": "Bearer right"}


@asynccontextmanager
async def playing(
    steps: Sequence[Step], change: Callable[[Event], Event] = lambda event: event, close_code: int = 1000
) -> AsyncIterator[str]:
    """Serve `steps` to every client that has the key: wait where the script says that the client sends."""

    async def play(connection: ServerConnection) -> None:
        for direction, event in steps:
            if direction == "sent":
                await connection.recv()
            else:
                await connection.send(json.dumps(change(event)))
        await connection.close(close_code)

    def check_key(connection: ServerConnection, request: Request) -> Response | None:
        if request.headers.get("Authorization") == KEY["Authorization"]:
            return None
        return connection.respond(HTTPStatus.UNAUTHORIZED, json.dumps({"error": {"code": "invalid_api_key"}}))

    def subprotocol(connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        return Subprotocol("realtime") if "realtime" in offered else None

    async with serve(play, "127.0.0.1", 0, process_request=check_key, select_subprotocol=subprotocol) as server:
        yield f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


async def play_client(url: str, steps: Sequence[Step]) -> RealtimeClient:
    """Send the client's side of `steps`, each event when all before it has come."""
    ws = url.replace("http:", "ws:") + "/v1/realtime"
    async with RealtimeClient(ws, headers=KEY) as client:
        for direction, event in steps:
            if direction == "sent":
                await client.send(event, event_id=False)
            else:
                await client.expect(event["type"])
        await client.socket.wait_closed()  # by the server, which has no more to say
    return client


@pytest.mark.parametrize("name", ["server_vad_turns", "function_call", "out_of_band"])
async def test_client_checks_and_keeps_a_whole_connection(name: str) -> None:
    steps = SCENARIOS[name]
    async with playing(steps) as url:
        client = await play_client(url, steps)
    assert [(frame.direction, frame.event) for frame in client.recording.frames] == [tuple(step) for step in steps]
    done = client.recording.received("response.done")[0]["response"]
    spoken = client.recording.speech(done["id"])
    assert len(spoken) % 2400 == 0  # 100 ms at a time
    assert (len(spoken) > 0) == (done["output_modalities"] == ["audio"] and done["output"][0]["type"] == "message")


async def test_client_reports_a_bad_frame() -> None:
    steps = SCENARIOS["text_turn"]
    async with playing(steps, lambda event: {**event, "extra": 1}) as url:
        with pytest.raises(FrameError, match="extra: must not be there"):
            await play_client(url, steps)


async def test_client_reports_what_never_came() -> None:
    steps = [*SCENARIOS["connect"], ("sent", {"type": "input_audio_buffer.clear"})]
    async with playing(steps) as url:
        with pytest.raises(OrderViolation, match=r"no answer to input_audio_buffer\.clear"):
            await play_client(url, steps)


async def test_client_says_what_came_instead() -> None:
    steps = SCENARIOS["connect"]
    async with playing(steps) as url, RealtimeClient(url.replace("http:", "ws:"), headers=KEY) as client:
        with pytest.raises(ConnectionError, match=r"came: session\.created"):
            await client.expect("session.updated")


async def test_tap_passes_everything_and_checks_it() -> None:
    steps = SCENARIOS["server_vad_turns"]
    async with playing(steps, close_code=4321) as url, Tap(url) as tap:
        client = await play_client(f"http://127.0.0.1:{tap.port}", steps)
        tap.finish()
        assert client.closed is not None
        assert client.closed.rcvd is not None
        assert client.closed.rcvd.code == 4321
        ours = [frame.event for frame in client.recording.frames]
        assert [frame.event for frame in tap.connections[0].recording.frames] == ours


async def test_tap_reports_and_still_passes_a_bad_frame() -> None:
    def broken(event: Event) -> Event:
        return {**event, "previous_item_id": "item_wrong"} if event["type"] == "conversation.item.done" else event

    async with playing(SCENARIOS["text_turn"], broken) as url:
        with pytest.raises(OrderViolation, match="previous_item_id"):
            async with Tap(url) as tap, connect(f"ws://127.0.0.1:{tap.port}/", additional_headers=KEY) as socket:
                came: list[str] = []
                for direction, event in SCENARIOS["text_turn"]:
                    if direction == "sent":
                        await socket.send(json.dumps(event))
                    else:
                        came.append(json.loads(await socket.recv())["type"])
                assert came[-1] == "response.done"
                assert len(tap.failures) == 1
                tap.raise_failure()


async def test_tap_passes_refusal_and_subprotocol() -> None:
    async with playing(SCENARIOS["connect"]) as url, Tap(url) as tap:
        ws = f"ws://127.0.0.1:{tap.port}/v1/realtime?model=gpt-realtime"
        with pytest.raises(InvalidStatus) as refused:
            await connect(ws)
        assert refused.value.response.status_code == 401
        assert json.loads(refused.value.response.body or b"")["error"]["code"] == "invalid_api_key"
        offered = [Subprotocol("realtime"), Subprotocol("openai-insecure-api-key.k")]
        async with connect(ws, additional_headers=KEY, subprotocols=offered) as socket:
            assert socket.subprotocol == "realtime"
            await asyncio.wait_for(socket.recv(), 20)
        async with connect(ws, additional_headers=KEY) as socket:
            assert socket.subprotocol is None
