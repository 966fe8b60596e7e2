"""The connection to an upstream Realtime server: opened, kept alive, and told apart in all its ways to fail."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from typing import Any, Self

import orjson
import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, WebSocketException

from antiphon.protocol.errors import ProtocolError, shown
from antiphon.protocol.frames import decode_frame
from antiphon.relay.opening import OWN_EVENT_ID, Opening, upstream_headers, upstream_url
from antiphon.relay.settings import UpstreamSettings
from antiphon.session.contract import EndReason

MAX_EVENT_BYTES = 48 * 1024 * 1024
"""Largest event of an upstream: an item with ten minutes of PCM16, as base64."""

MAX_WAITING_EVENTS = 16
"""Events that have come and not been taken; beyond that the socket is not read."""

PING_INTERVAL_S = 20.0
PONG_TIMEOUT_S = 20.0

_CLOSE_S = 2.0

_MAX_EARLY_EVENTS = 16
"""Events that come between the beginning of a session and the answer to its configuration."""

_WHY: dict[int, tuple[str, float]] = {
    401: ("The upstream server refused this server's key.", 30),
    403: ("The upstream server refused this server's key.", 30),
    404: ("The upstream server does not have the model.", 30),
    429: ("The upstream server has no room for another session now.", 10),
    503: ("The upstream server has no room for another session now.", 10),
}
"""What a client is told of an HTTP status, and after how long, in s, it may come again."""

_log = structlog.get_logger("antiphon.relay")


class UpstreamError(Exception):
    """The upstream cannot be had, or failed.

    Attributes:
        error: what the client is told; neither addresses nor secrets are in it.
        detail: what the log is told beside.
        retry_after_s: when a client may come again.
    """

    def __init__(
        self, message: str, *, code: EndReason = "upstream_unavailable", detail: str = "", retry_after_s: float = 5
    ) -> None:
        super().__init__(message)
        self.error = ProtocolError(message, code=code, type="server_error")
        self.reason: EndReason = code
        self.detail = detail
        self.retry_after_s = retry_after_s


class _Connect(connect):
    """`websockets`' own, which follows no redirection: the key is for nobody else."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Return the answer as the error that it is."""
        return exc


@dataclass
class Upstream:
    """An upstream session that has been created and configured.

    Attributes:
        created: its `session.created`, with the session as it was configured.
        early: events that came meanwhile.
    """

    socket: ClientConnection
    stall_timeout_s: float
    created: dict[str, Any] = field(default_factory=dict)
    early: list[dict[str, Any]] = field(default_factory=list)
    reading: bool = False

    @classmethod
    async def open(cls, settings: UpstreamSettings, key: str | None, opening: Opening) -> Self:
        """Return a new session of the upstream.

        Args:
            settings: of the upstream.
            key: that opens it.
            opening: what the session is to be.

        Raises:
            UpstreamError: it cannot be had.
            ProtocolError: it does not take the configuration.
        """
        socket: ClientConnection | None = None
        try:
            async with asyncio.timeout(settings.connect_timeout_s):
                socket = await _connected(settings, key, opening)
                upstream = cls(socket, settings.stall_timeout_s)
                await upstream._begin(opening.update)
                return upstream
        except BaseException as error:
            if socket is not None:
                socket.transport.abort()
                await socket.wait_closed()
            if isinstance(error, TimeoutError):
                message = f"The upstream server opened no session in {settings.connect_timeout_s:g} s."
                raise UpstreamError(message) from error
            raise

    async def receive(self, timeout_s: float | None = None) -> dict[str, Any]:
        """Return the next event: an object whose `type` is a string.

        Raises:
            UpstreamError: the connection is over, nothing came in time, or what came is no event.
        """
        self.reading = True
        try:
            async with asyncio.timeout(timeout_s):
                data = await self.socket.recv(decode=False)
        except TimeoutError as error:
            message = f"The upstream server said nothing for {timeout_s:g} s in the middle of a response."
            raise UpstreamError(message, code="upstream_failed") from error
        except ConnectionClosed as error:
            raise _closed(error) from error
        finally:
            self.reading = False
        try:
            return decode_frame(data)
        except ProtocolError as error:
            message = "The upstream server sent something that is no event."
            raise UpstreamError(message, code="upstream_failed", detail=error.message) from error

    async def send(self, frame: dict[str, Any]) -> None:
        """Send a frame; waits while the upstream is behind.

        Raises:
            UpstreamError: the connection is over, or the upstream takes nothing.
        """
        try:
            async with asyncio.timeout(self.stall_timeout_s):
                await self.socket.send(orjson.dumps(frame), text=True)
        except TimeoutError as error:
            message = f"The upstream server took nothing for {self.stall_timeout_s:g} s."
            raise UpstreamError(message, code="upstream_failed") from error
        except ConnectionClosed as error:
            raise _closed(error) from error

    async def keep_alive(self) -> None:
        """Ask again and again whether the upstream is there, until cancelled.

        Raises:
            UpstreamError: it does not answer. While it is not being read no answer is expected.
        """
        while True:
            await asyncio.sleep(PING_INTERVAL_S)
            try:
                async with asyncio.timeout(PONG_TIMEOUT_S):
                    await (await self.socket.ping())
            except TimeoutError as error:
                if self.reading:
                    message = "The upstream server does not answer any more."
                    raise UpstreamError(message, detail=f"no pong in {PONG_TIMEOUT_S:g} s") from error
            except ConnectionClosed as error:
                raise _closed(error) from error

    async def close(self) -> None:
        """Say goodbye, briefly."""
        await self.socket.close()

    async def abort(self) -> None:
        """Close without a word."""
        self.drop()
        await self.socket.wait_closed()

    def drop(self) -> None:
        """Close without a word and without waiting for it. Idempotent."""
        self.socket.transport.abort()

    async def _begin(self, update: dict[str, Any] | None) -> None:
        first = await self.receive()
        if first["type"] == "error":
            raise _refusal(first)
        if first["type"] != "session.created" or not isinstance(first.get("session"), dict):
            message = "The upstream server is no Realtime server."
            raise UpstreamError(message, detail=f"it began with {shown(first['type'])}")
        self.created = first
        if update is None:
            return
        event_id = f"{OWN_EVENT_ID}_opening"
        await self.send({"type": "session.update", "event_id": event_id, "session": update})
        while len(self.early) <= _MAX_EARLY_EVENTS:
            event = await self.receive()
            error = event.get("error")
            if event["type"] == "session.updated" and isinstance(event.get("session"), dict):
                self.created = {**first, "session": event["session"]}
                return
            if event["type"] == "error" and isinstance(error, dict) and error.get("event_id") in (event_id, None):
                raise _refused_update(error)
            self.early.append(event)
        raise UpstreamError("The upstream server does not answer a session.update.", code="upstream_failed")


async def _connected(settings: UpstreamSettings, key: str | None, opening: Opening) -> ClientConnection:
    try:
        return await _Connect(
            upstream_url(settings, opening.type),
            additional_headers=upstream_headers(settings, key),
            user_agent_header="antiphon",
            compression=None,  # base64 audio shrinks little, for much CPU time
            open_timeout=None,  # the caller's
            ping_interval=None,  # see `keep_alive`
            close_timeout=_CLOSE_S,
            max_size=MAX_EVENT_BYTES,
            max_queue=MAX_WAITING_EVENTS,
        )
    except InvalidStatus as error:
        status = error.response.status_code
        told = f"The upstream server answered with HTTP {status}."
        message, retry_after_s = _WHY.get(status, (told, 5))
        raise UpstreamError(message, detail=f"HTTP {status}", retry_after_s=retry_after_s) from error
    except TimeoutError:
        raise
    except ssl.SSLError as error:
        message = "There is no secure connection to the upstream server."
        raise UpstreamError(message, detail=str(error), retry_after_s=30) from error
    except (OSError, ImportError) as error:  # ImportError: a SOCKS proxy, without the package for it
        raise UpstreamError("The upstream server cannot be reached.", detail=str(error)) from error
    except (InvalidHandshake, WebSocketException, EOFError, ValueError) as error:
        message = "The upstream server is no Realtime server."
        raise UpstreamError(message, detail=f"{type(error).__name__}: {error}", retry_after_s=30) from error


def _closed(error: ConnectionClosed) -> UpstreamError:
    """Return what the end of the connection means: an abort or a restart may be over soon, a fault may not."""
    close = error.rcvd
    detail = "without a word" if close is None else f"{close.code} {shown(close.reason)}"
    if error.sent is not None and not error.rcvd_then_sent and error.sent.code in (1002, 1007, 1009):
        message = "The upstream server sent something that is no event."
        return UpstreamError(message, code="upstream_failed", detail=f"{error.sent.code} {error.sent.reason}")
    return UpstreamError("The upstream server closed the connection.", detail=f"closed {detail}")


def _refusal(event: dict[str, Any]) -> UpstreamError:
    """Return what it means when the first event is an error. Its message may repeat a part of the key."""
    error = event.get("error")
    code = error.get("code") if isinstance(error, dict) else None
    why = {"model_not_found": 404, "invalid_model": 404, "invalid_api_key": 401, "rate_limit_exceeded": 429}
    status = why.get(code) if isinstance(code, str) else None
    message, retry_after_s = _WHY[status] if status else ("The upstream server refused the session.", 5.0)
    return UpstreamError(message, detail=f"error {shown(str(code))}", retry_after_s=retry_after_s)


def _refused_update(error: dict[str, Any]) -> ProtocolError:
    """Return what the client is told when the upstream does not take its configuration."""
    param, code = error.get("param"), error.get("code")
    return ProtocolError(
        shown(str(error.get("message") or "The upstream server does not take the configuration of the session.")),
        code=code if isinstance(code, str) else "invalid_value",
        param=param if isinstance(param, str) else None,
    )
