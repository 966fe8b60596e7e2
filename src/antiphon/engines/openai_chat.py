"""A language model behind OpenAI's chat completions: OpenAI, Azure, vLLM, llama.cpp, Ollama and many others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from functools import partial
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import urlsplit

from openai import AsyncStream
from pydantic import Field

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
from antiphon.engines.openai_chat_request import chat_body, estimate_tokens
from antiphon.engines.openai_chat_stream import ChatStream
from antiphon.engines.openai_client import OpenAIOptions, OpenAIServer
from antiphon.engines.remote import read_options
from antiphon.engines.remote_errors import TRANSLATED, RemoteError

_USAGE_S = 1.0
"""How long the usage is waited for after the reply has ended, in s. The last words are not spoken before."""

_OPENAI_HOSTS = (".openai.com", ".openai.azure.com", ".cognitiveservices.azure.com")
"""Where a limit of tokens is called `max_completion_tokens`: newer models there refuse `max_tokens`, which all other
servers know."""

_WARM_UP = GenerationRequest((Message("user", (TextPart("Hello"),)),), max_tokens=8)

_log = logging.getLogger(__name__)

_Delta = TextDelta | ToolCallDelta | Usage | Finish


class OpenAIChatOptions(OpenAIOptions):
    """Options of `openai-chat`.

    Attributes:
        temperature: sampling temperature where the session sets none; the server's own by default.
        max_tokens: most tokens of a reply where the session sets no limit; the server's own by default.
        context_tokens: most tokens of context and reply; the oldest turns are left out beyond. Unlimited by default.
        images: whether the model sees images.
        extra_body: more of the request's body, as the server takes it, e.g. `{reasoning_effort: low}`.
    """

    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    context_tokens: Annotated[int, Field(ge=256)] | None = None
    images: bool = False
    extra_body: dict[str, Any] = Field(default_factory=dict)


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
        host = f".{urlsplit(options.base_url).hostname}"
        self._options = options
        self._limit = "max_completion_tokens" if host.endswith(_OPENAI_HOSTS) else "max_tokens"
        self._server = OpenAIServer(self.name, options)
        self.context_tokens = options.context_tokens
        self.supports_images = options.images

    @classmethod
    async def load(cls, context: EngineContext) -> Self:
        """Return the engine; `warm_up` asks the server.

        Raises:
            EngineError: code "invalid_option".
        """
        return await asyncio.to_thread(cls, read_options(cls.name, OpenAIChatOptions, context.options))

    async def warm_up(self) -> None:
        """Let the server answer with a few tokens: it may load the model only now.

        Raises:
            EngineError: what is wrong with URL, key or model.
        """
        try:
            await self._server.calls.warm_up(partial(self._attempt, self._body(_WARM_UP)))
        except RemoteError as error:
            raise await self._server.explain(error) from error

    def load_now(self) -> EngineLoad:
        """Return how many replies are being made."""
        return self._server.calls.load()

    async def close(self) -> None:
        """Close all connections. Idempotent."""
        await self._server.close()

    async def generate(self, request: GenerationRequest) -> AsyncIterator[_Delta]:
        """Continue the context; see `LanguageModel.generate`. Closing the iterator closes the HTTP stream."""
        calls: AsyncGenerator[_Delta, None] = self._server.calls.stream(partial(self._attempt, self._body(request)))
        try:
            async with aclosing(calls) as deltas:
                async for delta in deltas:
                    yield delta
        except RemoteError as error:
            if error.code != "content_filter":
                raise
            yield Finish("content_filter")

    async def count_tokens(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> int:
        """Return an estimate."""
        return estimate_tokens(messages, tools)

    def _body(self, request: GenerationRequest) -> dict[str, Any]:
        options = self._options
        body = chat_body(request, images=options.images)
        body |= {"model": options.model, "stream": True, "stream_options": {"include_usage": True}}
        temperature = options.temperature if request.temperature is None else request.temperature
        if temperature is not None:
            body["temperature"] = temperature
        limit = options.max_tokens if request.max_tokens is None else request.max_tokens
        if limit is not None:
            body[self._limit] = limit
        return body | options.extra_body

    async def _attempt(self, body: dict[str, Any]) -> AsyncGenerator[_Delta | None, None]:
        reading = ChatStream()
        chunks = await self._server.client.post(
            "/chat/completions", cast_to=object, body=body, stream=True, stream_cls=AsyncStream[object]
        )
        async with chunks:
            while not reading.ended:
                try:
                    made = reading.feed(await anext(chunks))
                except StopAsyncIteration:
                    break
                for delta in made:
                    yield delta
                if not made:
                    yield None
            if reading.ended:
                await self._read_usage(chunks, reading)
        for end in reading.finish():
            yield end

    async def _read_usage(self, chunks: AsyncStream[object], reading: ChatStream) -> None:
        """Read what comes after the reply. Nothing that goes wrong there spoils it."""
        try:
            async with asyncio.timeout(_USAGE_S):
                async for chunk in chunks:
                    reading.feed(chunk)
        except (TimeoutError, *TRANSLATED) as error:
            _log.info("%s: no usage after the reply: %r", self.name, error)
