"""The `openai` package's beta connection, `client.beta.realtime`."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from openai import AsyncOpenAI
from openai.resources.beta.realtime.realtime import AsyncRealtimeConnection
from openai.types.beta.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from tests.conformance.audio import pieces
from tests.conformance.clients.stimuli import SPEECH, TIMEOUT

SERVER_EVENT: TypeAdapter[RealtimeServerEvent] = TypeAdapter(RealtimeServerEvent)
LAMP: Any = {"type": "function", "name": "lamp", "description": "Turn on the lamp.", "parameters": {"type": "object"}}


class Connected:
    """A beta connection of the package, and everything that it reported."""

    def __init__(self, connection: AsyncRealtimeConnection) -> None:
        self.connection = connection
        self.events: list[Any] = []

    async def expect(self, kind: str) -> Any:
        """Return the next event of type `kind`; all that come are checked against the package's beta types."""
        async with asyncio.timeout(TIMEOUT):
            while True:
                event = await self.connection.recv()
                SERVER_EVENT.validate_python(event.to_dict())
                self.events.append(event)
                if event.type == kind:
                    return event

    def kinds(self) -> list[str]:
        """Return what types came, runs of deltas as one; without transcripts of the input, which come at any time."""
        found: list[str] = []
        for event in self.events:
            if event.type.startswith("conversation.item.input_audio_transcription."):
                continue
            if not (event.type.endswith(".delta") and event.type in found[-2:]):
                found.append(event.type)
        return found


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connected]:
    base = url.rsplit("/realtime", 1)[0]
    async with (
        AsyncOpenAI(api_key="none", websocket_base_url=base) as client,
        client.beta.realtime.connect(model="gpt-4o-realtime-preview") as connection,
    ):
        yield Connected(connection)


def text(role: str, words: str) -> Any:
    return {
        "type": "message",
        "role": role,
        "content": [{"type": "text" if role == "assistant" else "input_text", "text": words}],
    }


async def test_a_spoken_turn(stand_in: str) -> None:
    async with connected(stand_in) as client:
        created = await client.expect("session.created")
        assert created.session.modalities == ["text", "audio"]
        assert created.session.input_audio_format == "pcm16"
        await client.expect("conversation.created")
        await client.connection.session.update(
            session={
                "modalities": ["text", "audio"],
                "voice": "echo",
                "turn_detection": {"type": "server_vad", "silence_duration_ms": 300},
                "input_audio_transcription": {"model": "whisper-1"},
                "temperature": 0.7,
                "max_response_output_tokens": 100,
            }
        )
        updated = (await client.expect("session.updated")).session
        assert (updated.voice, updated.temperature, updated.max_response_output_tokens) == ("echo", 0.7, 100)
        assert updated.turn_detection.silence_duration_ms == 300
        for piece in pieces(SPEECH, 40):
            await client.connection.input_audio_buffer.append(audio=base64.b64encode(piece).decode())
        done = await client.expect("response.done")
        assert done.response.status == "completed"
        (item,) = done.response.output
        assert (item.object, item.content[0].type) == ("realtime.item", "audio")
    assert client.kinds()[3:] == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.created",
        "response.created",
        "rate_limits.updated",
        "response.output_item.added",
        "conversation.item.created",
        "response.content_part.added",
        "response.audio_transcript.delta",
        "response.audio.delta",
        "response.audio.done",
        "response.audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.done",
    ]


async def test_a_tool_round_trip(stand_in: str) -> None:
    async with connected(stand_in) as client:
        await client.connection.session.update(session={"tools": [LAMP], "tool_choice": "required"})
        await client.connection.conversation.item.create(item=text("user", "Light, please."))
        await client.connection.response.create(response={"modalities": ["text"]})
        done = await client.expect("response.function_call_arguments.done")
        call = (await client.expect("response.done")).response.output[0]
        assert (call.name, call.call_id, call.arguments) == ("lamp", done.call_id, done.arguments)
        await client.connection.conversation.item.create(
            item={"type": "function_call_output", "call_id": call.call_id, "output": "on"}
        )
        await client.connection.response.create(response={"modalities": ["text"], "tool_choice": "none"})
        answer = (await client.expect("response.done")).response
        assert (answer.modalities, answer.output[0].content[0].type) == (["text"], "text")


async def test_an_interruption(slow_stand_in: str) -> None:
    async with connected(slow_stand_in) as client:
        await client.connection.conversation.item.create(item=text("user", "Tell me everything."))
        await client.connection.response.create()
        delta = await client.expect("response.audio.delta")
        await client.connection.response.cancel()
        done = await client.expect("response.done")
        assert done.response.status == "cancelled"
        await client.connection.conversation.item.truncate(item_id=delta.item_id, content_index=0, audio_end_ms=20)
        truncated = await client.expect("conversation.item.truncated")
        assert truncated.audio_end_ms == 20


async def test_a_context_edit_and_errors_in_beta_names(stand_in: str) -> None:
    async with connected(stand_in) as client:
        for role in ("system", "user", "assistant"):
            await client.connection.conversation.item.create(item=text(role, f"I am the {role}."))
            created = await client.expect("conversation.item.created")
            assert created.item.content[0].text == f"I am the {role}."
        await client.connection.conversation.item.delete(item_id=created.item.id)
        assert (await client.expect("conversation.item.deleted")).item_id == created.item.id
        bad: Any = {"turn_detection": {"type": "server_vad", "threshold": 7}}
        await client.connection.send({"type": "session.update", "event_id": "mine", "session": bad})
        error = (await client.expect("error")).error
        assert (error.param, error.event_id) == ("session.turn_detection.threshold", "mine")
        unknown: Any = {"audio": {}}
        await client.connection.send({"type": "session.update", "session": unknown})
        assert (await client.expect("error")).error.param == "session.audio"
        await client.connection.send({"type": "session.update", "session": {"temperature": 3}})
        assert (await client.expect("error")).error.code == "decimal_above_max_value"
