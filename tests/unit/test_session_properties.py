"""Whatever clients send, in whatever order: the documented order holds, and mistakes change nothing."""

from __future__ import annotations

import asyncio
import base64
import copy
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.session_harness import Conversing, Event, conversing, stand_in_pipeline

LOUD = (np.random.default_rng(3).standard_normal(4800) * 6000).astype(np.int16)
SOUNDS = {
    "speech": LOUD,
    "silence": np.zeros(4800, np.int16),
    "click": LOUD[:240],
    "long silence": np.zeros(24_000, np.int16),
}

IDS = st.sampled_from(["item_a", "item_b", "item_c", "nowhere"])


def text_item(item_id: str | None, role: str) -> Event:
    kind = "output_text" if role == "assistant" else "input_text"
    item: Event = {"type": "message", "role": role, "content": [{"type": kind, "text": f"Said by the {role}."}]}
    return {**item, "id": item_id} if item_id else item


def event(kind: str, **fields: Any) -> Event:
    return {"type": kind, **{name: value for name, value in fields.items() if value is not None}}


TURN_DETECTION = st.sampled_from(
    [
        None,
        {"type": "server_vad", "silence_duration_ms": 200},
        {"type": "server_vad", "create_response": False},
        {"type": "server_vad", "interrupt_response": False, "silence_duration_ms": 100},
        {"type": "semantic_vad", "eagerness": "high"},
    ]
)
_SETTINGS: st.SearchStrategy[Event] = st.one_of(
    TURN_DETECTION.map(lambda mode: {"audio": {"input": {"turn_detection": mode}}}),
    st.sampled_from(
        [
            {"audio": {"input": {"transcription": {"model": "whisper-1"}}}},
            {"audio": {"input": {"transcription": None}}},
            {"audio": {"input": {"format": {"type": "audio/pcmu"}}}},
            {"audio": {"output": {"format": {"type": "audio/pcma"}}}},
            {"audio": {"output": {"voice": "echo"}}},
            {"instructions": "Be kind."},
            {"output_modalities": ["text"]},
            {"output_modalities": ["audio"]},
            {"max_output_tokens": 2},
            {"tools": [{"type": "function", "name": "lamp"}], "tool_choice": "required"},
            {"tools": [], "tool_choice": "auto"},
        ]
    ),
)
SESSION = _SETTINGS.map(lambda session: event("session.update", session={"type": "realtime", **session}))

RESPONSE = st.one_of(
    st.none(),
    st.fixed_dictionaries(
        {},
        optional={
            "conversation": st.sampled_from(["auto", "none"]),
            "output_modalities": st.sampled_from([["text"], ["audio"]]),
            "input": st.lists(
                st.one_of(
                    IDS.map(lambda item_id: {"type": "item_reference", "id": item_id}),
                    st.just(text_item(None, "user")),
                ),
                max_size=2,
            ),
            "metadata": st.just({"who": "me"}),
            "instructions": st.just("Sing."),
            "max_output_tokens": st.sampled_from([1, "inf"]),
        },
    ),
).map(lambda response: event("response.create", response=response))

EVENTS = st.one_of(
    st.sampled_from(sorted(SOUNDS)).map(lambda sound: event("sound", name=sound)),
    st.sampled_from(["speech", "silence", "long silence"]).map(lambda sound: event("sound", name=sound)),
    SESSION,
    RESPONSE,
    st.sampled_from(["input_audio_buffer.commit", "input_audio_buffer.clear", "response.cancel"]).map(event),
    st.builds(
        lambda item_id, role, previous: event(
            "conversation.item.create", item=text_item(item_id, role), previous_item_id=previous
        ),
        st.none() | IDS,
        st.sampled_from(["user", "assistant", "system"]),
        st.none() | st.just("root") | IDS,
    ),
    IDS.map(lambda item_id: event("conversation.item.delete", item_id=item_id)),
    IDS.map(lambda item_id: event("conversation.item.retrieve", item_id=item_id)),
    st.sampled_from(["first", "last"]).map(lambda which: event("truncate", which=which)),
    st.just(event("wait")),
)


async def perform(client: Conversing, step: Event) -> None:
    """Send what a step stands for."""
    match step["type"]:
        case "sound":
            # With G.711 in force these bytes are other, but equally loud, sounds.
            data = base64.b64encode(SOUNDS[step["name"]].tobytes()).decode()
            await client.send(event("input_audio_buffer.append", audio=data))
        case "truncate":
            items = [e["item"]["id"] for e in client.received if e["type"] == "response.output_item.added"]
            if items:
                item_id = items[0 if step["which"] == "first" else -1]
                await client.send(
                    event("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=40)
                )
        case "wait":
            await asyncio.sleep(0.002)
        case _:
            await client.send(copy.deepcopy(step))


@given(st.lists(EVENTS, max_size=25))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_sequence_of_valid_events_is_answered_in_order(steps: list[Event]) -> None:
    async def run() -> None:
        async with conversing(await stand_in_pipeline()) as client:
            for step in steps:
                await perform(client, step)
            # What is still being said is ended, so that everything can settle.
            await client.send(event("input_audio_buffer.clear"))
        assert not [e for e in client.received if e["type"] == "error" and e["error"]["type"] == "server_error"]

    asyncio.run(run())


MISTAKES = st.sampled_from(
    [
        (event("session.update", session={"type": "realtime", "instructions": "x", "colour": 1}), "session.colour"),
        (event("session.update", session={"type": "realtime", "audio": {"output": {"voice": 3}}}), None),
        (event("conversation.item.create", item={"type": "message", "role": "user"}), "item.content"),
        (event("conversation.item.create", item=text_item("item_a", "user"), previous_item_id="x"), "previous_item_id"),
        (event("conversation.item.delete", item_id="nowhere"), "item_id"),
        (event("response.create", response={"input": [{"type": "item_reference", "id": "x"}]}), "response.input[0].id"),
        (event("response.create", response={"max_output_tokens": 0}), "response.max_output_tokens"),
        (event("response.cancel"), None),
        (event("input_audio_buffer.append", audio="///"), "audio"),
        (event("input_audio_buffer.commit"), None),
        (event("conversation.item.truncate", item_id="x", content_index=0, audio_end_ms=-1), "audio_end_ms"),
        (event("scooby"), "type"),
    ]
)


@given(st.lists(MISTAKES, min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_a_mistake_gives_one_error_and_changes_nothing(mistakes: list[tuple[Event, str | None]]) -> None:
    async def run() -> None:
        async with conversing(await stand_in_pipeline()) as client:
            state = client.session._state
            before = (state.config, state.conversation.version, list(state.conversation.items))
            for number, (mistake, param) in enumerate(mistakes):
                start = len(client.received)
                await client.send({**copy.deepcopy(mistake), "event_id": f"mine_{number}"})
                error = (await client.expect("error", start))["error"]
                assert error["event_id"] == f"mine_{number}"
                assert error["type"] == "invalid_request_error"
                assert param is None or error["param"] == param
                assert len(client.received) == start + 1
            assert (state.config, state.conversation.version, list(state.conversation.items)) == before

    asyncio.run(run())
