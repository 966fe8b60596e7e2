"""The cascade: transcription, then a language model, then synthesis."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Literal

from antiphon.engines.base import (
    Denoiser,
    GenerationRequest,
    LanguageModel,
    Message,
    Synthesizer,
    Tool,
    Transcriber,
    TurnClassifier,
    VoiceActivityDetector,
)
from antiphon.pipeline.cascade_reply import make_reply
from antiphon.pipeline.listening import Listening
from antiphon.pipeline.reply import ReplyEvent, ReplyRequest


class Cascade(Listening):
    """A pipeline of separate engines; see `antiphon.pipeline.reply.Pipeline`."""

    def __init__(
        self,
        name: str,
        *,
        vad: VoiceActivityDetector,
        transcription: Transcriber,
        llm: LanguageModel,
        tts: Synthesizer,
        turn: TurnClassifier | None = None,
        denoise: Denoiser | None = None,
        drafts: Literal["off", "transcription", "full"] = "full",
    ) -> None:
        super().__init__(name, vad=vad, turn=turn, denoise=denoise, transcription=transcription, drafts=drafts)
        self.voices = tts.voices
        self.context_tokens = llm.context_tokens
        self.supports_images = llm.supports_images
        self.supports_audio = llm.supports_audio
        self._llm = llm
        self._tts = tts

    def reply(self, request: ReplyRequest) -> AsyncGenerator[ReplyEvent, None]:
        """Make a reply; see `make_reply`."""
        return make_reply(self._llm, self._tts, request)

    async def prefill(self, request: GenerationRequest) -> None:
        """Warm the language model's cache."""
        await self._llm.prefill(request)

    async def count_tokens(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> int:
        """Return how many tokens of the language model's context these take."""
        return await self._llm.count_tokens(messages, tools)
