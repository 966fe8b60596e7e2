"""Conversations over WebRTC, with aiortc as the client and stand-in engines."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest

from antiphon.transports.webrtc.jitter import OVERSLEPT_S, STOPPED_S
from tests.calling import calling, loud
from tests.conformance.frames import validate_server_event
from tests.serving import LocalServer, ServerProcess, serving_here

LONG_REPLY = {"preset": "stand-in", "llm": {"options": {"words": 60}}}
SLOW_REPLY = {"preset": "stand-in", "llm": {"options": {"words": 400, "token_ms": 50.0}}}

TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


@pytest.fixture
async def server() -> AsyncIterator[LocalServer]:
    async with serving_here() as local:
        yield local


async def test_a_spoken_turn(server: LocalServer) -> None:
    async with calling(server.base_url, session={"type": "realtime", "instructions": "Be brief."}) as caller:
        created = caller.events[0]
        assert created["type"] == "session.created"
        assert created["session"]["instructions"] == "Be brief."
        caller.microphone.say(loud(1.0))
        await caller.expect("output_audio_buffer.stopped")
        for event in caller.events:
            if event["type"].startswith("output_audio_buffer."):
                assert set(event) == {"type", "event_id", "response_id"}
            else:
                validate_server_event(event)
        kinds = caller.kinds()
        assert "response.output_audio.delta" not in kinds
        assert [kind for kind in kinds if not kind.startswith(("output_audio_buffer", "response.output_audio_t"))] == [
            "session.created",
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            "response.created",
            "response.output_item.added",
            "conversation.item.added",
            "response.content_part.added",
            "response.output_audio.done",
            "response.content_part.done",
            "conversation.item.done",
            "response.output_item.done",
            "response.done",
            "rate_limits.updated",
        ]
        for between in (("output_audio_buffer.started",), ("response.done", "rate_limits.updated")):  # in either order
            order = ("response.content_part.added", *between, "output_audio_buffer.stopped")
            places = [kinds.index(kind) for kind in order]
            assert places == sorted(places)
        done = await caller.expect("response.done")
        spoken_ms = done["response"]["usage"]["output_token_details"]["audio_tokens"] * 50
        assert await caller.heard_in_all(spoken_ms - 60) == pytest.approx(spoken_ms, abs=60)


async def test_the_older_way_to_call(server: LocalServer) -> None:
    async with calling(server.base_url, path="/realtime?model=gpt-realtime") as caller:
        assert caller.events[0]["session"]["model"] == "gpt-realtime"
        assert caller.location.startswith("/v1/realtime/calls/rtc_")


@pytest.mark.parametrize("codec", ["audio/PCMU", "audio/PCMA"])
async def test_a_spoken_turn_in_g711(server: LocalServer, codec: str) -> None:
    async with calling(server.base_url, codec=codec) as caller:
        assert "opus" not in caller.answer
        caller.microphone.say(loud(0.5))
        await caller.expect("output_audio_buffer.stopped")
        await caller.hears(1000)


async def test_a_tool_call(server: LocalServer) -> None:
    session = {"type": "realtime", "tools": [TOOL], "tool_choice": "required"}
    async with calling(server.base_url, session=session) as caller:
        caller.microphone.say(loud(0.5))
        done = await caller.expect("response.done")
        (call,) = done["response"]["output"]
        assert (call["type"], call["name"], call["status"]) == ("function_call", "get_weather", "completed")
        assert json.loads(call["arguments"]) == {"city": "text"}
        start = len(caller.events)
        caller.send({"type": "session.update", "session": {"type": "realtime", "tool_choice": "none"}})
        item = {"type": "function_call_output", "call_id": call["call_id"], "output": "Sunny."}
        caller.send({"type": "conversation.item.create", "item": item})
        caller.send({"type": "response.create"})
        await caller.expect("output_audio_buffer.started", start)
        done = await caller.expect("response.done", start)
        assert done["response"]["output"][0]["type"] == "message"


@pytest.mark.parametrize("engines", [LONG_REPLY, SLOW_REPLY], ids=["generated", "generating"])
async def test_speaking_interrupts_what_is_playing_at_what_was_played(engines: dict[str, Any]) -> None:
    async with serving_here(engines=engines) as server, calling(server.base_url) as caller:
        caller.send({"type": "response.create"})
        started = await caller.expect("output_audio_buffer.started")
        if engines is LONG_REPLY:
            await caller.expect("response.done")
        await caller.hears(1000)
        start = len(caller.events)
        caller.microphone.say(loud(2.5))  # so long that the next reply does not begin while the end of this is measured
        truncated = await caller.expect("conversation.item.truncated", start)
        kinds = [kind for kind in caller.kinds(start) if not kind.endswith(".delta")]
        first = kinds.index("input_audio_buffer.speech_started")
        assert kinds[first : first + 3] == [
            "input_audio_buffer.speech_started",
            "output_audio_buffer.cleared",
            "conversation.item.truncated",
        ]
        cleared = await caller.expect("output_audio_buffer.cleared", start)
        assert cleared["response_id"] == started["response_id"]
        if engines is SLOW_REPLY:
            done = await caller.expect("response.done", start)
            assert done["response"]["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        played_ms = truncated["audio_end_ms"]
        assert played_ms > 900
        caller.send({"type": "conversation.item.retrieve", "item_id": truncated["item_id"]})
        retrieved = await caller.expect("conversation.item.retrieved", start)
        content = retrieved["item"]["content"][0]
        assert len(content["audio"]) * 3 // 4 // 48 == pytest.approx(played_ms, abs=2)
        assert 0 < len(content["transcript"]) == pytest.approx(played_ms / 60, abs=12)
        heard_ms = await caller.heard_in_all(played_ms - 150)
        assert heard_ms == pytest.approx(played_ms, abs=150), "it goes on after it was cleared"
        await caller.expect("input_audio_buffer.speech_stopped", start)
        await caller.expect("output_audio_buffer.started", start)


async def test_a_client_clears_what_is_playing() -> None:
    async with serving_here(engines=LONG_REPLY) as server, calling(server.base_url) as caller:
        caller.send({"type": "response.create"})
        await caller.expect("output_audio_buffer.started")
        await caller.hears(500)
        caller.send({"type": "response.cancel", "event_id": "cancel"})
        caller.send({"type": "output_audio_buffer.clear"})
        truncated = await caller.expect("conversation.item.truncated")
        assert caller.kinds().index("output_audio_buffer.cleared") < caller.kinds().index("conversation.item.truncated")
        played_ms = truncated["audio_end_ms"]
        assert await caller.heard_in_all(played_ms - 60) == pytest.approx(played_ms, abs=60)
        assert "output_audio_buffer.stopped" not in caller.kinds()
        start = len(caller.events)
        caller.send({"type": "output_audio_buffer.clear"})
        caller.send({"type": "response.create"})
        await caller.expect("output_audio_buffer.started", start)


async def test_without_interrupt_response_it_goes_on_playing() -> None:
    detection = {"type": "server_vad", "interrupt_response": False, "create_response": False}
    session = {"type": "realtime", "audio": {"input": {"turn_detection": detection}}}
    async with serving_here() as server, calling(server.base_url, session=session) as caller:
        caller.send({"type": "response.create"})
        await caller.expect("output_audio_buffer.started")
        caller.microphone.say(loud(0.4))
        await caller.expect("input_audio_buffer.speech_stopped")
        await caller.expect("output_audio_buffer.stopped")
        assert not {"output_audio_buffer.cleared", "conversation.item.truncated"} & set(caller.kinds())


async def test_push_to_talk(server: LocalServer) -> None:
    session = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
    async with calling(server.base_url, session=session) as caller:
        await caller.microphone.reaches(0.6)
        caller.send({"type": "input_audio_buffer.clear"})
        await caller.expect("input_audio_buffer.cleared")
        cleared_s = caller.microphone.position_s
        caller.microphone.say(loud(0.6))
        await caller.microphone.reaches(cleared_s + 1.0)
        caller.send({"type": "input_audio_buffer.commit"})
        committed = await caller.expect("input_audio_buffer.committed")
        sent_s = caller.microphone.position_s - cleared_s
        caller.send({"type": "conversation.item.retrieve", "item_id": committed["item_id"]})
        retrieved = await caller.expect("conversation.item.retrieved")
        seconds = len(retrieved["item"]["content"][0]["audio"]) * 3 / 4 / 48_000
        assert 0.6 < seconds < sent_s + 0.4, "what came before the clear is not in it"
        caller.send({"type": "response.create"})
        await caller.expect("output_audio_buffer.stopped")


async def test_a_turn_ends_although_the_client_stops_sending(server: LocalServer) -> None:
    async with calling(server.base_url) as caller:
        caller.microphone.say(loud(0.6))
        await caller.expect("input_audio_buffer.speech_started")
        await asyncio.sleep(0.5)
        caller.peer.getSenders()[0].replaceTrack(None)  # as a page does to mute
        stopped = await caller.expect("input_audio_buffer.speech_stopped")
        assert stopped["audio_end_ms"] > 600
        await caller.expect("output_audio_buffer.started")


async def test_a_stall_of_the_server_does_not_end_a_turn(stand_in_server: ServerProcess) -> None:
    session = {"type": "realtime", "audio": {"input": {"transcription": {"model": "whisper-1"}}}}
    async with calling(stand_in_server.base_url, session=session) as caller:
        caller.microphone.say(loud(4.0))
        await caller.expect("input_audio_buffer.speech_started")
        os.kill(stand_in_server.pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(STOPPED_S + 2 * OVERSLEPT_S)
        finally:
            os.kill(stand_in_server.pid, signal.SIGCONT)
        await caller.expect("response.done", timeout_s=30)
        assert caller.kinds().count("input_audio_buffer.speech_started") == 1
        completed = await caller.expect("conversation.item.input_audio_transcription.completed")
        assert completed["transcript"].startswith("Utterance of 4.")


async def test_a_transcription_session(server: LocalServer) -> None:
    session = {"type": "transcription", "audio": {"input": {"transcription": {"model": "whisper-1"}}}}
    async with calling(server.base_url, session=session) as caller:
        caller.microphone.say(loud(1.0))
        completed = await caller.expect("conversation.item.input_audio_transcription.completed")
        assert completed["transcript"].startswith("Utterance of 1.")
        assert "response.created" not in caller.kinds()


async def test_the_format_of_the_session_does_not_matter(server: LocalServer) -> None:
    pcmu = {"format": {"type": "audio/pcmu"}}
    session = {
        "type": "realtime",
        "audio": {"input": {**pcmu, "transcription": {"model": "whisper-1"}}, "output": pcmu},
    }
    async with calling(server.base_url, session=session) as caller:
        caller.microphone.say(loud(1.0))
        completed = await caller.expect("conversation.item.input_audio_transcription.completed")
        seconds = float(completed["transcript"].split()[2])
        assert seconds == pytest.approx(1.3, abs=0.2)
        await caller.expect("output_audio_buffer.stopped")
        await caller.hears(1000)


async def test_audio_may_also_come_by_events(server: LocalServer) -> None:
    async with calling(server.base_url) as caller:
        caller.send({"type": "input_audio_buffer.append", "audio": "AAAA"})
        caller.send({"type": "input_audio_buffer.append", "audio": "AAA"})
        error = await caller.expect("error")
        assert error["error"]["param"] == "audio"
