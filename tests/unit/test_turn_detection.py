"""Turn detection, window by window."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.audio.clock import VAD_WINDOW, ms_to_samples
from antiphon.session.config import SemanticVad, ServerVad
from antiphon.session.turn_detection import (
    Detection,
    SpeechDipped,
    SpeechLasted,
    SpeechPaused,
    SpeechResumed,
    SpeechStarted,
    SpeechStopped,
    TurnDetector,
)

SPEECH, SILENCE, UNSURE = 0.95, 0.02, 0.42


def detect(detector: TurnDetector, *runs: tuple[float, int]) -> list[Detection]:
    return [found for probability, count in runs for _ in range(count) for found in detector.push(probability)]


def kinds(found: list[Detection]) -> list[str]:
    return [type(detection).__name__ for detection in found]


def test_a_turn_starts_before_its_first_window_and_ends_after_the_silence() -> None:
    detector = TurnDetector(ServerVad(silence_duration_ms=500, prefix_padding_ms=300))
    found = detect(detector, (SILENCE, 20), (SPEECH, 10), (SILENCE, 16))
    started, paused, stopped = found
    assert isinstance(started, SpeechStarted)
    assert started.start == 20 * VAD_WINDOW - ms_to_samples(300)
    assert started.at == 21 * VAD_WINDOW
    assert paused == SpeechPaused(speech_end=30 * VAD_WINDOW, at=33 * VAD_WINDOW, ask=False)
    assert stopped == SpeechStopped(speech_end=30 * VAD_WINDOW, end=46 * VAD_WINDOW)
    assert not detector.speaking


def test_padding_never_reaches_into_the_turn_before_or_before_the_beginning() -> None:
    detector = TurnDetector(ServerVad(silence_duration_ms=64, prefix_padding_ms=5000))
    first, *_, stopped = detect(detector, (SPEECH, 3), (SILENCE, 2))
    assert isinstance(first, SpeechStarted)
    assert first.start == 0
    assert isinstance(stopped, SpeechStopped)
    second = detect(detector, (SPEECH, 3))[0]
    assert isinstance(second, SpeechStarted)
    assert second.start == stopped.end


def test_one_faint_window_is_not_speech_two_are() -> None:
    detector = TurnDetector(ServerVad(threshold=0.5))
    assert detect(detector, (0.6, 1), (SILENCE, 1), (0.6, 1), (SILENCE, 1)) == []
    assert kinds(detect(detector, (0.6, 2))) == ["SpeechStarted"]


def test_a_pause_that_ends_is_resumed_and_the_silence_counts_anew() -> None:
    detector = TurnDetector(ServerVad(silence_duration_ms=500))
    found = detect(detector, (SPEECH, 5), (SILENCE, 10), (SPEECH, 1), (SILENCE, 15))
    assert kinds(found) == ["SpeechStarted", "SpeechPaused", "SpeechResumed", "SpeechPaused"]
    assert kinds(detect(detector, (SILENCE, 1))) == ["SpeechStopped"]


def test_between_the_thresholds_speech_goes_on_and_so_does_a_silence() -> None:
    detector = TurnDetector(ServerVad(threshold=0.5, silence_duration_ms=320))
    assert kinds(detect(detector, (SPEECH, 3), (UNSURE, 40))) == ["SpeechStarted"]
    assert kinds(detect(detector, (SILENCE, 1), (UNSURE, 9))) == ["SpeechPaused", "SpeechStopped"]


def test_a_stop_consonant_is_no_pause() -> None:
    detector = TurnDetector(ServerVad())
    assert kinds(detect(detector, (SPEECH, 5), (SILENCE, 2), (SPEECH, 5))) == ["SpeechStarted"]


def test_semantic_closes_at_once_when_the_classifier_is_sure() -> None:
    detector = TurnDetector(SemanticVad(eagerness="high"))
    paused = detect(detector, (SPEECH, 10), (SILENCE, 3))[-1]
    assert isinstance(paused, SpeechPaused)
    assert paused.ask
    assert detector.judge(0.2, paused.at) == []
    stopped = detector.judge(0.97, paused.at)
    assert stopped == [SpeechStopped(speech_end=10 * VAD_WINDOW, end=13 * VAD_WINDOW)]
    assert detector.judge(0.97, paused.at) == []


@pytest.mark.parametrize(
    ("eagerness", "probability", "silence_ms"),
    [("high", 0.7, 1000), ("medium", 0.99, 200), ("auto", 0.7, 1200), ("low", 0.99, 900), ("low", 0.7, 2500)],
)
def test_semantic_waits_longer_the_less_sure_it_is(eagerness: str, probability: float, silence_ms: int) -> None:
    detector = TurnDetector(SemanticVad(eagerness=eagerness))  # type: ignore[arg-type]
    paused = detect(detector, (SPEECH, 10), (SILENCE, 3))[-1]
    assert isinstance(paused, SpeechPaused)
    assert detector.judge(probability, paused.at) == []
    stopped = detect(detector, (SILENCE, 80))[-1]
    assert isinstance(stopped, SpeechStopped)
    assert ms_to_samples(silence_ms) <= stopped.end - stopped.speech_end < ms_to_samples(silence_ms) + VAD_WINDOW


def test_semantic_asks_once_more_as_the_silence_grows() -> None:
    detector = TurnDetector(SemanticVad(eagerness="medium"))
    found = detect(detector, (SPEECH, 10), (SILENCE, 125))
    assert all(detection.ask for detection in found if isinstance(detection, SpeechPaused))
    assert kinds(found)[1:] == ["SpeechPaused", "SpeechPaused", "SpeechStopped"]


@pytest.mark.parametrize(("eagerness", "longest_ms"), [("low", 8000), ("medium", 4000), ("auto", 4000), ("high", 2000)])
def test_semantic_waits_no_longer_than_its_eagerness_allows(eagerness: str, longest_ms: int) -> None:
    detector = TurnDetector(SemanticVad(eagerness=eagerness))  # type: ignore[arg-type]
    stopped = detect(detector, (SPEECH, 10), (SILENCE, 300))[-1]
    assert isinstance(stopped, SpeechStopped)
    assert ms_to_samples(longest_ms) <= stopped.end - stopped.speech_end < ms_to_samples(longest_ms) + VAD_WINDOW


def test_an_opinion_about_a_pause_that_is_over_is_ignored() -> None:
    detector = TurnDetector(SemanticVad())
    old = detect(detector, (SPEECH, 10), (SILENCE, 4), (SPEECH, 4), (SILENCE, 4))[1]
    assert isinstance(old, SpeechPaused)
    assert detector.judge(0.99, old.at) == []
    assert detector.speaking


def test_forgetting_a_turn_starts_anew() -> None:
    detector = TurnDetector(ServerVad())
    detect(detector, (SPEECH, 5))
    detector.forget()
    assert not detector.speaking
    started = detect(detector, (SPEECH, 1))[0]
    assert isinstance(started, SpeechStarted)
    assert started.start == 5 * VAD_WINDOW


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=300),
    st.one_of(
        st.builds(ServerVad, threshold=st.floats(0, 1), silence_duration_ms=st.integers(0, 2000)),
        st.builds(SemanticVad, eagerness=st.sampled_from(["low", "medium", "high", "auto"])),
    ),
    st.integers(0, 10**6),
)
def test_detections_come_in_order(
    windows: list[tuple[float, bool]], mode: ServerVad | SemanticVad, position: int
) -> None:
    detector = TurnDetector(mode, position, lasting_ms=100)
    state, last_end = "silent", position
    allowed = {
        "silent": {"SpeechStarted": "speaking"},
        "speaking": {
            "SpeechLasted": "speaking",
            "SpeechDipped": "dipped",
            "SpeechPaused": "paused",
            "SpeechStopped": "silent",
        },
        "dipped": {
            "SpeechLasted": "dipped",
            "SpeechResumed": "speaking",
            "SpeechPaused": "paused",
            "SpeechStopped": "silent",
        },
        "paused": {"SpeechPaused": "paused", "SpeechResumed": "speaking", "SpeechStopped": "silent"},
    }
    for probability, quiet in windows:
        for detection in detector.push(probability, quiet=quiet):
            state = allowed[state][type(detection).__name__]
            if isinstance(detection, SpeechStarted):
                assert last_end <= detection.start <= detection.at
                last_end = detection.start
            elif isinstance(detection, SpeechStopped):
                assert last_end <= detection.speech_end <= detection.end == detector.position
                last_end = detection.end
    assert detector.speaking == (state != "silent")


def test_a_dip_is_told_at_once_and_taken_back_when_speech_goes_on() -> None:
    detector = TurnDetector(ServerVad())
    detector.push(0.9)
    (dipped,) = detector.push(0.8, quiet=True)
    assert dipped == SpeechDipped(at=2 * VAD_WINDOW, ask=False)
    assert detector.push(0.7, quiet=True) == []
    assert detector.push(0.4, quiet=False) == [], "not certain that it is speech"
    assert detector.push(0.9, quiet=False) == [SpeechResumed(at=5 * VAD_WINDOW)]
    assert detector.push(0.9, quiet=True) == [SpeechDipped(at=6 * VAD_WINDOW, ask=False)]


def test_a_dip_becomes_a_pause() -> None:
    detector = TurnDetector(ServerVad())
    detector.push(0.9)
    followed = [detection for p in (0.8, 0.6, 0.1, 0.1, 0.1) for detection in detector.push(p, quiet=True)]
    assert [type(detection) for detection in followed] == [SpeechDipped, SpeechPaused]
    assert detector.push(0.9) == [SpeechResumed(at=7 * VAD_WINDOW)]


def test_lasting_speech_is_told_once_for_each_run() -> None:
    detector = TurnDetector(ServerVad(), lasting_ms=320)
    followed = [detection for _ in range(20) for detection in detector.push(0.9)]
    assert followed[1:] == [SpeechLasted(at=10 * VAD_WINDOW)]
    for _ in range(4):
        detector.push(0.0)
    followed = [detection for _ in range(20) for detection in detector.push(0.9)]
    assert [type(detection) for detection in followed] == [SpeechResumed, SpeechLasted]


def test_a_run_counts_from_its_first_window() -> None:
    detector = TurnDetector(ServerVad(), lasting_ms=96)
    followed = [detection for _ in range(3) for detection in detector.push(0.6)]
    assert [type(detection) for detection in followed] == [SpeechStarted, SpeechLasted]


def dipping() -> TurnDetector:
    """A semantic detector, eagerness high, whose turn has just dipped at the end of the sixth window."""
    detector = TurnDetector(SemanticVad(eagerness="high"))
    for _ in range(5):
        detector.push(0.9)
    assert detector.push(0.8, quiet=True) == [SpeechDipped(at=6 * VAD_WINDOW, ask=True)]
    return detector


def test_an_opinion_at_the_dip_closes_the_turn_as_soon_as_the_pause_is_certain() -> None:
    detector = dipping()
    assert detector.judge(0.99, 6 * VAD_WINDOW) == []
    detector.push(0.6, quiet=True)
    followed = [detection for _ in range(3) for detection in detector.push(0.1, quiet=True)]
    assert followed == [
        SpeechPaused(speech_end=7 * VAD_WINDOW, at=10 * VAD_WINDOW, ask=False),
        SpeechStopped(speech_end=7 * VAD_WINDOW, end=10 * VAD_WINDOW),
    ]


def test_an_opinion_at_the_dip_may_come_after_the_pause() -> None:
    detector = dipping()
    for _ in range(3):
        detector.push(0.1, quiet=True)
    assert detector.paused
    (stopped,) = detector.judge(0.99, 6 * VAD_WINDOW)
    assert isinstance(stopped, SpeechStopped)


def test_an_opinion_about_a_dip_that_is_over_is_ignored() -> None:
    detector = dipping()
    detector.push(0.9)
    assert detector.judge(0.99, 6 * VAD_WINDOW) == []
    followed = [detection for _ in range(3) for detection in detector.push(0.0)]
    assert followed == [SpeechPaused(speech_end=7 * VAD_WINDOW, at=10 * VAD_WINDOW, ask=True)]


def test_an_opinion_about_a_dip_says_nothing_of_a_later_pause() -> None:
    detector = dipping()
    detector.judge(0.99, 6 * VAD_WINDOW)
    detector.push(0.9)
    followed = [detection for _ in range(3) for detection in detector.push(0.0)]
    assert [type(detection) for detection in followed] == [SpeechPaused]
