"""Whatever a client does, in whatever order: every frame stays in shape and in place, and everything is answered."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conformance.audio import silence, tone
from tests.conformance.recorder import Event, RealtimeClient

LOUD = base64.b64encode(tone(300).tobytes()).decode()
QUIET = base64.b64encode(silence(600).tobytes()).decode()

TOOL = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}}


def update(**session: Any) -> Event:
    return {"type": "session.update", "session": {"type": "realtime", **session}}


def hearing(**change: Any) -> Event:
    return update(audio={"input": change})


def create(item: Event, **more: Any) -> Event:
    return {"type": "conversation.item.create", "item": item, **more}


def message(role: str, text: str, **more: Any) -> Event:
    part = {"type": "output_text" if role == "assistant" else "input_text", "text": text}
    return {"type": "message", "role": role, "content": [part], **more}


def respond(**response: Any) -> Event:
    return {"type": "response.create", "response": response}


ITEM_IDS = ("a", "b", "*0", "*1", "*2")
"""Ids that the client chose, and places ("*0") of items that the server has shown."""

CONFIGURATION_AND_RESPONSES = [
    update(),
    update(instructions="Be brief."),
    update(output_modalities=["text"]),
    update(output_modalities=["audio"]),
    update(tools=[TOOL]),
    update(max_output_tokens=2),
    update(audio={"output": {"speed": 1.2}}),
    hearing(turn_detection=None),
    hearing(turn_detection={"type": "server_vad"}),
    hearing(turn_detection={"type": "server_vad", "create_response": False}),
    hearing(turn_detection={"type": "server_vad", "interrupt_response": False}),
    hearing(turn_detection={"type": "semantic_vad", "eagerness": "high"}),
    hearing(transcription={"model": "whisper-1"}),
    hearing(transcription=None),
    hearing(format={"type": "audio/pcmu"}),
    hearing(format={"type": "audio/pcm", "rate": 24000}),
    {"type": "input_audio_buffer.commit"},
    {"type": "input_audio_buffer.clear"},
    {"type": "response.cancel"},
    {"type": "response.create"},
    respond(output_modalities=["text"]),
    respond(conversation="none", output_modalities=["text"], metadata={"n": "1"}, input=[]),
    respond(conversation="none", metadata={"n": "2"}),
    respond(tools=[TOOL], tool_choice="required"),
    respond(max_output_tokens=1),
    respond(input=[message("user", "Only this.")]),
    create({"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": LOUD}]}),
    create({"type": "function_call", "name": "look", "arguments": "{}", "call_id": "call_x"}),
    create({"type": "function_call_output", "call_id": "call_x", "output": "seen"}),
]

ON_ITEMS = [
    *(
        create(message(role, "Words.", **chosen), **behind)
        for role in ("user", "system", "assistant")
        for chosen in ({}, {"id": "a"}, {"id": "b"})
        for behind in ({}, {"previous_item_id": "root"}, {"previous_item_id": "a"}, {"previous_item_id": "*1"})
    ),
    *(
        {"type": f"conversation.item.{verb}", "item_id": item_id}
        for verb in ("delete", "retrieve")
        for item_id in ITEM_IDS
    ),
    *(
        {"type": "conversation.item.truncate", "item_id": item_id, "content_index": 0, "audio_end_ms": end}
        for item_id in ITEM_IDS
        for end in (0, 150, 100_000)
    ),
]

AUDIO = [{"type": "input_audio_buffer.append", "audio": audio} for audio in (LOUD, QUIET, QUIET)]

EVENTS = st.one_of(*(st.sampled_from(events) for events in (CONFIGURATION_AND_RESPONSES, ON_ITEMS, AUDIO, AUDIO)))

PAUSES = st.sampled_from([0.0, 0.0, 0.0, 0.01, 0.15])
"""Seconds after an event; most come at once."""


def resolved(event: Event, shown: list[str]) -> Event:
    """Return `event` with places of items replaced by their ids."""
    ids = {f"*{place}": item_id for place, item_id in enumerate(shown)}
    return {key: ids.get(value, value) if isinstance(value, str) else value for key, value in event.items()}


async def play(url: str, steps: list[tuple[Event, float]], *, named: bool) -> None:
    async with RealtimeClient(url) as client:
        await client.expect("session.created")
        for event, pause in steps:
            shown = [added["item"]["id"] for added in client.recording.received("conversation.item.added")]
            await client.send(resolved(event, shown), event_id=named)
            await asyncio.sleep(pause)


@given(steps=st.lists(st.tuples(EVENTS, PAUSES), min_size=5, max_size=40), named=st.booleans())
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_any_sequence_of_client_events(busy_stand_in: str, steps: list[tuple[Event, float]], named: bool) -> None:
    asyncio.run(play(busy_stand_in, steps, named=named))
