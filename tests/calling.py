"""A WebRTC client for tests: aiortc, as a browser would use the API."""

from __future__ import annotations

import asyncio
import fractions
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import av
import httpx2
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtcdatachannel import RTCDataChannel
from numpy.typing import NDArray

Event = dict[str, Any]
Pcm = NDArray[np.int16]

RATE = 48_000
FRAME = RATE // 50


def loud(seconds: float) -> Pcm:
    """Something that the stand-in engines take for speech, at 48 kHz."""
    return (np.random.default_rng(7).standard_normal(round(seconds * RATE)) * 6000).astype(np.int16)


class Microphone(MediaStreamTrack):
    """What `say` puts in, paced in real time; silence otherwise."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._speech: deque[Pcm] = deque()
        self._position = 0
        self._started: float | None = None

    def say(self, pcm: Pcm) -> None:
        """Speak int16 at 48 kHz after what is being said."""
        padded = np.pad(pcm, (0, -len(pcm) % FRAME))
        self._speech.extend(padded.reshape(-1, FRAME))

    @property
    def position_s(self) -> float:
        """How much was sent so far, silence included, in s."""
        return self._position / RATE

    async def reaches(self, position_s: float) -> None:
        """Wait until so much was sent."""
        while self.position_s < position_s:  # noqa: ASYNC110 - frames tell nobody
            await asyncio.sleep(FRAME / RATE)

    async def recv(self) -> av.AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        loop = asyncio.get_running_loop()
        if self._started is None:
            self._started = loop.time()
        await asyncio.sleep(self._started + self._position / RATE - loop.time())
        pcm = self._speech.popleft() if self._speech else np.zeros(FRAME, np.int16)
        frame = av.AudioFrame.from_ndarray(pcm.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = RATE
        frame.pts = self._position
        frame.time_base = fractions.Fraction(1, RATE)
        self._position += FRAME
        return frame


class Caller:
    """One call of a client.

    Args:
        codec: MIME type of the only codec to offer; None for all.
        channel: whether to offer a data channel.
    """

    def __init__(self, *, codec: str | None = None, channel: bool = True) -> None:
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.microphone = Microphone()
        self.events: list[Event] = []
        self.heard: list[Pcm] = []
        self.location = ""
        self.answer = ""
        self._arrived = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        transceiver = self.peer.addTransceiver(self.microphone)
        if codec is not None:
            capabilities = RTCRtpSender.getCapabilities("audio")
            transceiver.setCodecPreferences([known for known in capabilities.codecs if known.mimeType == codec])
        self.channel: RTCDataChannel | None = None
        if channel:
            self.channel = self.peer.createDataChannel("oai-events")
            self.channel.on("message", self._received)
        self.peer.on("track", self._listen)

    @property
    def call_id(self) -> str:
        return self.location.rpartition("/")[2]

    async def offer(self) -> str:
        """Return the SDP offer, with candidates."""
        await self.peer.setLocalDescription(await self.peer.createOffer())
        return self.peer.localDescription.sdp

    async def take(self, answer: str) -> None:
        """Take the SDP answer."""
        self.answer = answer
        await self.peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def connect(
        self,
        base_url: str,
        *,
        session: Event | None = None,
        key: str | None = None,
        path: str = "/realtime/calls",
        rewrite_offer: Callable[[str], str] = lambda sdp: sdp,
        rewrite: Callable[[str], str] = lambda sdp: sdp,
    ) -> None:
        """Call the server and wait for the first event; the rewriters change offer and answer on their way."""
        offer = rewrite_offer(await self.offer())
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        async with httpx2.AsyncClient(timeout=20) as http:
            if session is None:
                headers["Content-Type"] = "application/sdp"
                response = await http.post(base_url + path, content=offer, headers=headers)
            else:
                form = [
                    ("sdp", (None, offer, "application/sdp")),
                    ("session", (None, json.dumps(session), "application/json")),
                ]
                response = await http.post(base_url + path, files=form, headers=headers)
        assert response.status_code == 201, response.text
        self.location = response.headers["location"]
        await self.take(rewrite(response.text))
        if self.channel is not None:
            await self.expect("session.created")

    def send(self, event: Event) -> None:
        """Send an event."""
        assert self.channel is not None
        self.channel.send(json.dumps(event))

    async def expect(self, kind: str, start: int = 0, timeout_s: float = 15.0) -> Event:
        """Return the first event of type `kind` from index `start` on; waits for it."""
        async with asyncio.timeout(timeout_s):
            while True:
                found = next((event for event in self.events[start:] if event["type"] == kind), None)
                if found is not None:
                    return found
                self._arrived.clear()
                await self._arrived.wait()

    async def hears(self, ms: float, timeout_s: float = 15.0) -> None:
        """Wait until speech of this length was heard, in ms."""
        async with asyncio.timeout(timeout_s):
            while self.heard_ms() < ms:  # noqa: ASYNC110 - frames tell nobody
                await asyncio.sleep(0.02)

    def kinds(self, start: int = 0) -> list[str]:
        """Return the types of what was received from index `start` on, runs of deltas as one."""
        found: list[str] = []
        for event in self.events[start:]:
            if not (event["type"].endswith(".delta") and event["type"] in found[-1:]):
                found.append(event["type"])
        return found

    def sound(self) -> Pcm:
        """Return everything heard so far, at 48 kHz."""
        return np.concatenate([np.zeros(0, np.int16), *self.heard])

    async def heard_in_all(self, expected_ms: float) -> float:
        """Return how long something was to be heard, in ms, once all of it has got through the jitter buffer here: as
        much as is expected, and what would come after it."""
        await self.hears(expected_ms)
        await asyncio.sleep(0.5)
        return self.heard_ms()

    def heard_ms(self) -> float:
        """Return how long something was to be heard so far, in ms: windows of 2 ms that are not silent."""
        sound = self.sound()
        windows = sound[: len(sound) // 96 * 96].reshape(-1, 96).astype(np.int32)
        return float((np.abs(windows).max(axis=1) > 1000).sum() * 2)

    async def close(self) -> None:
        """Hang up."""
        await self.peer.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _received(self, message: str) -> None:
        self.events.append(json.loads(message))
        self._arrived.set()

    def _listen(self, track: MediaStreamTrack) -> None:
        self._tasks.append(asyncio.create_task(self._record(track)))

    async def _record(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                frame = await track.recv()
                assert isinstance(frame, av.AudioFrame)
                samples = frame.to_ndarray().reshape(-1, len(frame.layout.channels))
                self.heard.append(np.repeat(samples[:, 0].astype(np.int16), RATE // frame.sample_rate))
        except MediaStreamError:
            return


@asynccontextmanager
async def calling(
    base_url: str, *, codec: str | None = None, channel: bool = True, **how: Any
) -> AsyncIterator[Caller]:
    """A connected call, hung up afterwards."""
    caller = Caller(codec=codec, channel=channel)
    try:
        await caller.connect(base_url, **how)
        yield caller
    finally:
        await caller.close()
