"""What is heard of written text: a real voice speaks it through the cascade, and Whisper writes down what it hears."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import jiwer
import numpy as np
import pytest

from antiphon.audio.resampling import StreamResampler
from antiphon.engines.base import HEARING_RATE, EngineContext, GenerationRequest, Message, Priority, TextPart
from antiphon.engines.stand_in import StandInLanguageModel
from antiphon.models.store import ModelStore
from antiphon.pipeline.cascade_reply import make_reply
from antiphon.pipeline.reply import SPEECH_RATE, ReplyRequest, ReplySpeech, ReplyText

pytest.importorskip("hibari", reason="the extra `local` is not installed")
pytest.importorskip("faster_whisper", reason="the extra `local` is not installed")

from whisper_normalizer.english import EnglishTextNormalizer

from antiphon.engines.hibari import HibariSynthesizer
from antiphon.engines.whisper.transcriber import WhisperTranscriber

pytestmark = pytest.mark.models

_normalize = EnglishTextNormalizer()

HEARD = [
    ("That is $3.14 in total.", "That is three dollars and fourteen cents in total."),
    ("The ticket costs 5 € and the hotel £120.", "The ticket costs five euros and the hotel 120 pounds."),
    ("The train leaves at 7:30 and arrives at 14:05.", "The train leaves at 7:30 and arrives at 14:05."),
    ("We are open from 9am–5pm on 2026-11-21.", "We are open from 9 a.m. to 5 p.m. on November 21st, 2026."),
    ("Call me at 555-0199 tomorrow.", "Call me at five five five zero one nine nine tomorrow."),
    ("Your code is 847291, please.", "Your code is eight four seven two nine one please."),
    (
        "Please install Python version 3.11.2 today.",
        "Please install Python version three point eleven point two today.",
    ),
    ("Send a mail to john.doe@example.com, please.", "Send a mail to john dot doe at example dot com please."),
    (
        "It is -5 °C, and the wind is 20 km/h.",
        "It is minus five degrees Celsius, and the wind is twenty kilometers per hour.",
    ),
    (
        "**Dr. Smith** said: use `code` and [the docs](https://example.com/a/b?c=d)! 😀",
        "Doctor Smith said use code and the docs",
    ),
    (
        "The answer is $x^2 = 9$, so take 3/4 of 12.5%.",
        "The answer is x squared equals nine so take three quarters of 12.5%.",
    ),
    (
        "<think>He must not hear this secret.</think>Pages 10-15, e.g. No. 5.",
        "Pages ten to fifteen, for example number five.",
    ),
]


@pytest.fixture
async def voice() -> AsyncIterator[HibariSynthesizer]:
    voice = await HibariSynthesizer.load(EngineContext(ModelStore.default()))
    yield voice
    await voice.close()


@pytest.fixture
async def whisper() -> AsyncIterator[WhisperTranscriber]:
    whisper = await WhisperTranscriber.load(EngineContext(ModelStore.default()))
    yield whisper
    await whisper.close()


async def heard(written: str, voice: HibariSynthesizer, whisper: WhisperTranscriber) -> tuple[str, str]:
    """Return the transcript of a reply, and what Whisper hears of its speech."""
    request = ReplyRequest(GenerationRequest((Message("user", (TextPart("Hi"),)),)), "audio")
    events = [event async for event in make_reply(StandInLanguageModel(written, 0, 0.0), voice, request)]
    pcm = np.concatenate([event.pcm for event in events if isinstance(event, ReplySpeech)])
    resampler = StreamResampler(SPEECH_RATE, HEARING_RATE)
    speech = np.concatenate([resampler.push((pcm / 32768).astype(np.float32)), resampler.flush()])
    transcript = await whisper.transcribe(speech, language="en", priority=Priority.LIVE)
    return "".join(event.text for event in events if isinstance(event, ReplyText)), transcript.text


def plain(text: str) -> str:
    """Return text in which "7:30", "seven thirty" and "730" are one: words of letters, and single digits."""
    return " ".join(re.findall(r"[a-z]+|[0-9]", _normalize(text)))


async def test_the_words_are_heard_and_nothing_else(voice: HibariSynthesizer, whisper: WhisperTranscriber) -> None:
    found = [(*await heard(written, voice, whisper), expected) for written, expected in HEARD]
    assert found[-1][0] == "Pages 10-15, e.g. No. 5.", "the transcript stays as it was written"
    told = "\n".join(f"{expected} -> {understood}" for _, understood, expected in found)
    result = jiwer.process_words([plain(expected) for *_, expected in found], [plain(said) for _, said, _ in found])
    print(f"{told}\nword error rate {result.wer:.3f}")
    assert result.wer < 0.15, told
    junk = re.compile(r"asterisk|backslash|http|slash|dollar sign|underscore|secret|think|emoji|hash", re.IGNORECASE)
    assert not any(junk.search(understood) for _, understood, _ in found), told
