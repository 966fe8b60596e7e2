"""Signs that a transcript of Whisper's is not what was said. Pure.

Whisper repeats itself, stops early, or makes up a phrase where nobody spoke. The thresholds below were set on recorded
telephone prompts, clean, cut short, sped up and with noise, and on noise alone;
docs/decisions/0040 has the measurements.
"""

from __future__ import annotations

import re

import numpy as np

from antiphon.engines.base import HEARING_RATE, Samples
from antiphon.engines.loudness import FRAME, loud_frames

_WORD = re.compile(r"\w+(?:['’]\w+)*")

_TOKENS_PER_SECOND = 8.0
"""More than anybody says: the recordings have 2 to 5, counted over all of the audio."""

_SPARSE_TOKENS_PER_SECOND = 2.0
"""Fewer than this for each second of speech, and part of it has been left out."""

_SHORTEST_JUDGED_S = 1.5
"""Below this much speech, few tokens say nothing."""

_LOOP_WORDS = 12
"""Words that a phrase of one to three words must fill with repetitions before it is a loop and not emphasis."""

_POOR_LOGPROB = -0.8
_NO_SPEECH_PROB = 0.75
_PERHAPS_NO_SPEECH_PROB = 0.6
_UNSURE_LOGPROB = -0.7


def most_tokens(seconds: float) -> int:
    """Return how many text tokens `seconds` of audio can hold at most."""
    return int(seconds * _TOKENS_PER_SECOND) + 12


def is_speech(no_speech_prob: float, average_logprob: float) -> bool:
    """Tell whether somebody spoke, by the model's own doubts.

    Noise, breath, tones and silence gave probabilities of no speech of 0.62 to 0.95, those below 0.75 with text at
    -0.7 and less; sentences gave at most 0.3, single words in noise at most 0.6, only a hum gave more.
    """
    if no_speech_prob > _NO_SPEECH_PROB:
        return False
    return no_speech_prob <= _PERHAPS_NO_SPEECH_PROB or average_logprob >= _UNSURE_LOGPROB


def is_doubtful(text: str, tokens: int, average_logprob: float, audio: Samples) -> bool:
    """Tell whether the audio (float32[n], 16 kHz) should be read again, with more care.

    Args:
        text: what the model heard.
        tokens: how many tokens that is.
        average_logprob: natural-log probability of a token, on average.
        audio: what it heard it in.
    """
    speech_s = seconds_of_speech(audio)
    return (
        average_logprob < _POOR_LOGPROB
        or tokens >= most_tokens(len(audio) / HEARING_RATE)
        or (speech_s > _SHORTEST_JUDGED_S and tokens < _SPARSE_TOKENS_PER_SECOND * speech_s)
        or repeats(text)
    )


def repeats(text: str) -> bool:
    """Tell whether four words or more come twice in a row, or fewer again and again."""
    words = [match.group() for match in _WORD.finditer(text.lower())]
    for length in range(1, len(words) // 2 + 1):
        times = 2 if length > 3 else _LOOP_WORDS // length
        # A phrase repeated is a run of words that equal those `length` before them.
        run = 0
        for earlier, later in zip(words, words[length:], strict=False):
            run = run + 1 if earlier == later else 0
            if run >= length * (times - 1):
                return True
    return False


def seconds_of_speech(audio: Samples) -> float:
    """Return for how many seconds of `audio` (float32[n], 16 kHz) it is about as loud as its loudest part."""
    return float(np.count_nonzero(loud_frames(audio))) * FRAME / HEARING_RATE
