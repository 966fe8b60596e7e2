"""The WebSocket protocol under uvicorn, with a few changes: see the class and docs/decisions."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory
from websockets.frames import Close, CloseCode, Frame
from websockets.typing import ExtensionParameter

MAX_FRAME_BYTES = 16 * 1024 * 1024
"""Largest client message: 15 MiB of base64 audio and the JSON around it. A larger one closes with code 1009."""

PING_INTERVAL_S = 20.0
PING_TIMEOUT_S = 20.0

_LINGER_S = 10.0
"""How long a connection may outlive its application, or its close frame after a bad message."""

_SILENCE_S = 0.25
"""A client that sends nothing for this long after a bad message has stopped sending it."""


class InflateOnly(PerMessageDeflate):
    """permessage-deflate that inflates what the client sends and sends its own messages as they are.

    RFC 7692 section 6 lets each side decide for each message. Base64 audio shrinks by a quarter for 35 times the
    CPU time of sending it.
    """

    def encode(self, frame: Frame) -> Frame:
        """Return `frame` unchanged."""
        return frame


class InflateOnlyFactory(ServerPerMessageDeflateFactory):
    """Negotiates `InflateOnly`. Without context takeover on our side no compressor is allocated."""

    def process_request_params(
        self, params: Any, accepted_extensions: Any
    ) -> tuple[list[ExtensionParameter], InflateOnly]:
        """Return the response parameters and the extension for a client's offer. Raises NegotiationError."""
        answer, agreed = super().process_request_params(params, accepted_extensions)
        return answer, InflateOnly(
            agreed.remote_no_context_takeover,
            agreed.local_no_context_takeover,
            agreed.remote_max_window_bits,
            agreed.local_max_window_bits,
        )


class RealtimeWebSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's protocol on the sans-I/O core of `websockets`, changed so that:

    - permessage-deflate only inflates;
    - after a frame that breaks the rules (too big, bad UTF-8) the rest of what the client is sending is read and
      thrown away for a while, because closing at once would reset the connection and lose our close frame;
    - a connection whose client stopped reading is aborted once it is over; closing it would wait for ever for its
      buffer to empty;
    - a handshake that the application refused with a response of its own is complete: uvicorn knows of no such
      end and calls it an error of the application.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._linger_until: float | None = None
        extensions: list[Any] = [InflateOnlyFactory(server_no_context_takeover=True)]
        self.conn.available_extensions = extensions

    def data_received(self, data: bytes) -> None:
        """Handle bytes from the client, or drop them while lingering."""
        if self._linger_until is None:
            super().data_received(data)
        else:
            self._linger(self._linger_until)

    def handle_parser_exception(self) -> None:
        """Send the close frame that says what was wrong, and go on reading for a while."""
        close = self.conn.close_sent or Close(CloseCode.PROTOCOL_ERROR, "")
        self.queue.put_nowait({"type": "websocket.disconnect", "code": close.code, "reason": close.reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.stop_keepalive()
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self._linger_until = self.loop.time() + _LINGER_S
        self._linger(self._linger_until)

    def _linger(self, until: float) -> None:
        """Close once the client has been silent for a moment, or at `until`; a close timer also stays run_asgi's."""
        if self.close_timer is not None:
            self.close_timer.cancel()
        due = min(self.loop.time() + _SILENCE_S, until)
        self.close_timer = self.loop.call_at(due, self.transport.abort if due == until else self.transport.close)

    def keepalive_timeout(self) -> None:
        """Drop a client that did not answer a ping."""
        super().keepalive_timeout()
        self.transport.abort()

    async def send(self, message: Any) -> None:
        """Send what the application says; once the connection is closing it is told that its client is gone.

        Raises:
            ClientDisconnected: there is nobody to send to any more.
        """
        await self.writable.wait()
        if self.close_sent and message["type"] in ("websocket.send", "websocket.close"):
            raise ClientDisconnected
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            self.handshake_complete = True

    async def run_asgi(self) -> None:
        """Run the application; once it is done the connection does not outlive it for long."""
        await super().run_asgi()
        if not self.disconnected and self._linger_until is None:
            if self.close_timer is not None:
                self.close_timer.cancel()
            self.close_timer = self.loop.call_later(_LINGER_S, self.transport.abort)
