"""Conversations through a server whose model is that of another one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import numpy as np
import pytest
from psutil import Process
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from antiphon.bench.corpus import SHIPPED
from antiphon.config import Settings
from tests.calling import RATE, calling, loud
from tests.conformance.audio import tone
from tests.conformance.frames import validate_server_event
from tests.conformance.recorder import RealtimeClient
from tests.e2e.relaying import in_front_of
from tests.remote_servers import eventually
from tests.serving import LocalServer, ServerProcess, serving

TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
SLOW = "pipelines: {theirs: {llm: {engine: stand-in-llm, words: 400, token_ms: 50}}}"
"""A reply that takes 20 s to make, so that there is time to interrupt it."""

KEY = "sk-upstream-secret"


@pytest.fixture
async def relay(stand_in_server: ServerProcess) -> AsyncIterator[LocalServer]:
    async with in_front_of(stand_in_server.base_url) as server:
        yield server


@pytest.fixture(scope="module")
def slow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    file = tmp_path_factory.mktemp("slow") / "antiphon.yaml"
    file.write_text(SLOW)
    with serving(arguments=["--config", str(file)]) as server:
        yield server


# --- WebSocket -------------------------------------------------------------------------------------------------------


async def test_a_spoken_turn(relay: LocalServer) -> None:
    async with RealtimeClient(relay.ws_url) as client:
        session = (await client.expect("session.created"))["session"]
        assert session["model"] == "ours"
        assert session["instructions"].startswith("You are a friendly"), "it is the upstream's own"
        await client.speak(tone(800))
        done = (await client.expect("response.done"))["response"]
        assert done["status"] == "completed"
        assert len(client.recording.speech(done["id"])) > 24_000
        await client.settle()
    await eventually(lambda: "'client_closed'" in str(list(relay.service.metrics.sessions.collect())))
    metrics = await metrics_of(relay)
    assert 'antiphon_turn_stage_seconds_count{stage="waiting"} 1.0' in metrics
    assert 'antiphon_responses_total{status="completed"} 1.0' in metrics
    assert 'antiphon_sessions_total{reason="client_closed",type="realtime"}' in metrics


async def test_what_is_configured_is_what_the_session_is(stand_in_server: ServerProcess) -> None:
    detection = {"type": "semantic_vad", "eagerness": "high"}
    settings: dict[str, Any] = {"instructions": "Sell.", "voice": "high", "turn_detection": detection}
    async with (
        in_front_of(stand_in_server.base_url, **settings, aliases=["shop"]) as server,
        RealtimeClient(f"{server.ws_url}?model=shop") as client,
    ):
        session = (await client.expect("session.created"))["session"]
        assert (session["model"], session["instructions"]) == ("shop", "Sell.")
        assert session["audio"]["output"]["voice"] == "high"
        assert session["audio"]["input"]["turn_detection"]["eagerness"] == "high"
        await client.send({"type": "session.update", "session": {"type": "realtime", "instructions": "Buy."}})
        assert (await client.expect("session.updated"))["session"]["instructions"] == "Buy."
        await client.send({"type": "session.update", "session": {"type": "realtime", "model": "ours"}})
        assert (await client.expect("session.updated"))["session"]["model"] == "shop"
        await client.send({"type": "session.update", "session": {"type": "realtime", "instructions": ""}})
        assert (await client.expect("session.updated"))["session"]["instructions"] == "Sell."


async def test_mistakes_are_told_by_whoever_sees_them(relay: LocalServer) -> None:
    async with RealtimeClient(relay.ws_url) as client:
        await client.send({"type": "session.update", "session": {"type": "realtime", "model": "theirs"}})
        assert (await client.expect("error"))["error"]["param"] == "session.model"
        sent = await client.send({"type": "conversation.item.delete", "item_id": "item_unknown"})
        error = (await client.expect("error"))["error"]
        assert (error["code"], error["event_id"]) == ("item_delete_invalid_item_id", sent)
        await client.send_raw("{")
        assert (await client.expect("error"))["error"]["code"] == "invalid_event"
        sent = await client.send({"type": "output_audio_buffer.clear"})
        assert (await client.expect("error"))["error"]["event_id"] == sent


async def test_a_tool_call(relay: LocalServer) -> None:
    async with RealtimeClient(relay.ws_url) as client:
        session = {"type": "realtime", "tools": [TOOL], "tool_choice": "required"}
        await client.send({"type": "session.update", "session": session})
        await client.expect("session.updated")
        await client.send({"type": "response.create"})
        (call,) = (await client.expect("response.done"))["response"]["output"]
        assert (call["name"], json.loads(call["arguments"])) == ("get_weather", {"city": "text"})
        item = {"type": "function_call_output", "call_id": call["call_id"], "output": "Sunny."}
        await client.send({"type": "conversation.item.create", "item": item})
        await client.send({"type": "response.create", "response": {"tool_choice": "none"}})
        assert (await client.expect("response.done"))["response"]["output"][0]["type"] == "message"


async def test_barge_in(slow_server: ServerProcess) -> None:
    async with in_front_of(slow_server.base_url) as server, RealtimeClient(server.ws_url) as client:
        await client.send({"type": "response.create"})
        delta = await client.expect("response.output_audio.delta")
        await client.speak(tone(1200), trailing_silence_ms=0)
        done = (await client.expect("response.done"))["response"]
        assert done["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        cut = {"item_id": delta["item_id"], "content_index": 0, "audio_end_ms": 40}
        await client.send({"type": "conversation.item.truncate", **cut})
        await client.expect("conversation.item.truncated")
        await client.close()


async def test_a_client_of_the_beta(relay: LocalServer) -> None:
    kinds: list[str] = []
    async with connect(f"{relay.ws_url}?dialect=beta", close_timeout=0.5) as client, asyncio.timeout(20):
        update = {"modalities": ["text", "audio"], "input_audio_format": "g711_ulaw", "temperature": 0.8}
        await client.send(json.dumps({"type": "session.update", "session": update}))
        await client.send(json.dumps({"type": "response.create"}))
        while "response.done" not in kinds:
            event = json.loads(await client.recv())
            kinds.append(event["type"])
            if event["type"] == "session.updated":
                assert (event["session"]["input_audio_format"], event["session"]["model"]) == ("g711_ulaw", "ours")
    assert kinds[:3] == ["session.created", "conversation.created", "session.updated"]
    assert {"response.audio.delta", "response.audio_transcript.done", "conversation.item.created"} < set(kinds)


async def test_a_transcription_session(relay: LocalServer) -> None:
    async with RealtimeClient(f"{relay.ws_url}?intent=transcription") as client:
        assert (await client.expect("session.created"))["session"]["type"] == "transcription"
        audio = {"input": {"transcription": {"model": "gpt-4o-transcribe"}}}
        await client.send({"type": "session.update", "session": {"type": "transcription", "audio": audio}})
        await client.speak(tone(800))
        completed = await client.expect("conversation.item.input_audio_transcription.completed")
        assert completed["transcript"].startswith("Utterance of")


# --- keys, secrets, places, ends -------------------------------------------------------------------------------------


@pytest.mark.parametrize("azure", [False, True])
async def test_an_upstream_with_a_key(azure: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSTREAM_KEY", KEY)
    with serving(environment={"ANTIPHON_API_KEYS": KEY}) as upstream:
        settings = {"api_key": {"env": "UPSTREAM_KEY"}, "azure": azure}
        async with (
            in_front_of(upstream.base_url, upstream=settings) as server,
            RealtimeClient(server.ws_url) as client,
        ):
            await client.send({"type": "response.create"})
            await client.expect("response.done")


async def test_a_client_secret_is_bound_to_its_session(relay: LocalServer) -> None:
    async with httpx.AsyncClient(base_url=relay.base_url, timeout=20) as http:
        session = {
            "type": "realtime",
            "model": "ours",
            "instructions": "Bound.",
            "audio": {"output": {"voice": "high"}},
        }
        secret = (await http.post("/realtime/client_secrets", json={"session": session})).json()
        assert secret["session"]["instructions"] == "Bound."
        assert secret["session"]["audio"]["output"]["voice"] == "high"
        flat = (await http.post("/realtime/sessions", json={"voice": "of the upstream"})).json()
        assert (flat["voice"], flat["model"]) == ("of the upstream", "ours")
    headers = {"Authorization": f"Bearer {secret['value']}"}
    async with RealtimeClient(relay.ws_url, headers=headers) as client:
        shown = (await client.expect("session.created"))["session"]
        assert (shown["instructions"], shown["audio"]["output"]["voice"]) == ("Bound.", "high")
    headers = {"Authorization": f"Bearer {flat['client_secret']['value']}"}
    async with connect(relay.ws_url, additional_headers=headers, close_timeout=0.5) as refused, asyncio.timeout(20):
        assert json.loads(await refused.recv())["error"]["param"] == "session.audio.output.voice"


async def test_places_and_listings(stand_in_server: ServerProcess) -> None:
    async with in_front_of(stand_in_server.base_url, max_sessions=1) as server:
        async with httpx.AsyncClient(base_url=server.base_url, timeout=20) as http:
            (model,) = (await http.get("/models")).json()["data"]
            assert (model["id"], model["voices"], model["loaded"]) == ("ours", None, True)
            voices = (await http.get("/audio/voices")).json()
            assert voices == {"voices": [], "models": {"ours": {"voices": None, "default": None, "openai_names": None}}}
            ready = (await http.get(f"{server.base_url[:-3]}/readyz")).json()
            assert ready == {"status": "ready", "models": ["ours"]}
        async with RealtimeClient(server.ws_url) as client:
            await client.expect("session.created")
            with pytest.raises(InvalidStatus) as caught:
                async with connect(server.ws_url):
                    pass
            assert caught.value.response.status_code == 503


async def test_a_session_ends_when_its_time_here_is_over(stand_in_server: ServerProcess) -> None:
    async with (
        in_front_of(stand_in_server.base_url, limits={"max_duration_s": 0.5}) as server,
        RealtimeClient(server.ws_url) as client,
    ):
        assert (await client.expect("error"))["error"]["code"] == "session_expired"
        with pytest.raises(ConnectionError):
            await client.expect("session.created")
        assert client.closed is not None
        assert client.closed.rcvd is not None
        assert client.closed.rcvd.code == 1001


async def test_a_new_configuration_is_for_new_sessions(relay: LocalServer, stand_in_server: ServerProcess) -> None:
    async with RealtimeClient(relay.ws_url) as old:
        await old.expect("session.created")
        upstream = {"base_url": stand_in_server.base_url}
        changed = Settings(
            port=0,
            engines={"preset": "stand-in"},
            pipelines={"ours": {"instructions": "New.", "upstream": upstream}, "embedded": {}},
        )
        assert await relay.service.reload(changed)
        async with RealtimeClient(f"{relay.ws_url}?model=ours") as new:
            assert (await new.expect("session.created"))["session"]["instructions"] == "New."
        async with RealtimeClient(f"{relay.ws_url}?model=embedded") as here:
            assert (await here.expect("session.created"))["session"]["model"] == "embedded"
        await old.send({"type": "response.create"})
        await old.expect("response.done")


async def test_sessions_that_are_dropped_leave_nothing(relay: LocalServer, stand_in_server: ServerProcess) -> None:
    async def come_and_go(number: int) -> None:
        async with RealtimeClient(relay.ws_url) as client:
            await client.expect("session.created")
            if number % 3:
                await client.send({"type": "response.create"})
                await client.expect("response.created")
            await (client.vanish() if number % 2 else client.close())

    tasks = len(asyncio.all_tasks())
    for _ in range(3):
        await asyncio.gather(*(come_and_go(number) for number in range(10)))
    await eventually(lambda: len(asyncio.all_tasks()) <= tasks)
    assert relay.service.models is not None
    default = relay.service.models.default
    await eventually(lambda: default.sessions == 0)
    await eventually(lambda: not connections({relay.port, stand_in_server.port}))
    async with asyncio.timeout(20):
        while True:
            if "antiphon_sessions_open 0.0" in await metrics_of(stand_in_server):
                return
            await asyncio.sleep(0.05)


def connections(ports: set[int]) -> list[Any]:
    """Return the open connections of this process from or to one of these ports."""
    return [
        connection
        for connection in Process().net_connections()
        if connection.status == "ESTABLISHED" and ports & {connection.laddr.port, connection.raddr.port}
    ]


async def metrics_of(server: ServerProcess | LocalServer) -> str:
    async with httpx.AsyncClient(timeout=20) as http:
        return (await http.get(f"{server.base_url[:-3]}/metrics")).text


# --- WebRTC ----------------------------------------------------------------------------------------------------------


async def test_a_spoken_turn_of_a_call(relay: LocalServer) -> None:
    session = {"type": "realtime", "instructions": "Be brief.", "audio": {"output": {"voice": "high"}}}
    async with calling(relay.base_url, session=session) as caller:
        shown = caller.events[0]["session"]
        assert (shown["instructions"], shown["model"]) == ("Be brief.", "ours")
        assert shown["audio"]["output"]["voice"] == "high"
        caller.microphone.say(loud(1.0))
        await caller.expect("output_audio_buffer.stopped")
        for event in caller.events:
            if not event["type"].startswith("output_audio_buffer."):
                validate_server_event(event)
        kinds = caller.kinds()
        assert "response.output_audio.delta" not in kinds
        for end in ("output_audio_buffer.started", "response.done"):  # in either order: it plays when it is due
            order = ("input_audio_buffer.speech_stopped", "response.created", end, "output_audio_buffer.stopped")
            places = [kinds.index(kind) for kind in order]
            assert places == sorted(places)
        loudness = np.abs(caller.sound().astype(np.int32))
        assert (loudness > 1000).sum() > RATE // 2


@pytest.mark.parametrize("generating", [True, False])
async def test_speaking_interrupts_what_is_playing_at_what_was_played(
    generating: bool, slow_server: ServerProcess, stand_in_server: ServerProcess
) -> None:
    upstream = slow_server if generating else stand_in_server
    async with in_front_of(upstream.base_url) as server, calling(server.base_url) as caller:
        caller.send({"type": "response.create"})
        started = await caller.expect("output_audio_buffer.started")
        if not generating:
            await caller.expect("response.done")
        await caller.hears(500)
        start = len(caller.events)
        caller.microphone.say(loud(2.5))  # so long that the next reply does not begin while the end of this is measured
        truncated = await caller.expect("conversation.item.truncated", start)
        cleared = await caller.expect("output_audio_buffer.cleared", start)
        assert cleared["response_id"] == started["response_id"]
        kinds = [kind for kind in caller.kinds(start) if not kind.endswith(".delta")]
        assert kinds.index("input_audio_buffer.speech_started") < kinds.index("output_audio_buffer.cleared")
        assert kinds.index("output_audio_buffer.cleared") < kinds.index("conversation.item.truncated")
        played_ms = truncated["audio_end_ms"]
        assert played_ms > 400
        caller.send({"type": "conversation.item.retrieve", "item_id": truncated["item_id"]})
        content = (await caller.expect("conversation.item.retrieved", start))["item"]["content"][0]
        assert len(content["audio"]) * 3 // 4 // 48 == pytest.approx(played_ms, abs=2)
        assert await caller.heard_in_all(played_ms - 200) == pytest.approx(played_ms, abs=200)
        if generating:
            done = await caller.expect("response.done", start)
            assert done["response"]["status"] == "cancelled"
        await caller.expect("output_audio_buffer.started", start)
        assert "error" not in caller.kinds()


async def test_a_client_clears_what_is_playing(slow_server: ServerProcess) -> None:
    async with in_front_of(slow_server.base_url) as server, calling(server.base_url) as caller:
        caller.send({"type": "response.create"})
        await caller.expect("output_audio_buffer.started")
        await caller.hears(300)
        caller.send({"type": "response.cancel"})
        caller.send({"type": "output_audio_buffer.clear"})
        truncated = await caller.expect("conversation.item.truncated")
        assert truncated["audio_end_ms"] > 200
        assert "output_audio_buffer.cleared" in caller.kinds()
        start = len(caller.events)
        caller.send({"type": "response.create"})
        await caller.expect("output_audio_buffer.started", start)


async def test_g711_sessions_and_sidebands_of_a_call(relay: LocalServer) -> None:
    pcmu = {"format": {"type": "audio/pcmu"}}
    session = {
        "type": "realtime",
        "audio": {"input": {**pcmu, "transcription": {"model": "whisper-1"}}, "output": pcmu},
    }
    async with calling(relay.base_url, session=session) as caller:
        async with connect(f"{relay.ws_url}?call_id={caller.call_id}", close_timeout=0.5) as sideband:
            update = {"type": "realtime", "instructions": "From the side."}
            await sideband.send(json.dumps({"type": "session.update", "session": update}))
            updated = await caller.expect("session.updated")
            assert updated["session"]["instructions"] == "From the side."
        caller.microphone.say(loud(1.0))
        completed = await caller.expect("conversation.item.input_audio_transcription.completed")
        assert float(completed["transcript"].split()[2]) == pytest.approx(1.3, abs=0.25)
        await caller.expect("output_audio_buffer.stopped")


async def test_a_call_that_asks_for_what_the_upstream_does_not_have(relay: LocalServer) -> None:
    session = {"type": "realtime", "audio": {"output": {"voice": "nobody"}}}
    with pytest.raises(AssertionError, match=r"session\.audio\.output\.voice"):
        async with calling(relay.base_url, session=session):
            pass
    await eventually(lambda: not relay.service.metrics.sessions_open._value.get())


# --- real models -----------------------------------------------------------------------------------------------------


@pytest.mark.models
async def test_a_spoken_turn_of_real_models(embedded_server: ServerProcess) -> None:
    recording: Path = next(iter(sorted(SHIPPED.glob("*.flac"))))
    async with in_front_of(embedded_server.base_url) as server, RealtimeClient(server.ws_url) as client:
        audio = {"input": {"transcription": {"model": "whisper-1"}}}
        await client.send({"type": "session.update", "session": {"type": "realtime", "audio": audio}})
        await client.speak(recording, pace=1.0)
        done = (await client.expect("response.done", within=60))["response"]
        assert done["status"] == "completed"
        assert len(client.recording.speech(done["id"])) > 12_000
