from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.audio.levels import rms_dbfs, to_float
from antiphon.bench import accuracy, bargein, latency, sessions, turns
from antiphon.bench.bargein import Interruption, InterruptionTracker
from antiphon.bench.connection import Event
from antiphon.bench.corpus import BACKCHANNELS, RATE, SHIPPED, Recording, joined, load_recordings
from antiphon.bench.latency import LatencyResult
from antiphon.bench.microphone import Spoken
from antiphon.bench.search import largest, next_try
from antiphon.bench.sessions import LAG_METRIC, parse_histogram
from antiphon.bench.turn import Turn
from antiphon.bench.waterfall import TurnLog, parse_turns, waterfall


@pytest.fixture(scope="module")
def recordings() -> list[Recording]:
    return load_recordings(SHIPPED)


# --- the largest number that works -----------------------------------------------------------------------------------


@given(limit=st.integers(0, 3_000), first=st.integers(1, 200), most=st.integers(1, 2_000))
def test_the_search_finds_the_limit_within_a_tenth_in_few_tries(limit: int, first: int, most: int) -> None:
    tried: dict[int, bool] = {}
    while (number := next_try(tried, first, most)) is not None:
        assert 1 <= number <= most
        assert number not in tried
        tried[number] = number <= limit
    found, reachable = largest(tried), min(limit, most)
    assert found <= reachable <= max(found * 1.1 + 1, found + 1)
    assert len(tried) < 40


# --- pauses ----------------------------------------------------------------------------------------------------------


def test_a_pause_is_put_inside_the_speech(recordings: list[Recording]) -> None:
    for recording in recordings:
        paused = turns.with_pause(recording, 800)
        added = RATE * 800 // 1000
        assert len(paused.pcm) == len(recording.pcm) + added
        assert (paused.begin, paused.end) == (recording.begin, recording.end + added)
        quiet = [
            rms_dbfs(to_float(paused.pcm[at : at + RATE // 100])) < -70 for at in range(0, len(paused.pcm), RATE // 100)
        ]
        assert sum(quiet[paused.begin * 100 // RATE : paused.end * 100 // RATE]) >= 75
    assert turns.with_pause(recordings[0], 0) is recordings[0]


def test_recordings_of_two_sentences_get_no_pause(recordings: list[Recording]) -> None:
    left = {recording.name for recording in turns.one_sentence(recordings)}
    assert "agent-pass.flac" in left
    assert "ss-noservice.flac" not in left


def test_shares_of_turns_closed_early() -> None:
    measured = [turns.PausedTurn(300, Turn("a", cuts=0, end_to_audio=5.0)), turns.PausedTurn(800, Turn("a", cuts=1))]
    results = turns.as_results("x", [*measured, turns.PausedTurn(800, Turn("b"))])
    assert results["cut_early_percent"] == 33.3
    assert results["cut_early_percent_by_pause_ms"] == {"300": 0.0, "800": 50.0}
    assert "33.3 %" in turns.as_figures(results).notes[0]


# --- joined recordings -----------------------------------------------------------------------------------------------


def test_joined_recordings_hold_everything(recordings: list[Recording]) -> None:
    whole = joined(recordings, 10.0, 300)
    assert sum(len(one.pcm) for one in whole[:-1]) >= 10 * RATE * (len(whole) - 1)
    assert " ".join(one.text for one in whole) == " ".join(one.text for one in recordings)
    gaps = len(recordings) - len(whole)
    assert sum(len(one.pcm) for one in whole) == sum(len(one.pcm) for one in recordings) + gaps * RATE * 300 // 1000
    assert all(one.begin < one.end <= len(one.pcm) for one in whole)


# --- interruptions ---------------------------------------------------------------------------------------------------


def event(at: float, kind: str, **body: Any) -> Event:
    return Event(at, kind, {"type": kind, **body})


ANSWER = [
    event(1.0, "response.created", response={"id": "r1"}),
    event(1.1, "response.output_audio.delta", response_id="r1"),
]
OVER = Spoken(begin=1.5, end=3.0)


def track(*events: Event) -> Interruption:
    tracker = InterruptionTracker()
    for one in events:
        tracker.take(one)
    return tracker.result("x", OVER)


def test_an_interruption() -> None:
    found = track(
        event(0.1, "input_audio_buffer.speech_started"),
        *ANSWER,
        event(1.55, "response.output_audio.delta", response_id="r1"),
        event(1.6, "input_audio_buffer.speech_started"),
        event(1.61, "response.output_audio.delta", response_id="r1"),
        event(1.62, "response.done", response={"id": "r1", "status": "cancelled"}),
        event(3.7, "response.created", response={"id": "r2"}),
        event(3.8, "response.output_audio.delta", response_id="r2"),
    )
    assert found == Interruption("x", 100.0, 10.0, 20.0, "cancelled", in_progress=True)


def test_an_answer_that_is_complete_cannot_be_interrupted() -> None:
    done = event(1.2, "response.done", response={"id": "r1", "status": "completed"})
    found = track(*ANSWER, done, event(1.6, "input_audio_buffer.speech_started"))
    assert found == Interruption("x", 100.0, status="completed")


def test_a_sound_that_is_not_taken_for_speech() -> None:
    found = track(*ANSWER, event(9.0, "response.done", response={"id": "r1", "status": "completed"}))
    assert found == Interruption("x", status="completed", in_progress=True)


def test_interruptions_and_sounds_are_counted_apart() -> None:
    cut = Interruption("a", 50.0, -5.0, 10.0, "cancelled", in_progress=True)
    kept = Interruption("mm-hm", status="completed", in_progress=True)
    over = Interruption("b", 40.0, status="completed")
    results = bargein.as_results("x", [cut, over], [kept])
    assert (results["interruptions"], results["interrupted"]) == (1, 1)
    assert (results["backchannels"], results["backchannels_that_interrupted"]) == (1, 0)
    assert results["answers_over_before"] == 1
    assert results["begin_to_started_ms"]["count"] == 2
    assert "1 of 1" in bargein.as_figures(results).notes[0]


def test_the_sounds_of_a_listener_are_short() -> None:
    sounds = load_recordings(BACKCHANNELS)
    assert len(sounds) >= 3
    assert all((sound.end - sound.begin) / RATE < 0.6 for sound in sounds)


# --- results ---------------------------------------------------------------------------------------------------------


def test_latency_leaves_turns_closed_early_out_of_the_figures(recordings: list[Recording]) -> None:
    names = [recording.name for recording in recordings]
    said = [
        Turn(names[0], "completed", 40.0, 520.0, 15.0, 535.0, 0, recordings[0].text),
        Turn(names[1], "completed", 40.0, 900.0, 900.0, 1800.0, 1, recordings[1].text),
        Turn(names[2], transcript="nothing of the kind"),
    ]
    results = latency.as_results(LatencyResult("x", said[0], said, 3.0), recordings)
    assert results["stopped_to_audio_ms"] == {"count": 1, **dict.fromkeys(("p50", "p90", "p95", "p99"), 15.0)} | {
        "min": 15.0,
        "max": 15.0,
    }
    assert (results["turns"], results["answered"], results["cut_early"]) == (3, 2, 1)
    assert results["word_error_rate_percent"] > 0
    assert latency.as_figures(results).rows[0][:2] == ("speech_stopped → audio", 15.0)
    assert latency.wer([Turn(names[0])], recordings) is None


def test_accuracy_is_compared_with_the_last_row(recordings: list[Recording]) -> None:
    perfect = accuracy.Heard("offline", [recording.text for recording in recordings])
    worse = accuracy.Heard("server", ["", *perfect.texts[1:]])
    results = accuracy.as_results([worse, perfect], recordings)
    assert results["word_errors"]["offline"]["percent"] == 0.0
    (row, _) = accuracy.as_figures(results).rows
    assert row[0] == "server"
    assert row[2] == f"+{row[1]:.2f}"


METRICS = f"""# HELP {LAG_METRIC} How late.
# TYPE {LAG_METRIC} histogram
{LAG_METRIC}_bucket{{le="0.001"}} %d
{LAG_METRIC}_bucket{{le="0.05"}} %d
{LAG_METRIC}_bucket{{le="+Inf"}} %d
{LAG_METRIC}_count 10
{LAG_METRIC}_sum 0.2
"""


def test_loop_lag_is_read_from_the_metrics_of_the_time_between() -> None:
    before, after = (parse_histogram(METRICS % counts, LAG_METRIC) for counts in ((5, 5, 8), (95, 105, 108)))
    assert before == {0.001: 5, 0.05: 5, float("inf"): 8}
    assert sessions.lag_percentile_ms(before, after, 50) == 1.0
    assert sessions.lag_percentile_ms(before, after, 99) == 50.0
    assert sessions.lag_percentile_ms(after, after, 99) is None
    assert parse_histogram("other 1\n", LAG_METRIC) == {}


def test_a_waterfall_is_read_from_the_log() -> None:
    log = """{"event": "ready"}
plain words
{"event": "turn", "drafts": 1, "adopted": "reply", "since_speech_stopped_ms": {"a": -500.0, "b": -400.0, "c": 0.0}}
{"event": "turn", "drafts": 0, "adopted": "nothing", "since_speech_stopped_ms": {}}
{broken
"""
    turns_logged = parse_turns(log)
    assert turns_logged == [TurnLog({"a": -500.0, "b": -400.0, "c": 0.0}, 1, "reply")]
    figures = waterfall("x", [*turns_logged, TurnLog({"began": -5_000.0, "c": 0.0}, 2, "nothing")])
    assert [row[0] for row in figures.rows] == ["a", "b", "c"]
    assert [row[2] for row in figures.rows] == ["+0", "+100", "+400"]
    assert len({len(str(row[3])) for row in figures.rows}) == 1
    assert "3 drafts made, 1 answers adopted" in figures.notes[0]
    assert waterfall("empty", []).rows == []
