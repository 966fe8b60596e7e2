"""A WebSocket beside a call: it sees the session's events and may send its own (`?call_id=`)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from antiphon.protocol.errors import ProtocolError
from antiphon.protocol.frames import ServerEvent, decode_frame, encode_event
from antiphon.transports.outbox import MAX_EVENTS, Outbox
from antiphon.transports.websocket import CLOSE_NORMAL, FLUSH_S, FrameCounters

if TYPE_CHECKING:
    from antiphon.session.contract import RunningSession

_CLOSE_TOO_SLOW = 1008

_log = structlog.get_logger(__name__)


class Sideband:
    """One accepted WebSocket that follows a call. It never holds the call up."""

    def __init__(self, websocket: WebSocket, counters: FrameCounters) -> None:
        self._websocket = websocket
        self._counters = counters
        self._outbox = Outbox()
        self._code = CLOSE_NORMAL

    async def offer(self, event: ServerEvent) -> None:
        """Take an event for the client; one that reads too slowly is dropped, with all that waits for it."""
        if len(self._outbox) >= MAX_EVENTS:
            _log.warning("sideband reads too slowly, closing", waiting=len(self._outbox))
            self._code = _CLOSE_TOO_SLOW
            self._outbox.abandon()
        await self._outbox.put(event)

    def close(self) -> None:
        """Close once everything that waits was sent: the call is over."""
        self._outbox.close()

    async def run(self, session: RunningSession) -> None:
        """Serve the connection until the client closes it or `close` is called."""
        reader = asyncio.create_task(self._read(session), name="sideband reader")
        writer = asyncio.create_task(self._write(), name="sideband writer")
        try:
            await asyncio.wait([reader, writer], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (reader, writer):
                task.cancel()
            outcomes = await asyncio.gather(reader, writer, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception) and not isinstance(outcome, WebSocketDisconnect):
                raise outcome
        if not any(isinstance(outcome, WebSocketDisconnect) for outcome in outcomes):
            await self._close()

    async def _read(self, session: RunningSession) -> None:
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message["code"])
            self._counters.received()
            text = message.get("text")
            try:
                if text is None:
                    raise ProtocolError(
                        "Send events as JSON in text frames; this one was binary.", code="invalid_event"
                    )
                frame = decode_frame(text)
            except ProtocolError as error:
                await session.post(error)
            else:
                await session.post(frame)

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(FLUSH_S):
                await self._websocket.close(self._code)
        except (WebSocketDisconnect, TimeoutError):
            _log.debug("sideband was gone before the close", code=self._code)

    async def _write(self) -> None:
        while (event := await self._outbox.get()) is not None:
            await self._websocket.send({"type": "websocket.send", "text": encode_event(event)})
            self._counters.sent()
