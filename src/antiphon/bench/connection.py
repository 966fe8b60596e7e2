"""A connection to a server that speaks the Realtime protocol, as thin as can be: it must not be what is measured."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, Self
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

_MAX_FRAME_BYTES = 32 * 1024 * 1024
OPEN_S = 30.0
"""How long a server may take to let a client in."""

AUDIBLE = "audible"
"""No event of the protocol: sound of the answer came by RTP after a silence."""

AUDIO_DELTAS = frozenset({"response.output_audio.delta", "response.audio.delta"})
"""The event that carries the reply's audio, by its GA and by its beta name."""


class BenchError(Exception):
    """A measurement cannot be made. The message says why."""


@dataclass(frozen=True, slots=True)
class Event:
    """A server event and when it came (`time.perf_counter`, s). Audio is counted, not kept.

    Attributes:
        audio_bytes: of an audio delta, in the session's output format.
    """

    at: float
    type: str
    body: dict[str, Any]
    audio_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Target:
    """A server to measure.

    Attributes:
        url: of its Realtime endpoint, with the model if one was named.
        api_key: sent as a bearer token, if given.
    """

    url: str
    api_key: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str, *, model: str | None = None, api_key: str | None = None) -> Target:
        """Return the target that a user means by `url`: http(s) or ws(s), a base (…/v1) or the endpoint itself.

        Raises:
            BenchError: not such a URL.
        """
        parts = urlsplit(url if "://" in url else f"ws://{url}")
        scheme = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}.get(parts.scheme)
        if scheme is None or not parts.netloc:
            raise BenchError(f"{url!r} is not the URL of a server; write it like http://127.0.0.1:8080")
        path = parts.path.rstrip("/") or "/v1"
        if not path.endswith("/realtime"):
            path += "/realtime"
        query = dict(parse_qsl(parts.query))
        if model is not None:
            query["model"] = model
        return cls(urlunsplit((scheme, parts.netloc, path, urlencode(query), "")), api_key)

    @property
    def http_root(self) -> str:
        """The server's address for HTTP, without a path."""
        parts = urlsplit(self.url)
        return f"{'https' if parts.scheme == 'wss' else 'http'}://{parts.netloc}"

    @property
    def headers(self) -> dict[str, str]:
        """What every request to the server carries."""
        return {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}


class Connection(Protocol):
    """An open connection, over any transport."""

    async def send_event(self, event: dict[str, Any]) -> None:
        """Send one event.

        Raises:
            BenchError: the connection is closed.
        """
        ...

    async def until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until `condition` holds after some event; return whether it did in time.

        Raises:
            BenchError: the connection closed before.
        """
        ...

    async def close(self) -> None:
        """Close the connection. Idempotent."""
        ...


class EventFeed:
    """The events of one connection, stamped as they come in, and those who wait for something in them.

    `listener` is called with each event, on the event loop, before anyone who waits for it.
    """

    def __init__(self, listener: Callable[[Event], None]) -> None:
        self._listener = listener
        self._waiters: set[tuple[Callable[[], bool], asyncio.Future[None]]] = set()
        self._failure: str | None = None

    def take_frame(self, frame: str | bytes, at: float) -> None:
        """Take a frame of the server that came at `at`.

        Raises:
            BenchError: it is no event.
        """
        try:
            body = orjson.loads(frame)
            kind = body["type"]
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise BenchError(f"the server sent a frame that is no event: {frame[:200]!r}") from error
        size = len(body.pop("delta", "")) * 3 // 4 if kind in AUDIO_DELTAS else 0
        self.take(Event(at, kind, body, size))

    def take(self, event: Event) -> None:
        """Take an event."""
        self._listener(event)
        for waiter in list(self._waiters):
            condition, future = waiter
            if not future.done() and condition():
                future.set_result(None)

    def fail(self, reason: str) -> None:
        """Take note that nothing more will come."""
        self._failure = reason
        for _, future in self._waiters:
            if not future.done():
                future.set_exception(BenchError(reason))

    async def until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait as `Connection.until`. Raises BenchError."""
        if condition():
            return True
        if self._failure is not None:
            raise BenchError(self._failure)
        future = asyncio.get_running_loop().create_future()
        waiter = (condition, future)
        self._waiters.add(waiter)
        try:
            await asyncio.wait_for(future, timeout_s)
        except TimeoutError:
            return False
        finally:
            self._waiters.discard(waiter)
        return True


class WebSocketConnection:
    """A connection by WebSocket."""

    def __init__(self, socket: ClientConnection, feed: EventFeed) -> None:
        """Start to read from an open socket."""
        self._socket = socket
        self._feed = feed
        self.until = feed.until
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, target: Target, listener: Callable[[Event], None]) -> Self:
        """Connect.

        Raises:
            BenchError: the server cannot be reached or refuses the connection.
        """
        try:
            socket = await connect(
                target.url,
                additional_headers=target.headers,
                compression=None,
                max_size=_MAX_FRAME_BYTES,
                open_timeout=OPEN_S,
                ping_timeout=60,
            )
        except InvalidStatus as error:
            refusal = (error.response.body or b"").decode("utf-8", "replace")[:300]
            raise BenchError(f"{target.url} refused the connection: {error.response.status_code} {refusal}") from error
        except (OSError, TimeoutError, InvalidHandshake, InvalidURI) as error:
            raise BenchError(f"cannot connect to {target.url}: {error}") from error
        return cls(socket, EventFeed(listener))

    async def send(self, frame: str) -> None:
        """Send one text frame.

        Raises:
            BenchError: the connection is closed.
        """
        try:
            await self._socket.send(frame)
        except ConnectionClosed as error:
            raise BenchError(f"the server closed the connection: {error}") from error

    async def send_event(self, event: dict[str, Any]) -> None:
        """Send one event. Raises BenchError as `send`."""
        await self.send(orjson.dumps(event).decode())

    async def close(self) -> None:
        """Close the connection. Idempotent."""
        await self._socket.close()
        await self._reader

    async def _read(self) -> None:
        try:
            async for frame in self._socket:
                self._feed.take_frame(frame, time.perf_counter())
            self._feed.fail("the server closed the connection")
        except (ConnectionClosed, BenchError) as error:
            self._feed.fail(f"the connection broke: {error}")
