"""Calls of chat completions, as the engines make them that continue conversations on a server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Annotated, Any, Protocol, TypeVar
from urllib.parse import urlsplit

from openai import AsyncStream
from pydantic import Field

from antiphon.engines.base import Finish, GenerationRequest, Usage
from antiphon.engines.openai.client import OpenAIOptions, OpenAIServer
from antiphon.engines.remote.errors import TRANSLATED, RemoteError

_USAGE_S = 1.0
"""How long the usage is waited for after the reply has ended, in s. The last words are not spoken before."""

_OPENAI_HOSTS = (".openai.com", ".openai.azure.com", ".cognitiveservices.azure.com")

_log = logging.getLogger(__name__)

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


class ChatOptions(OpenAIOptions):
    """Options of every engine that continues conversations on a server.

    Attributes:
        temperature: sampling temperature where the session sets none; the server's own by default.
        max_tokens: most tokens of a reply where the session sets no limit; the server's own by default.
        context_tokens: most tokens of context and reply; the oldest turns are left out beyond. Unlimited by default.
        images: whether the model sees images.
        audio_turns: how many of the user's last turns a model that hears is given as audio. Older ones are given as
            their transcripts, where there are any, because audio costs more each time that it is sent.
        extra_body: more of the request's body, as the server takes it, e.g. `{reasoning_effort: low}`.
    """

    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    context_tokens: Annotated[int, Field(ge=256)] | None = None
    images: bool = False
    audio_turns: Annotated[int, Field(ge=1)] = 1
    extra_body: dict[str, Any] = Field(default_factory=dict)


class Reading(Protocol[T_co]):
    """Reads the chunks of one completion, as `ChatStream` does."""

    @property
    def ended(self) -> bool:
        """Whether the reply is complete; what comes after is at most its usage."""
        ...

    def feed(self, data: object) -> Sequence[T_co]:
        """Take a chunk (decoded JSON) and return what it adds to the reply. Raises ValueError for nonsense."""
        ...

    def finish(self) -> Sequence[Usage | Finish]:
        """Return how the reply ended. Raises ValueError when it did not."""
        ...


class ChatCompletions:
    """A server's chat completions.

    Attributes:
        server: where they are.
        is_openai: whether it is one of OpenAI's own, or Azure's.
    """

    def __init__(self, engine: str, options: ChatOptions) -> None:
        """Make the client; nothing is sent yet.

        Raises:
            EngineError: code "invalid_option" when the key cannot be read.
        """
        self.server = OpenAIServer(engine, options)
        self.is_openai = f".{urlsplit(options.base_url).hostname}".endswith(_OPENAI_HOSTS)
        self._engine = engine
        self._options = options

    def body(self, request: GenerationRequest, chat: Mapping[str, Any]) -> dict[str, Any]:
        """Return the body of a call.

        Args:
            request: what is to be continued.
            chat: messages and tools, and what else the engine asks for.
        """
        options = self._options
        body = {**chat, "model": options.model, "stream": True, "stream_options": {"include_usage": True}}
        temperature = options.temperature if request.temperature is None else request.temperature
        if temperature is not None:
            body["temperature"] = temperature
        limit = options.max_tokens if request.max_tokens is None else request.max_tokens
        if limit is not None:
            # Newer models of OpenAI's refuse `max_tokens`, which all other servers know.
            body["max_completion_tokens" if self.is_openai else "max_tokens"] = limit
        return body | options.extra_body

    async def warm_up(self, body: dict[str, Any], reading: Callable[[], Reading[T]]) -> None:
        """Let the server answer: it may load the model only now.

        Raises:
            EngineError: what is wrong with URL, key or model.
        """
        try:
            await self.server.calls.warm_up(partial(self._attempt, body, reading))
        except RemoteError as error:
            raise await self.server.explain(error) from error

    async def stream(
        self, body: dict[str, Any], reading: Callable[[], Reading[T]]
    ) -> AsyncGenerator[T | Usage | Finish, None]:
        """Continue a conversation. Closing the generator closes the HTTP stream.

        Args:
            body: of the call.
            reading: makes what reads the answer, for each attempt.

        Raises (while iterating):
            EngineError: the call failed. A filtered one ends with `Finish` instead.
        """
        calls: AsyncGenerator[T | Usage | Finish, None] = self.server.calls.stream(
            partial(self._attempt, body, reading)
        )
        try:
            async with aclosing(calls) as deltas:
                async for delta in deltas:
                    yield delta
        except RemoteError as error:
            if error.code != "content_filter":
                raise
            yield Finish("content_filter")

    async def _attempt(
        self, body: dict[str, Any], reading: Callable[[], Reading[T]]
    ) -> AsyncGenerator[T | Usage | Finish | None, None]:
        reader = reading()
        chunks = await self.server.client.post(
            "/chat/completions", cast_to=object, body=body, stream=True, stream_cls=AsyncStream[object]
        )
        async with chunks:
            while not reader.ended:
                try:
                    made = reader.feed(await anext(chunks))
                except StopAsyncIteration:
                    break
                for delta in made:
                    yield delta
                if not made:
                    yield None
            if reader.ended:
                await self._read_usage(chunks, reader)
        for end in reader.finish():
            yield end

    async def _read_usage(self, chunks: AsyncStream[object], reader: Reading[T]) -> None:
        """Read what comes after the reply. Nothing that goes wrong there spoils it."""
        try:
            async with asyncio.timeout(_USAGE_S):
                async for chunk in chunks:
                    reader.feed(chunk)
        except (TimeoutError, *TRANSLATED) as error:
            _log.info("%s: no usage after the reply: %r", self._engine, error)
