"""One model for all: it hears the user's speech and answers in speech, without a transcript in between."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Literal

from antiphon.engines.base import (
    Denoiser,
    EngineError,
    GenerationRequest,
    Message,
    SpeechModel,
    Tool,
    Transcriber,
    TurnClassifier,
    VoiceActivityDetector,
)
from antiphon.pipeline.direct_reply import make_direct_reply
from antiphon.pipeline.listening import Listening
from antiphon.pipeline.reply import ReplyEvent, ReplyRequest


class Direct(Listening):
    """A pipeline around one speech model; see `antiphon.pipeline.reply.Pipeline`.

    The transcriber is for the client, and for turns that are too old to be heard again. The model hears the audio
    itself and does not wait for it. A speech model knows no `speed`: it speaks at its own pace.
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
        super().__init__(name, vad=vad, turn=turn, denoise=denoise, transcription=transcription, drafts=drafts)
        self.voices = speech.voices
        self.context_tokens = speech.context_tokens
        self.supports_images = speech.supports_images
        self.supports_audio = True
        self._speech = speech

    def reply(self, request: ReplyRequest) -> AsyncGenerator[ReplyEvent, None]:
        """Make a reply; see `make_direct_reply`."""
        return make_direct_reply(self._speech, request)

    async def prefill(self, request: GenerationRequest) -> None:
        """Do nothing: speech models have no cache to warm ahead."""

    async def count_tokens(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> int:
        """Return how many tokens of the model's context these take."""
        return await self._speech.count_tokens(messages, tools)
