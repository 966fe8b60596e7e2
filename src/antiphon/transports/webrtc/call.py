"""One WebRTC call: a client's peer connection and the session that it carries."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import structlog
from aiortc.rtcdtlstransport import RTCCertificate, RTCDtlsParameters, RTCDtlsTransport
from aiortc.rtcicetransport import RTCIceTransport
from aiortc.rtcrtpparameters import (
    RTCRtpCodecParameters,
    RTCRtpHeaderExtensionParameters,
    RTCRtpReceiveParameters,
    RTCRtpSendParameters,
)
from aiortc.rtcsctptransport import RTCSctpCapabilities

from antiphon.audio.formats import AudioFormat
from antiphon.protocol.errors import ProtocolError, error_event
from antiphon.protocol.frames import AudioDelta, ServerEvent
from antiphon.protocol.ids import random_base62
from antiphon.session.player import Cut
from antiphon.transports.webrtc.channel import BoundedSctpTransport, EventChannel
from antiphon.transports.webrtc.codecs import SPEECH_RATE, Voice
from antiphon.transports.webrtc.media import MediaReceiver, MediaSender
from antiphon.transports.webrtc.negotiation import MID_EXTENSION, LocalTransport, Offer, write_answer
from antiphon.transports.webrtc.network import Network
from antiphon.transports.webrtc.playout import Playout
from antiphon.transports.webrtc.sideband import Sideband
from antiphon.transports.websocket import FLUSH_S, FrameCounters

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

    from antiphon.session.contract import EndReason, RunningSession

CONNECT_S = 30.0
"""How long a client may take from its answer to a connection."""

MAX_WAITING_MS = 10 * 60 * 1000
"""Speech that waits to be played at most; beyond it the session waits, and hears nothing meanwhile."""

_FULL_PAUSE_S = 0.1

_PIECE_MS = 100
"""Speech is encoded in pieces of this length, so that the first of a long one need not wait for the last."""

_CLOSE_S = 5.0
"""How long tearing down may take."""

_log = structlog.get_logger(__name__)


class Call:
    """A peer connection, answered but perhaps not connected yet. Also the player of its session.

    Args:
        offer: what the client offers.
        network: where the call meets the network.
        counters: told of every event that passes.
    """

    def __init__(self, offer: Offer, network: Network, counters: FrameCounters) -> None:
        self.id = f"rtc_{random_base62(21)}"
        self._offer = offer
        self._network = network
        self._gatherer = network.gatherer()
        self._ice = RTCIceTransport(self._gatherer)
        self._certificate = RTCCertificate.generateCertificate()
        self._dtls = RTCDtlsTransport(self._ice, [self._certificate])
        self._cname = random_base62(16)
        self._codec = offer.codecs[0]
        self._playout = Playout()
        self._receiver = MediaReceiver({codec.payload_type: codec for codec in offer.codecs})
        self._sender = MediaSender(
            self._dtls, self._codec, mid_extension=offer.mid_extension, mid=offer.mid, cname=self._cname
        )
        self._sctp: BoundedSctpTransport | None = None
        self._channel: EventChannel | None = None
        if offer.channel is not None:
            self._sctp = BoundedSctpTransport(self._dtls)
            self._channel = EventChannel(offer.channel.max_message_bytes, counters)
            self._sctp.on("datachannel", self._channel.accept)
            self._sctp.on("refused", self._channel.refuse)
        self._sidebands: set[Sideband] = set()
        self._voices: dict[str, Voice] = {}
        self._formats: dict[str, AudioFormat] = {}
        self._hearing_rate = SPEECH_RATE
        self._lost = False

    async def answer(self) -> str:
        """Return the SDP answer.

        Raises:
            NoPortError: there is no UDP port for the call.
        """
        await self._gatherer.gather()
        for candidate in self._offer.candidates:
            await self._ice.addRemoteCandidate(candidate)
        self._dtls._set_role(self._offer.setup)
        local = LocalTransport(
            ice=self._gatherer.getLocalParameters(),
            candidates=self._network.candidates(self._gatherer),
            fingerprints=[known for known in self._certificate.getFingerprints() if known.algorithm == "sha-256"],
            ssrc=self._sender.ssrc,
            cname=self._cname,
        )
        return write_answer(self._offer, local)

    async def close(self) -> None:
        """Free everything that the connection holds."""
        for stop in (self._sctp.stop if self._sctp else None, self._dtls.stop, self._ice.stop):
            if stop is None:
                continue
            try:
                async with asyncio.timeout(_CLOSE_S):
                    await stop()
            except (TimeoutError, ConnectionError) as error:
                _log.warning("call was not closed cleanly", call_id=self.id, error=repr(error))

    async def emit(self, event: ServerEvent) -> None:
        """Take an event of the session: speech is played, everything else is told to the client and the sidebands."""
        if isinstance(event, AudioDelta):
            await self._speak(event)
            return
        kind = event["type"]
        if kind in ("session.created", "session.updated"):
            heard = event["session"]["audio"]["input"]["format"]
            self._hearing_rate = AudioFormat.from_wire(heard).rate
        elif kind == "response.created":
            response = event["response"]
            self._formats[response["id"]] = AudioFormat.from_wire(response["audio"]["output"]["format"])
        elif kind == "response.output_audio.done":
            voice = self._voices.get(event["response_id"])
            if voice is not None:
                self._playout.add(event["response_id"], event["item_id"], await asyncio.to_thread(voice.flush))
        elif kind == "response.done":
            response_id = event["response"]["id"]
            self._formats.pop(response_id, None)
            self._voices.pop(response_id, None)
            self._playout.end(response_id)
        await self._tell(event)

    def hold(self) -> bool:
        """Fall silent until `release` or `clear`. Returns whether there is anything to be played."""
        return self._playout.hold()

    def release(self) -> None:
        """Play on where it was held."""
        self._playout.release()

    def clear(self) -> list[Cut]:
        """Fall silent at once and return what was cut off."""
        return self._playout.clear()

    async def run(self, session: RunningSession) -> EndReason:
        """Run `session` until it ended, connect its client meanwhile, and return why it ended."""
        running = asyncio.create_task(session.run(), name="session")
        tasks = [asyncio.create_task(self._connect(session), name="webrtc connection")]
        writer: asyncio.Task[None] | None = None
        if self._channel is not None:
            writer = asyncio.create_task(self._channel.write(), name="webrtc writer")
            tasks += [writer, asyncio.create_task(self._channel.read(session), name="webrtc reader")]
        for task in tasks:
            task.add_done_callback(partial(self._check, session))
        try:
            reason = await self._outcome(session, running)
            if writer is not None:
                await self._say_the_last(writer)
        finally:
            for sideband in self._sidebands:
                sideband.close()
            for task in (running, *tasks):
                task.cancel()
            await asyncio.gather(running, *tasks, return_exceptions=True)
            await self.close()
        return reason

    async def serve_sideband(self, websocket: WebSocket, session: RunningSession, counters: FrameCounters) -> None:
        """Let another connection follow and steer the session, until it or the call ends."""
        sideband = Sideband(websocket, counters)
        self._sidebands.add(sideband)
        try:
            await sideband.run(session)
        finally:
            self._sidebands.discard(sideband)

    async def _outcome(self, session: RunningSession, running: asyncio.Task[None]) -> EndReason:
        try:
            await running
        except Exception:  # noqa: BLE001 - whatever it is, it must end this call only
            _log.exception("session failed")
            error = ProtocolError("The server had an internal error.", code="internal_error", type="server_error")
            await self._tell(error_event(error))
            return "failed"
        return session.end_reason or "failed"

    async def _connect(self, session: RunningSession) -> None:
        """Connect, then let audio flow until cancelled."""
        try:
            async with asyncio.timeout(CONNECT_S):
                await self._establish()
        except (TimeoutError, ConnectionError) as error:
            _log.warning("the client did not connect", error=str(error) or f"nothing came in {CONNECT_S:.0f} s")
            return
        _log.info("call connected")
        self._dtls.on("statechange", partial(self._lose, session, "client_closed"))
        async with asyncio.TaskGroup() as group:
            group.create_task(
                self._sender.run(self._playout, self._tell, listened_to=self._offer.listens), name="rtp sender"
            )
            group.create_task(self._sender.report(self._receiver), name="rtcp reports")
            group.create_task(self._receiver.run(session.post_audio, lambda: self._hearing_rate), name="rtp receiver")
            if self._channel is not None:
                group.create_task(self._channel.expect(CONNECT_S), name="data channel")

    async def _establish(self) -> None:
        """Connect ICE, DTLS, RTP and SCTP.

        Raises:
            ConnectionError: the client refuses, or is not who made the offer.
        """
        offer = self._offer
        await self._ice.start(offer.ice)
        if self._ice.state != "completed":
            raise ConnectionError("ICE found no way to the client")
        self._register()
        await self._dtls.start(RTCDtlsParameters(fingerprints=list(offer.fingerprints), role=offer.setup))
        if self._dtls.state != "connected":
            raise ConnectionError("the DTLS handshake failed")
        if self._sctp is not None and offer.channel is not None:
            limit = RTCSctpCapabilities(maxMessageSize=offer.channel.max_message_bytes or 0)
            await self._sctp.start(limit, offer.channel.port)

    def _register(self) -> None:
        """Say which packets are whose."""
        offer = self._offer
        codecs = [
            RTCRtpCodecParameters(
                mimeType=f"audio/{codec.name}", clockRate=codec.clock_rate, payloadType=codec.payload_type
            )
            for codec in offer.codecs
        ]
        known = [] if offer.mid_extension is None else [offer.mid_extension]
        extensions = [RTCRtpHeaderExtensionParameters(id=id, uri=MID_EXTENSION) for id in known]
        receiving = RTCRtpReceiveParameters(codecs=codecs, headerExtensions=extensions, muxId=offer.mid)
        sending = RTCRtpSendParameters(codecs=codecs, headerExtensions=extensions, muxId=offer.mid)
        if offer.sends:
            self._dtls._register_rtp_receiver(self._receiver, receiving)
        self._dtls._register_rtp_sender(self._sender, sending)

    async def _say_the_last(self, writer: asyncio.Task[None]) -> None:
        """Let what the session said last reach the client, if it is there."""
        if self._channel is None or self._sctp is None or not self._channel.open:
            return
        self._channel.outbox.close()
        try:
            async with asyncio.timeout(FLUSH_S):
                await asyncio.wait([writer])
                await self._sctp.delivered()
        except TimeoutError:
            _log.debug("the client did not take what was said last")

    async def _speak(self, delta: AudioDelta) -> None:
        audio_format = self._formats[delta.response_id]
        voice = self._voices.get(delta.response_id)
        if voice is None:
            voice = self._voices[delta.response_id] = Voice(self._codec, audio_format)
        piece = audio_format.rate * audio_format.bytes_per_sample * _PIECE_MS // 1000
        for start in range(0, len(delta.audio), piece):
            frames = await asyncio.to_thread(voice.encode, delta.audio[start : start + piece])
            left_out = voice.left_out() if frames else 0
            self._playout.add(delta.response_id, delta.item_id, frames, left_out=left_out)
        while self._playout.waiting_ms > MAX_WAITING_MS and not self._lost:  # noqa: ASYNC110 - a pure clock tells nobody
            await asyncio.sleep(_FULL_PAUSE_S)

    async def _tell(self, event: ServerEvent) -> None:
        for sideband in tuple(self._sidebands):
            await sideband.offer(event)
        if self._channel is not None:
            await self._channel.outbox.put(event)

    def _check(self, session: RunningSession, task: asyncio.Task[None]) -> None:
        """End the session when a part of the call has ended or broken."""
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, TimeoutError):
            _log.warning("client reads too slowly, closing")
        elif error is not None:
            _log.error("transport failed", task=task.get_name(), exc_info=error)
            self._lose(session, "failed")
            return
        self._lose(session, "client_closed")

    def _lose(self, session: RunningSession, reason: EndReason) -> None:
        self._lost = True
        if self._channel is not None:
            self._channel.outbox.abandon()
        session.end(reason)
