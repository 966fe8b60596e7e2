"""The checkers accept what the protocol's tables describe, and refuse it after any small change that matters."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.conformance.frames import FrameError, validate_server_event
from tests.conformance.order import OrderChecker, OrderViolation
from tests.conformance.scenarios import SCENARIOS
from tests.conformance.script import AUDIO_100_MS, SESSION, Event, Script, Step


def check(steps: Iterable[Step]) -> None:
    """Feed a whole connection to both checkers."""
    checker = OrderChecker()
    for direction, event in steps:
        if direction == "received":
            validate_server_event(event)
        checker.feed(direction, event)
    checker.finish()


def refused(steps: Iterable[Step], because: str | None = None) -> None:
    """Check that a checker refuses `steps`, and for the right reason."""
    with pytest.raises((OrderViolation, FrameError), match=because):
        check(steps)


@pytest.mark.parametrize("name", SCENARIOS)
def test_documented_scenarios_are_accepted(name: str) -> None:
    check(SCENARIOS[name])


# --- changes that must be noticed ------------------------------------------------------------------------------------

OPTIONAL = {"rate_limits.updated", "response.output_audio.delta"}
"""Events that may be missing: nothing else tells how many there should have been."""


def chain(event: Event) -> str | None:
    """Return what an event belongs to: events of one chain come in a fixed order, but for the deltas."""
    kind = event["type"]
    if kind.startswith("input_audio_buffer.") and "item_id" in event:
        return str(event["item_id"])
    if kind.startswith(("response.output_item", "response.content_part", "conversation.item.")) and "item" in event:
        return str(event["item"]["id"])
    if kind.startswith("response.") and "item_id" in event:
        return str(event["item_id"])
    return None


def received(steps: Sequence[Step]) -> list[int]:
    return [index for index, (direction, _) in enumerate(steps) if direction == "received"]


def swappable(steps: Sequence[Step]) -> list[tuple[int, int]]:
    """Return pairs of server events whose places matter."""
    pairs = []
    places = received(steps)
    for position, left in enumerate(places):
        for right in places[position + 1 :]:
            first, second = steps[left][1], steps[right][1]
            same = chain(first) is not None and chain(first) == chain(second)
            deltas = sum(event["type"].endswith(".delta") for event in (first, second))
            if same and deltas < 2:
                pairs.append((left, right))
    return pairs


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_event_may_be_missing(name: str) -> None:
    steps = SCENARIOS[name]
    for index in received(steps):
        if steps[index][1]["type"] not in OPTIONAL:
            refused([*steps[:index], *steps[index + 1 :]])


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_answer_without_a_question(name: str) -> None:
    steps = SCENARIOS[name]
    for index, (direction, event) in enumerate(steps):
        if direction == "sent" and event["type"] != "input_audio_buffer.append":
            refused([*steps[:index], *steps[index + 1 :]])


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_event_may_come_twice(name: str) -> None:
    steps = SCENARIOS[name]
    fresh = "event_" + "Z" * 21
    for index in received(steps):
        event = steps[index][1]
        refused([*steps[: index + 1], steps[index], *steps[index + 1 :]], "came twice")
        # An audio delta more cannot be told from one that was meant; all else can, even under a fresh id.
        if event["type"] != "response.output_audio.delta":
            again: Step = ("received", {**event, "event_id": fresh})
            refused([*steps[: index + 1], again, *steps[index + 1 :]])


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_no_two_events_of_a_chain_may_change_places(data: st.DataObject) -> None:
    steps = list(SCENARIOS[data.draw(st.sampled_from(sorted(SCENARIOS)))])
    pairs = swappable(steps)
    assume(pairs)
    left, right = data.draw(st.sampled_from(pairs))
    steps[left], steps[right] = steps[right], steps[left]
    refused(steps)


FREE = ("metadata", "parameters")
"""Objects whose keys are the client's own."""


def keys_of(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every key in an event."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield (*path, key)
            if key not in FREE:
                yield from keys_of(value, (*path, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from keys_of(value, (*path, index))


def holder(event: Event, path: tuple[Any, ...]) -> Any:
    node: Any = event
    for key in path[:-1]:
        node = node[key]
    return node


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_no_key_may_have_another_name(data: st.DataObject) -> None:
    steps = SCENARIOS[data.draw(st.sampled_from(sorted(SCENARIOS)))]
    event = copy.deepcopy(steps[data.draw(st.sampled_from(received(steps)))][1])
    path = data.draw(st.sampled_from(list(keys_of(event))))
    node = holder(event, path)
    node[f"{path[-1]}_"] = node.pop(path[-1])
    with pytest.raises(FrameError):
        validate_server_event(event)


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_no_value_may_have_another_type(data: st.DataObject) -> None:
    steps = SCENARIOS[data.draw(st.sampled_from(sorted(SCENARIOS)))]
    event = copy.deepcopy(steps[data.draw(st.sampled_from(received(steps)))][1])
    path = data.draw(st.sampled_from([path for path in keys_of(event) if path[-1] != "type"]))
    assume(not set(path[:-1]) & set(FREE))
    holder(event, path)[path[-1]] = [[0]]
    with pytest.raises(FrameError):
        validate_server_event(event)


# --- single rules ----------------------------------------------------------------------------------------------------


def test_true_predecessor() -> None:
    script = Script()
    script.create("user", "One.")
    script.last = None
    script.create("user", "Two.")
    refused(script.steps, "previous_item_id")


def test_one_default_response_at_a_time() -> None:
    script = Script()
    script.create("user", "Hello.")
    script.ask()
    script.ask()
    refused(script.steps, "runs in the same conversation")


def test_out_of_band_items_stay_out_of_the_conversation() -> None:
    script = Script()
    reply = script.ask(conversation="none")
    reply.message()
    item = {**script.steps[-2][1]["item"], "id": script.steps[-1][1]["item_id"]}
    script.receive("conversation.item.added", previous_item_id=None, item=item)
    refused(script.steps, "out-of-band")


def test_nothing_is_heard_after_the_user_speaks_over_the_reply() -> None:
    script = Script()
    script.turn("Hello.")
    script.stop_speech(script.start_speech())
    reply = script.reply()
    reply.message()
    reply.say("Once")
    script.start_speech()
    reply.say(" upon")
    refused(script.steps, "after the user spoke over the reply")


def test_a_reply_that_was_spoken_over_does_not_complete() -> None:
    script = Script()
    script.stop_speech(script.start_speech())
    reply = script.reply()
    reply.message()
    reply.say("Once")
    script.start_speech()
    reply.end_message()
    reply.end()
    refused(script.steps, "after the user spoke over the reply")


def test_no_audio_after_response_done() -> None:
    script = Script()
    script.turn("Hello.")
    delta = next(event for _, event in script.steps if event["type"] == "response.output_audio.delta")
    script.steps.append(("received", {**delta, "event_id": script.identity("event")}))
    refused(script.steps, "is over")


def test_the_transcript_is_the_sum_of_its_deltas() -> None:
    steps = copy.deepcopy(list(SCENARIOS["server_vad_turns"]))
    delta = next(event for _, event in steps if event["type"] == "response.output_audio_transcript.delta")
    delta["delta"] = "Good"
    refused(steps, "sum of its deltas")


def test_words_without_any_audio() -> None:
    steps = [step for step in SCENARIOS["server_vad_turns"] if step[1]["type"] != "response.output_audio.delta"]
    refused(steps, "no audio at all")


@pytest.mark.parametrize(("length", "because"), [(4801, "inside a sample"), (24000, "500 ms")])
def test_audio_deltas_are_whole_samples_and_short(length: int, because: str) -> None:
    import base64

    steps = copy.deepcopy(list(SCENARIOS["server_vad_turns"]))
    delta = next(event for _, event in steps if event["type"] == "response.output_audio.delta")
    delta["delta"] = base64.b64encode(bytes(length)).decode()
    refused(steps, because)


def test_the_clock_is_the_audio_that_was_sent() -> None:
    script = Script()
    script.audio(200)
    script.receive("input_audio_buffer.speech_started", audio_start_ms=300, item_id=script.identity("item"))
    refused(script.steps, "after the end of the audio sent")


def test_speech_does_not_go_back_in_time() -> None:
    script = Script()
    script.turn("Hello.")
    script.receive("input_audio_buffer.speech_started", audio_start_ms=300, item_id=script.identity("item"))
    refused(script.steps, "before the speech that came before")


def test_no_speech_events_with_manual_turns() -> None:
    script = Script()
    script.update(audio={"input": {"turn_detection": None}})
    script.start_speech()
    refused(script.steps, "turn_detection is null")


def test_transcription_is_owed_when_it_is_configured() -> None:
    script = Script()
    script.update(audio={"input": {"transcription": {"model": "whisper-1", "language": None, "prompt": None}}})
    script.turn("Hello.")
    refused(script.steps, "neither completed nor failed")


def test_no_transcription_when_it_is_not_configured() -> None:
    script = Script()
    item_id = script.start_speech()
    script.stop_speech(item_id)
    script.spoken_reply("Hello.")
    script.transcribe(item_id, "Hi.")
    refused(script.steps, "not configured")


def test_transcription_deltas_may_come_before_the_item() -> None:
    script = Script()
    script.update(audio={"input": {"transcription": {"model": "whisper-1", "language": None, "prompt": None}}})
    item_id = script.start_speech()
    delta = {"item_id": item_id, "content_index": 0, "delta": "Good ", "obfuscation": "a"}
    script.receive("conversation.item.input_audio_transcription.delta", **delta)
    script.stop_speech(item_id)
    script.spoken_reply("Hello.")
    usage = {"type": "duration", "seconds": 1}
    done = {"item_id": item_id, "content_index": 0, "transcript": "Good day.", "usage": usage}
    with pytest.raises(OrderViolation, match="not what its deltas said"):
        check([*script.steps, ("received", {"type": COMPLETED, "event_id": "event_" + "Y" * 21, **done})])
    script.receive("conversation.item.input_audio_transcription.delta", **{**delta, "delta": "day."})
    script.receive(COMPLETED, **done)
    check(script.steps)


COMPLETED = "conversation.item.input_audio_transcription.completed"


def test_transcription_is_not_completed_between_the_turn_and_its_response() -> None:
    script = Script()
    script.update(audio={"input": {"transcription": {"model": "whisper-1", "language": None, "prompt": None}}})
    item_id = script.start_speech()
    script.stop_speech(item_id)
    script.transcribe(item_id, "Hi.")
    script.spoken_reply("Hello.")
    refused(script.steps, "between the end of the turn")


def test_an_update_changes_what_was_asked_for_and_nothing_else() -> None:
    script = Script()
    script.send("session.update", session={"type": "realtime", "instructions": "Short."})
    script.receive("session.updated", session={**SESSION, "instructions": "Short.", "tool_choice": "none"})
    refused(script.steps, "tool_choice changed")
    script = Script()
    script.send("session.update", session={"type": "realtime", "audio": {"output": {"speed": 1.5}}})
    script.receive("session.updated", session=SESSION)
    refused(script.steps, r"speed is 1\.0, asked for was 1\.5")


def test_answers_come_in_order() -> None:
    script = Script()
    script.send("session.update", session={"type": "realtime"})
    script.create("user", "Hello.")
    refused(script.steps, "was answered before session.update")


@pytest.mark.parametrize("event_id", ["never_sent", "answered"])
def test_errors_name_an_event_that_waits(event_id: str) -> None:
    script = Script()
    script.send("input_audio_buffer.clear", event_id="answered")
    script.receive("input_audio_buffer.cleared")
    script.fail("invalid_value", event_id)
    refused(script.steps, "answered before|nobody sent")


def test_bad_frames_get_one_error_each() -> None:
    checker = OrderChecker()
    checker.feed("received", Script().steps[0][1])
    checker.feed("sent", None)
    assert checker.outstanding()
    error = {"type": "invalid_request_error", "code": "invalid_json", "message": "?", "param": None, "event_id": None}
    checker.feed("received", {"type": "error", "event_id": "event_" + "1" * 21, "error": error})
    checker.finish()
    with pytest.raises(OrderViolation, match="answers nothing"):
        checker.feed("received", {"type": "error", "event_id": "event_" + "2" * 21, "error": error})


def test_an_append_is_never_answered_but_with_an_error() -> None:
    script = Script()
    script.send("input_audio_buffer.append", audio="!", event_id="bad")
    check(script.steps)
    script.fail("invalid_value", "bad", "audio")
    check(script.steps)


def test_metadata_belongs_to_who_asked() -> None:
    steps = copy.deepcopy(list(SCENARIOS["failed_and_incomplete"]))
    for direction, event in steps:
        if direction == "received" and event["type"].startswith("response.") and "response" in event:
            event["response"]["metadata"] = None
    refused(steps, "answers no response.create")


def test_usage_adds_up() -> None:
    steps = copy.deepcopy(list(SCENARIOS["text_turn"]))
    done = next(event for _, event in steps if event["type"] == "response.done")
    done["response"]["usage"]["total_tokens"] += 1
    refused(steps, "total is not the sum")


def test_the_real_services_null_predecessor_is_for_recordings_only() -> None:
    steps = copy.deepcopy(list(SCENARIOS["server_vad_turns"]))
    first_reply = [event for _, event in steps if event["type"] == "conversation.item.done"][1]
    first_reply["previous_item_id"] = None
    refused(steps, "previous_item_id is None")
    recorded = OrderChecker(recorded=True)
    for direction, event in steps:
        recorded.feed(direction, event)
    recorded.finish()


def test_a_sideband_has_no_session_created() -> None:
    checker = OrderChecker(sideband=True)
    for direction, event in SCENARIOS["text_turn"][1:]:
        checker.feed(direction, event)
    checker.finish()


def test_violations_show_what_came_before() -> None:
    script = Script()
    script.turn("Hello.")
    delta = next(event for _, event in script.steps if event["type"] == "response.output_audio.delta")
    with pytest.raises(OrderViolation) as caught:
        check([*script.steps, ("received", {**delta, "event_id": "event_" + "X" * 21})])
    assert "server → response.done" in str(caught.value)
    assert AUDIO_100_MS not in str(caught.value)


def test_a_turn_that_may_not_interrupt_is_answered_after_the_reply() -> None:
    script = Script()
    script.update(audio={"input": {"turn_detection": {"interrupt_response": False}}})
    script.stop_speech(script.start_speech())
    reply = script.reply()
    reply.message()
    reply.say("You", " said")
    script.stop_speech(script.start_speech())
    reply.end_message()
    reply.end()
    script.spoken_reply("Now", " you.")
    check(script.steps)
    script.spoken_reply("And", " again.")
    refused(script.steps, "answers no response.create")


def test_a_reply_cut_while_it_is_streamed_keeps_its_beginning() -> None:
    script = Script()
    script.create("user", "Talk.")
    reply = script.ask()
    reply.message()
    reply.say("One", " two", " three")
    cut = {"item_id": script.last, "content_index": 0, "audio_end_ms": 100}
    script.send("conversation.item.truncate", **cut)
    script.receive("conversation.item.truncated", **cut)
    before = len(script.steps)
    reply.end_message()
    reply.end()
    for kept, good in (("One", True), ("two", False)):
        steps = copy.deepcopy(script.steps)
        for _, event in steps[before:]:
            items = [event.get("item"), *event.get("response", {}).get("output", [])]
            for item in filter(None, items):
                item["content"][0]["transcript"] = kept
        if good:
            check(steps)
        else:
            refused(steps, "streamed was")


def test_a_reply_goes_on_after_a_listeners_sound_which_is_not_answered() -> None:
    script = Script()
    script.stop_speech(script.start_speech())
    reply = script.reply()
    reply.message()
    reply.say("Once")
    sound = script.start_speech()
    script.audio(200)
    reply.say(" upon a time")
    script.stop_speech(sound)
    reply.end_message()
    reply.end()
    check(script.steps)


def test_what_the_client_asks_for_after_a_listeners_sound_is_its_own() -> None:
    script = Script()
    script.stop_speech(script.start_speech())
    reply = script.reply()
    reply.message()
    reply.say("Once")
    sound = script.start_speech()
    script.audio(200)
    script.stop_speech(sound)
    reply.say(" upon a time")
    reply.end_message()
    reply.end()
    asked = script.ask()
    asked.message()
    asked.say("Again")
    asked.end_message()
    asked.end()
    check(script.steps)
