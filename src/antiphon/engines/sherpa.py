"""Streaming speech recognisers through sherpa-onnx (Apache-2.0; extra `sherpa`): they read along while one speaks.

What such a model has written it never changes, so every whole word is final at once.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict
from sherpa_onnx import OnlineRecognizer

from antiphon.engines.base import (
    HEARING_RATE,
    EngineContext,
    EngineError,
    EngineLoad,
    Priority,
    Samples,
    Transcriber,
    Transcript,
    TranscriptionStream,
)
from antiphon.engines.model_files import find_model
from antiphon.engines.options import read_options
from antiphon.engines.sherpa_model import Kind, SherpaModel, find_sherpa_model, try_in_another_process
from antiphon.engines.workers import Cancellation, Workers

_PIECE = HEARING_RATE // 2
"""Samples (0.5 s) of a whole utterance that are read between looks at whether anybody still wants it."""

_FIRST_CJK = "\u2e80"
"""Letters from here on stand for words of their own, with no space between (CJK Radicals Supplement and above)."""


class SherpaOptions(BaseModel):
    """Options of `sherpa`.

    Attributes:
        model: a path or a reference of a directory with a streaming model: `tokens.txt` and its `.onnx` files.
        kind: of model; "auto" to tell by its files.
        int8: take the smaller and faster `.int8.onnx` files where there are both.
        language: ISO 639-1 code of what the model understands; None where it is not said.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    kind: Kind | Literal["auto"] = "auto"
    int8: bool = True
    language: str | None = None


class SherpaTranscriber(Transcriber):
    """Transcribes `cores` pieces of audio at once, each on one core. See `SherpaOptions`."""

    name: ClassVar[str] = "sherpa"
    options_type: ClassVar[type[SherpaOptions]] = SherpaOptions

    def __init__(self, reader: SherpaReader, cores: int, language: str | None) -> None:
        """Start the worker threads of a loaded model."""
        self._reader = reader
        self._workers = Workers(self.name, cores)
        self.languages: Sequence[str] | None = None if language is None else (language,)

    @classmethod
    async def load(cls, context: EngineContext) -> Self:
        """Load the model; see `Engine.load`.

        Raises:
            EngineError: code "invalid_option", or "model_missing" for a directory without a streaming model.
        """
        options = read_options(cls.name, cls.options_type, context.options)
        directory = find_model(options.model, context.models)
        model = await asyncio.to_thread(find_sherpa_model, directory, options.kind, int8=options.int8)
        reader = await asyncio.to_thread(SherpaReader, model, options.language)
        return cls(reader, context.cores, options.language)

    async def warm_up(self) -> None:
        """Transcribe a second of silence in every worker."""
        silence = np.zeros(HEARING_RATE, np.float32)
        await asyncio.gather(*(self.transcribe(silence) for _ in range(self._workers.load().capacity)))

    def load_now(self) -> EngineLoad:
        """Return how many pieces of audio are being read and are waiting."""
        return self._workers.load()

    async def close(self) -> None:
        """Stop the worker threads and free the model. Idempotent."""
        await self._workers.close()
        self._reader.close()

    async def transcribe(
        self,
        audio: Samples,
        *,
        language: str | None = None,
        prompt: str | None = None,
        logprobs: bool = False,
        priority: Priority = Priority.LIVE,
    ) -> Transcript:
        """Transcribe one utterance; `prompt` changes nothing. See `Transcriber.transcribe`.

        Raises:
            EngineError: code "unsupported" for another language than the model's, where that is known.
        """
        if not self._knows(language):
            raise EngineError(
                f"the transcription model does not know {language!r}; it knows {self._reader.language}",
                code="unsupported",
            )
        whole = partial(self._reader.read_whole, audio)
        return Transcript(await self._workers.run(whole, priority=priority), self._reader.language)

    def stream(self, *, language: str | None = None, prompt: str | None = None) -> SherpaStream | None:
        """Start on an utterance that is being spoken; None for a language that `transcribe` refuses."""
        return SherpaStream(self._reader, self._workers) if self._knows(language) else None

    def _knows(self, language: str | None) -> bool:
        own = self._reader.language
        return language is None or own is None or language.lower().partition("-")[0] == own


class SherpaStream(TranscriptionStream):
    """One utterance, read as it comes in."""

    def __init__(self, reader: SherpaReader, workers: Workers) -> None:
        """Start with no audio."""
        self._reader = reader
        self._workers = workers
        self._utterance = Utterance()
        self._returned = 0

    async def push(self, audio: Samples) -> str:
        """Take more audio and return the words that became final; see `TranscriptionStream`."""
        self._utterance.waiting.append(audio)
        text = await self._workers.run(partial(self._reader.read, self._utterance), priority=Priority.DRAFT)
        whole = whole_words(text)
        new, self._returned = whole[self._returned :], max(len(whole), self._returned)
        return new

    async def transcript(self, *, logprobs: bool = False, priority: Priority = Priority.LIVE) -> Transcript:
        """Return what was said so far; see `TranscriptionStream`.

        What the model has heard but not yet written it writes when silence follows, so silence is put in here, less
        than a second by most models. Whoever goes on speaking is heard to have paused.
        """
        text = await self._workers.run(partial(self._reader.read_to_end, self._utterance), priority=priority)
        return Transcript(text, self._reader.language)

    async def guess(self) -> str | None:
        """Return what was written so far, the last word of it perhaps unfinished."""
        return await self._workers.run(partial(self._reader.read, self._utterance), priority=Priority.DRAFT)


class Utterance:
    """One utterance: `waiting` is audio that the library was not given yet, `stream` what it keeps of the rest."""

    def __init__(self) -> None:
        self.waiting: deque[Samples] = deque()
        self.stream: Any = None
        self.ended = True
        # A call that was cancelled may still be in its thread when the next one begins.
        self.lock = threading.Lock()


class SherpaReader:
    """A loaded model. Blocking and thread-safe.

    Args:
        model: its files.
        language: what it understands, where that is known.
    """

    def __init__(self, model: SherpaModel, language: str | None) -> None:
        self._silence = np.zeros(try_in_another_process(model), np.float32)
        self._recognizer: OnlineRecognizer | None = model.open()
        self._shouts = model.shouts()
        self.language = language

    def read_whole(self, audio: Samples, cancellation: Cancellation) -> str:
        """Return what is said in `audio` (float32[n], 16 kHz)."""
        utterance = Utterance()
        for start in range(0, len(audio), _PIECE):
            utterance.waiting.append(audio[start : start + _PIECE])
            self.read(utterance, cancellation)
        return self.read_to_end(utterance, cancellation)

    def read(self, utterance: Utterance, cancellation: Cancellation) -> str:
        """Read what is waiting, and return all that was written of the utterance.

        Raises:
            JobCancelled: nobody wants it any more; what is left stays for the next call.
        """
        with utterance.lock:
            if utterance.stream is None:
                utterance.stream = self._loaded().create_stream()
            while utterance.waiting:
                utterance.stream.accept_waveform(HEARING_RATE, utterance.waiting.popleft())
                utterance.ended = False
            return self._decode(utterance, cancellation)

    def read_to_end(self, utterance: Utterance, cancellation: Cancellation) -> str:
        """Read what is waiting as if the utterance ended there, and return all that was written of it."""
        self.read(utterance, cancellation)
        with utterance.lock:
            if not utterance.ended:
                utterance.stream.accept_waveform(HEARING_RATE, self._silence)
                utterance.ended = True
            return self._decode(utterance, cancellation)

    def close(self) -> None:
        """Free the model; utterances that were begun keep theirs. Idempotent."""
        self._recognizer = None

    def _decode(self, utterance: Utterance, cancellation: Cancellation) -> str:
        recognizer = self._loaded()
        while recognizer.is_ready(utterance.stream):
            cancellation.check()
            recognizer.decode_stream(utterance.stream)
        text: str = recognizer.get_result(utterance.stream)
        return text.lower() if self._shouts else text

    def _loaded(self) -> OnlineRecognizer:
        if self._recognizer is None:
            raise EngineError("the engine is closed", code="closed")
        return self._recognizer


def whole_words(text: str) -> str:
    """Return `text` up to the last word that is surely finished: one with a space after it, or of one letter."""
    for end in range(len(text), 0, -1):
        if text[end - 1] >= _FIRST_CJK or text[end : end + 1] == " ":
            return text[:end]
    return ""
