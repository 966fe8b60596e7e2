"""Kokoro: natural voices in eight languages, on the CPU (package `kokoro-onnx`, MIT; model Apache-2.0; extra `kokoro`).

The package reads text with `phonemizer` and eSpeak NG, which are under the GPL-3.0: this module is imported only where
a configuration names the engine, and nothing else here depends on them.

A clause is one piece of audio, computed by all of the engine's cores: one at a time, since what counts is the first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from kokoro_onnx import Kokoro
from pydantic import BaseModel, ConfigDict

from antiphon.engines.base import (
    AudioChunk,
    EngineContext,
    EngineError,
    EngineLoad,
    Priority,
    Samples,
    Synthesizer,
    Voice,
)
from antiphon.engines.model_files import find_model
from antiphon.engines.options import read_options
from antiphon.engines.phrases import phrases, trim
from antiphon.engines.stoppable_session import StoppableSession
from antiphon.engines.voice_choice import choose_voice
from antiphon.engines.workers import Cancellation, JobCancelled, Workers

_log = logging.getLogger(__name__)

_MOST_CHARACTERS = 100
"""Longest text given to the model at once: about 6 s of speech, 2 s of one core's work, which is waited for."""

_SLOWEST, _FASTEST = 0.5, 2.0
"""What kokoro-onnx takes."""

_LANGUAGES = {
    "a": ("en", "en-us", "American English"),
    "b": ("en", "en-gb", "British English"),
    "e": ("es", "es", "Spanish"),
    "f": ("fr", "fr-fr", "French"),
    "h": ("hi", "hi", "Hindi"),
    "i": ("it", "it", "Italian"),
    "j": ("ja", "ja", "Japanese"),
    "p": ("pt", "pt-br", "Brazilian Portuguese"),
    "z": ("zh", "cmn", "Mandarin"),
}
"""By the first letter of a voice's name (Kokoro-82M's VOICES.md): ISO 639-1, eSpeak NG's voice, and a description."""

_GENDERS = {"f": "female", "m": "male"}
_BEST = "af_heart"
"""The only voice that VOICES.md grades A."""

_STYLES = (1, 256)
_INPUTS = {"style", "speed"}


class KokoroOptions(BaseModel):
    """Options of `kokoro`.

    Attributes:
        model: a path or a reference of the ONNX model, e.g. `kokoro-v1.0.onnx`.
        voices: a path or a reference of the file with its voices, e.g. `voices-v1.0.bin` (NumPy's .npz).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    voices: str


class KokoroSynthesizer(Synthesizer):
    """Speaks with Kokoro, at 24 kHz, at speeds from 0.5; all voices of the file. See `KokoroOptions`."""

    name: ClassVar[str] = "kokoro"
    options_type: ClassVar[type[KokoroOptions]] = KokoroOptions
    sample_rate = 24_000

    def __init__(self, kokoro: Kokoro) -> None:
        self._kokoro: Kokoro | None = kokoro
        self._workers = Workers(self.name, 1)
        names = sorted(kokoro.voices, key=lambda name: (name != _BEST, name))
        self.voices = tuple(_describe(name) for name in names)

    @classmethod
    def models_for(cls, options: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the model and the file of its voices."""
        return tuple(name for name in (options.get(key) for key in KokoroOptions.model_fields) if isinstance(name, str))

    @classmethod
    async def load(cls, context: EngineContext) -> Self:
        """Load the model and its voices; see `Engine.load`.

        Raises:
            EngineError: code "invalid_option", or "model_missing" for a file that is not there or is something else.
        """
        options = read_options(cls.name, cls.options_type, context.options)
        model, voices = (find_model(name, context.models) for name in (options.model, options.voices))
        return cls(await asyncio.to_thread(_load, model, voices, context.cores))

    async def warm_up(self) -> None:
        """Say a few words."""
        async for _ in self.synthesize("Hello, I am ready."):
            pass

    def load_now(self) -> EngineLoad:
        """Return how many clauses are being spoken and are waiting."""
        return self._workers.load()

    async def close(self) -> None:
        """Stop the worker thread and free the model."""
        await self._workers.close()
        self._kokoro = None

    async def synthesize(
        self,
        text: str,
        *,
        voice: str | None = None,
        speed: float = 1.0,
        language: str | None = None,
        priority: Priority = Priority.LIVE,
    ) -> AsyncIterator[AudioChunk]:
        """Speak `text` clause by clause, read as `language` where that is one of Kokoro's, else as the voice's own."""
        name = choose_voice(self.name, self.voices, voice)
        speed = min(max(speed, _SLOWEST), _FASTEST)
        reader = _reader(name, language)
        silent = True
        for phrase in phrases(text, _MOST_CHARACTERS):
            work = partial(self._speak, name, phrase, speed, reader)
            samples = await self._workers.run(work, priority=priority)
            if samples.size:
                silent = False
                yield AudioChunk(samples, self.sample_rate)
        if silent and any(map(str.isalnum, text)):
            _log.warning("no speech for %d characters, read as %s", len(text), reader)

    def _speak(self, voice: str, phrase: str, speed: float, reader: str, cancellation: Cancellation) -> Samples:
        """Return the speech of one clause without the silence around it; empty when it has nothing to read."""
        if self._kokoro is None:
            raise EngineError("the engine is closed", code="closed")
        if not any(map(str.isalnum, phrase)):
            return np.zeros(0, np.float32)
        try:
            phonemes = " ".join(self._kokoro.tokenizer.phonemize(phrase, reader).split())
            if not any(map(str.isalnum, phonemes)):
                return np.zeros(0, np.float32)
            with self._kokoro.sess.stopped_by(cancellation):
                samples, _rate = self._kokoro.create(phonemes, voice, speed, is_phonemes=True)
        except JobCancelled:
            raise
        except Exception as error:  # ONNX Runtime's, eSpeak NG's and the package's errors have no common base
            raise EngineError(f"kokoro failed: {error}") from error
        return trim(np.clip(np.asarray(samples, np.float32), -1, 1), self.sample_rate, phrase.rstrip(), speed)


def _load(model: Path, voices: Path, cores: int) -> Kokoro:
    try:
        session = StoppableSession(model, threads=cores)
    except Exception as error:  # ONNX Runtime's errors have no base of their own
        raise EngineError(f"kokoro: {model} is not an ONNX model: {error}", code="model_missing") from error
    if not {given.name for given in session.get_inputs()} >= _INPUTS:
        raise EngineError(f"kokoro: {model} is not a Kokoro model: it has other inputs", code="model_missing")
    styles = _read_voices(voices)
    try:
        kokoro = Kokoro.from_session(session, str(voices))
    except Exception as error:  # eSpeak NG's library may be missing
        raise EngineError(f"kokoro: {error}", code="missing_package") from error
    kokoro.voices = styles
    # It warns of every word that is read by another language's rules, and of counts that differ with punctuation.
    logging.getLogger("phonemizer").setLevel(logging.ERROR)
    return kokoro


def _read_voices(path: Path) -> dict[str, Samples]:
    """Return the styles of each voice, float32[n, 1, 256]: row n - 1 is for n phonemes."""
    try:
        with np.load(path) as file:
            styles = {str(name): np.asarray(file[name], np.float32) for name in file.files}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise EngineError(f"kokoro: {path} is not a file of voices: {error}", code="model_missing") from error
    if not styles or any(style.shape[1:] != _STYLES for style in styles.values()):
        raise EngineError(f"kokoro: {path} is not a file of voices", code="model_missing")
    return styles


def _reader(voice: str, language: str | None) -> str:
    """Return eSpeak NG's voice for what is spoken."""
    own = _LANGUAGES.get(voice[:1], _LANGUAGES["a"])
    wanted = (language or "").lower().partition("-")[0]
    if wanted in ("", own[0]):
        return own[1]
    return next((espeak for code, espeak, _ in _LANGUAGES.values() if code == wanted), own[1])


def _describe(name: str) -> Voice:
    known = _LANGUAGES.get(name[:1])
    if known is None or name[2:3] != "_":
        return Voice(name)
    gender = _GENDERS.get(name[1])
    return Voice(name, f"{known[2]}{f', {gender}' if gender else ''}", (known[0],))
