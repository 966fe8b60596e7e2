"""The interfaces that engines implement.

An engine knows audio and text, never the protocol, a session or a transport. It is loaded once per process and
shared by every session, so every method is safe to call concurrently from the event loop; CPU work runs in the
engine's own threads, at most `cores` of them at a time. Cancelling an awaited call or closing an iterator stops
the work in the engine too, not only the waiting.

Audio is mono float32 in [-1, 1]. Hearing is at 16 kHz (`HEARING_RATE`); speech comes at the rate of its engine.

Third parties add engines through the entry point group `antiphon.engines`: the value is a subclass of one of the
role classes below. Everything that they need is imported from here.
"""

from __future__ import annotations

import abc
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from antiphon.audio.clock import HEARING_RATE as HEARING_RATE
from antiphon.audio.clock import VAD_WINDOW as VAD_WINDOW
from antiphon.engines.generation import AudioChunk as AudioChunk
from antiphon.engines.generation import AudioPart as AudioPart
from antiphon.engines.generation import Finish as Finish
from antiphon.engines.generation import GenerationRequest as GenerationRequest
from antiphon.engines.generation import ImagePart as ImagePart
from antiphon.engines.generation import Message as Message
from antiphon.engines.generation import NamedTool as NamedTool
from antiphon.engines.generation import TextDelta as TextDelta
from antiphon.engines.generation import TextPart as TextPart
from antiphon.engines.generation import Tool as Tool
from antiphon.engines.generation import ToolCall as ToolCall
from antiphon.engines.generation import ToolCallDelta as ToolCallDelta
from antiphon.engines.generation import ToolChoice as ToolChoice
from antiphon.engines.generation import Usage as Usage
from antiphon.engines.scheduling import EngineLoad as EngineLoad
from antiphon.engines.scheduling import Priority as Priority

Samples = NDArray[np.float32]


class EngineError(Exception):
    """An engine could not do its work.

    Attributes:
        code: short machine-readable reason, e.g. "model_missing", "engine_failed", "timeout", "unsupported".
        message: what went wrong and, where it can be said, what to do about it. Never contains a secret.
    """

    def __init__(self, message: str, *, code: str = "engine_failed") -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class ModelPaths(Protocol):
    """Finds the files of a model of the catalog, already fetched and verified."""

    def path(self, name: str) -> Path:
        """Return the file of model `name`, or its directory when it has several.

        Raises:
            antiphon.models.ModelError: code "model_missing" when it was not fetched, "model_damaged" when its files are
                not as they were, "unknown_model" for a name that means nothing; the message says what to run.
        """
        ...


@dataclass(frozen=True, slots=True)
class EngineContext:
    """What an engine is given to load itself.

    Attributes:
        models: where model files are.
        cores: how many CPU threads the engine may keep busy at once.
        options: the engine's own settings, as the user wrote them.
    """

    models: ModelPaths
    cores: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)


class Engine(abc.ABC):
    """What every engine has in common: it is loaded, warmed up, says how busy it is, and is closed."""

    name: ClassVar[str]
    """The entry point's name, e.g. "silero"."""

    required_models: ClassVar[tuple[str, ...]] = ()
    """Catalog names of the models that must be present before `load`."""

    options_type: ClassVar[type[BaseModel] | None] = None
    """What `EngineContext.options` are checked with, before anything is loaded; None where only `load` can tell."""

    remote: bool = False
    """Whether its work is done elsewhere, where every call may cost money: no work ahead should be thrown away."""

    @classmethod
    def models_for(cls, options: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the models that `load` asks for with these options, which may be wrong: names, references, paths."""
        chosen = options.get("model")
        return (chosen,) if isinstance(chosen, str) else cls.required_models

    @classmethod
    @abc.abstractmethod
    async def load(cls, context: EngineContext) -> Self:
        """Load the model. Blocking work runs in a thread.

        Raises:
            antiphon.models.ModelError: the model is missing or damaged.
            EngineError: the model cannot be loaded, or an option is wrong.
        """

    async def warm_up(self) -> None:
        """Do a small piece of real work so that the first user does not pay for lazy initialisation."""
        return

    def load_now(self) -> EngineLoad:
        """Return how busy the engine is right now."""
        return EngineLoad(0, 0, 1)

    async def close(self) -> None:
        """Stop all work, join the engine's threads and free its memory. Idempotent."""
        return


# --- hearing ---------------------------------------------------------------------------------------------------------


class VadStream(abc.ABC):
    """Voice activity of one audio stream. Keeps the model's recurrent state."""

    @abc.abstractmethod
    async def push(self, windows: Samples) -> Samples:
        """Return the probability of speech (float32[n], 0..1) for each of `windows` (float32[n, 512], 16 kHz).

        Windows are consecutive. Calls on one stream must not overlap.
        """

    def close(self) -> None:
        """Forget the stream. Idempotent."""
        return


class VoiceActivityDetector(Engine):
    """Tells speech from everything else. Windows of all open streams are batched into one model call."""

    @abc.abstractmethod
    def open(self) -> VadStream:
        """Start a new stream with a fresh state."""


class TurnClassifier(Engine):
    """Tells a finished turn from a pause inside one."""

    @abc.abstractmethod
    async def complete(self, audio: Samples) -> float:
        """Return the probability, 0..1, that the speaker has finished, given the turn so far (float32[n], 16 kHz)."""


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One token of a transcript with its natural-log probability and its UTF-8 bytes."""

    token: str
    logprob: float
    bytes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said.

    Attributes:
        text: the words, stripped; empty when nothing was said.
        language: ISO 639-1 code of the language heard, if the engine knows.
        logprobs: per token, only when asked for and supported.
        confidence: mean log probability (natural) of a token, where the engine tells it at no cost.
    """

    text: str
    language: str | None = None
    logprobs: tuple[TokenLogprob, ...] = ()
    confidence: float | None = None


class TranscriptionStream(abc.ABC):
    """Transcription of one utterance that is still being spoken.

    Words once returned as final are never taken back: every transcript of the stream starts with them. Calls on one
    stream must not overlap. A call that is cancelled loses no audio; its work is done by the next.
    """

    @abc.abstractmethod
    async def push(self, audio: Samples) -> str:
        """Take more audio (float32[n], 16 kHz) and return the text that became final, with its leading space."""

    @abc.abstractmethod
    async def transcript(self, *, logprobs: bool = False, priority: Priority = Priority.LIVE) -> Transcript:
        """Return what was said so far, as if the utterance ended here. The stream stays open for more.

        The cost is that of the words that are not final yet, however long the utterance is.
        """

    async def guess(self) -> str | None:
        """Return the words that were probably said so far, in the middle of speech; None where they are not worth it.

        For work ahead only: the last of them are often wrong. An engine with something better to do returns None.
        """
        return None

    def close(self) -> None:
        """Forget the stream. Idempotent."""
        return


class Transcriber(Engine):
    """Speech to text."""

    languages: Sequence[str] | None = None
    """ISO 639-1 codes that it understands; None for unknown or any."""
    supports_logprobs: bool = False

    @abc.abstractmethod
    async def transcribe(
        self,
        audio: Samples,
        *,
        language: str | None = None,
        prompt: str | None = None,
        logprobs: bool = False,
        priority: Priority = Priority.LIVE,
    ) -> Transcript:
        """Transcribe one utterance (float32[n], 16 kHz, any length).

        Args:
            audio: the utterance; silence around the speech is fine.
            language: ISO 639-1 hint.
            prompt: words to expect, or the text before.
            logprobs: return token log probabilities.
            priority: a draft waits behind live work.

        Raises:
            EngineError: the engine failed.
        """

    def stream(self, *, language: str | None = None, prompt: str | None = None) -> TranscriptionStream | None:
        """Start on an utterance that is being spoken, or return None when the engine reads whole ones only."""
        return None


class DenoiserStream(abc.ABC):
    """Noise suppression of one audio stream."""

    @abc.abstractmethod
    def process(self, audio: Samples) -> Samples:
        """Return as many denoised samples as were given (float32[n], 16 kHz); a fixed delay is allowed."""

    def close(self) -> None:
        """Forget the stream. Idempotent."""
        return


class Denoiser(Engine):
    """Takes noise out of speech before it is heard."""

    @abc.abstractmethod
    def open(self, kind: Literal["near_field", "far_field"]) -> DenoiserStream:
        """Start a stream for a headset or phone ("near_field") or a room or conference microphone ("far_field")."""


# --- thinking --------------------------------------------------------------------------------------------------------


class LanguageModel(Engine):
    """Text to text, with tools. Ends every generation with `Usage` (when known) and `Finish`."""

    context_tokens: int | None = None
    """Most tokens of context plus reply; None when unknown."""
    supports_images: bool = False
    supports_audio: bool = False

    @abc.abstractmethod
    def generate(self, request: GenerationRequest) -> AsyncIterator[TextDelta | ToolCallDelta | Usage | Finish]:
        """Continue the context. Closing the iterator stops the generation in the engine.

        Raises (while iterating):
            EngineError: the engine failed; code "context_length_exceeded" when the context does not fit.
        """

    async def prefill(self, request: GenerationRequest) -> None:
        """Bring the context's prefix into the engine's cache ahead of `generate`. May do nothing."""
        return

    @abc.abstractmethod
    async def count_tokens(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> int:
        """Return how many tokens of context these messages and tools take, in the model's own tokens."""


# --- speaking --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice of a synthesizer: its name, a few words about it, and its languages (ISO 639-1)."""

    name: str
    description: str = ""
    languages: tuple[str, ...] = ()


class Synthesizer(Engine):
    """Text to speech."""

    voices: Sequence[Voice]
    """Its voices, the default one first."""
    sample_rate: int
    """Hz of everything that it synthesizes."""
    reads_numbers: bool = False
    """Whether it reads numbers, dates, money, abbreviations and signs well itself. For one that does not, they are
    written out in words, where the language of the voice is known; see `antiphon.pipeline.reading`."""

    @abc.abstractmethod
    def synthesize(
        self,
        text: str,
        *,
        voice: str | None = None,
        speed: float = 1.0,
        language: str | None = None,
        priority: Priority = Priority.LIVE,
    ) -> AsyncIterator[AudioChunk]:
        """Speak one clause or sentence. Closing the iterator stops the synthesis.

        Args:
            text: plain words, no markup.
            voice: a name in `voices`; None for the default.
            speed: 0.25 to 1.5, 1.0 is the voice's own pace.
            language: ISO 639-1.
            priority: a draft waits behind live work.

        Raises (while iterating):
            EngineError: the engine failed, or code "unsupported" for an unknown voice.
        """


class SpeechModel(Engine):
    """One model for all: hears audio parts of the messages and answers in text and speech."""

    voices: Sequence[Voice]
    """Its voices, the default one first."""
    sample_rate: int
    """Hz of its speech."""
    context_tokens: int | None = None
    """Most tokens of context plus reply; None when unknown."""
    supports_images: bool = False

    @abc.abstractmethod
    def respond(
        self, request: GenerationRequest, *, voice: str | None = None, speech: bool = True
    ) -> AsyncIterator[TextDelta | AudioChunk | ToolCallDelta | Usage | Finish]:
        """Continue the context in text and, when `speech`, audio; text comes no later than the audio that says it.

        Ends with `Usage` (when known) and `Finish`. Closing the iterator stops the generation in the engine.

        Raises (while iterating):
            EngineError: the engine failed; code "context_length_exceeded" when the context does not fit, "unsupported"
                for an unknown voice.
        """

    @abc.abstractmethod
    async def count_tokens(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> int:
        """Return how many tokens of context these messages and tools take, audio included, in the model's own tokens
        or as a good guess."""
