"""One call to a server by WebRTC, with aiortc: a microphone in real time, events, and when the answer is heard."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import av
import httpx2
import numpy as np
import orjson
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCRtpSender, RTCSessionDescription
from aiortc.exceptions import InvalidStateError
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtp import RtpPacket

from antiphon.audio.resampling import StreamResampler
from antiphon.bench.connection import AUDIBLE, OPEN_S, BenchError, Event, EventFeed, Target
from antiphon.bench.corpus import RATE, Pcm, Recording
from antiphon.bench.microphone import Spoken

_CALL_RATE = 48_000
_FRAME = _CALL_RATE // 50
"""Samples of a packet: 20 ms, as browsers send them."""

_AUDIBLE = 33
"""Peak of a frame, in steps of 16 bits, from which on it is heard: -60 dBFS. Servers fill pauses with silence."""

_QUIET_FRAMES = 10
"""Frames without sound after which sound is heard anew: 200 ms, longer than a stop consonant."""


class CallMicrophone(MediaStreamTrack):
    """A microphone that never stops, as `Microphone`: each frame is there when it would be full."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._queue: deque[Pcm] = deque()
        self._silence = np.zeros(_FRAME, np.int16)
        self._sent = 0
        self._start = time.perf_counter()
        self.lateness_s: list[float] = []
        """How long after it was full each frame was there: what this client itself was late."""

    def say(self, recording: Recording) -> Spoken:
        """Speak a recording as soon as what was said before is over, and return when that will be."""
        begin = self._start + (self._sent + len(self._queue)) * _FRAME / _CALL_RATE
        pcm = _at_call_rate(recording.pcm)
        self._queue.extend(np.pad(pcm, (0, -len(pcm) % _FRAME)).reshape(-1, _FRAME))
        return Spoken(begin + recording.begin / RATE, begin + recording.end / RATE)

    async def recv(self) -> av.AudioFrame:
        """Return the next frame, once it is full."""
        if self.readyState != "live":
            raise MediaStreamError
        if not self._sent:
            self._start = time.perf_counter()
        due = self._start + (self._sent + 1) * _FRAME / _CALL_RATE
        await asyncio.sleep(max(due - time.perf_counter(), 0.0))
        self.lateness_s.append(time.perf_counter() - due)
        pcm = self._queue.popleft() if self._queue else self._silence
        frame = av.AudioFrame.from_ndarray(pcm.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = _CALL_RATE
        frame.pts = self._sent * _FRAME
        frame.time_base = Fraction(1, _CALL_RATE)
        self._sent += 1
        return frame


class Ear:
    """Tells when sound comes after a silence, packet by packet as they arrive: no jitter buffer delays it.

    Args:
        heard: called with when the packet came (`time.perf_counter`, s).
    """

    def __init__(self, heard: Callable[[float], None]) -> None:
        self._heard = heard
        self._decoder = av.CodecContext.create("libopus", "r")
        self._decoder.format = "s16"
        self._decoder.layout = "mono"
        self._decoder.sample_rate = _CALL_RATE
        self._quiet = _QUIET_FRAMES

    def take(self, payload: bytes, at: float) -> None:
        """Take the payload of an Opus packet that came at `at`."""
        if not payload:
            return
        peak = max(
            (int(np.abs(frame.to_ndarray()).max()) for frame in self._decoder.decode(av.Packet(payload))), default=0
        )
        if peak < _AUDIBLE:
            self._quiet += 1
            return
        if self._quiet >= _QUIET_FRAMES:
            self._heard(at)
        self._quiet = 0


class CallConnection:
    """A connection by WebRTC, in Opus. The microphone is on."""

    def __init__(self, feed: EventFeed) -> None:
        """Use `open`."""
        self._feed = feed
        self.until = feed.until
        self.microphone = CallMicrophone()
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._channel = self._peer.createDataChannel("oai-events")
        self._channel.on("message", self._take_message)
        self._channel.on("close", lambda: feed.fail("the server ended the call"))
        transceiver = self._peer.addTransceiver(self.microphone)
        opus = [codec for codec in RTCRtpSender.getCapabilities("audio").codecs if codec.mimeType == "audio/opus"]
        transceiver.setCodecPreferences(opus)
        self._listen(transceiver.receiver)

    @classmethod
    async def open(cls, target: Target, listener: Callable[[Event], None]) -> Self:
        """Call the server; `listener` hears its events, and AUDIBLE when sound comes after a silence.

        Raises:
            BenchError: the server cannot be reached or refuses the call.
        """
        call = cls(EventFeed(listener))
        try:
            await call._peer.setLocalDescription(await call._peer.createOffer())
            answer = await _offer(target, call._peer.localDescription.sdp)
            await call._peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        except BaseException:
            await call.close()
            raise
        return call

    async def send_event(self, event: dict[str, Any]) -> None:
        """Send one event.

        Raises:
            BenchError: the call is over.
        """
        try:
            self._channel.send(orjson.dumps(event).decode())
        except InvalidStateError as error:
            raise BenchError("the call is over") from error

    async def close(self) -> None:
        """Hang up. Idempotent."""
        await self._peer.close()

    def _take_message(self, message: str | bytes) -> None:
        try:
            self._feed.take_frame(message, time.perf_counter())
        except BenchError as error:
            self._feed.fail(f"the call broke: {error}")

    def _listen(self, receiver: RTCRtpReceiver) -> None:
        ear = Ear(lambda at: self._feed.take(Event(at, AUDIBLE, {})))

        async def take(packet: RtpPacket, arrival_time_ms: int) -> None:
            del arrival_time_ms
            ear.take(packet.payload, time.perf_counter())

        # aiortc offers no way to packets that does not lead through its jitter buffer, which holds back 80 ms.
        receiver._handle_rtp_packet = take  # type: ignore[method-assign]


async def _offer(target: Target, sdp: str) -> str:
    """Return the server's answer to an offer. Raises BenchError."""
    parts = urlsplit(target.url)
    url = urlunsplit(("https" if parts.scheme == "wss" else "http", parts.netloc, f"{parts.path}/calls", "", ""))
    model = dict(parse_qsl(parts.query)).get("model")
    session = {"type": "realtime", **({"model": model} if model else {})}
    form = [
        ("sdp", (None, sdp, "application/sdp")),
        ("session", (None, orjson.dumps(session).decode(), "application/json")),
    ]
    try:
        async with httpx2.AsyncClient(timeout=OPEN_S) as http:
            response = await http.post(url, files=form, headers=target.headers)
    except httpx2.HTTPError as error:
        raise BenchError(f"cannot connect to {url}: {error}") from error
    if response.status_code != httpx2.codes.CREATED:
        raise BenchError(f"{url} refused the call: {response.status_code} {response.text[:300]}")
    return response.text


def _at_call_rate(pcm: Pcm) -> Pcm:
    resampler = StreamResampler(RATE, _CALL_RATE)
    return np.concatenate([resampler.push(pcm), resampler.flush()])
