"""What the recorded clients of the real service did, done to our server: the same events with the same keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.golden import compare_keys, compare_sequences, keys_by_variant, sequence, transcription_steps
from tests.conformance.golden_expectations import KEYS, RECORDED, AwaitCall, Event, Recorded, Speak
from tests.conformance.recorder import RealtimeClient

SPEECH = Path(__file__).parents[1] / "data" / "speech" / "transfer.flac"

MUST_CALL: Event = {"type": "response.create", "response": {"tool_choice": "required"}}
"""Sent in place of the bare response.create before a call: the stand-in model calls a function only when it must."""

DIFFERENCES = {
    "events: recorded nothing, ours rate_limits.updated": (
        "The service sends rate_limits.updated after response.done, but left it out of these recordings; every client "
        "takes both, and those that show a budget want it, so ours always sends it."
    ),
}
"""Every difference from the recordings that is meant, and why."""


async def replay(client: RealtimeClient, recorded: Recorded) -> None:
    """Do what the recorded client did."""
    for action, following in zip(recorded.actions, [*recorded.actions[1:], ""], strict=True):
        match action:
            case Speak():
                await client.speak(SPEECH)
            case AwaitCall(output):
                call = await client.expect("response.function_call_arguments.done")
                item = {"type": "function_call_output", "call_id": call["call_id"], "output": output}
                await client.send({"type": "conversation.item.create", "item": item}, event_id=False)
            case str(kind):
                await client.expect(kind)
            case _:
                event = MUST_CALL if isinstance(following, AwaitCall) else action
                await client.send(event, event_id=False)


@pytest.mark.parametrize("name", [name for name, recorded in RECORDED.items() if not recorded.sideband])
async def test_replaying_a_recorded_client(stand_in: str, name: str) -> None:
    recorded = RECORDED[name]
    async with RealtimeClient(stand_in) as client:
        await replay(client, recorded)
        await client.expect("rate_limits.updated")
    events = client.recording.received()
    assert tuple(transcription_steps(events)) == recorded.transcription
    found = [
        *compare_sequences(recorded.events, sequence(events), "events"),
        *compare_keys(KEYS, keys_by_variant(events)),
    ]
    assert {str(difference) for difference in found} == set(DIFFERENCES)
