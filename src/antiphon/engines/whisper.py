"""Whisper speech to text on CTranslate2: any Whisper model in its format, on the CPU or a GPU.

`whisper_decoder` says how short audio is transcribed cheaply, `whisper_stream` how long audio is while it comes in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal, Self

import ctranslate2
import numpy as np
from pydantic import BaseModel, ConfigDict

from antiphon.engines.base import (
    HEARING_RATE,
    EngineContext,
    EngineError,
    EngineLoad,
    Priority,
    Samples,
    Transcriber,
    Transcript,
)
from antiphon.engines.options import read_options
from antiphon.engines.whisper_decoder import WhisperDecoder
from antiphon.engines.whisper_pieces import join, pieces
from antiphon.engines.whisper_stream import WhisperStream
from antiphon.engines.workers import Workers

_DEFAULT_MODEL = "whisper-tiny.en"


class WhisperOptions(BaseModel):
    """Options of `whisper`.

    Attributes:
        model: a name of the catalog, a reference, or the absolute path of a directory that holds a Whisper model in
            CTranslate2's format and its `tokenizer.json`.
        device: "auto" is a GPU if there is one.
        compute_type: of CTranslate2, e.g. "float16"; "auto" is "int8" on the CPU and "float16" on a GPU.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = _DEFAULT_MODEL
    device: Literal["auto", "cpu", "cuda"] = "auto"
    compute_type: str = "auto"


class WhisperTranscriber(Transcriber):
    """Transcribes `cores` pieces of audio at once, each on one core. See `WhisperOptions`.

    One core for each: two are no faster for the small models, and their waiting threads take time from other engines.
    """

    name: ClassVar[str] = "whisper"
    required_models: ClassVar[tuple[str, ...]] = (_DEFAULT_MODEL,)
    options_type: ClassVar[type[WhisperOptions]] = WhisperOptions
    supports_logprobs = True

    def __init__(self, decoder: WhisperDecoder, cores: int) -> None:
        """Start the worker threads of a loaded model."""
        self._decoder = decoder
        self._workers = Workers(self.name, cores)
        self.languages: Sequence[str] = decoder.languages

    @classmethod
    async def load(cls, context: EngineContext) -> Self:
        """Load the model; see `Engine.load`.

        Raises:
            EngineError: code "invalid_option", or "model_missing" when there is no such model in the directory.
        """
        options = read_options(cls.name, WhisperOptions, context.options)
        name = options.model
        path = Path(name) if Path(name).is_absolute() else context.models.path(name)
        return cls(await asyncio.to_thread(_load_decoder, path, options, context.cores), context.cores)

    async def warm_up(self) -> None:
        """Transcribe half a second of silence in every worker."""
        silence = np.zeros(HEARING_RATE // 2, np.float32)
        await asyncio.gather(*(self.transcribe(silence) for _ in range(self._workers.load().capacity)))

    def load_now(self) -> EngineLoad:
        """Return how many pieces of audio are being transcribed and are waiting."""
        return self._workers.load()

    async def close(self) -> None:
        """Stop the worker threads and free the model. Idempotent."""
        await self._workers.close()
        await asyncio.to_thread(self._decoder.close)

    async def transcribe(
        self,
        audio: Samples,
        *,
        language: str | None = None,
        prompt: str | None = None,
        logprobs: bool = False,
        priority: Priority = Priority.LIVE,
    ) -> Transcript:
        """Transcribe one utterance; see `Transcriber.transcribe`.

        It is cut at pauses when it is long. Cancelling it takes effect between the steps of a piece, the longest of
        which takes about 0.2 s of one core for a piece of 28 s, and 30 ms for one of 4 s.

        Raises:
            EngineError: code "unsupported" for a language that the model does not know.
        """
        parts: list[Transcript] = []
        for piece in pieces(audio):
            known = language or (parts[0].language if parts else None)
            work = partial(self._decoder.transcribe, piece, language=known, prompt=prompt, logprobs=logprobs)
            parts.append(await self._workers.run(work, priority=priority))
        return join(parts)

    def stream(self, *, language: str | None = None, prompt: str | None = None) -> WhisperStream:
        """Start on an utterance that is being spoken."""
        return WhisperStream(self._decoder, self._workers, language, prompt)


def _load_decoder(path: Path, options: WhisperOptions, cores: int) -> WhisperDecoder:
    device: str = options.device
    compute_type = options.compute_type
    if device == "auto":
        device = "cuda" if ctranslate2.get_cuda_device_count() else "cpu"
    if compute_type == "auto":
        compute_type = "int8" if device == "cpu" else "float16"
    try:
        return WhisperDecoder(path, device=device, compute_type=compute_type, workers=cores)
    except Exception as error:  # CTranslate2's and tokenizers' errors have no common base below Exception
        raise EngineError(
            f"{path} cannot be loaded as a CTranslate2 Whisper model on {device} as {compute_type}: {error}",
            code="model_missing",
        ) from error
