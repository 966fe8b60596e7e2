"""Calls to engines that run elsewhere: options, time limits, retries."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Annotated, TypeVar
from urllib.parse import urlsplit

import httpx2
from pydantic import BaseModel, ConfigDict, Field, field_validator

from antiphon.engines.base import EngineError, EngineLoad
from antiphon.engines.remote.answer_limits import bound_answer
from antiphon.engines.remote.errors import TRANSLATED, RemoteError, remote_error
from antiphon.engines.remote.retry import retry_delay
from antiphon.engines.secrets import Secret

_WARM_UP_S = 60.0
"""How long the first call may take, in s: servers load a model when it is first asked for."""

_ALIVE = 6
"""How many times the patience for a first piece a server has that shows signs of life, such as reasoning."""

_MOST_CONNECTIONS = 100
_KEEP_ALIVE_S = 120.0
"""How long an idle connection is kept, in s: longer than most turns are apart, so that they pay for no handshake."""

_log = logging.getLogger(__name__)
_random = random.SystemRandom()

T = TypeVar("T")
O = TypeVar("O", bound=BaseModel)  # noqa: E741 - options
Seconds = Annotated[float, Field(gt=0, le=600)]


class RemoteOptions(BaseModel):
    """What every remote engine can be told.

    Attributes:
        base_url: where its server is.
        api_key: where its key is; none is sent without.
        connect_timeout_s: for a connection, TLS included.
        first_timeout_s: until the first piece of the answer, all retries included.
        stall_timeout_s: between two pieces of the answer.
        retries: how often a call is tried again, before anything of the answer was used.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    base_url: str
    api_key: Secret | None = None
    connect_timeout_s: Seconds = 3.0
    first_timeout_s: Seconds = 10.0
    stall_timeout_s: Seconds = 5.0
    retries: Annotated[int, Field(ge=0, le=10)] = 2

    @field_validator("base_url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("this is not a URL; write it like http://127.0.0.1:8000/v1")
        if "@" in parts.netloc:
            raise ValueError("keys do not belong into URLs, which are logged; use api_key")
        if parts.query or parts.fragment:
            raise ValueError("it has no query and no fragment; write it like http://127.0.0.1:8000/v1")
        _ = parts.port  # which raises ValueError where it is none
        return url.rstrip("/")


class RemoteCalls:
    """Makes the calls of one engine.

    Args:
        engine: how the engine is called in messages.
        options: its time limits and retries.
        key: its secret, which is taken out of what is logged.
    """

    def __init__(self, engine: str, options: RemoteOptions, key: str | None) -> None:
        self._engine = engine
        self._options = options
        self._key = key
        self._running = 0
        self._closed = False

    def close(self) -> None:
        """Make no more calls. Idempotent."""
        self._closed = True

    def load(self) -> EngineLoad:
        """Return how many calls run, and how many wait for a connection."""
        running = min(self._running, _MOST_CONNECTIONS)
        return EngineLoad(running, self._running - running, _MOST_CONNECTIONS)

    async def stream(
        self, attempt: Callable[[], AsyncGenerator[T | None, None]], *, first_timeout_s: float | None = None
    ) -> AsyncGenerator[T, None]:
        """Pass on what an attempt gives; attempt again when one fails before it gave anything.

        Args:
            attempt: starts a call. What it gives is the answer; None only says that the server is alive.
            first_timeout_s: instead of the option.

        Raises:
            RemoteError: it failed for good, or took longer than the options allow.
            EngineError: as the attempt raised it; code "closed" after `close`.
        """
        clock = asyncio.get_running_loop().time
        patience = first_timeout_s or self._options.first_timeout_s
        deadline = clock() + patience
        answer_due = clock() + _ALIVE * patience
        self._running += 1
        try:
            for retry in itertools.count():
                if self._closed:
                    raise EngineError(f"{self._engine} is closed", code="closed")
                begun = False
                try:
                    async with aclosing(self._watched(attempt(), patience, deadline, answer_due)) as pieces:
                        async for piece in pieces:
                            if piece is not None:
                                begun = True
                                yield piece
                    return
                except RemoteError as error:
                    _log.warning("%s: %s", error.message, self.redacted(error.detail or error.code))
                    delay = retry_delay(retry, error.retry_after_s, _random.random())
                    tries_left = error.retryable and not begun and retry < self._options.retries
                    if not tries_left or clock() + delay >= deadline:
                        raise
                    await asyncio.sleep(delay)
        finally:
            self._running -= 1

    async def warm_up(self, attempt: Callable[[], AsyncGenerator[T | None, None]]) -> None:
        """Make a call whose answer does not matter, with more patience.

        Raises:
            RemoteError, EngineError: see `stream`.
        """
        async with aclosing(self.stream(attempt, first_timeout_s=_WARM_UP_S)) as pieces:
            async for _ in pieces:
                pass

    def redacted(self, text: str) -> str:
        """Return `text` without the key."""
        return text.replace(self._key, "[key]") if self._key else text

    async def _watched(
        self, pieces: AsyncGenerator[T | None, None], patience: float, deadline: float, answer_due: float
    ) -> AsyncGenerator[T | None, None]:
        clock = asyncio.get_running_loop().time
        begun = False
        async with aclosing(pieces):
            while True:
                try:
                    async with asyncio.timeout_at(min(deadline, answer_due)):
                        piece = await anext(pieces)
                except StopAsyncIteration:
                    return
                except TimeoutError as error:
                    if begun and answer_due < deadline:
                        verb, seconds = "gave signs of life but no answer", _ALIVE * patience
                    elif begun:
                        verb, seconds = "did not go on", self._options.stall_timeout_s
                    else:
                        verb, seconds = "did not begin to answer", patience
                    raise RemoteError(f"{self._engine} {verb} within {seconds:g} s", code="timeout") from error
                except TRANSLATED as error:
                    raise remote_error(self._engine, error) from error
                begun = True
                yield piece
                # What the reader took does not count: the server waits for it.
                deadline = clock() + self._options.stall_timeout_s
                if piece is not None:
                    answer_due = clock() + _ALIVE * patience

    def explain(self, error: RemoteError, needs: str) -> EngineError:
        """Return an error for the operator, who can change the options: what to look at, and what the server said.

        Args:
            error: of the call at the start.
            needs: what the server has to know, e.g. "the model 'tts-1'".
        """
        url, key = self._options.base_url, self._options.api_key
        said = self.redacted(error.detail) or error.message
        if error.code == "engine_unavailable":
            message = f"{url} cannot be reached ({said}); is base_url right, and is the server running?"
        elif error.status in (401, 403):
            message = f"{url} refuses the key in {key} ({said})" if key else f"{url} wants an api_key ({said})"
        elif error.status in (404, 405):
            message = f"{url} does not know {needs}, or is not the right base_url ({said})"
        else:
            message = f"{url}: {error.message} ({said})"
        code = "invalid_option" if error.code == "engine_refused" else error.code
        return EngineError(f"{self._engine}: {message}", code=code)


def http_client(options: RemoteOptions, headers: Mapping[str, str]) -> httpx2.AsyncClient:
    """Return a client that keeps its connections and sends the credentials in `headers`, and no others: neither those
    of a .netrc nor those that libraries find in the environment. Answers are bounded, see `answer_limits`."""

    async def only_ours(request: httpx2.Request) -> None:
        for name in ("Authorization", "OpenAI-Organization", "OpenAI-Project"):
            request.headers.pop(name, None)
        # Compression would hold back what is streamed, and hide how much it is.
        request.headers.update({**headers, "Accept-Encoding": "identity"})

    return httpx2.AsyncClient(
        base_url=options.base_url,
        # Reading is timed piece by piece in `RemoteCalls`.
        timeout=httpx2.Timeout(None, connect=options.connect_timeout_s),
        limits=httpx2.Limits(max_connections=_MOST_CONNECTIONS, keepalive_expiry=_KEEP_ALIVE_S),
        event_hooks={"request": [only_ours], "response": [bound_answer]},
    )
