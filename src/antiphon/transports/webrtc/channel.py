"""The data channel `oai-events`: events as JSON text, over SCTP (RFC 8831)."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

import structlog
from aiortc.rtcdatachannel import RTCDataChannel
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcsctptransport import SCTP_DATA_UNORDERED, Chunk, DataChunk, InboundStream, RTCSctpTransport
from aiortc.utils import uint16_add

from antiphon.protocol.errors import ProtocolError, error_event
from antiphon.protocol.frames import ServerEvent, decode_frame, encode_event
from antiphon.transports.outbox import Outbox
from antiphon.transports.webrtc.negotiation import MAX_MESSAGE_BYTES
from antiphon.transports.websocket import STALL_S, FrameCounters

if TYPE_CHECKING:
    from antiphon.session.contract import RunningSession

LABEL = "oai-events"

_WINDOW_BYTES = 2 * MAX_MESSAGE_BYTES
"""SCTP's receive window: less than a whole message would stop it for ever."""

_LATE_MESSAGES = 1000
"""Messages after which nothing of an earlier one is still under way."""

_MAX_BUFFERED_BYTES = 256 * 1024
"""What waits in SCTP at most, so that little is said to a client that has stopped reading."""

_POLL_S = 0.01

_MAX_UNREAD_BYTES = 8 * 1024 * 1024
"""Events that wait to be handled; a client that sends more is a flood, and SCTP cannot be made to wait."""

_log = structlog.get_logger(__name__)


class BoundedSctpTransport(RTCSctpTransport):
    """aiortc's SCTP, which holds messages to no bound and ends at text that is no UTF-8, without these faults.

    Emits "refused" with a ProtocolError for each message that it does not take.
    """

    def __init__(self, transport: RTCDtlsTransport) -> None:
        super().__init__(transport)
        self._advertised_rwnd = _WINDOW_BYTES
        self._skipped: dict[int, int] = {}

    async def _receive_data_chunk(self, chunk: DataChunk) -> None:
        if self._is_skipped(chunk):
            self._sack_needed = True
            self._mark_received(chunk.tsn)
            return
        await super()._receive_data_chunk(chunk)
        if _WINDOW_BYTES - self._advertised_rwnd <= MAX_MESSAGE_BYTES:
            return
        stream = self._get_inbound_stream(chunk.stream_id)
        pending = sum(len(one.user_data) for one in stream.reassembly if one.stream_seq == chunk.stream_seq)
        if pending > MAX_MESSAGE_BYTES and not chunk.flags & SCTP_DATA_UNORDERED:
            self._skip(stream, chunk)
        if self._advertised_rwnd <= 0:
            _log.warning("the client fills its data channels beyond every bound")
            await self._abort()
            self._set_state(self.State.CLOSED)

    async def _send_chunk(self, chunk: Chunk) -> None:
        try:
            await super()._send_chunk(chunk)
        except ConnectionError:
            _log.debug("the client is gone")  # the call watches the connection below

    async def _receive(self, stream_id: int, pp_id: int, data: bytes) -> None:
        try:
            await super()._receive(stream_id, pp_id, data)
        except UnicodeDecodeError:
            self.emit("refused", ProtocolError("The event is not text in UTF-8.", code="invalid_event"))

    async def delivered(self) -> None:
        """Wait until the client has received everything, or is gone."""
        waiting = (self._data_channel_queue, self._outbound_queue, self._sent_queue)
        while self.state == "connected" and any(waiting):  # noqa: ASYNC110 - aiortc tells nobody
            await asyncio.sleep(_POLL_S)

    def _skip(self, stream: InboundStream, chunk: DataChunk) -> None:
        """Drop what came of a message that is too large; its rest is dropped as it comes, the next one is taken."""
        kept = [one for one in stream.reassembly if one.stream_seq != chunk.stream_seq]
        self._advertised_rwnd += sum(len(one.user_data) for one in stream.reassembly)
        self._advertised_rwnd -= sum(len(one.user_data) for one in kept)
        stream.reassembly = kept
        stream.sequence_number = uint16_add(chunk.stream_seq, 1)
        self._skipped[chunk.stream_id] = chunk.stream_seq
        message = f"The event is larger than {MAX_MESSAGE_BYTES} bytes, the most that a data channel takes."
        self.emit("refused", ProtocolError(message, code="event_too_large"))

    def _is_skipped(self, chunk: DataChunk) -> bool:
        skipped = self._skipped.get(chunk.stream_id)
        if skipped is not None and uint16_add(chunk.stream_seq, -skipped) > _LATE_MESSAGES:
            # Nothing of it can still be under way, and the number will be used again.
            del self._skipped[chunk.stream_id]
        return bool(chunk.stream_seq == self._skipped.get(chunk.stream_id))


class EventChannel:
    """One call's events, both ways.

    Args:
        max_message_bytes: largest message that the client takes; None for any.
        counters: told of every event that passes.
        stall_s: a client that reads nothing for so many seconds, while something waits for it, is given up.
    """

    def __init__(self, max_message_bytes: int | None, counters: FrameCounters, *, stall_s: float = STALL_S) -> None:
        self.outbox = Outbox()
        self._max_message_bytes = max_message_bytes
        self._counters = counters
        self._stall_s = stall_s
        self._channel: RTCDataChannel | None = None
        self._opened = asyncio.Event()
        self._drained = asyncio.Event()
        self._unread: deque[str | bytes | ProtocolError] = deque()
        self._unread_bytes = 0
        self._arrived = asyncio.Event()
        self._closed = False

    @property
    def open(self) -> bool:
        """Whether events can be sent now."""
        return self._channel is not None and not self._closed

    def accept(self, channel: RTCDataChannel) -> None:
        """Take a channel that the client has opened; only the first one with our label carries events."""
        if channel.label != LABEL or self._channel is not None:
            _log.warning("closing a data channel that is not for events", label=channel.label[:40])
            channel.close()
            return
        self._channel = channel
        channel.bufferedAmountLowThreshold = _MAX_BUFFERED_BYTES // 2
        channel.on("bufferedamountlow", self._drained.set)
        channel.on("message", self._received)
        channel.on("close", self._close)
        self._opened.set()

    def refuse(self, error: ProtocolError) -> None:
        """Tell the client, in its turn, about a message that was not taken."""
        self._keep(error, 0)

    async def read(self, session: RunningSession) -> None:
        """Pass on the client's events until the channel is closed."""
        while not self._closed or self._unread:
            if not self._unread:
                self._arrived.clear()
                await self._arrived.wait()
                continue
            message = self._unread.popleft()
            if isinstance(message, ProtocolError):
                await session.post(message)
                continue
            self._unread_bytes -= len(message)
            self._counters.received()
            try:
                if isinstance(message, bytes):
                    raise ProtocolError(
                        "Send events as JSON in text messages; this one was binary.", code="invalid_event"
                    )
                frame = decode_frame(message)
            except ProtocolError as error:
                await session.post(error)
            else:
                await session.post(frame)

    async def write(self) -> None:
        """Send what waits in the outbox until it is closed and empty, or the channel is.

        Raises:
            TimeoutError: the client reads too slowly.
        """
        await self._opened.wait()
        channel = self._channel
        assert channel is not None  # noqa: S101 - it was opened
        while (event := await self.outbox.get()) is not None:
            if self._closed:
                return
            channel.send(self._fitting(event))
            self._counters.sent()
            while channel.bufferedAmount > _MAX_BUFFERED_BYTES and not self._closed:
                self._drained.clear()
                async with asyncio.timeout(self._stall_s):
                    await self._drained.wait()

    async def expect(self, seconds: float) -> None:
        """Give up on a client that does not open the channel: what was to be said on it is forgotten."""
        try:
            async with asyncio.timeout(seconds):
                await self._opened.wait()
        except TimeoutError:
            _log.warning("the client opened no data channel for events", label=LABEL)
            self.outbox.abandon()

    def _fitting(self, event: ServerEvent) -> str:
        """Return an event's text, or that of an error where it is larger than the client takes.

        An item that the client retrieves goes without its audio then: browsers take 256 KiB, which are four seconds,
        and clients retrieve items for their words.
        """
        text = encode_event(event)
        limit = self._max_message_bytes
        if limit is None or len(text) * 4 <= limit or (size := len(text.encode())) <= limit:
            return text
        kind = event["type"] if isinstance(event, dict) else "response.output_audio.delta"
        if isinstance(event, dict) and kind == "conversation.item.retrieved":
            text = encode_event({**event, "item": _without_audio(event["item"])})
            if len(text.encode()) <= limit:
                return text
        _log.warning("event is larger than the client takes", type=kind, size=size, limit=limit)
        message = (
            f"The event '{kind}' has {size} bytes, and the client takes no more than {limit} (a=max-message-size)."
        )
        return encode_event(error_event(ProtocolError(message, code="event_too_large", type="server_error")))

    def _received(self, message: str | bytes) -> None:
        self._keep(message, len(message))

    def _keep(self, message: str | bytes | ProtocolError, size: int) -> None:
        if self._unread_bytes + size > _MAX_UNREAD_BYTES:
            _log.warning("the client sends events faster than they are handled, closing")
            self._close()
            return
        self._unread.append(message)
        self._unread_bytes += size
        self._arrived.set()

    def _close(self) -> None:
        self._closed = True
        self._arrived.set()
        self._drained.set()
        self._opened.set()
        self.outbox.abandon()


def _without_audio(item: dict[str, Any]) -> dict[str, Any]:
    parts = [{key: value for key, value in part.items() if key != "audio"} for part in item.get("content", ())]
    return {**item, "content": parts} if parts else item
