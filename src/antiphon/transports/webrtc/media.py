"""RTP in and out (RFC 3550), on top of aiortc's DTLS transport.

aiortc's own receiver delays everything by four frames, waits up to sixteen for a lost one and closes the gap then;
its sender marks every packet. Both are replaced here; DTLS, SRTP, packets and statistics are aiortc's.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable

import structlog
from aiortc import clock
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import (
    AnyRtcpPacket,
    HeaderExtensionsMap,
    RtcpByePacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSourceInfo,
    RtcpSrPacket,
    RtpPacket,
)
from aiortc.utils import random16, random32

from antiphon.audio.resampling import StreamResampler
from antiphon.protocol.frames import ServerEvent
from antiphon.transports.webrtc.codecs import Pcm, make_decoder, opus_duration, opus_pauses, silent_frame
from antiphon.transports.webrtc.jitter import JitterBuffer, Packet
from antiphon.transports.webrtc.negotiation import MID_EXTENSION, AudioCodec
from antiphon.transports.webrtc.playout import FRAME_MS, Playout

_FRAME_S = FRAME_MS / 1000

_MAX_BACKLOG = 256
"""Packets that wait to be decoded at most, 5 s; beyond that the oldest are dropped and concealed like any loss."""

_MAX_BEHIND_S = 0.1
"""A sender that is later than this leaves frames' time out instead of sending them in a burst."""

_REPORT_S = 1.0
"""Mean time between RTCP reports."""

_log = structlog.get_logger(__name__)


class _Stream:
    """One RTP stream that comes in: a source and a codec."""

    def __init__(self, codec: AudioCodec) -> None:
        self.statistics = StreamStatistics(codec.clock_rate)
        self.decoder = make_decoder(codec)
        if codec.name == "opus":
            self.jitter = JitterBuffer(codec.clock_rate, opus_duration, opus_pauses)
        else:
            self.jitter = JitterBuffer(codec.clock_rate, len)


class MediaReceiver:
    """Turns the packets of a client's track into sound. aiortc's router calls the methods with an underscore.

    Args:
        codecs: that may come, by payload type.
    """

    def __init__(self, codecs: dict[int, AudioCodec]) -> None:
        self._codecs = codecs
        self._backlog: deque[tuple[RtpPacket, float]] = deque(maxlen=_MAX_BACKLOG)
        self._arrived = asyncio.Event()
        self._stream: _Stream | None = None
        self._source: tuple[int, int] | None = None
        self._resampler: StreamResampler | None = None
        self._last_report = (0, 0.0)

    async def run(self, hear: Callable[[Pcm], Awaitable[None]], rate: Callable[[], int]) -> None:
        """Pass on what is heard, as it comes, until cancelled.

        Args:
            hear: takes int16 samples; waits while there is no room for them.
            rate: returns the sample rate, Hz, that they are wanted in.
        """
        loop = asyncio.get_running_loop()
        while True:
            await self._wait(loop)
            while self._backlog:
                packet, arrival = self._backlog.popleft()
                stream = self._stream_of(packet)
                arrived = Packet(packet.sequence_number, packet.timestamp, packet.payload)
                for piece in stream.jitter.push(arrived, arrival):
                    await hear(self._resampled(stream.decoder.decode(piece), stream.decoder.rate, rate()))
            if self._stream is not None:
                stream = self._stream
                for piece in stream.jitter.poll(loop.time()):
                    await hear(self._resampled(stream.decoder.decode(piece), stream.decoder.rate, rate()))

    def report(self) -> list[RtcpReceiverInfo]:
        """Return the report block for RTCP, if anything came in."""
        if self._stream is None or self._source is None:
            return []
        statistics = self._stream.statistics
        last, at = self._last_report
        return [
            RtcpReceiverInfo(
                ssrc=self._source[0],
                fraction_lost=statistics.fraction_lost,
                packets_lost=statistics.packets_lost,
                highest_sequence=statistics.max_seq or 0,
                jitter=statistics.jitter,
                lsr=last,
                dlsr=min(round((time.time() - at) * 65536), 0xFFFFFFFF) if last else 0,
            )
        ]

    async def _handle_rtp_packet(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        del arrival_time_ms
        if packet.payload_type not in self._codecs:
            return
        if len(self._backlog) == _MAX_BACKLOG:
            _log.warning("audio comes faster than it is decoded, dropping some")
        self._backlog.append((packet, asyncio.get_running_loop().time()))
        self._arrived.set()

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        if isinstance(packet, RtcpSrPacket):
            self._last_report = ((packet.sender_info.ntp_timestamp >> 16) & 0xFFFFFFFF, time.time())

    def _handle_disconnect(self) -> None:
        """Do nothing: the call watches the connection."""

    async def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wait for a packet, or until the jitter buffer has something to do."""
        self._arrived.clear()
        if self._backlog:
            return
        due = self._stream.jitter.deadline() if self._stream is not None else None
        timer = loop.call_at(due, self._arrived.set) if due is not None else None
        try:
            await self._arrived.wait()
        finally:
            if timer is not None:
                timer.cancel()

    def _stream_of(self, packet: RtpPacket) -> _Stream:
        source = (packet.ssrc, packet.payload_type)
        if self._stream is None or source != self._source:
            self._source = source
            self._stream = _Stream(self._codecs[packet.payload_type])
        self._stream.statistics.add(packet)
        return self._stream

    def _resampled(self, pcm: Pcm, from_rate: int, to_rate: int) -> Pcm:
        resampler = self._resampler
        if resampler is None or (resampler.from_rate, resampler.to_rate) != (from_rate, to_rate):
            resampler = self._resampler = StreamResampler(from_rate, to_rate)
        return resampler.push(pcm)


class MediaSender:
    """Sends a frame every 20 ms: what the playout has, or silence.

    Args:
        dtls: connected when `run` is called.
        codec: what is sent.
        mid_extension: number of the header extension that carries the media section's id; None where not offered.
        mid: that id.
        cname: our name in RTCP.
    """

    def __init__(
        self, dtls: RTCDtlsTransport, codec: AudioCodec, *, mid_extension: int | None, mid: str, cname: str
    ) -> None:
        self._silence = silent_frame(codec)
        self._samples = round(codec.clock_rate * _FRAME_S)
        self._ssrc = random32()
        self._dtls = dtls
        self._payload_type = codec.payload_type
        self._mid = mid
        self._cname = cname
        self._extensions = HeaderExtensionsMap()
        if mid_extension is not None:
            self._extensions.configure(
                RTCRtpParameters(
                    headerExtensions=[RTCRtpHeaderExtensionParameters(id=mid_extension, uri=MID_EXTENSION)]
                )
            )
        self._sequence = random16() % 32768  # away from the wrap, which upsets some SRTP implementations
        self._timestamp = random32()
        self._packets = 0
        self._octets = 0

    @property
    def ssrc(self) -> int:
        """Our synchronization source."""
        return self._ssrc

    async def run(self, playout: Playout, tell: Callable[[ServerEvent], Awaitable[None]], *, listened_to: bool) -> None:
        """Play as time passes, until cancelled or disconnected.

        Args:
            playout: where frames come from.
            tell: sends an event to the client.
            listened_to: whether the client wants to be sent anything; time passes in any case.
        """
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            await asyncio.sleep(due - loop.time())
            behind = loop.time() - due
            if behind > _MAX_BEHIND_S:
                missed = int(behind / _FRAME_S)
                due += missed * _FRAME_S
                self._skip(missed)
            frame, events = playout.next()
            if listened_to:
                try:
                    await self._send(frame or self._silence)
                except ConnectionError:
                    _log.debug("the client is gone")
                    return
            for event in events:
                await tell(event)
            due += _FRAME_S

    async def report(self, receiver: MediaReceiver) -> None:
        """Send RTCP reports of both directions, until cancelled; says goodbye then."""
        try:
            while True:
                await asyncio.sleep(_REPORT_S * random.uniform(0.5, 1.5))  # noqa: S311 - RFC 3550 section 6.2
                await self._send_rtcp([self._status(receiver), self._name()])
        finally:
            await self._send_rtcp([RtcpByePacket(sources=[self._ssrc])])

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        """Do nothing: the rate is fixed, and audio is not sent again."""

    async def _send(self, payload: bytes) -> None:
        packet = RtpPacket(
            payload_type=self._payload_type, sequence_number=self._sequence, timestamp=self._timestamp, payload=payload
        )
        packet.ssrc = self._ssrc
        # RFC 3551 section 4.1: it marks the first packet after a pause in sending, and there is none.
        packet.marker = 0 if self._packets else 1
        packet.extensions.mid = self._mid
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._skip(1)
        self._packets += 1
        self._octets += len(payload)
        await self._dtls._send_rtp(packet.serialize(self._extensions))

    def _skip(self, frames: int) -> None:
        self._timestamp = (self._timestamp + frames * self._samples) & 0xFFFFFFFF

    def _status(self, receiver: MediaReceiver) -> AnyRtcpPacket:
        reports = receiver.report()
        if not self._packets:
            return RtcpRrPacket(ssrc=self._ssrc, reports=reports)
        sent = RtcpSenderInfo(
            ntp_timestamp=clock.current_ntp_time(),
            rtp_timestamp=self._timestamp,
            packet_count=self._packets & 0xFFFFFFFF,
            octet_count=self._octets & 0xFFFFFFFF,
        )
        return RtcpSrPacket(ssrc=self._ssrc, sender_info=sent, reports=reports)

    def _name(self) -> AnyRtcpPacket:
        return RtcpSdesPacket(chunks=[RtcpSourceInfo(ssrc=self._ssrc, items=[(1, self._cname.encode())])])

    async def _send_rtcp(self, packets: list[AnyRtcpPacket]) -> None:
        try:
            await self._dtls._send_rtp(b"".join(bytes(packet) for packet in packets))
        except ConnectionError:
            _log.debug("the client is gone before a report")
