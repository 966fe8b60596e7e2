"""A language model behind OpenAI's chat completions: OpenAI, Azure, vLLM, llama.cpp, Ollama and many others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any, ClassVar, Self

from antiphon.engines.base import (
    EngineContext,
    EngineLoad,
    Finish,
    GenerationRequest,
    LanguageModel,
    Message,
    TextDelta,
    TextPart,
    Tool,
    ToolCallDelta,
    Usage,
)
from antiphon.engines.openai.chat_calls import ChatCompletions, ChatOptions
from antiphon.engines.openai.chat_request import chat_body, estimate_tokens
from antiphon.engines.openai.chat_stream import ChatStream
from antiphon.engines.options import read_options

_WARM_UP = GenerationRequest((Message("user", (TextPart("Hello"),)),), max_tokens=8)


class OpenAIChatOptions(ChatOptions):
    """Options of `openai-chat`.

    Attributes:
        hears: whether the model hears the user itself, as audio of the messages, instead of reading a transcript.
        opens_reasoning: whether the server's chat template begins the model's reasoning in the prompt, so that only
            `</think>` comes back (DeepSeek-R1 and QwQ, where the server has no parser for reasoning).
    """

    hears: bool = False
    opens_reasoning: bool = False


class OpenAIChatModel(LanguageModel):
    """Continues conversations on a server. See `OpenAIChatOptions`.

    Tokens are counted on the server only; `count_tokens` estimates, rather too many than too few.
    """

    name: ClassVar[str] = "openai-chat"
    options_type: ClassVar[type[OpenAIChatOptions]] = OpenAIChatOptions
    remote = True

    def __init__(self, options: OpenAIChatOptions) -> None:
        """Make the engine; nothing is sent yet.

        Raises:
            EngineError: code "invalid_option" when the key cannot be read.
        """
        self._options = options
        self._chat = ChatCompletions(self.name, options)
        self.context_tokens = options.context_tokens
        self.supports_images = options.images
        self.supports_audio = options.hears

    @classmethod
    async def load(cls, context: EngineContext) -> Self:
        """Return the engine; `warm_up` asks the server.

        Raises:
            EngineError: code "invalid_option".
        """
        return await asyncio.to_thread(cls, read_options(cls.name, OpenAIChatOptions, context.options))

    async def warm_up(self) -> None:
        """Let the server answer with a few tokens.

        Raises:
            EngineError: what is wrong with URL, key or model.
        """
        await self._chat.warm_up(self._body(_WARM_UP), ChatStream)

    def load_now(self) -> EngineLoad:
        """Return how many replies are being made."""
        return self._chat.server.calls.load()

    async def close(self) -> None:
        """Close all connections. Idempotent."""
        await self._chat.server.close()

    async def generate(self, request: GenerationRequest) -> AsyncIterator[TextDelta | ToolCallDelta | Usage | Finish]:
        """Continue the context; see `LanguageModel.generate`. Closing the iterator closes the HTTP stream."""
        body = await asyncio.to_thread(self._body, request) if self._options.hears else self._body(request)
        async with aclosing(self._chat.stream(body, ChatStream)) as deltas:
            opening = "<think>" if self._options.opens_reasoning else ""
            async for delta in deltas:
                if opening and isinstance(delta, TextDelta):
                    yield TextDelta(opening + delta.text)
                    opening = ""
                else:
                    yield delta

    async def count_tokens(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> int:
        """Return an estimate."""
        return estimate_tokens(messages, tools, hears=self._options.hears)

    def _body(self, request: GenerationRequest) -> dict[str, Any]:
        options = self._options
        heard = options.audio_turns if options.hears else 0
        return self._chat.body(request, chat_body(request, images=options.images, audio_turns=heard))
