"""Is something short that was said over a reply a listener's sound ("mm-hm"), a cough, or an interruption? Pure.

Recognisers make words of sounds that are none ("mm-hm" becomes "I'm Ham"), so their words are not enough: they have to
be sure of them, and the sound must not be a hum. docs/decisions/0043 has the measurements behind the thresholds.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from antiphon.audio.clock import HEARING_RATE
from antiphon.engines.base import Samples, Transcript

_SOUNDS = re.compile(
    r"a|a?h+a*|a?hem|eh+|[eu]h*m+|er+m?|h[aeu]h+|m+|m+h+m*|h+m+|o+h+|u+h+|u+h+u+h+|u+h*m+h+u*m+", re.IGNORECASE
)
"""How recognisers write what listeners murmur, without hyphens; of no language in particular."""

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_JOINT = re.compile(r"['’-]")

_FRAME = 512
_HOP = 160
_LOUD_DB = 25.0
"""Frames this far below the loudest do not count."""
_LOW_HZ, _SPLIT_HZ, _HIGH_HZ = 80, 1000, 6000
_HUM_DB = -12.5
"""With closed lips there is next to nothing above 1 kHz: four frames of five have less than this above it, against
what is below."""
_CRISP_DB = 8.0
"""A stop or a fricative has this much more above 1 kHz than below."""
_SURE, _SURE_WHEN_CRISP = -0.5, -0.9
"""Mean log probabilities of a token from which the recogniser's words count."""


def is_backchannel(heard: Samples, transcript: Transcript) -> bool:
    """Tell whether speech is none that wants to interrupt.

    Args:
        heard: what was said, float32[n] at 16 kHz; well below a second of it.
        transcript: what a recogniser made of it.
    """
    words = [_JOINT.sub("", word) for word in _WORD.findall(transcript.text)]
    if all(_SOUNDS.fullmatch(word) for word in words):
        return True
    balance = _high_against_low_db(heard)
    if balance.size == 0 or np.percentile(balance, 80) < _HUM_DB:
        return True
    crisp = bool(balance.max() > _CRISP_DB)
    return transcript.confidence is not None and transcript.confidence < (_SURE_WHEN_CRISP if crisp else _SURE)


def _high_against_low_db(heard: Samples) -> NDArray[np.float64]:
    """Return for each loud frame how much more is above 1 kHz than below, in dB."""
    if len(heard) < _FRAME:
        return np.zeros(0)
    frames = np.lib.stride_tricks.sliding_window_view(heard, _FRAME)[::_HOP] * np.hanning(_FRAME)
    power = np.abs(np.fft.rfft(frames)) ** 2
    hertz = np.fft.rfftfreq(_FRAME, 1 / HEARING_RATE)
    total = power.sum(axis=1)
    loud = power[total > total.max() * 10 ** (-_LOUD_DB / 10)]
    low = loud[:, (hertz > _LOW_HZ) & (hertz <= _SPLIT_HZ)].sum(axis=1)
    high = loud[:, (hertz > _SPLIT_HZ) & (hertz < _HIGH_HZ)].sum(axis=1)
    floor = 1e-12
    ratio: NDArray[np.float64] = 10 * np.log10((high + floor) / (low + floor))
    return ratio
