"""Smart Turn v3.2: tells from the sound of the last 8 s whether the speaker has finished (Pipecat, BSD-2-Clause).

It hears intonation, not words. It is surest in the first 200 ms of a pause: it takes a longer silence itself for a
sign of the end, so silence beyond that is not shown to it.
"""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import onnxruntime

from antiphon.engines.base import HEARING_RATE, EngineContext, EngineError, EngineLoad, Samples, TurnClassifier
from antiphon.engines.log_mel import HOP, LogMel
from antiphon.engines.loudness import end_of_loudness
from antiphon.engines.options import NoOptions, read_options
from antiphon.engines.workers import Cancellation, Workers

_HEARD = 8 * HEARING_RATE
"""Samples (8 s) that the model hears (its model card; transformers.WhisperFeatureExtractor(chunk_length=8))."""

_SILENCE = HEARING_RATE // 10
"""Samples (100 ms) of the pause that the model is shown."""

_VARIANCE_FLOOR = 1e-7


class SmartTurnClassifier(TurnClassifier):
    """Smart Turn for every session: `cores` decisions at once, about 30 ms of one core each. It has no options."""

    name: ClassVar[str] = "smart-turn"
    options_type: ClassVar[type[NoOptions]] = NoOptions
    required_models: ClassVar[tuple[str, ...]] = ("smart-turn-v3.2",)

    def __init__(self, model: onnxruntime.InferenceSession, cores: int) -> None:
        """Start the worker threads of a loaded model."""
        self._model = model
        self._log_mel = LogMel()
        self._workers = Workers(self.name, cores)

    @classmethod
    async def load(cls, context: EngineContext) -> Self:
        """Load the model from the catalog.

        Raises:
            EngineError: code "invalid_option" for any option, "model_missing" when the file is no such model.
        """
        read_options(cls.name, cls.options_type, context.options)
        return cls(await asyncio.to_thread(_load_model, context.models.path("smart-turn-v3.2")), context.cores)

    async def warm_up(self) -> None:
        """Judge a second of silence, so that onnxruntime lays out its memory now."""
        await self.complete(np.zeros(HEARING_RATE, np.float32))

    def load_now(self) -> EngineLoad:
        """Return how many decisions are being made and are waiting."""
        return self._workers.load()

    async def close(self) -> None:
        """Stop the worker threads. Idempotent."""
        await self._workers.close()

    async def complete(self, audio: Samples) -> float:
        """Return the probability that the speaker has finished; see `TurnClassifier.complete`."""
        return await self._workers.run(partial(self._judge, audio))

    def _judge(self, audio: Samples, _cancellation: Cancellation) -> float:
        unheard = max(len(audio) - _HEARD, 0)
        end = unheard + end_of_loudness(audio[unheard:]) + _SILENCE
        heard = np.pad(audio[:end], (0, max(0, end - len(audio))))[-_HEARD:]
        window = np.pad(heard, (_HEARD - len(heard), 0))
        window = (window - window.mean()) / np.sqrt(window.var() + _VARIANCE_FLOOR)
        features = self._log_mel(window, _HEARD // HOP)[None]
        # The output is called logits, but has been through a sigmoid.
        (probability,) = self._model.run(["logits"], {"input_features": features})
        return float(probability[0, 0])


def _load_model(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common base below Exception
        raise EngineError(f"{path} cannot be loaded as an ONNX model: {error}", code="model_missing") from error
