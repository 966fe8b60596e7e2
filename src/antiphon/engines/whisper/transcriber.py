"""Whisper speech to text on CTranslate2: any Whisper model in its format, on the CPU or a GPU.

`whisper_decoder` says how short audio is transcribed cheaply, `whisper_stream` how long audio is while it comes in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar, Self

import ctranslate2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

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
from antiphon.engines.model_files import find_model
from antiphon.engines.options import read_options
from antiphon.engines.whisper.decoder import WhisperDecoder
from antiphon.engines.whisper.pieces import join, pieces
from antiphon.engines.whisper.stream import WhisperStream
from antiphon.engines.workers import Workers

_DEFAULT_MODEL = "whisper-tiny.en"


class WhisperOptions(BaseModel):
    """Options of `whisper`.

    Attributes:
        model: a name of the catalog, a reference, or the path of a directory that holds a Whisper model in
            CTranslate2's format and its `tokenizer.json`.
        language: ISO 639-1 code of what is spoken where a session does not say; None to find out for each utterance.
        device: "cpu", "cuda" or "cuda:N" for one GPU of several; "auto" is a GPU if there is one.
        compute_type: of CTranslate2, e.g. "float16"; "auto" is "int8" on the CPU and "float16" on a GPU.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = _DEFAULT_MODEL
    language: str | None = None
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d{1,2})?)$")
    compute_type: str = "auto"


class WhisperTranscriber(Transcriber):
    """Transcribes `cores` pieces of audio at once, each on one core. See `WhisperOptions`.

    One core for each: two are no faster for the small models, and their waiting threads take time from other engines.
    """

    name: ClassVar[str] = "whisper"
    required_models: ClassVar[tuple[str, ...]] = (_DEFAULT_MODEL,)
    options_type: ClassVar[type[WhisperOptions]] = WhisperOptions
    supports_logprobs = True

    def __init__(self, decoder: WhisperDecoder, cores: int, language: str | None = None) -> None:
        """Start the worker threads of a loaded model; `language` is that of who does not say."""
        self._decoder = decoder
        self._language = language
        self._workers = Workers(self.name, cores)
        self.languages: Sequence[str] = decoder.languages

    @classmethod
    async def load(cls, context: EngineContext) -> Self:
        """Load the model; see `Engine.load`.

        Raises:
            EngineError: code "invalid_option", also for a language that the model does not know and a device or compute
                type that is not here; "model_missing" when there is no such model in the directory.
        """
        options = read_options(cls.name, WhisperOptions, context.options)
        path = find_model(options.model, context.models)
        decoder = await asyncio.to_thread(_load_decoder, path, options, context.cores)
        return cls(decoder, context.cores, options.language)

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
            known = language or self._language or (parts[0].language if parts else None)
            work = partial(self._decoder.transcribe, piece, language=known, prompt=prompt, logprobs=logprobs)
            parts.append(await self._workers.run(work, priority=priority))
        return join(parts)

    def stream(self, *, language: str | None = None, prompt: str | None = None) -> WhisperStream:
        """Start on an utterance that is being spoken."""
        return WhisperStream(self._decoder, self._workers, language or self._language, prompt)


def _load_decoder(path: Path, options: WhisperOptions, cores: int) -> WhisperDecoder:
    device, index, compute_type = _place(options)
    try:
        decoder = WhisperDecoder(path, device=device, index=index, compute_type=compute_type, workers=cores)
    except Exception as error:  # CTranslate2's and tokenizers' errors have no common base below Exception
        raise EngineError(
            f"{path} cannot be loaded as a CTranslate2 Whisper model on {device} as {compute_type}: {error}",
            code="model_missing",
        ) from error
    try:
        decoder.require_language(options.language)
    except EngineError as error:
        decoder.close()
        raise EngineError(f"whisper: option 'language': {error.message}", code="invalid_option") from error
    return decoder


def _place(options: WhisperOptions) -> tuple[str, int, str]:
    """Return the device, which one of its kind, and the compute type.

    Raises:
        EngineError: code "invalid_option" when they are not here.
    """
    gpus: int = ctranslate2.get_cuda_device_count()
    device, _, number = options.device.partition(":")
    if device == "auto":
        device = "cuda" if gpus else "cpu"
    index = int(number or 0)
    if device == "cuda" and index >= gpus:
        raise EngineError(
            f"whisper: option 'device': {options.device} is not here: CTranslate2 finds {gpus} CUDA devices. "
            "Check the driver with `nvidia-smi`, or use device: cpu",
            code="invalid_option",
        )
    compute_type = options.compute_type
    if compute_type == "auto":
        return device, index, "int8" if device == "cpu" else "float16"
    known = {"default", *ctranslate2.get_supported_compute_types(device, index)}
    if compute_type not in known:
        raise EngineError(
            f"whisper: option 'compute_type': {device} has no {compute_type!r}; it has: {', '.join(sorted(known))}",
            code="invalid_option",
        )
    return device, index, compute_type
