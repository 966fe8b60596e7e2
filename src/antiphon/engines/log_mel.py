"""Whisper's log-mel spectrogram, quick for short audio and without taking threads from others.

It gives what OpenAI's `log_mel_spectrogram` and faster-whisper's `FeatureExtractor` give. Those multiply a dense mel
matrix, which the BLAS below numpy spreads over every core of the machine: 1 ms alone, 16 ms and more as soon as
another engine computes. The matrix is nearly empty, so a sparse product on the calling thread is quicker than either.
"""

from __future__ import annotations

import numpy as np
import scipy.fft
import scipy.sparse
from faster_whisper.feature_extractor import FeatureExtractor
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from antiphon.engines.base import HEARING_RATE, Samples

HOP = 160
"""Samples at 16 kHz (10 ms) from one frame to the next."""

_FFT = 400
_FLOOR = 1e-10
_RANGE = 8.0  # powers of ten below the loudest; this and what follows are Whisper's own scaling
_WINDOW = np.hanning(_FFT + 1)[:-1].astype(np.float32)


class LogMel:
    """Computes log-mel spectrograms with `mels` bands. Stateless, thread-safe."""

    def __init__(self, mels: int = 80) -> None:
        dense = FeatureExtractor.get_mel_filters(HEARING_RATE, _FFT, n_mels=mels).astype(np.float32)
        self._filters = scipy.sparse.csr_array(dense)
        self._mels = mels

    def __call__(self, audio: Samples, frames: int) -> NDArray[np.float32]:
        """Return float32[mels, frames] of `audio` (float32[n], 16 kHz), cut or padded with silence to `frames`."""
        audio = audio[: frames * HOP]
        padded = np.pad(np.pad(audio, (0, frames * HOP - audio.size)), _FFT // 2, mode="reflect")
        # Frames that are silence from end to end need no transform.
        sounding = min(frames, -(-(audio.size + _FFT // 2) // HOP))
        windows = sliding_window_view(padded, _FFT)[::HOP][:sounding]
        spectrum = scipy.fft.rfft(windows * _WINDOW, axis=-1)
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        mel = np.full((self._mels, frames), _FLOOR, np.float32)
        mel[:, :sounding] = self._filters @ np.ascontiguousarray(power.T)
        log = np.log10(np.maximum(mel, _FLOOR))
        scaled: NDArray[np.float32] = (np.maximum(log, log.max() - _RANGE) + 4.0) / 4.0
        return scaled
