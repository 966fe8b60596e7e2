import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.engines.base import HEARING_RATE, Samples, Transcript
from antiphon.engines.loudness import FRAME, end_of_loudness, loud_frames
from antiphon.engines.whisper.checks import is_doubtful, is_speech, most_tokens, repeats, seconds_of_speech
from antiphon.engines.whisper.pieces import LONGEST_S, MOST_AUDIO, SHORTEST_S, find_cut, join, pieces


@pytest.mark.parametrize(
    "text",
    [
        "is on the phone, is on the phone, is on the phone",
        "Press two to access messages. Press two to access messages.",
        "We heard this: to cancel now press one, to cancel now press one",
        "no " * 12,
        "one two " * 6,
        "one two three one two three one two three one two three",
    ],
)
def test_loops(text: str) -> None:
    assert repeats(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no, no, no, no",
        "very, very good, very, very good",
        "Press one to mute, press two to lock, press three to leave.",
        "4 or 6 to decrease or increase the volume, 7 or 9 to decrease or increase your volume",
        "bye bye",
    ],
)
def test_speech_that_repeats_itself_is_no_loop(text: str) -> None:
    assert not repeats(text)


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=8), st.integers(2, 5), st.text("xyz ", max_size=12))
def test_a_long_phrase_said_again_at_once_is_found_wherever_it_is(phrase: list[str], times: int, around: str) -> None:
    words = " ".join(phrase * times)
    long_enough = len(phrase) > 3 or len(phrase) * times >= 12
    if long_enough:
        assert repeats(f"{around} {words} {around}")


def tone(seconds: float, level: float = 0.3) -> Samples:
    return np.asarray(level * np.sin(np.arange(round(seconds * HEARING_RATE)) * 0.3), np.float32)


def silence(seconds: float) -> Samples:
    count = round(seconds * HEARING_RATE)
    return np.random.default_rng(count).normal(0, 1e-3, count).astype(np.float32)


def test_seconds_of_speech() -> None:
    audio = np.concatenate([silence(1), tone(2), silence(3)])
    assert seconds_of_speech(audio) == pytest.approx(2, abs=0.04)
    assert end_of_loudness(audio) == pytest.approx(3 * HEARING_RATE, abs=FRAME)
    assert seconds_of_speech(np.zeros(0, np.float32)) == 0
    assert end_of_loudness(np.zeros(5000, np.float32)) == 5000
    assert len(loud_frames(audio[: 3 * FRAME + 5])) == 3


def test_what_is_read_again() -> None:
    audio = np.concatenate([silence(0.3), tone(4), silence(0.3)])
    assert not is_doubtful("please enter your password followed by the pound key", 11, -0.1, audio)
    assert is_doubtful("please", 2, -0.1, audio)
    assert is_doubtful("please enter your password", 12, -0.9, audio)
    assert is_doubtful("la " * 40, most_tokens(4.6), -0.1, audio)
    assert not is_doubtful("Hello?", 2, -0.5, np.concatenate([silence(0.3), tone(0.5)]))


def test_who_spoke() -> None:
    assert is_speech(0.3, -0.2)
    assert is_speech(0.5, -1.5)  # a mumble
    assert is_speech(0.7, -0.3)
    assert not is_speech(0.7, -0.9)
    assert not is_speech(0.93, -0.45)  # digital silence, "you"


def test_a_stream_is_cut_in_the_last_pause() -> None:
    words = [tone(9), silence(0.5), tone(5), silence(0.5), tone(1)]
    cut = find_cut(np.concatenate(words))
    assert cut is not None
    assert cut / HEARING_RATE == pytest.approx(14.75, abs=0.05)


def test_a_stream_waits_for_a_pause_and_for_enough_speech() -> None:
    assert find_cut(np.concatenate([tone(SHORTEST_S / 2), silence(0.5)])) is None
    assert find_cut(np.concatenate([tone(SHORTEST_S + 1), silence(0.1), tone(1)])) is None
    assert find_cut(np.zeros(0, np.float32)) is None


def test_a_stream_without_pauses_is_cut_where_it_is_quietest() -> None:
    audio = tone(LONGEST_S + 1)
    quiet = slice(round(15.0 * HEARING_RATE), round(15.3 * HEARING_RATE))
    audio[quiet] *= 0.5
    cut = find_cut(audio)
    assert cut is not None
    assert quiet.start < cut < quiet.stop


@given(st.lists(st.tuples(st.floats(0.1, 25), st.floats(0, 1)), min_size=1, max_size=8))
def test_no_sample_is_lost_or_doubled(parts: list[tuple[float, float]]) -> None:
    audio = np.concatenate([part for speech, pause in parts for part in (tone(speech), silence(pause))])
    whole = pieces(audio)
    np.testing.assert_array_equal(np.concatenate(whole), audio)
    assert all(len(piece) <= MOST_AUDIO for piece in whole)
    rest = audio
    while (cut := find_cut(rest)) is not None:
        assert SHORTEST_S * HEARING_RATE <= cut <= LONGEST_S * HEARING_RATE
        rest = rest[cut:]
    assert len(rest) <= LONGEST_S * HEARING_RATE


def test_joining() -> None:
    parts = [Transcript("Hello.", "en"), Transcript("", "en"), Transcript("How are you?", "en")]
    assert join(parts) == Transcript("Hello. How are you?", "en")
    assert join([Transcript("今日は", "ja"), Transcript("元気", "ja")]).text == "今日は元気"
    assert join([Transcript("", "ja"), Transcript("Hello", "en")]) == Transcript("Hello", "en")
    assert join([]) == Transcript("")
