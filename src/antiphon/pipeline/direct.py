"""One model for all: it hears the user's speech and answers in speech, without a transcript in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Literal

from antiphon.engines.base import (
    Denoiser,
    DenoiserStream,
    Engine,
    EngineError,
    GenerationRequest,
    Message,
    Priority,
    Samples,
    SpeechModel,
    Tool,
    Transcriber,
    Transcript,
    TranscriptionStream,
    TurnClassifier,
    VadStream,
    VoiceActivityDetector,
)
from antiphon.pipeline.direct_reply import make_direct_reply
from antiphon.pipeline.reply import ReplyEvent, ReplyRequest


class Direct:
    """A pipeline around one speech model; see `antiphon.pipeline.reply.Pipeline`. It owns its engines, and closes them.

    The transcriber is for the client, and for turns that are too old to be heard again. The model hears the audio
    itself and does not wait for it. A speech model knows no `speed`: it speaks at its own pace.

    Attributes:
        engines: its engines by role: "vad" and "speech", and "turn", "denoise" and "transcription" where it has them.
    """

    def __init__(
        self,
        name: str,
        *,
        vad: VoiceActivityDetector,
        speech: SpeechModel,
        turn: TurnClassifier | None = None,
        denoise: Denoiser | None = None,
        transcription: Transcriber | None = None,
        drafts: Literal["off", "transcription", "full"] = "full",
    ) -> None:
        """Make the pipeline of loaded engines.

        Raises:
            EngineError: code "invalid_option" when the model cannot speak.
        """
        if not speech.voices:
            message = f"the model of {speech.name!r} has no voice: let it be the llm of a pipeline that has a tts"
            raise EngineError(message, code="invalid_option")
        self.name = name
        self.voices = speech.voices
        self.context_tokens = speech.context_tokens
        self.supports_images = speech.supports_images
        self.supports_audio = True
        self.transcribes = transcription is not None
        self.drafts = drafts
        self._vad = vad
        self._speech = speech
        self._turn = turn
        self._denoise = denoise
        self._transcription = transcription
        roles: dict[str, Engine | None] = {
            "vad": vad,
            "turn": turn,
            "denoise": denoise,
            "transcription": transcription,
            "speech": speech,
        }
        self.engines: Mapping[str, Engine] = {role: engine for role, engine in roles.items() if engine is not None}

    def open_vad(self) -> VadStream:
        """Start voice activity detection of one session."""
        return self._vad.open()

    def open_denoiser(self, kind: Literal["near_field", "far_field"]) -> DenoiserStream | None:
        """Start noise suppression, or return None without a denoiser."""
        return self._denoise.open(kind) if self._denoise is not None else None

    @property
    def turn_classifier(self) -> TurnClassifier | None:
        """The end-of-turn classifier, or None."""
        return self._turn

    async def transcribe(
        self,
        audio: Samples,
        *,
        language: str | None = None,
        prompt: str | None = None,
        logprobs: bool = False,
        priority: Priority = Priority.LIVE,
    ) -> Transcript:
        """Transcribe one utterance (float32[n], 16 kHz).

        Raises:
            EngineError: the transcriber failed; code "unsupported" when there is none.
        """
        if self._transcription is None:
            raise EngineError(f"the model {self.name!r} has no transcription beside it", code="unsupported")
        return await self._transcription.transcribe(
            audio, language=language, prompt=prompt, logprobs=logprobs, priority=priority
        )

    def stream_transcription(
        self, *, language: str | None = None, prompt: str | None = None
    ) -> TranscriptionStream | None:
        """Start on an utterance that is being spoken, or return None when it can only be transcribed whole."""
        return self._transcription.stream(language=language, prompt=prompt) if self._transcription is not None else None

    def reply(self, request: ReplyRequest) -> AsyncGenerator[ReplyEvent, None]:
        """Make a reply; see `make_direct_reply`."""
        return make_direct_reply(self._speech, request)

    async def prefill(self, request: GenerationRequest) -> None:
        """Do nothing: speech models have no cache to warm ahead."""

    async def count_tokens(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> int:
        """Return how many tokens of the model's context these take."""
        return await self._speech.count_tokens(messages, tools)

    async def close(self) -> None:
        """Close all engines, whatever happens to one of them. Idempotent."""
        outcomes = await asyncio.gather(*(engine.close() for engine in self.engines.values()), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
