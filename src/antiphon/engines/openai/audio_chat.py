"""A model that hears and speaks behind chat completions with audio: OpenAI's audio models, vLLM-Omni."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field

from antiphon.engines.base import (
    AudioChunk,
    EngineContext,
    EngineLoad,
    Finish,
    GenerationRequest,
    Message,
    SpeechModel,
    TextDelta,
    TextPart,
    Tool,
    ToolCallDelta,
    Usage,
    Voice,
)
from antiphon.engines.openai.audio_memory import AudioMemory
from antiphon.engines.openai.audio_stream import AudioChatStream
from antiphon.engines.openai.chat_calls import ChatCompletions, ChatOptions
from antiphon.engines.openai.chat_request import chat_body, estimate_tokens
from antiphon.engines.options import read_options
from antiphon.engines.remote.errors import RemoteError
from antiphon.engines.voice_choice import choose_voice

_WARM_UP = GenerationRequest((Message("user", (TextPart("Say hello."),)),), max_tokens=16)

_OPENAI_VOICES = ("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar")

_log = logging.getLogger(__name__)

_Delta = TextDelta | AudioChunk | ToolCallDelta | Usage | Finish


class OpenAIAudioChatOptions(ChatOptions):
    """Options of `openai-audio-chat`.

    Attributes:
        voices: the server's names of the voices to offer, the default one first; OpenAI's by default.
        sample_rate: of the PCM that the server sends, in Hz.
        audio_ids: whether the server knows its own earlier replies by the ids of their audio. By default what OpenAI
            and Azure do, and no other server.
    """

    voices: Annotated[tuple[str, ...], Field(min_length=1)] = _OPENAI_VOICES
    sample_rate: Annotated[int, Field(ge=8_000, le=96_000)] = 24_000
    audio_ids: bool | None = None


class OpenAIAudioChatModel(SpeechModel):
    """Hears and answers on a server. See `OpenAIAudioChatOptions`.

    Its own earlier replies are named by the ids of their audio where the server knows them, and are else written as
    their transcripts. Tokens are counted on the server only; `count_tokens` estimates.
    """

    name: ClassVar[str] = "openai-audio-chat"
    options_type: ClassVar[type[OpenAIAudioChatOptions]] = OpenAIAudioChatOptions
    remote = True

    def __init__(self, options: OpenAIAudioChatOptions) -> None:
        """Make the engine; nothing is sent yet.

        Raises:
            EngineError: code "invalid_option" when the key cannot be read.
        """
        self._options = options
        self._chat = ChatCompletions(self.name, options)
        self._uses_ids = self._chat.is_openai if options.audio_ids is None else options.audio_ids
        self._memory = AudioMemory()
        self.voices: Sequence[Voice] = tuple(map(Voice, options.voices))
        self.sample_rate = options.sample_rate
        self.context_tokens = options.context_tokens
        self.supports_images = options.images

    @classmethod
    async def load(cls, context: EngineContext) -> Self:
        """Return the engine; `warm_up` asks the server.

        Raises:
            EngineError: code "invalid_option".
        """
        return await asyncio.to_thread(cls, read_options(cls.name, OpenAIAudioChatOptions, context.options))

    async def warm_up(self) -> None:
        """Let the server say a few tokens.

        Raises:
            EngineError: what is wrong with URL, key, model or voice.
        """
        # So few tokens may be too few for any speech.
        reading = partial(AudioChatStream, self.sample_rate, speech=False)
        await self._chat.warm_up(self._body(_WARM_UP, self.voices[0].name, {}), reading)

    def load_now(self) -> EngineLoad:
        """Return how many replies are being made."""
        return self._chat.server.calls.load()

    async def close(self) -> None:
        """Close all connections. Idempotent."""
        await self._chat.server.close()

    async def respond(
        self, request: GenerationRequest, *, voice: str | None = None, speech: bool = True
    ) -> AsyncIterator[_Delta]:
        """Continue the context; see `SpeechModel.respond`. Closing the iterator closes the HTTP stream."""
        chosen = choose_voice(self.name, self.voices, voice)
        said_with = chosen if speech else None
        ids = self._known_ids(request)
        begun = False
        try:
            async with aclosing(self._ask(request, said_with, ids)) as deltas:
                async for delta in deltas:
                    begun = True
                    yield delta
            return
        except RemoteError as error:
            if begun or not ids or error.status not in (400, 404):
                raise
            _log.info("%s: audio ids may be unknown by now, going on with transcripts: %s", self.name, error.detail)
            self._memory.forget(ids.values())
        async with aclosing(self._ask(request, said_with, {})) as deltas:
            async for delta in deltas:
                yield delta

    async def count_tokens(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> int:
        """Return an estimate."""
        return estimate_tokens(messages, tools, hears=True)

    async def _ask(
        self, request: GenerationRequest, voice: str | None, ids: Mapping[int, str]
    ) -> AsyncGenerator[_Delta, None]:
        body = await asyncio.to_thread(self._body, request, voice, ids)
        said: list[str] = []
        readers: list[AudioChatStream] = []

        def reading() -> AudioChatStream:
            readers.append(AudioChatStream(self.sample_rate, speech=voice is not None))
            return readers[-1]

        async with aclosing(self._chat.stream(body, reading)) as deltas:
            async for delta in deltas:
                if isinstance(delta, TextDelta):
                    said.append(delta.text)
                if isinstance(delta, Finish) and readers and delta.reason == "stop":
                    self._remember(request, "".join(said), readers[-1])
                yield delta

    def _body(self, request: GenerationRequest, voice: str | None, ids: Mapping[int, str]) -> dict[str, Any]:
        options = self._options
        chat = chat_body(request, images=options.images, audio_turns=options.audio_turns, audio_ids=ids)
        chat["modalities"] = ["text"] if voice is None else ["text", "audio"]
        if voice is not None:
            chat["audio"] = {"voice": voice, "format": "pcm16"}
        return self._chat.body(request, chat)

    def _remember(self, request: GenerationRequest, said: str, reader: AudioChatStream) -> None:
        if self._uses_ids and request.cache_key and reader.audio_id and reader.expires_at:
            self._memory.remember(request.cache_key, said, reader.audio_id, reader.expires_at)

    def _known_ids(self, request: GenerationRequest) -> dict[int, str]:
        """Return the ids of assistant messages that the server spoke itself, by their index."""
        if request.cache_key is None or not self._uses_ids:
            return {}
        found = {}
        for index, message in enumerate(request.messages):
            if message.role == "assistant" and not message.tool_calls:
                said = "".join(part.text for part in message.content if isinstance(part, TextPart))
                known = self._memory.find(request.cache_key, said, time.time())
                if known is not None:
                    found[index] = known
        return found
