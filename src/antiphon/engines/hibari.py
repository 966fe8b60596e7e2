"""Hibari: small English text to speech on the CPU (package `hibari-tts`, the model inside; Apache-2.0).

The model speaks a whole phrase at once, more than 100 times faster than real time on one core, so a clause is one
piece of audio, and long text comes phrase by phrase. It is stateless once its parts are loaded, and is shared by all
worker threads; each phrase runs on one core.

It reads English only: letters of other scripts are skipped, and text with nothing else in it gives no audio and a
warning in the log.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from hibari import Hibari
from hibari.tts import MAX_PHONEMES
from hibari.voices import DEFAULT, VOICES, sha256_of, voice_path

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
from antiphon.engines.options import NoOptions, read_options
from antiphon.engines.phrases import phrases, trim
from antiphon.engines.voice_choice import choose_voice
from antiphon.engines.workers import Cancellation, Workers

_log = logging.getLogger(__name__)

_MOST_CHARACTERS = 250
"""Longest text given to the model at once: about 17 s of speech, 0.1 s of work that cannot be cancelled."""

_SEED = 0
"""Of the noise in unvoiced sounds: the same text always sounds the same."""

_DOT = re.compile(r"(?<=[a-z0-9])\.(?=[a-z]{2,}\b)")  # example.com, notes.txt


class HibariSynthesizer(Synthesizer):
    """Speaks with Hibari, at 24 kHz, any speed from 0.25 to 1.5; `cores` phrases at once.

    Its voices are those whose models are present: "heart" always, others if Hibari has fetched them before.
    """

    name: ClassVar[str] = "hibari"
    options_type: ClassVar[type[NoOptions]] = NoOptions
    sample_rate = Hibari.sample_rate

    def __init__(self, models: dict[str, Hibari], cores: int) -> None:
        self._models = models
        self._workers = Workers(self.name, cores)
        self.voices = tuple(_describe(name) for name in models)

    @classmethod
    async def load(cls, context: EngineContext) -> Self:
        """Load every voice that is present.

        Raises:
            EngineError: code "invalid_option" for any option: it has none; code "model_missing" for a damaged voice.
        """
        read_options(cls.name, cls.options_type, context.options)
        return cls(await asyncio.to_thread(_load_voices), context.cores)

    async def warm_up(self) -> None:
        """Speak a sentence with every voice, and a word that is in no dictionary."""
        for voice in self.voices:
            async for _ in self.synthesize("Hello, I am ready at 7:30, Mr. Blorptastic.", voice=voice.name):
                pass

    def load_now(self) -> EngineLoad:
        """Return how many phrases are being spoken and are waiting."""
        return self._workers.load()

    async def close(self) -> None:
        """Stop the worker threads and free the voices."""
        await self._workers.close()
        self._models.clear()

    async def synthesize(
        self,
        text: str,
        *,
        voice: str | None = None,
        speed: float = 1.0,
        language: str | None = None,
        priority: Priority = Priority.LIVE,
    ) -> AsyncIterator[AudioChunk]:
        """Speak `text`, phrase by phrase; `language` changes nothing. See `Synthesizer.synthesize`."""
        name = choose_voice(self.name, self.voices, voice)
        silent = True
        for phrase in _phrases(text):
            samples = await self._workers.run(partial(self._speak, name, phrase, speed), priority=priority)
            if samples.size:
                silent = False
                yield AudioChunk(samples, self.sample_rate)
        if silent and any(map(str.isalnum, text)):
            _log.warning("no speech for %d characters: Hibari reads English only", len(text))

    def _speak(self, voice: str, phrase: str, speed: float, cancellation: Cancellation) -> Samples:
        """Return the speech of one phrase without the silence around it; empty when it has nothing to read."""
        if not any(map(str.isalnum, phrase)):
            return np.zeros(0, np.float32)
        model = self._models[voice]
        noise = np.random.default_rng(_SEED)
        parts = []
        for phonemes in _bounded(model.g2p(phrase)):
            cancellation.check()
            parts.append(model.from_ids(model.ids(phonemes), speed, noise))
        return trim(np.concatenate(parts), self.sample_rate, phrase, speed) if parts else np.zeros(0, np.float32)


def _describe(name: str) -> Voice:
    about = VOICES[name]
    return Voice(name, f"{about['accent']} English, {about['gender']}", ("en",))


def _load_voices() -> dict[str, Hibari]:
    """Load the voices that are present, the default one first. Those of one accent share their dictionaries."""
    models: dict[str, Hibari] = {}
    readers: dict[bool, Any] = {}
    for name in sorted(VOICES, key=lambda name: name != DEFAULT):
        try:
            path = Path(voice_path(name, download_missing=False))
        except FileNotFoundError:
            continue
        if not path.is_file() or sha256_of(path) != VOICES[name]["sha256"]:
            remedy = "reinstall the package hibari-tts" if VOICES[name].get("bundled") else f"delete {path}"
            raise EngineError(f"Hibari's voice {name} is damaged or missing ({path}): {remedy}", code="model_missing")
        british = VOICES[name]["british"]
        model = Hibari(voice=name, model=str(path), g2p=readers.get(british))
        readers[british] = model.g2p
        models[name] = model
    return models


def _phrases(text: str) -> Iterator[str]:
    """Cut text into pieces of at most `_MOST_CHARACTERS`, with the dots in names spoken."""
    return phrases(_DOT.sub(" dot ", text), _MOST_CHARACTERS)


def _bounded(phonemes: str) -> Iterator[str]:
    """Cut phonemes between words into runs that the model can speak: numbers read out can be very long."""
    while len(phonemes) > MAX_PHONEMES:
        cut = phonemes.rfind(" ", 1, MAX_PHONEMES)
        cut = cut if cut > 0 else MAX_PHONEMES
        yield phonemes[:cut]
        phonemes = phonemes[cut:].lstrip()
    if phonemes:
        yield phonemes
