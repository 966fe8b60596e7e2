"""Piper: small voices in many languages on the CPU (package `piper-tts`, GPL-3.0; the extra `piper`).

This module is imported only where a configuration names the engine: nothing else here depends on the package.

A voice speaks sentence by sentence, each on one core. Its rate is its own (16 or 22.05 kHz) and comes out at 24 kHz,
so that voices of different rates can be one engine's.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from piper import PiperVoice, SynthesisConfig
from piper.config import PhonemeType, PiperConfig
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from antiphon.audio.resampling import StreamResampler
from antiphon.engines.base import (
    AudioChunk,
    EngineContext,
    EngineError,
    EngineLoad,
    ModelPaths,
    Priority,
    Samples,
    Synthesizer,
    Voice,
)
from antiphon.engines.model_files import find_model, is_path
from antiphon.engines.options import read_options
from antiphon.engines.phrases import phrases, trim
from antiphon.engines.stoppable_session import StoppableSession
from antiphon.engines.voice_choice import choose_voice
from antiphon.engines.workers import Cancellation, JobCancelled, Workers

_RATE = 24_000

_MOST_CHARACTERS = 250
"""Longest text read at once: about 17 s of speech."""

_INPUTS = {"input", "input_lengths", "scales"}


class PiperVoiceOptions(BaseModel):
    """A voice: a model, and what to make of it.

    Attributes:
        model: a path or a reference of a voice's `.onnx` file, with its `.onnx.json` beside it, or of a directory that
            holds both.
        speaker: of a model with several, by name or number; None for its default.
        length_scale: how slowly it speaks at speed 1, e.g. 1.1 for a tenth more time; None for the voice's own.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    speaker: int | str | None = None
    length_scale: float | None = Field(None, gt=0, le=4)


def _named_by_its_model(given: Any) -> Any:
    return {"model": given} if isinstance(given, str) else given


class PiperOptions(BaseModel):
    """Options of `piper`.

    Attributes:
        voices: by the names that clients ask for, the default one first; a voice is a model, or `PiperVoiceOptions`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    voices: dict[str, Annotated[PiperVoiceOptions, BeforeValidator(_named_by_its_model)]] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class _Speaker:
    model: PiperVoice
    session: StoppableSession
    number: int | None
    length_scale: float
    about: Voice


class PiperSynthesizer(Synthesizer):
    """Speaks with Piper voices, at 24 kHz; `cores` sentences at once. See `PiperOptions`."""

    name: ClassVar[str] = "piper"
    options_type: ClassVar[type[PiperOptions]] = PiperOptions
    sample_rate = _RATE

    def __init__(self, speakers: dict[str, _Speaker], cores: int) -> None:
        self._speakers = speakers
        self._workers = Workers(self.name, cores)
        self.voices = tuple(speaker.about for speaker in speakers.values())

    @classmethod
    def models_for(cls, options: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the models of all voices, and the settings of those that are one file of a repository."""
        voices = options.get("voices")
        if not isinstance(voices, Mapping):
            return ()
        given = [voice.get("model") if isinstance(voice, Mapping) else voice for voice in voices.values()]
        models = dict.fromkeys(model for model in given if isinstance(model, str))
        return tuple(file for model in models for file in ((model, f"{model}.json") if _is_file(model) else (model,)))

    @classmethod
    async def load(cls, context: EngineContext) -> Self:
        """Load every voice; see `Engine.load`.

        Raises:
            EngineError: code "invalid_option", also for a speaker that a model does not have; "model_missing" for a
                voice that is not there or is none; "missing_package" for one whose language needs more packages.
        """
        options = read_options(cls.name, cls.options_type, context.options)
        return cls(await asyncio.to_thread(_load_speakers, options, context.models), context.cores)

    async def warm_up(self) -> None:
        """Say a word with every voice."""
        for voice in self.voices:
            async for _ in self.synthesize("OK.", voice=voice.name):
                pass

    def load_now(self) -> EngineLoad:
        """Return how many sentences are being spoken and are waiting."""
        return self._workers.load()

    async def close(self) -> None:
        """Stop the worker threads and free the voices."""
        await self._workers.close()
        self._speakers.clear()

    async def synthesize(
        self,
        text: str,
        *,
        voice: str | None = None,
        speed: float = 1.0,
        language: str | None = None,
        priority: Priority = Priority.LIVE,
    ) -> AsyncIterator[AudioChunk]:
        """Speak `text` sentence by sentence; a voice has one language, and `language` changes nothing."""
        name = choose_voice(self.name, self.voices, voice)
        for phrase in phrases(text, _MOST_CHARACTERS):
            sentences = await self._workers.run(partial(self._read, name, phrase), priority=priority)
            for index, sentence in enumerate(sentences):
                # Phonemes keep the mark that ends a sentence, but not one that ends a clause.
                text_of_end = phrase if index == len(sentences) - 1 else sentence[-1]
                work = partial(self._speak, name, sentence, text_of_end, speed)
                samples = await self._workers.run(work, priority=priority)
                if samples.size:
                    yield AudioChunk(samples, _RATE)

    def _read(self, voice: str, phrase: str, _: Cancellation) -> list[list[str]]:
        """Return the phonemes of each sentence of `phrase`."""
        if not any(map(str.isalnum, phrase)):
            return []
        # What is between double brackets, Piper takes for phonemes.
        plain = phrase.replace("[[", " ").replace("]]", " ")
        model = self._speakers[voice].model
        try:
            return [phonemes for phonemes in model.phonemize(plain) if phonemes]
        except Exception as error:  # each language has a reader of its own
            raise EngineError(f"the Piper voice {voice} could not read the text: {error}") from error

    def _speak(self, voice: str, phonemes: list[str], end: str, speed: float, cancellation: Cancellation) -> Samples:
        """Return the speech of one sentence, with the pause after it that `end`, its last words, asks for."""
        speaker = self._speakers[voice]
        how = SynthesisConfig(speaker_id=speaker.number, length_scale=speaker.length_scale / speed)
        try:
            with speaker.session.stopped_by(cancellation):
                spoken = speaker.model.phoneme_ids_to_audio(speaker.model.phonemes_to_ids(phonemes), how)
        except JobCancelled:
            raise
        except Exception as error:  # ONNX Runtime's errors have no base of their own
            raise EngineError(f"the Piper voice {voice} failed: {error}") from error
        samples = np.clip(np.atleast_1d(np.asarray(spoken, np.float32)), -1, 1)
        resampler = StreamResampler(speaker.model.config.sample_rate, _RATE)
        samples = np.concatenate([resampler.push(samples), resampler.flush()])
        return trim(samples, _RATE, end.rstrip(), speed)


def _is_file(model: str) -> bool:
    """Tell whether a reference means one file of a repository."""
    return model.startswith("hf:") and model.endswith(".onnx")


def _load_speakers(options: PiperOptions, models: ModelPaths) -> dict[str, _Speaker]:
    loaded: dict[str, tuple[PiperVoice, StoppableSession, dict[str, Any]]] = {}
    speakers = {}
    for name, voice in options.voices.items():
        if voice.model not in loaded:
            loaded[voice.model] = _load_voice(*_files(voice.model, models))
        model, session, settings = loaded[voice.model]
        scale = model.config.length_scale if voice.length_scale is None else voice.length_scale
        number = _number(name, voice, model.config)
        speakers[name] = _Speaker(model, session, number, scale, _describe(name, voice, settings))
    return speakers


def _files(name: str, models: ModelPaths) -> tuple[Path, Path]:
    """Return a voice's model and its settings.

    Raises:
        EngineError: code "model_missing".
        antiphon.models.ModelError: see `ModelPaths.path`.
    """
    path = find_model(name, models)
    if path.is_dir():
        found = sorted(path.rglob("*.onnx"))
        if len(found) != 1:
            names = ", ".join(file.name for file in found) or "none"
            raise EngineError(f"piper: name one .onnx file of {name}; there are: {names}", code="model_missing")
        path = found[0]
    elif not is_path(name) and _is_file(name):
        return path, models.path(f"{name}.json")
    settings = path.with_name(f"{path.name}.json")
    if not settings.is_file():
        raise EngineError(f"piper: {path} has no settings: {settings} is missing", code="model_missing")
    return path, settings


def _load_voice(path: Path, settings_path: Path) -> tuple[PiperVoice, StoppableSession, dict[str, Any]]:
    try:
        settings = json.loads(settings_path.read_text(encoding="utf-8"))
        config = PiperConfig.from_dict(settings)
        session = StoppableSession(path, threads=1)
    except Exception as error:  # neither ONNX Runtime nor Piper's settings have errors of their own
        detail = f"{type(error).__name__}: {error}"
        raise EngineError(f"piper: {path} is not a Piper voice: {detail}", code="model_missing") from error
    if not {given.name for given in session.get_inputs()} >= _INPUTS:
        raise EngineError(f"piper: {path} is not a Piper voice: it has other inputs", code="model_missing")
    if config.phoneme_type is PhonemeType.PINYIN:
        raise EngineError(
            f"piper: {path}: Chinese voices that read pinyin are not supported: Piper fetches a model for them while "
            "it speaks",
            code="unsupported",
        )
    model = PiperVoice(session=session, config=config)
    try:
        model.phonemize("a")
    except ImportError as error:
        language = config.espeak_voice.partition("-")[0]
        raise EngineError(
            f"piper: {path} needs more packages: {error}. Try: pip install 'piper-tts[{language}]'",
            code="missing_package",
        ) from error
    return model, session, settings


def _number(name: str, voice: PiperVoiceOptions, config: PiperConfig) -> int | None:
    """Return the speaker's number, None for a model with one."""
    if voice.speaker is None:
        return None
    number = config.speaker_id_map.get(str(voice.speaker), voice.speaker)
    if not isinstance(number, int) or not 0 <= number < config.num_speakers:
        known = ", ".join(config.speaker_id_map) or f"0 to {config.num_speakers - 1}"
        raise EngineError(
            f"piper: voice {name!r}: the model has no speaker {voice.speaker!r}; it has: {known[:300]}",
            code="invalid_option",
        )
    return number


def _describe(name: str, voice: PiperVoiceOptions, settings: Mapping[str, Any]) -> Voice:
    about = settings.get("language") or {}
    family = str(about.get("family") or settings["espeak"]["voice"].partition("-")[0])
    place = about.get("country_english")
    language = about.get("name_english", family)
    who = f", speaker {voice.speaker}" if voice.speaker is not None else ""
    return Voice(name, f"{language}{f' ({place})' if place else ''}{who}", (family,))
