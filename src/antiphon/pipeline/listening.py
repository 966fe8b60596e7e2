"""What all pipelines of engines have in common: the engines that listen to the user."""

from __future__ import annotations

from typing import Literal

from antiphon.engines.base import (
    Denoiser,
    DenoiserStream,
    EngineError,
    Priority,
    Samples,
    Transcriber,
    Transcript,
    TranscriptionStream,
    TurnClassifier,
    VadStream,
    VoiceActivityDetector,
)


class Listening:
    """The part of `antiphon.pipeline.reply.Pipeline` that hears. The engines stay the caller's, who closes them."""

    def __init__(
        self,
        name: str,
        *,
        vad: VoiceActivityDetector,
        turn: TurnClassifier | None,
        denoise: Denoiser | None,
        transcription: Transcriber | None,
        drafts: Literal["off", "transcription", "full"],
    ) -> None:
        self.name = name
        self.transcribes = transcription is not None
        self.drafts = drafts
        self._vad = vad
        self._turn = turn
        self._denoise = denoise
        self._transcription = transcription

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
