"""The life of a WebRTC call: refusals, large messages, sidebands, hanging up, lost clients, and nothing left behind."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aioice.ice
import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from antiphon.transports.webrtc import call as call_module
from antiphon.transports.webrtc.negotiation import MAX_MESSAGE_BYTES
from tests.calling import Caller, calling, loud
from tests.leftovers import own_threads
from tests.serving import LocalServer, serving_here


@pytest.fixture
async def server() -> AsyncIterator[LocalServer]:
    async with serving_here() as local:
        yield local


async def settled(server: LocalServer, sessions: int = 0) -> None:
    """Wait until the server has just so many sessions."""
    async with asyncio.timeout(30):
        while server.service._reserved != sessions:  # noqa: ASYNC110 - the service tells nobody
            await asyncio.sleep(0.02)


async def post(server: LocalServer, path: str, **request: Any) -> httpx2.Response:
    async with httpx2.AsyncClient(timeout=30) as http:
        return await http.post(server.base_url + path, **request)


def error_of(response: httpx2.Response) -> dict[str, Any]:
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    found: dict[str, Any] = body["error"]
    return found


async def offer_of(**how: Any) -> str:
    caller = Caller(**how)
    try:
        return await caller.offer()
    finally:
        await caller.close()


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sdp", "code"),
    [
        ("", "invalid_offer"),
        ("hello", "invalid_offer"),
        ("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n", "invalid_offer"),
        ("m=audio x y z\r\n", "invalid_offer"),
    ],
)
async def test_what_is_no_offer_is_refused(server: LocalServer, sdp: str, code: str) -> None:
    response = await post(server, "/realtime/calls", content=sdp, headers={"Content-Type": "application/sdp"})
    assert response.status_code == 400
    assert error_of(response)["code"] == code
    assert error_of(response)["param"] == "sdp"
    await settled(server)


async def test_an_offer_that_is_too_long_is_refused(server: LocalServer) -> None:
    """Reading one of 2 MiB, as much as a request may have, would hold up everybody."""
    offer = await offer_of() + "a=candidate:1 1 udp 1 10.0.0.1 5000 typ host\r\n" * 6000
    response = await post(server, "/realtime/calls", content=offer, headers={"Content-Type": "application/sdp"})
    assert response.status_code == 400
    assert error_of(response)["code"] == "invalid_offer"


async def test_an_offer_without_audio_is_refused(server: LocalServer) -> None:
    sdp = await offer_of()
    head, _, rest = sdp.partition("m=audio")
    without = head.replace("BUNDLE 0 1", "BUNDLE 1") + "m=application" + rest.partition("m=application")[2]
    response = await post(server, "/realtime/calls", content=without, headers={"Content-Type": "application/sdp"})
    assert response.status_code == 400
    assert "no audio" in error_of(response)["message"]


@pytest.mark.parametrize(
    ("session", "code", "param"),
    [
        ({}, "missing_required_parameter", "session.type"),
        ({"type": "translation"}, "invalid_value", "session.type"),
        ({"type": "realtime", "voice": "alloy"}, "unknown_parameter", "session.voice"),
        ({"type": "realtime", "audio": {"output": {"voice": "nobody"}}}, "invalid_value", "session.audio.output.voice"),
        ({"type": "realtime", "model": "no-such-model"}, "model_not_found", "model"),
    ],
)
async def test_a_session_that_cannot_be_is_refused(
    server: LocalServer, session: dict[str, Any], code: str, param: str
) -> None:
    form = {"sdp": await offer_of(), "session": json.dumps(session)}
    response = await post(server, "/realtime/calls", data=form)
    assert response.status_code == (404 if code == "model_not_found" else 400)
    assert (error_of(response)["code"], error_of(response)["param"]) == (code, param)
    await settled(server)


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        ({"content": "x", "headers": {"Content-Type": "text/html"}}, 415, "unsupported_media_type"),
        ({"json": {"sdp": "x"}}, 415, "unsupported_media_type"),
        ({"data": {"session": "{}"}}, 400, "missing_required_parameter"),
        ({"data": {"sdp": "x", "session": "{"}}, 400, "invalid_json"),
        ({"data": {"sdp": "x", "session": "[]"}}, 400, "invalid_json"),
        ({"content": b"xx", "headers": {"Content-Type": "multipart/form-data; boundary=b"}}, 400, "invalid_form"),
        ({"content": b"xx", "headers": {"Content-Type": "multipart/form-data"}}, 400, "invalid_form"),
        ({"content": b"v" * (3 << 20), "headers": {"Content-Type": "application/sdp"}}, 413, "body_too_large"),
        ({"data": {"sdp": "v" * (3 << 20)}}, 413, "body_too_large"),
    ],
)
async def test_a_request_that_cannot_be_read_is_refused(
    server: LocalServer, request_: dict[str, Any], status: int, code: str
) -> None:
    response = await post(server, "/realtime/calls", **request_)
    assert response.status_code == status
    assert error_of(response)["code"] == code


async def test_offers_that_are_refused_leave_nothing(server: LocalServer) -> None:
    good = await offer_of()
    offers = [
        "",
        "hello",
        good.partition("m=audio")[0],
        good.replace("a=fingerprint", "a=nothing"),
        good[: len(good) // 2],
    ]
    headers = {"Content-Type": "application/sdp"}

    async def refused_all() -> None:
        for sdp in offers:
            response = await post(server, "/realtime/calls", content=sdp, headers=headers)
            assert (response.status_code, error_of(response)["code"]) == (400, "invalid_offer"), sdp
        bad = {"sdp": good, "session": '{"type": "realtime", "model": "no-such-model"}'}
        assert (await post(server, "/realtime/calls", data=bad)).status_code == 404
        await settled(server)

    await refused_all()  # what is made once and kept is made now
    before = await held_at_rest()
    for _ in range(3):
        await refused_all()
    await no_more_than(before)


async def test_an_origin_may_read_where_the_call_is(server: LocalServer) -> None:
    headers = {"Content-Type": "application/sdp", "Origin": "http://localhost:3000"}
    response = await post(server, "/realtime/calls", content=await offer_of(), headers=headers)
    assert response.status_code == 201
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.headers["access-control-allow-origin"] == "http://localhost:3000"
    exposed = {name.strip() for name in response.headers["access-control-expose-headers"].split(",")}
    assert {"Location", "X-Request-Id"} <= exposed
    assert response.headers["x-request-id"].startswith("req_")
    await post(server, response.headers["location"].removeprefix("/v1") + "/hangup")
    await settled(server)


@pytest.mark.parametrize("action", ["accept", "reject", "refer"])
async def test_telephony_is_refused(server: LocalServer, action: str) -> None:
    response = await post(server, f"/realtime/calls/rtc_x/{action}", json={})
    assert response.status_code == 400
    assert error_of(response)["code"] == "sip_not_supported"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_another_offer_for_a_call_is_refused_and_the_call_goes_on(server: LocalServer, method: str) -> None:
    """As for an ICE restart, or to add media."""
    async with calling(server.base_url) as caller, httpx2.AsyncClient(timeout=30) as http:
        path = f"{server.base_url}/realtime/calls/"
        offer: Any = {"content": await caller.offer(), "headers": {"Content-Type": "application/sdp"}}
        response = await http.request(method, path + caller.call_id, **offer)
        assert response.status_code == 400
        assert error_of(response)["code"] == "renegotiation_not_supported"
        response = await http.request(method, f"{path}rtc_x", **offer)
        assert response.status_code == 404
        assert error_of(response)["code"] == "call_not_found"
        start = len(caller.events)
        caller.send({"type": "session.update", "session": {"type": "realtime", "instructions": "Be brief."}})
        await caller.expect("session.updated", start)


async def test_a_full_server_takes_no_call() -> None:
    async with serving_here(max_sessions=1) as server, calling(server.base_url):
        response = await post(
            server, "/realtime/calls", content=await offer_of(), headers={"Content-Type": "application/sdp"}
        )
        assert response.status_code == 503
        assert error_of(response)["code"] == "session_limit_reached"
        assert int(response.headers["retry-after"]) > 0


async def test_extra_media_are_refused_and_the_rest_is_taken(server: LocalServer) -> None:
    caller = Caller()
    caller.peer.addTransceiver("video")
    headers = {"Content-Type": "application/sdp"}
    response = await post(server, "/realtime/calls", content=await caller.offer(), headers=headers)
    await caller.close()
    assert response.status_code == 201
    sections = [line for line in response.text.splitlines() if line.startswith(("m=", "a=group"))]
    assert [section.split()[:2] for section in sections[1:]] == [
        ["m=audio", "9"],
        ["m=video", "0"],
        ["m=application", "9"],
    ]
    assert sections[0] == "a=group:BUNDLE 0 2"


# --- the data channel ------------------------------------------------------------------------------------------------


def tools(size: int) -> list[dict[str, Any]]:
    """Function tools of about `size` bytes."""
    filler = "x" * 1000
    return [{"type": "function", "name": f"tool_{n}", "description": filler} for n in range(size // 1060)]


async def test_large_messages_pass_both_ways(server: LocalServer) -> None:
    async with calling(server.base_url) as caller:
        caller.send({"type": "session.update", "session": {"type": "realtime", "tools": tools(120_000)}})
        updated = await caller.expect("session.updated")
        assert len(updated["session"]["tools"]) == len(tools(120_000))


async def test_an_event_larger_than_the_client_takes_becomes_an_error(server: LocalServer) -> None:
    async with calling(server.base_url) as caller:
        assert caller.peer.sctp is not None
        caller.peer.sctp._remote_max_message_size = 0  # send whatever the server has said it takes
        big = [{**tool, "description": "x" * 4000} for tool in tools(120_000)]
        caller.send({"type": "session.update", "session": {"type": "realtime", "tools": big}})
        error = await caller.expect("error")
        assert error["error"]["code"] == "event_too_large"
        assert "session.updated" in error["error"]["message"]
        caller.send({"type": "session.update", "session": {"type": "realtime", "tools": []}})
        await caller.expect("session.updated")


async def test_an_item_that_is_larger_than_the_client_takes_is_retrieved_without_its_audio(server: LocalServer) -> None:
    async with calling(server.base_url) as caller:
        message = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello."}]}
        caller.send({"type": "conversation.item.create", "item": message})
        caller.send({"type": "response.create"})
        (item,) = (await caller.expect("response.done"))["response"]["output"]
        caller.send({"type": "conversation.item.retrieve", "item_id": item["id"]})
        retrieved = await caller.expect("conversation.item.retrieved")
        (part,) = retrieved["item"]["content"]
        assert part == {"type": "output_audio", "transcript": item["content"][0]["transcript"]}


@pytest.mark.parametrize("size", [MAX_MESSAGE_BYTES + 1000, 5 * MAX_MESSAGE_BYTES])
async def test_an_oversized_message_is_an_error_and_the_next_one_is_taken(server: LocalServer, size: int) -> None:
    async with calling(server.base_url) as caller:
        assert caller.peer.sctp is not None and caller.channel is not None
        caller.peer.sctp._remote_max_message_size = 0
        caller.channel.send("x" * size)
        caller.send({"type": "input_audio_buffer.clear", "event_id": "after"})
        error = await caller.expect("error", timeout_s=100)
        assert error["error"]["code"] == "event_too_large"
        await caller.expect("input_audio_buffer.cleared", timeout_s=60)


async def test_what_is_no_event_is_an_error(server: LocalServer) -> None:
    async with calling(server.base_url) as caller:
        assert caller.channel is not None
        for message in (b"\x00\x01", "{", "[]", '{"type": "no.such"}'):
            start = len(caller.events)
            caller.channel.send(message)
            await caller.expect("error", start)
        known = caller.events[-1]["error"]["message"]
        assert "output_audio_buffer.clear" in known


async def test_text_that_is_no_utf8_is_an_error(server: LocalServer) -> None:
    async with calling(server.base_url) as caller:
        assert caller.peer.sctp is not None and caller.channel is not None
        assert caller.channel.id is not None
        await caller.peer.sctp._send(caller.channel.id, 51, b"\xff\xfe\xfd")
        error = await caller.expect("error")
        assert error["error"]["code"] == "invalid_event"


async def test_other_data_channels_are_closed(server: LocalServer) -> None:
    async with calling(server.base_url) as caller:
        other = caller.peer.createDataChannel("other")
        async with asyncio.timeout(10):
            while other.readyState != "closed":  # noqa: ASYNC110 - until it is
                await asyncio.sleep(0.02)
        caller.send({"type": "input_audio_buffer.clear"})
        await caller.expect("input_audio_buffer.cleared")


async def test_a_call_without_a_data_channel_is_heard(server: LocalServer) -> None:
    async with calling(server.base_url, channel=False) as caller:
        caller.microphone.say(loud(0.5))
        async with asyncio.timeout(10):
            while not (abs(caller.sound()) > 1000).any():  # noqa: ASYNC110 - until there is
                await asyncio.sleep(0.1)


# --- sidebands -------------------------------------------------------------------------------------------------------


async def test_a_sideband_sees_everything_and_steers(server: LocalServer) -> None:
    async with calling(server.base_url) as caller, connect(f"{server.ws_url}?call_id={caller.call_id}") as sideband:
        update = {"type": "realtime", "instructions": "Answer in two words."}
        await sideband.send(json.dumps({"type": "session.update", "session": update}))
        first = json.loads(await sideband.recv())
        assert first["type"] == "session.updated", "no session.created comes first"
        assert (await caller.expect("session.updated")) == first
        await sideband.send("{")
        assert json.loads(await sideband.recv()) == await caller.expect("error")
        start = len(caller.events)
        caller.microphone.say(loud(0.5))
        await caller.expect("output_audio_buffer.stopped", start)
        told = caller.events[start:]
        seen = [json.loads(await sideband.recv()) for _ in told]
        assert seen == told


async def test_a_sideband_works_before_the_client_is_connected(server: LocalServer) -> None:
    caller = Caller()
    try:
        headers = {"Content-Type": "application/sdp"}
        response = await post(server, "/realtime/calls", content=await caller.offer(), headers=headers)
        call_id = response.headers["location"].rpartition("/")[2]
        async with connect(f"{server.ws_url}?call_id={call_id}") as sideband:
            item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Say hello."}]}
            for event in (
                {"type": "session.update", "session": {"type": "realtime", "output_modalities": ["text"]}},
                {"type": "conversation.item.create", "item": item},
                {"type": "response.create"},
            ):
                await sideband.send(json.dumps(event))
            kinds = []
            while "response.done" not in kinds:
                kinds.append(json.loads(await sideband.recv())["type"])
            assert kinds[:4] == [
                "session.updated",
                "conversation.item.added",
                "conversation.item.done",
                "response.created",
            ]
            await post(server, f"/realtime/calls/{call_id}/hangup")
            with pytest.raises(ConnectionClosed):
                while True:
                    await asyncio.wait_for(sideband.recv(), 10)
            assert sideband.close_code == 1000
    finally:
        await caller.close()
    await settled(server)


async def test_a_sideband_of_no_call_is_refused(server: LocalServer) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"{server.ws_url}?call_id=rtc_nobody")
    assert refused.value.response.status_code == 404


async def test_the_call_outlives_its_sideband(server: LocalServer) -> None:
    async with calling(server.base_url) as caller:
        async with connect(f"{server.ws_url}?call_id={caller.call_id}"):
            pass
        caller.send({"type": "input_audio_buffer.clear"})
        await caller.expect("input_audio_buffer.cleared")


# --- the end ---------------------------------------------------------------------------------------------------------


async def test_hanging_up(server: LocalServer) -> None:
    async with calling(server.base_url) as caller:
        closed = asyncio.Event()
        assert caller.channel is not None
        caller.channel.on("close", closed.set)
        response = await post(server, f"/realtime/calls/{caller.call_id}/hangup")
        assert response.status_code == 200
        await asyncio.wait_for(closed.wait(), 10)
        await settled(server)
        response = await post(server, f"/realtime/calls/{caller.call_id}/hangup")
        assert response.status_code == 404
        assert error_of(response)["code"] == "call_not_found"


async def test_a_session_that_expires_says_so(server: LocalServer) -> None:
    async with serving_here(limits={"max_duration_s": 4.0}) as short, calling(short.base_url) as caller:
        error = await caller.expect("error")
        assert error["error"]["code"] == "session_expired"
        await settled(short)


async def test_a_client_that_closes_its_channel_has_hung_up(server: LocalServer) -> None:
    async with calling(server.base_url) as caller:
        assert caller.channel is not None
        caller.channel.close()
        await settled(server)


async def test_a_client_that_vanishes_is_noticed(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.05)
    async with calling(server.base_url) as caller:
        await vanish(caller)
        await settled(server)


async def test_a_client_that_never_comes_is_given_up(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_module, "CONNECT_S", 3.0)
    headers = {"Content-Type": "application/sdp"}
    response = await post(server, "/realtime/calls", content=await offer_of(), headers=headers)
    assert response.status_code == 201
    assert server.service._reserved == 1
    await settled(server)


async def test_another_client_cannot_take_the_call(server: LocalServer) -> None:
    """Who answers with another certificate than the offer's is not let in."""
    caller, thief = Caller(), Caller()
    try:
        offer, other = await caller.offer(), await thief.offer()
        mine = next(line for line in offer.splitlines() if "fingerprint:sha-256" in line)
        its = next(line for line in other.splitlines() if "fingerprint:sha-256" in line)
        lines = [line for line in offer.splitlines() if "fingerprint:sha-3" not in line and "sha-5" not in line]
        headers = {"Content-Type": "application/sdp"}
        forged = "\r\n".join(lines).replace(mine, its) + "\r\n"
        response = await post(server, "/realtime/calls", content=forged, headers=headers)
        assert response.status_code == 201
        await caller.take(response.text)
        await settled(server)
        assert not caller.events
    finally:
        await caller.close()
        await thief.close()


async def test_fifty_calls_dropped_at_random_moments_leave_nothing(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.05)
    monkeypatch.setattr(call_module, "CONNECT_S", 5.0)
    await drop_ten_calls(server, seed=0)  # what is made once and kept is made now
    await settled(server)
    before = await held_at_rest()
    for seed in range(1, 6):
        await drop_ten_calls(server, seed)
    await settled(server)
    assert server.service.metrics.sessions.labels("realtime", "client_closed")._value.get() >= 30
    await no_more_than(before)


async def drop_ten_calls(server: LocalServer, seed: int) -> None:
    """Run the client as a program of its own, so that only the server's tasks and sockets are counted."""
    command = [sys.executable, "-m", "tests.e2e.dropped_calls", server.base_url, str(seed)]
    process = await asyncio.create_subprocess_exec(*command)
    assert await process.wait() == 0


async def vanish(caller: Caller) -> None:
    """Drop the client's sockets without a word."""
    for transceiver in caller.peer.getTransceivers():
        for protocol in transceiver.receiver.transport.transport._connection._protocols:
            protocol.transport.close()


async def held() -> tuple[int, int, int]:
    """Return how many tasks, sockets and threads of ours this process has."""
    await asyncio.sleep(0)
    sockets = sum(1 for name in os.listdir("/proc/self/fd") if "socket" in _target(name))  # noqa: PTH208 - not async
    return len(asyncio.all_tasks()), sockets, own_threads()


async def held_at_rest() -> tuple[int, int, int]:
    """Return the least that is held within a second, in which everything that is about to end has ended."""
    seen = []
    for _ in range(20):
        await asyncio.sleep(0.05)
        seen.append(await held())
    tasks, sockets, threads = zip(*seen, strict=True)
    return min(tasks), min(sockets), min(threads)


async def no_more_than(before: tuple[int, int, int]) -> None:
    """Wait until no more is held than before."""
    for _ in range(200):
        await asyncio.sleep(0.1)
        if all(now <= then for now, then in zip(await held(), before, strict=True)):
            return
    names = sorted(f"{task.get_name()}: {task.get_coro()!r:.120}" for task in asyncio.all_tasks())
    raise AssertionError(f"left: {await held()}, before: {before}:\n" + "\n".join(names))


def _target(name: str) -> str:
    try:
        return str(Path(f"/proc/self/fd/{name}").readlink())
    except OSError:
        return ""


async def test_a_server_that_stops_ends_its_calls() -> None:
    caller = Caller()
    try:
        async with serving_here() as server:
            await caller.connect(server.base_url)
            closed = asyncio.Event()
            assert caller.channel is not None
            caller.channel.on("close", closed.set)
        await asyncio.wait_for(closed.wait(), 10)
    finally:
        await caller.close()


async def test_no_secret_is_logged(server: LocalServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with calling(server.base_url) as caller:
        password = next(line for line in caller.answer.splitlines() if "ice-pwd" in line).partition(":")[2]
    await settled(server)
    assert not [record for record in caplog.records if record.name.startswith("antiphon") and password in str(record)]
