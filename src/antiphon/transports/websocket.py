"""A session over one WebSocket: reads frames into its inbox, writes what it emits, and tears both down together."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Protocol

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from antiphon.protocol.dialects import Dialect
from antiphon.protocol.errors import ProtocolError, error_event
from antiphon.protocol.frames import ServerEvent, decode_frame, encode_event
from antiphon.transports.outbox import Outbox

if TYPE_CHECKING:
    from antiphon.session.contract import RunningSession

STALL_S = 30.0
"""A client that reads nothing for this long, while something waits for it, is disconnected."""

FLUSH_S = 5.0
"""How long what a session said last may take to reach its client."""

CLOSE_NORMAL = 1000
CLOSE_GOING_AWAY = 1001
CLOSE_INTERNAL_ERROR = 1011
CLOSE_TRY_AGAIN_LATER = 1013
CLOSE_REFUSED = 4000
"""The session was never opened: the code that OpenAI closes with after such an `error` event."""

_CLOSE: dict[str, tuple[int, str]] = {
    "client_closed": (CLOSE_NORMAL, ""),
    "expired": (CLOSE_GOING_AWAY, "session expired"),
    "shutdown": (CLOSE_GOING_AWAY, "the server is shutting down"),
    "failed": (CLOSE_INTERNAL_ERROR, "internal error"),
    "upstream_unavailable": (CLOSE_TRY_AGAIN_LATER, "the upstream server is not available"),
    "upstream_failed": (CLOSE_INTERNAL_ERROR, "the upstream server failed"),
}

_log = structlog.get_logger(__name__)


class FrameCounters(Protocol):
    """Counts what passes."""

    def received(self) -> None:
        """A client frame came in."""
        ...

    def sent(self) -> None:
        """A server event went out."""
        ...


class WebSocketConnection:
    """One accepted WebSocket.

    Args:
        websocket: accepted; nobody else reads or writes it.
        dialect: what its client speaks.
        counters: told of every frame.
        stall_s: see STALL_S.
    """

    def __init__(
        self, websocket: WebSocket, dialect: Dialect, counters: FrameCounters, *, stall_s: float = STALL_S
    ) -> None:
        self._websocket = websocket
        self._dialect = dialect
        self._counters = counters
        self._stall_s = stall_s
        self._outbox = Outbox()
        self._gone = False

    async def emit(self, event: ServerEvent) -> None:
        """Send an event; waits while the client is behind. Dropped once the client is gone."""
        await self._outbox.put(event)

    async def refuse(self, error: ProtocolError) -> None:
        """Tell the client why there will be no session, and close."""
        await self._send_event(error_event(error))
        await self._close(CLOSE_REFUSED, f"{error.type}.{error.code}")

    async def run(self, session: RunningSession) -> str:
        """Run `session` until it ended and return why it did. Leaves no task behind."""
        running = asyncio.create_task(session.run(), name="session")
        reader = asyncio.create_task(self._read(session), name="websocket reader")
        writer = asyncio.create_task(self._write(session), name="websocket writer")
        for task in (reader, writer):
            task.add_done_callback(partial(_check, session))
        try:
            reason = await self._outcome(session, running)
            self._outbox.close()
            await asyncio.wait([writer], timeout=FLUSH_S)
        finally:
            for task in (running, reader, writer):
                task.cancel()
            await asyncio.gather(running, reader, writer, return_exceptions=True)
        if not self._gone:
            await self._close(*_CLOSE[reason])
        return reason

    async def _outcome(self, session: RunningSession, running: asyncio.Task[None]) -> str:
        try:
            await running
        except Exception:  # noqa: BLE001 - whatever it is, it must end this session only
            _log.exception("session failed")
            await self._outbox.put(
                error_event(
                    ProtocolError("The server had an internal error.", code="internal_error", type="server_error")
                )
            )
            return "failed"
        return session.end_reason or "failed"

    async def _read(self, session: RunningSession) -> None:
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                self._lose_client(session)
                return
            self._counters.received()
            text = message.get("text")
            try:
                if text is None:
                    raise ProtocolError(
                        "Send events as JSON in text frames; this one was binary.", code="invalid_event"
                    )
                frames = self._dialect.to_ga(decode_frame(text))
            except ProtocolError as error:
                await session.post(error)
            else:
                for frame in frames:
                    await session.post(frame)

    async def _write(self, session: RunningSession) -> None:
        while (event := await self._outbox.get()) is not None:
            for translated in self._dialect.from_ga(event):
                try:
                    async with asyncio.timeout(self._stall_s):
                        await self._send_event(translated)
                except WebSocketDisconnect:
                    self._lose_client(session)
                    return
                except TimeoutError:
                    _log.warning("client reads too slowly, closing", waiting=len(self._outbox), seconds=self._stall_s)
                    self._lose_client(session)
                    return

    async def _send_event(self, event: ServerEvent) -> None:
        await self._websocket.send({"type": "websocket.send", "text": encode_event(event)})
        self._counters.sent()

    async def _close(self, code: int, reason: str) -> None:
        try:
            async with asyncio.timeout(FLUSH_S):
                await self._websocket.close(code, reason)
        except (WebSocketDisconnect, TimeoutError):
            _log.debug("client was gone before the close", code=code)

    def _lose_client(self, session: RunningSession) -> None:
        self._gone = True
        self._outbox.abandon()
        session.end("client_closed")


def _check(session: RunningSession, task: asyncio.Task[None]) -> None:
    """End the session when its reader or writer broke."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("transport failed", task=task.get_name(), exc_info=error)
        session.end("failed")
