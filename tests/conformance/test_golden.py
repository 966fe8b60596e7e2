"""The comparison with the real service's recordings, tried on scripts whose differences are known."""

from __future__ import annotations

import copy

import pytest

from tests.conformance.golden import (
    Difference,
    compare_keys,
    compare_sequences,
    key_paths,
    keys_by_variant,
    sequence,
    transcription_steps,
    variant,
)
from tests.conformance.golden_expectations import KEYS, RECORDED
from tests.conformance.scenarios import SCENARIOS
from tests.conformance.script import Event, Script


def received(name: str) -> list[Event]:
    return [event for direction, event in SCENARIOS[name] if direction == "received"]


@pytest.mark.parametrize("name", SCENARIOS)
def test_scripts_have_the_keys_of_the_real_service(name: str) -> None:
    assert compare_keys(KEYS, keys_by_variant(received(name))) == []


def test_a_scripted_turn_has_the_recorded_sequence() -> None:
    script = Script()
    script.update(audio={"input": {"transcription": {"model": "whisper-1", "language": None, "prompt": None}}})
    item_id = script.start_speech()
    script.stop_speech(item_id)
    reply = script.reply()
    reply.message()
    reply.say("Hello")
    script.transcribe(item_id, " Good", " day.")
    reply.say(" there", ".")
    reply.end_message()
    reply.end()
    events = [event for direction, event in script.steps if direction == "received"]
    recorded = RECORDED["audio_in_server_vad_turn"]
    assert compare_sequences(recorded.events, sequence(events), "turn") == []
    assert tuple(transcription_steps(events)) == recorded.transcription


def test_missing_extra_and_misplaced_events_are_found() -> None:
    assert compare_sequences(["a", "b", "c"], ["a", "c"], "x") == [Difference("x", "b", "")]
    assert compare_sequences(["a", "c"], ["a", "b", "c"], "x") == [Difference("x", "", "b")]
    assert compare_sequences(["a", "b"], ["b", "a"], "x") != []


def test_differences_in_keys_are_found_and_named() -> None:
    events = [copy.deepcopy(event) for event in received("text_turn")]
    added = next(event for event in events if event["type"] == "conversation.item.added")
    added["item"]["object"] = "realtime.item"
    del added["item"]["status"]
    (difference,) = compare_keys(KEYS, keys_by_variant(events))
    assert difference == Difference("keys of conversation.item.added message input_text", "item.status", "item.object")
    assert "ours item.object" in str(difference)


def test_key_paths_stop_at_what_the_client_chose() -> None:
    event = {"tools": [{"name": "f", "parameters": {"type": "object"}}], "modalities": ["audio"], "none": []}
    assert set(key_paths(event)) == {"tools[].name", "tools[].parameters", "modalities", "none"}


def test_variants_tell_items_apart() -> None:
    kinds = {variant(event) for event in received("function_call")}
    assert "conversation.item.added function_call_output" in kinds
    assert "response.done completed message output_audio" in kinds
