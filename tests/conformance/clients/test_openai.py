"""The `openai` package's realtime connection."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from openai.types.realtime import RealtimeServerEvent
from openai.types.websocket_reconnection import ReconnectingEvent, ReconnectingOverrides
from pydantic import TypeAdapter
from websockets.exceptions import InvalidStatus

from tests.conformance.audio import Pcm, pieces
from tests.conformance.clients.stimuli import SPEECH, TIMEOUT
from tests.conformance.tap import Tap
from tests.serving import serving

SERVER_EVENT: TypeAdapter[RealtimeServerEvent] = TypeAdapter(RealtimeServerEvent)
WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "Look up the weather for a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


class Connected:
    """A connection of the package, and everything that it reported."""

    def __init__(self, connection: AsyncRealtimeConnection) -> None:
        self.connection = connection
        self.events: list[Any] = []
        self._read = 0

    async def receive(self) -> Any:
        """Return the next event; the package takes any frame as it comes, but here its own types are applied."""
        event = await self.connection.recv()
        SERVER_EVENT.validate_python(event.to_dict())
        self.events.append(event)
        return event

    async def expect(self, kind: str) -> Any:
        """Return the next event of type `kind`."""
        async with asyncio.timeout(TIMEOUT):
            while (event := await self.receive()).type != kind:
                pass
            return event

    async def seen(self, kind: str, count: int = 1) -> list[Any]:
        """Return the events of type `kind` once there are `count`."""
        async with asyncio.timeout(TIMEOUT):
            while len(found := [event for event in self.events if event.type == kind]) < count:
                await self.receive()
            return found

    async def speak(self, pcm: Pcm = SPEECH) -> None:
        for piece in pieces(pcm, 40):
            await self.connection.input_audio_buffer.append(audio=base64.b64encode(piece).decode())

    async def write(self, text: str, **where: Any) -> Any:
        content: Any = [{"type": "input_text", "text": text}]
        await self.connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": content}, **where
        )
        return (await self.expect("conversation.item.done")).item

    def kinds(self) -> list[str]:
        return [event.type for event in self.events]

    def spoken(self, response_id: str) -> bytes:
        return b"".join(
            base64.b64decode(event.delta)
            for event in self.events
            if event.type == "response.output_audio.delta" and event.response_id == response_id
        )


@asynccontextmanager
async def connected(tap: Tap, **options: Any) -> AsyncIterator[Connected]:
    async with (
        AsyncOpenAI(base_url=f"http://127.0.0.1:{tap.port}/v1", api_key="any") as client,
        client.realtime.connect(model="gpt-realtime", **options) as connection,
    ):
        yield Connected(connection)


async def test_a_spoken_turn(tap: Tap) -> None:
    async with connected(tap) as client:
        created = await client.expect("session.created")
        assert created.session.model == "gpt-realtime"
        transcription: Any = {"model": "whisper-1", "language": "en"}
        await client.connection.session.update(
            session={"type": "realtime", "audio": {"input": {"transcription": transcription}}}
        )
        updated = await client.expect("session.updated")
        assert updated.session.audio.input.transcription.language == "en"
        await client.speak()
        response = (await client.expect("response.done")).response
        (heard,) = await client.seen("conversation.item.input_audio_transcription.completed")
        (started,) = await client.seen("input_audio_buffer.speech_started")
    assert response.status == "completed"
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens > 0
    (item,) = response.output
    assert item.content[0].type == "output_audio"
    deltas = [event.delta for event in client.events if event.type == "response.output_audio_transcript.delta"]
    assert "".join(deltas) == item.content[0].transcript
    assert len(client.spoken(response.id)) > 48_000
    assert heard.transcript.startswith("Utterance of")
    assert heard.item_id == started.item_id
    assert heard.usage is not None


async def test_a_tool_round_trip(tap: Tap) -> None:
    async with connected(tap) as client:
        await client.connection.session.update(
            session={"type": "realtime", "tools": [WEATHER], "tool_choice": "auto", "output_modalities": ["text"]}
        )
        await client.expect("session.updated")
        await client.write("What is the weather in Paris?")
        await client.connection.response.create(
            response={"tool_choice": {"type": "function", "name": "get_weather"}, "metadata": {"step": "1"}}
        )
        call_done = await client.expect("response.function_call_arguments.done")
        first = (await client.expect("response.done")).response
        (call,) = first.output
        assert (call.type, call.name, call.status) == ("function_call", "get_weather", "completed")
        assert call.call_id == call_done.call_id
        assert isinstance(json.loads(call.arguments)["city"], str)
        assert first.metadata == {"step": "1"}

        await client.connection.conversation.item.create(
            item={"type": "function_call_output", "call_id": call.call_id, "output": '{"celsius": 21}'}
        )
        assert (await client.expect("conversation.item.done")).item.output == '{"celsius": 21}'
        await client.connection.response.create()
        second = (await client.expect("response.done")).response
    assert second.status == "completed"
    assert second.output[0].content[0].text


async def test_an_interruption(slow_tap: Tap) -> None:
    async with connected(slow_tap) as client:
        await client.expect("session.created")
        await client.speak()
        first = await client.expect("response.output_audio.delta")
        await client.speak()
        cancelled = (await client.expect("response.done")).response
        assert cancelled.id == first.response_id
        assert cancelled.status == "cancelled"
        assert cancelled.status_details.reason == "turn_detected"
        assert cancelled.output[0].status == "incomplete"

        await client.connection.conversation.item.truncate(item_id=first.item_id, content_index=0, audio_end_ms=100)
        assert (await client.expect("conversation.item.truncated")).audio_end_ms == 100
        await client.seen("response.created", 2)
        await client.connection.response.cancel()
        assert (await client.expect("response.done")).response.status_details.reason == "client_cancelled"
        # What the user did not hear is not in the conversation.
        await client.connection.conversation.item.retrieve(item_id=first.item_id)
        kept = (await client.expect("conversation.item.retrieved")).item
    whole = client.spoken(cancelled.id)
    assert len(base64.b64decode(kept.content[0].audio)) == 100 * 48 < len(whole)
    assert len(kept.content[0].transcript) < len(cancelled.output[0].content[0].transcript)


async def test_a_context_edit(tap: Tap) -> None:
    async with connected(tap) as client:
        await client.expect("session.created")
        first = await client.write("My name is Alice.")
        third = await client.write("And I live in Paris.")
        second = await client.write("I am a baker.", previous_item_id=first.id)
        added = [event for event in client.events if event.type == "conversation.item.added"]
        assert [event.previous_item_id for event in added] == [None, first.id, first.id]
        await client.connection.conversation.item.delete(item_id=third.id)
        assert (await client.expect("conversation.item.deleted")).item_id == third.id
        front = await client.write("Hello.", previous_item_id="root")
        last = await client.write("Good bye.")
        added = [event for event in client.events if event.type == "conversation.item.added"]
        assert [event.previous_item_id for event in added[3:]] == [None, second.id]
        await client.connection.conversation.item.retrieve(item_id=front.id)
        assert (await client.expect("conversation.item.retrieved")).item.content[0].text == "Hello."
        await client.connection.conversation.item.delete(item_id=third.id, event_id="again")
        error = (await client.expect("error")).error
        assert (error.code, error.event_id) == ("item_delete_invalid_item_id", "again")
        assert last.id != front.id


async def test_out_of_band(tap: Tap) -> None:
    async with connected(tap) as client:
        await client.expect("session.created")
        content: Any = [{"type": "input_text", "text": "Is this a greeting? Hello."}]
        await client.connection.response.create(
            response={
                "conversation": "none",
                "output_modalities": ["text"],
                "metadata": {"purpose": "classify"},
                "input": [{"type": "message", "role": "user", "content": content}],
            }
        )
        response = (await client.expect("response.done")).response
    assert response.conversation_id is None
    assert response.metadata == {"purpose": "classify"}
    assert response.output[0].content[0].text
    assert not any(kind.startswith("conversation.item.") for kind in client.kinds())


async def test_dispatching_to_handlers(tap: Tap) -> None:
    async with connected(tap) as client:
        seen: list[str] = []
        failures: list[Any] = []

        async def on_event(event: Any) -> None:
            seen.append(event.type)
            if event.type == "session.created":
                await client.connection.conversation.item.delete(item_id="nothing")

        async def on_error(event: Any) -> None:
            failures.append(event.error)
            await client.connection.close()

        client.connection.on("event", on_event)
        client.connection.on("error", on_error)
        async with asyncio.timeout(TIMEOUT):
            await client.connection.dispatch_events()
    assert seen == ["session.created", "error"]
    assert failures[0].code == "item_delete_invalid_item_id"


async def test_reconnecting(tap: Tap) -> None:
    attempts: list[int] = []

    def reconnect(event: ReconnectingEvent) -> ReconnectingOverrides | None:
        attempts.append(event.attempt)
        return None

    async with connected(tap, on_reconnecting=reconnect, initial_delay=0.01) as client:
        before = await client.expect("session.created")
        await tap.disconnect(1001)
        async with asyncio.timeout(TIMEOUT):
            async for event in client.connection:
                assert event.type == "session.created"
                assert event.session.to_dict()["id"] != before.session.to_dict()["id"]
                break
        await client.write("Hello again.")
    assert attempts == [1]


async def test_a_wrong_key() -> None:
    with serving(environment={"ANTIPHON_API_KEYS": "right"}) as server:
        async with AsyncOpenAI(base_url=server.base_url, api_key="wrong") as client:
            with pytest.raises(InvalidStatus) as refused:
                await client.realtime.connect(model="gpt-realtime").enter()
            assert refused.value.response.status_code == 401
        async with (
            AsyncOpenAI(base_url=server.base_url, api_key="right") as client,
            client.realtime.connect(model="gpt-realtime") as connection,
        ):
            assert (await connection.recv()).type == "session.created"
