from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from antiphon.bench.connection import AUDIBLE, Event
from antiphon.bench.microphone import Spoken
from antiphon.bench.turn import Turn, TurnTracker

SPOKEN = Spoken(begin=10.0, end=12.0)


def event(at: float, kind: str, **body: Any) -> Event:
    return Event(at, kind, {"type": kind, **body}, audio_bytes=4_800 if "audio.delta" in kind else 0)


def heard(start: float, stop: float, item: str) -> list[Event]:
    return [
        event(start, "input_audio_buffer.speech_started", item_id=item),
        event(stop, "input_audio_buffer.speech_stopped", item_id=item),
        event(stop, "input_audio_buffer.committed", item_id=item),
    ]


def answer(at: float, response: str, status: str = "completed") -> list[Event]:
    return [
        event(at, "response.created", response={"id": response, "status": "in_progress"}),
        event(at + 0.02, "response.output_audio.delta", response_id=response),
        event(at + 0.03, "response.output_audio.delta", response_id=response),
        event(at + 0.5, "response.done", response={"id": response, "status": status}),
    ]


def transcript(item: str, words: str) -> Event:
    kind = "conversation.item.input_audio_transcription.completed"
    return event(13.0, kind, item_id=item, content_index=0, transcript=words)


def measure(events: list[Event]) -> tuple[TurnTracker, Turn]:
    tracker = TurnTracker("a.flac", SPOKEN)
    for one in events:
        tracker.take(one)
    return tracker, tracker.result()


def test_a_plain_turn() -> None:
    tracker, turn = measure([*heard(10.1, 12.5, "i1"), *answer(12.51, "r1"), transcript("i1", "hello there")])
    assert tracker.answered(13.1)
    assert tracker.transcribed
    assert turn == Turn("a.flac", "completed", 100.0, 500.0, 30.0, 530.0, 0, "hello there")


def test_a_turn_closed_early_is_counted_and_the_last_answer_is_measured() -> None:
    early = [*heard(10.1, 11.0, "i1"), *answer(11.05, "r1", "cancelled")]
    tracker, turn = measure([*early, *heard(11.3, 12.4, "i2"), *answer(12.4, "r2"), transcript("i2", "world")])
    assert not tracker.transcribed
    tracker.take(transcript("i1", "hello"))
    assert tracker.transcribed
    assert turn.cuts == 1
    assert turn.stopped_to_audio == 20.0
    assert tracker.result().transcript == "hello world"


def test_an_answer_that_is_over_before_the_speech_does_not_count_yet() -> None:
    tracker, _ = measure([*heard(10.1, 11.0, "i1"), *answer(11.05, "r1")])
    assert not tracker.answered(11.9)
    assert tracker.answered(12.0)
    tracker.take(event(11.95, "input_audio_buffer.speech_started", item_id="i2"))
    assert not tracker.answered(12.1)


def test_audio_of_another_response_is_not_the_answer() -> None:
    late = event(12.45, "response.output_audio.delta", response_id="r0")
    _, turn = measure([*heard(10.1, 12.4, "i1"), late, *answer(12.5, "r1")])
    assert turn.stopped_to_audio == 120.0


def test_beta_names_are_understood() -> None:
    events = [*heard(10.1, 12.4, "i1"), event(12.5, "response.created", response={"id": "r1"})]
    _, turn = measure([*events, event(12.6, "response.audio.delta", response_id="r1")])
    assert turn.stopped_to_audio == 200.0


def test_no_answer_and_errors_are_told() -> None:
    tracker, turn = measure([event(11.0, "error", error={"code": "engine_failed", "message": "no"})])
    assert not tracker.answered(99.0)
    assert turn == Turn("a.flac", errors=["engine_failed"])


def test_a_failed_transcript_is_an_empty_one() -> None:
    kind = "conversation.item.input_audio_transcription.failed"
    failed = event(12.6, kind, item_id="i1", content_index=0, error={"message": "broken"})
    tracker, turn = measure([*heard(10.1, 12.4, "i1"), failed])
    assert tracker.transcribed
    assert (turn.transcript, turn.errors) == ("", ["broken"])


@given(st.lists(st.sampled_from([*heard(10.1, 12.4, "i1"), *answer(12.5, "r1"), transcript("i1", "x")]), max_size=12))
def test_any_order_of_events_gives_a_result(events: list[Event]) -> None:
    _, turn = measure(events)
    assert turn.cuts >= 0
    assert turn.stopped_to_audio is None or turn.end_to_audio is not None


def played(at: float, response: str, *, spoken: bool = True) -> list[Event]:
    """An answer by WebRTC: its events are all there long before it was played."""
    output = [{"type": "message", "content": [{"type": "output_audio" if spoken else "output_text"}]}]
    return [
        event(at, "response.created", response={"id": response, "status": "in_progress"}),
        event(at + 0.1, "response.done", response={"id": response, "status": "completed", "output": output}),
    ]


def follow(events: list[Event]) -> TurnTracker:
    tracker = TurnTracker("a.flac", SPOKEN, played=True)
    for one in events:
        tracker.take(one)
    return tracker


def test_an_answer_by_webrtc_is_measured_when_it_is_heard_and_complete_when_it_was_played() -> None:
    tracker = follow([event(9.0, AUDIBLE), *heard(10.1, 12.5, "i1"), *played(12.51, "r1"), event(12.54, AUDIBLE)])
    tracker.take(event(13.5, AUDIBLE))
    assert not tracker.answered(14.0)
    tracker.take(event(14.0, "output_audio_buffer.stopped", response_id="r1"))
    assert tracker.answered(14.0)
    assert tracker.result().stopped_to_audio == 40.0
    assert tracker.result().end_to_audio == 540.0


def test_sound_may_overtake_the_events() -> None:
    tracker = follow([event(10.1, "input_audio_buffer.speech_started"), event(12.49, AUDIBLE)])
    tracker.take(event(12.5, "input_audio_buffer.speech_stopped"))
    assert tracker.result().stopped_to_audio == -10.0


def test_a_written_answer_by_webrtc_is_complete_at_once() -> None:
    tracker = follow([*heard(10.1, 12.5, "i1"), *played(12.51, "r1", spoken=False)])
    assert tracker.answered(13.0)
    assert tracker.result().stopped_to_audio is None


def test_an_answer_by_webrtc_that_was_spoken_over_is_not_the_one() -> None:
    early = [*heard(10.1, 11.0, "i1"), *played(11.01, "r1"), event(11.05, AUDIBLE)]
    cut = [event(11.3, "output_audio_buffer.cleared", response_id="r1")]
    tracker = follow([*early, *cut, *heard(11.3, 12.4, "i2"), *played(12.41, "r2"), event(12.45, AUDIBLE)])
    assert not tracker.answered(13.0)
    assert tracker.result().stopped_to_audio == 50.0
    assert tracker.result().cuts == 1
