"""Where a turn's time went, and what the metrics make of it."""

from __future__ import annotations

from typing import cast

import pytest
from prometheus_client import CollectorRegistry

from antiphon.server.metrics import Metrics
from antiphon.session.timeline import Moment, TurnTimeline


def timeline(adopted: str = "reply", **moments: float) -> TurnTimeline:
    found = cast(dict[Moment, float], moments)
    return TurnTimeline("item_1", found, adopted=adopted)  # type: ignore[arg-type]


DRAFTED = timeline(
    speech_started=10.0,
    draft_started=12.05,
    speech_paused=12.1,
    transcript=12.15,
    first_token=12.2,
    first_clause=12.3,
    first_audio_made=12.35,
    speech_stopped=12.5,
    response_created=12.501,
    first_audio_sent=12.502,
    response_done=13.5,
)


def test_the_stages_of_a_turn_with_a_draft() -> None:
    assert DRAFTED.stages() == pytest.approx(
        {
            "speech": 2.5,
            "closing": 0.4,
            "transcription": 0.1,
            "first_token": 0.05,
            "first_clause": 0.1,
            "synthesis": 0.05,
            "waiting": 0.002,
            "reply": 0.999,
        }
    )


def test_without_a_draft_transcription_begins_where_speech_stopped() -> None:
    found = timeline("nothing", speech_started=1.0, speech_stopped=2.0, transcript=2.3, response_created=2.0)
    assert found.stages() == pytest.approx({"speech": 1.0, "transcription": 0.3})


def test_what_did_not_happen_has_no_length() -> None:
    assert timeline().stages() == {}
    assert timeline(transcript=1.0, speech_stopped=2.0).stages() == {}


def test_moments_are_told_relative_to_the_end_of_the_turn() -> None:
    event = DRAFTED.event("resp_1")
    assert event["since_speech_stopped_ms"]["transcript"] == -350.0
    assert event["since_speech_stopped_ms"]["first_audio_sent"] == 2.0
    assert event["adopted"] == "reply"


async def test_every_stage_is_a_histogram() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    metrics.turn_finished(DRAFTED)
    metrics.turn_finished(timeline("nothing", speech_started=1.0, speech_stopped=2.0))

    def count(stage: str) -> float | None:
        return registry.get_sample_value("antiphon_turn_stage_seconds_count", {"stage": stage})

    assert {stage: count(stage) for stage in DRAFTED.stages()} == {
        stage: 2.0 if stage == "speech" else 1.0 for stage in DRAFTED.stages()
    }
    assert registry.get_sample_value("antiphon_turn_stage_seconds_sum", {"stage": "waiting"}) == pytest.approx(0.002)
    assert registry.get_sample_value("antiphon_turns_total", {"adopted": "reply"}) == 1.0
