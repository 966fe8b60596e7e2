"""Noise suppression with GTCRN (Rong et al., ICASSP 2024), a 48,000-parameter model for 16 kHz, through onnxruntime.

Suppression is limited, by adding back some of the input: all of it makes Whisper worse, not better. Measured with
Whisper tiny.en on 18 prompts, word error rate in percent, in babble of 8 voices and in pink noise at 5 and 15 dB:

| limit      | babble 5 | babble 15 | pink 5 | pink 15 |
|------------|----------|-----------|--------|---------|
| no denoise | 15.7     | 2.6       | 9.2    | 4.6     |
| 12 dB      | 15.7     | 3.9       | 7.8    | 3.9     |
| 18 dB      | 29.4     | 6.5       | 9.2    | 5.2     |
| none       | 54.2     | 13.1      | 12.4   | 5.9     |

One hop of 16 ms takes 0.45 ms of one core, about 3 % of it for each stream.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar, Literal, Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from antiphon.engines.base import Denoiser, DenoiserStream, EngineContext, EngineError, Samples
from antiphon.engines.options import NoOptions, read_options

FRAME = 512
"""Samples at 16 kHz (32 ms) of one analysis window of the model."""

HOP = 256
"""Samples (16 ms) from one window to the next."""

DELAY = FRAME - 1
"""Samples (32 ms) by which the output is behind the input, whatever the sizes of the pieces."""

LIMIT_DB = {"near_field": 12.0, "far_field": 18.0}
"""How far noise is turned down at most: a room has more of it than a headset, and its speech is worth a risk."""

_STATES = {"conv_cache": (2, 1, 16, 16, 33), "tra_cache": (2, 3, 1, 1, 16), "inter_cache": (2, 1, 33, 16)}
"""The model's recurrent inputs, in the order of its outputs after the first."""

# The periodic Hann window's root, for analysis and again for synthesis: overlapping halves add up to one.
_WINDOW = np.sqrt(np.hanning(FRAME + 1)[:FRAME]).astype(np.float32)


class GtcrnStream(DenoiserStream):
    """Noise suppression of one stream, window by window with overlap-add."""

    def __init__(self, model: onnxruntime.InferenceSession, limit_db: float) -> None:
        """Start with silence before the first sample; noise goes down by `limit_db` at most."""
        self._model = model
        self._dry = np.float32(10 ** (-limit_db / 20))
        self._states = [np.zeros(shape, np.float32) for shape in _STATES.values()]
        self._frame = np.zeros(FRAME, np.float32)
        self._tail = np.zeros(HOP, np.float32)
        self._waiting = np.zeros(0, np.float32)
        self._ready = np.zeros(HOP - 1, np.float32)

    def process(self, audio: Samples) -> Samples:
        """Return as many denoised samples as were given (float32[n], 16 kHz), `DELAY` samples late."""
        waiting = np.concatenate([self._waiting, audio])
        hops = len(waiting) // HOP
        done = [self._hop(waiting[i * HOP : (i + 1) * HOP]) for i in range(hops)]
        self._waiting = waiting[hops * HOP :]
        ready = np.concatenate([self._ready, *done])
        self._ready = ready[len(audio) :]
        return ready[: len(audio)]

    def _hop(self, new: Samples) -> Samples:
        self._frame = np.concatenate([self._frame[HOP:], new])
        spectrum = np.fft.rfft(self._frame * _WINDOW)
        pairs = np.stack([spectrum.real, spectrum.imag], axis=-1).astype(np.float32)
        feed = {"mix": pairs[None, :, None, :], **dict(zip(_STATES, self._states, strict=True))}
        enhanced, *self._states = self._model.run(None, feed)
        clean = enhanced[0, :, 0, 0] + 1j * enhanced[0, :, 0, 1]
        wet = np.fft.irfft(clean, FRAME).astype(np.float32) * _WINDOW
        out: NDArray[np.float32] = (self._tail + wet[:HOP]) * (1 - self._dry) + self._frame[:HOP] * self._dry
        self._tail = wet[HOP:]
        return out


class GtcrnDenoiser(Denoiser):
    """GTCRN for every session: the model is shared, each stream keeps its own state."""

    name: ClassVar[str] = "gtcrn"
    options_type: ClassVar[type[NoOptions]] = NoOptions
    required_models: ClassVar[tuple[str, ...]] = ("gtcrn",)

    def __init__(self, model: onnxruntime.InferenceSession) -> None:
        """Wrap a loaded model."""
        self._model = model

    @classmethod
    async def load(cls, context: EngineContext) -> Self:
        """Load the model from the catalog.

        Raises:
            EngineError: the model is missing or damaged.
        """
        read_options(cls.name, NoOptions, context.options)
        path = context.models.path("gtcrn")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            model = await asyncio.to_thread(
                onnxruntime.InferenceSession, str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's errors have no common base below Exception
            raise EngineError(f"{path} cannot be loaded as an ONNX model: {error}", code="model_missing") from error
        return cls(model)

    async def warm_up(self) -> None:
        """Run one window, so that onnxruntime lays out its memory now."""
        await asyncio.to_thread(self.open("near_field").process, np.zeros(FRAME, np.float32))

    def open(self, kind: Literal["near_field", "far_field"]) -> GtcrnStream:
        """Start a stream; `LIMIT_DB` says how far each kind turns noise down."""
        return GtcrnStream(self._model, LIMIT_DB[kind])
