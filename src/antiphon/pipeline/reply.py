"""What a pipeline is asked for and what it gives back, whatever engines it is made of.

A reply is a stream of events in the order in which they became known. Speech is PCM16 at 24 kHz; the session
converts it to the client's format.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from antiphon.engines.base import (
    DenoiserStream,
    GenerationRequest,
    Message,
    Priority,
    Samples,
    Tool,
    Transcript,
    TranscriptionStream,
    TurnClassifier,
    Usage,
    VadStream,
    Voice,
)

SPEECH_RATE = 24_000
"""Sample rate, Hz, of all speech that a pipeline makes."""

Pcm = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class ReplyRequest:
    """What to answer and how.

    Attributes:
        generation: context, tools and limits for the model.
        modality: "audio" for speech with its transcript, "text" for text alone.
        voice: name of a voice of the pipeline, already resolved; None for its default.
        speed: 0.25 to 1.5.
        language: ISO 639-1 of the conversation, if known.
    """

    generation: GenerationRequest
    modality: Literal["audio", "text"]
    voice: str | None = None
    speed: float = 1.0
    language: str | None = None


@dataclass(frozen=True, slots=True)
class ReplyText:
    """More text of the reply: what is spoken (modality "audio") or written (modality "text")."""

    text: str


@dataclass(frozen=True, slots=True)
class ReplySpeech:
    """More speech of the reply.

    Attributes:
        pcm: int16[n] at 24 kHz.
        text_end: how many characters of the reply's whole text have been spoken when this chunk has been played;
            never decreasing, and never more than has come as `ReplyText`.
    """

    pcm: Pcm
    text_end: int


@dataclass(frozen=True, slots=True)
class ReplyToolCall:
    """More of a function call; `name` is set in the first piece of each call, whose `index` counts from 0."""

    index: int
    name: str | None = None
    arguments: str = ""
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class ReplyMoment:
    """A moment of the reply's making, for the turn's timeline; time is the event loop's, in seconds."""

    name: Literal["first_token", "first_clause", "first_audio"]
    at: float


@dataclass(frozen=True, slots=True)
class ReplyEnd:
    """The reply is complete. Always the last event of a reply that did not fail."""

    reason: Literal["stop", "length", "tool_calls", "content_filter"]
    usage: Usage | None


ReplyEvent = ReplyText | ReplySpeech | ReplyToolCall | ReplyMoment | ReplyEnd


class Pipeline(Protocol):
    """A served model: everything that a session needs to hear, think and speak.

    Shared by all sessions of the model; every method may be called concurrently from the event loop.
    """

    name: str
    voices: Sequence[Voice]
    context_tokens: int | None
    supports_images: bool
    supports_audio: bool
    """Whether the model itself hears user audio; otherwise it is given the transcript."""
    transcribes: bool
    """Whether user audio is transcribed even when no client reads it: for a model that does not hear, or that is given
    older turns as their words."""
    drafts: Literal["off", "transcription", "full"]
    """How far work may run ahead of the end of a turn: engines that cost money per call should not draft."""

    def open_vad(self) -> VadStream:
        """Start voice activity detection of one session."""
        ...

    def open_denoiser(self, kind: Literal["near_field", "far_field"]) -> DenoiserStream | None:
        """Start noise suppression, or return None when no denoiser is installed."""
        ...

    @property
    def turn_classifier(self) -> TurnClassifier | None:
        """The end-of-turn classifier for `semantic_vad`, or None when there is none."""
        ...

    async def transcribe(
        self,
        audio: Samples,
        *,
        language: str | None = None,
        prompt: str | None = None,
        logprobs: bool = False,
        priority: Priority = Priority.LIVE,
    ) -> Transcript:
        """Transcribe one utterance (float32[n], 16 kHz). Raises EngineError."""
        ...

    def stream_transcription(
        self, *, language: str | None = None, prompt: str | None = None
    ) -> TranscriptionStream | None:
        """Start on an utterance that is being spoken, or return None when it can only be transcribed whole."""
        ...

    def reply(self, request: ReplyRequest) -> AsyncGenerator[ReplyEvent, None]:
        """Make a reply. Closing the iterator stops all engines that work on it. Raises EngineError while iterating."""
        ...

    async def prefill(self, request: GenerationRequest) -> None:
        """Warm the model's cache with a context that a reply will continue."""
        ...

    async def count_tokens(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> int:
        """Return how many tokens of the model's context these take."""
        ...
