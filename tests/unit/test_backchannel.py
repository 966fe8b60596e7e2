"""What counts as a listener's sound."""

from __future__ import annotations

import numpy as np
import pytest

from antiphon.audio.levels import to_float
from antiphon.audio.resampling import StreamResampler
from antiphon.bench.corpus import BACKCHANNELS, SHIPPED, load_recordings
from antiphon.engines.base import EngineContext, Samples, Transcript
from antiphon.models.store import ModelStore
from antiphon.session.backchannel import is_backchannel

RATE = 16_000


def tone(*partials: tuple[float, float], seconds: float = 0.4) -> Samples:
    """A sum of sines: pairs of Hz and amplitude."""
    times = np.arange(round(seconds * RATE)) / RATE
    sound: Samples = np.zeros(len(times), np.float32)
    for hertz, amplitude in partials:
        sound += (amplitude * np.sin(2 * np.pi * hertz * times)).astype(np.float32)
    return sound


HUM = tone((150, 0.3), (300, 0.2), (450, 0.05))
VOWEL = tone((150, 0.3), (300, 0.2), (1200, 0.15), (2400, 0.1))
HISS = (np.random.default_rng(3).standard_normal(RATE // 2) * 0.1).astype(np.float32)


@pytest.mark.parametrize(
    "text", ["", "Mm-hm.", "Mhm", "Uh-huh.", "Hmm...", "Mm-hmm, mm-hmm.", "Ah!", "[ ... ]", "Um", "uh huh", "Ahem."]
)
def test_murmurs_are_recognised_by_their_spelling(text: str) -> None:
    assert is_backchannel(VOWEL, Transcript(text, confidence=-0.1))


@pytest.mark.parametrize("text", ["Stop.", "No!", "Wait", "Him.", "Mm-hm, but why?", "Ham", "停", "Arrête", "I", "her"])
def test_words_interrupt(text: str) -> None:
    assert not is_backchannel(VOWEL, Transcript(text, confidence=-0.3))
    assert not is_backchannel(VOWEL, Transcript(text)), "an engine that does not tell how sure it is, is believed"


def test_a_hum_is_no_word_whatever_was_understood() -> None:
    assert is_backchannel(HUM, Transcript("Come here.", confidence=-0.1))


def test_words_that_are_guessed_count_only_with_a_clear_consonant() -> None:
    guessed = Transcript("I can.", confidence=-0.7)
    assert is_backchannel(VOWEL, guessed)
    assert not is_backchannel(HISS, guessed)
    assert is_backchannel(HISS, Transcript("I can.", confidence=-1.1))


def test_next_to_nothing_is_no_interruption() -> None:
    assert is_backchannel(np.zeros(100, np.float32), Transcript("You"))
    assert is_backchannel(np.zeros(RATE, np.float32), Transcript("You"))


@pytest.mark.models
async def test_recorded_sounds_and_words() -> None:
    from antiphon.engines.whisper.transcriber import WhisperTranscriber

    transcriber = await WhisperTranscriber.load(EngineContext(ModelStore.default()))
    try:

        async def judge(pcm: np.ndarray[tuple[int, ...], np.dtype[np.int16]]) -> tuple[bool, str]:
            padded = np.concatenate([np.zeros(7200, np.int16), pcm, np.zeros(2400, np.int16)])
            heard = to_float(StreamResampler(24_000, RATE).push(padded))
            transcript = await transcriber.transcribe(heard)
            return is_backchannel(heard, transcript), transcript.text

        for sound in load_recordings(BACKCHANNELS):
            assert (await judge(sound.pcm[sound.begin : sound.end]))[0], sound.name
        # Half a second of real speech, cut anywhere, is mostly taken for an interruption; longer speech always is.
        beginnings = [r.pcm[r.begin : r.begin + 12_000] for r in load_recordings(SHIPPED)]
        judged = [await judge(beginning) for beginning in beginnings]
        assert sum(not backchannel for backchannel, _ in judged) >= 0.6 * len(judged), judged
    finally:
        await transcriber.close()
