"""What a client does wrong is told to it, by the event's own id, and harms nobody else."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.conformance.audio import tone
from tests.conformance.pipelines import SOME
from tests.conformance.recorder import RealtimeClient
from tests.conformance.test_scenarios import done, failure, update, write

SILENCE_20_MS = base64.b64encode(bytes(960)).decode()


async def works(client: RealtimeClient) -> None:
    """Check that a session still does its work."""
    await write(client, "Are you there?")
    await client.send({"type": "response.create", "response": {"output_modalities": ["text"]}})
    assert (await done(client))["status"] == "completed"


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "{",
        "null",
        "[]",
        '"text"',
        "17",
        "NaN",
        '{"type": "session.update"',
        "\ufeff{}",
        "[" * 100_000,
        '{"a":' * 5000 + "1" + "}" * 5000,
    ],
    ids=lambda frame: frame[:12] or "empty",
)
async def test_frames_that_are_no_json_object(stand_in: str, frame: str) -> None:
    async with RealtimeClient(stand_in) as client:
        await client.send_raw(frame)
        error = await failure(client, None)
        assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_event")
        await works(client)


async def test_binary_frames(stand_in: str) -> None:
    async with RealtimeClient(stand_in) as client:
        await client.send_raw(b"\x00\x01\x02\x03")
        assert (await failure(client, None))["code"] == "invalid_event"
        await works(client)


@pytest.mark.parametrize(
    ("frame", "code", "param"),
    [
        ({}, "invalid_event", None),
        ({"type": None}, "invalid_type", "type"),
        ({"type": 7}, "invalid_type", "type"),
        ({"type": "scooby"}, "invalid_value", "type"),
        ({"type": "response.created"}, "invalid_value", "type"),
        ({"type": "session.update"}, "missing_required_parameter", "session"),
        ({"type": "session.update", "session": {}}, "missing_required_parameter", "session.type"),
        ({"type": "session.update", "session": 1}, "invalid_type", "session"),
        ({"type": "session.update", "session": {"type": "other"}}, "invalid_value", "session.type"),
        (
            {"type": "session.update", "session": {"type": "realtime", "colour": "red"}},
            "unknown_parameter",
            "session.colour",
        ),
        (
            {"type": "session.update", "session": {"type": "realtime", "instructions": 1}},
            "invalid_type",
            "session.instructions",
        ),
        (
            {"type": "session.update", "session": {"type": "realtime", "audio": {"output": {"speed": 9}}}},
            "decimal_above_max_value",
            "session.audio.output.speed",
        ),
        ({"type": "input_audio_buffer.append"}, "missing_required_parameter", "audio"),
        ({"type": "input_audio_buffer.append", "audio": 1}, "invalid_type", "audio"),
        ({"type": "input_audio_buffer.append", "audio": "not base64!"}, "invalid_value", "audio"),
        ({"type": "input_audio_buffer.append", "audio": "AAA"}, "invalid_value", "audio"),
        ({"type": "input_audio_buffer.append", "audio": ""}, "invalid_value", "audio"),
        (
            {"type": "input_audio_buffer.append", "audio": base64.b64encode(bytes(961)).decode()},
            "invalid_value",
            "audio",
        ),
        ({"type": "input_audio_buffer.append", "audio": SILENCE_20_MS, "x": 1}, "unknown_parameter", "x"),
        ({"type": "input_audio_buffer.commit"}, "input_audio_buffer_commit_empty", None),
        ({"type": "conversation.item.create"}, "missing_required_parameter", "item"),
        ({"type": "conversation.item.create", "item": {"type": "message"}}, "missing_required_parameter", "item.role"),
        ({"type": "conversation.item.delete"}, "missing_required_parameter", "item_id"),
        ({"type": "response.create", "response": {"metadata": {"a": 1}}}, "invalid_type", "response.metadata.a"),
        ({"type": "response.cancel"}, "response_cancel_not_active", None),
        ({"type": "output_audio_buffer.clear"}, "invalid_value", "type"),
    ],
    ids=lambda value: json.dumps(value)[:60] if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("event_id", ["mine", None])
async def test_events_that_are_wrong(
    stand_in: str, frame: dict[str, Any], code: str, param: str | None, event_id: str | None
) -> None:
    async with RealtimeClient(stand_in) as client:
        before = (await client.expect("session.created"))["session"]
        await client.send({**frame, "event_id": event_id} if event_id else frame, event_id=False)
        error = await failure(client, event_id)
        assert error["type"] == "invalid_request_error"
        assert (error["code"], error["param"]) == (code, param)
        assert await update(client) == before
        assert len(client.recording.received("error")) == 1


async def test_audio_before_session_update(stand_in: str) -> None:
    async with RealtimeClient(stand_in) as client:
        await client.speak(tone(600))
        assert (await done(client))["status"] == "completed"
        await update(client, instructions="Late.")
        await works(client)


async def test_audio_of_fifteen_mebibytes_is_taken(stand_in: str) -> None:
    async with RealtimeClient(stand_in) as client:
        await update(client, audio={"input": {"turn_detection": None}})
        await client.append(bytes(15 * 2**20 * 3 // 4))
        await client.send({"type": "input_audio_buffer.commit"})
        await client.expect("input_audio_buffer.committed")


async def test_a_frame_of_twenty_mebibytes_ends_its_session_only(stand_in: str) -> None:
    async with RealtimeClient(stand_in) as other:
        await other.expect("session.created")
        async with connect(stand_in, max_size=None, close_timeout=1) as socket:
            await socket.recv()
            with pytest.raises(ConnectionClosed) as closed:
                await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": "A" * (20 * 2**20)}))
                await asyncio.wait_for(socket.recv(), 20)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1009
        await works(other)


async def test_a_client_that_vanishes_harms_nobody(slow_stand_in: str) -> None:
    async with RealtimeClient(slow_stand_in) as other:
        await write(other, "Tell me a story.")
        await other.send({"type": "response.create", "response": {"max_output_tokens": SOME}})
        async with RealtimeClient(slow_stand_in) as client:
            await write(client, "Tell me a story.")
            await client.send({"type": "response.create"})
            await client.expect("response.output_audio.delta")
            await client.vanish()
        assert (await done(other))["status_details"]["reason"] == "max_output_tokens", "all that it may say"
