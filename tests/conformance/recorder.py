"""A client for tests: it talks to a real server, keeps every frame and checks each as it comes."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.conformance.audio import RATE, Pcm, pieces, read_speech, silence
from tests.conformance.frames import parse_server_frame, validate_server_event
from tests.conformance.order import Direction, OrderChecker

TIMEOUT = 20.0
"""Seconds to wait for an event. A bound for a hung server, far above what a slow machine needs."""

Event = dict[str, Any]
Where = Callable[[Event], bool]


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: its direction, when it passed (seconds, monotonic) and its event; None when it was no JSON object."""

    direction: Direction
    at: float
    event: Event | None


@dataclass(slots=True)
class Recording:
    """Every frame of a connection, in order."""

    frames: list[Frame] = field(default_factory=list)

    def received(self, *types: str) -> list[Event]:
        """Return the server's events, only those of `types` when any is given."""
        return [
            frame.event
            for frame in self.frames
            if frame.direction == "received" and frame.event is not None and (not types or frame.event["type"] in types)
        ]

    def types(self) -> list[str]:
        """Return the types of the server's events."""
        return [event["type"] for event in self.received()]

    def at(self, event: Mapping[str, Any]) -> float:
        """Return when a server's event came (seconds, monotonic)."""
        return next(frame.at for frame in self.frames if frame.event is event)

    def speech(self, response_id: str) -> Pcm:
        """Return the audio of a response (PCM16, 24 kHz)."""
        deltas = (
            base64.b64decode(event["delta"])
            for event in self.received("response.output_audio.delta")
            if event["response_id"] == response_id
        )
        return np.frombuffer(b"".join(deltas), dtype="<i2").astype(np.int16)


class FrameChecker:
    """Validates the frames of one connection and feeds the order checker; keeps them all in `recording`."""

    def __init__(self, *, sideband: bool = False) -> None:
        self.recording = Recording()
        self.order = OrderChecker(sideband=sideband)

    def sent(self, data: str | bytes) -> None:
        """Take a frame of the client, as it goes over the wire."""
        try:
            event = json.loads(data)
        except (ValueError, RecursionError):
            event = None
        event = event if isinstance(event, dict) else None
        self.recording.frames.append(Frame("sent", time.monotonic(), event))
        self.order.feed("sent", event)

    def received(self, data: str | bytes) -> Event:
        """Take a frame of the server and return its event.

        Raises:
            FrameError: the event is not what the protocol says.
            OrderViolation: it is out of place.
        """
        event = parse_server_frame(data)
        self.recording.frames.append(Frame("received", time.monotonic(), event))
        validate_server_event(event)
        self.order.feed("received", event)
        return event


class RealtimeClient:
    """A connection to a server under test, as an async context manager.

    On leaving without an exception it waits until everything that was promised has come, closes, and raises what was
    wrong. On leaving with one, or after `close` or `vanish`, nothing more is expected.

    Args:
        url: the WebSocket URL, query included.
        headers: extra HTTP headers of the handshake.
        subprotocols: offered in the handshake.
    """

    def __init__(self, url: str, *, headers: Mapping[str, str] | None = None, subprotocols: Sequence[str] = ()) -> None:
        self._url = url
        self._headers = dict(headers or {})
        self._subprotocols = [Subprotocol(name) for name in subprotocols]
        self._checker = FrameChecker()
        self._events: list[Event] = []
        self._cursor = 0
        self._news = asyncio.Event()
        self._failure: BaseException | None = None
        self._closed: ConnectionClosed | None = None
        self._ids = itertools.count(1)
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._left = False

    @property
    def recording(self) -> Recording:
        """Every frame so far."""
        return self._checker.recording

    @property
    def socket(self) -> ClientConnection:
        """The connection itself, for what only a test of the transport needs."""
        if self._socket is None:
            raise RuntimeError("the client is not connected")
        return self._socket

    @property
    def closed(self) -> ConnectionClosed | None:
        """How the connection was closed, None while it is open."""
        return self._closed

    async def __aenter__(self) -> Self:
        self._socket = await connect(
            self._url,
            additional_headers=self._headers,
            subprotocols=self._subprotocols or None,
            max_size=None,
            open_timeout=TIMEOUT,
        )
        self._reader = asyncio.create_task(self._read(), name="client reader")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None and not self._left:
                await self.settle()
                self._checker.order.finish()
        finally:
            await self.close()
        if kind is None:
            self._raise_failure()

    async def close(self) -> None:
        """Close the connection and stop reading."""
        self._left = True
        await self.socket.close()
        if self._reader is not None:
            await self._reader

    async def vanish(self) -> None:
        """Break the connection without a word, as a phone does that loses its network."""
        self._left = True
        self.socket.transport.abort()
        if self._reader is not None:
            await self._reader

    async def send(self, event: Mapping[str, Any], *, event_id: bool = True) -> str | None:
        """Send an event, with an `event_id` of our own unless it has one or `event_id` is false; return that id."""
        frame = dict(event)
        if event_id and "event_id" not in frame:
            frame["event_id"] = f"client_{next(self._ids)}"
        await self.send_raw(json.dumps(frame))
        identity = frame.get("event_id")
        return identity if isinstance(identity, str) else None

    async def send_raw(self, data: str | bytes) -> None:
        """Send a frame as it is, good or bad."""
        self._checker.sent(data)
        await self.socket.send(data)

    async def append(self, audio: bytes) -> None:
        """Append bytes in the session's input format."""
        text = base64.b64encode(audio).decode("ascii")
        await self.send({"type": "input_audio_buffer.append", "audio": text}, event_id=False)

    async def speak(
        self,
        speech: Pcm | Path,
        *,
        pace: float | None = None,
        chunk_ms: int = 20,
        trailing_silence_ms: int = 900,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Append speech and then silence, `chunk_ms` at a time.

        Args:
            speech: int16[n] at 24 kHz, or a recording.
            pace: 1.0 for real time, 2.0 for twice as fast; None for as fast as it goes.
            chunk_ms: length of each append, 20 to 40 as clients do.
            trailing_silence_ms: silence after it, so that the turn can end.
            stop: asked before every append; true ends the speech there.
        """
        pcm = read_speech(speech) if isinstance(speech, Path) else speech
        pcm = np.concatenate([pcm, silence(trailing_silence_ms)])
        start = asyncio.get_running_loop().time()
        for number, piece in enumerate(pieces(pcm, chunk_ms)):
            if stop():
                return
            await self.append(piece)
            if pace is not None:
                due = start + (number + 1) * chunk_ms / 1000 / pace
                await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))

    async def expect(self, kind: str, *, within: float = TIMEOUT, where: Where = lambda event: True) -> Event:
        """Return the next event of type `kind` for which `where` holds, passing over others.

        Raises:
            TimeoutError: it did not come in time; the message lists what came instead.
        """
        return (await self.collect_until(kind, within=within, where=where))[-1]

    async def collect_until(
        self, kind: str, *, within: float = TIMEOUT, where: Where = lambda event: True
    ) -> list[Event]:
        """Return all events up to and including the next one of type `kind` for which `where` holds."""
        seen: list[Event] = []
        deadline = asyncio.get_running_loop().time() + within
        while True:
            while self._cursor < len(self._events):
                event = self._events[self._cursor]
                self._cursor += 1
                seen.append(event)
                if event["type"] == kind and where(event):
                    return seen
            came = _summary(seen)
            if self._closed is not None:
                raise ConnectionError(f"closed ({self._closed}) while waiting for {kind}; came: {came}")
            await self._wait(deadline, f"no {kind} after {within} s; came: {came}")

    async def settle(self, within: float = TIMEOUT) -> None:
        """Wait until nothing that was promised is outstanding, or the connection is closed.

        Raises:
            TimeoutError: something is still missing; the message says what.
        """
        deadline = asyncio.get_running_loop().time() + within
        while self._closed is None and (missing := self._checker.order.outstanding()):
            await self._wait(deadline, "still missing: " + "; ".join(missing))

    async def quiet(self, seconds: float) -> list[Event]:
        """Return every event that comes within `seconds` and was not read yet."""
        await asyncio.sleep(seconds)
        self._raise_failure()
        events, self._cursor = self._events[self._cursor :], len(self._events)
        return events

    async def _wait(self, deadline: float, message: str) -> None:
        self._raise_failure()
        self._news.clear()
        remaining = deadline - asyncio.get_running_loop().time()
        try:
            await asyncio.wait_for(self._news.wait(), max(0.0, remaining))
        except TimeoutError:
            raise TimeoutError(message) from None
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    async def _read(self) -> None:
        try:
            while True:
                self._events.append(self._checker.received(await self.socket.recv()))
                self._news.set()
        except ConnectionClosed as closed:
            self._closed = closed
        except AssertionError as failure:
            self._failure = failure
        self._news.set()


def _summary(events: Iterable[Event]) -> str:
    """Return the types of events in order, runs of the same counted."""
    runs = [(kind, len(list(run))) for kind, run in itertools.groupby(event["type"] for event in events)]
    return ", ".join(kind if count == 1 else f"{kind} ×{count}" for kind, count in runs) or "nothing"


def audio_ms(pcm: Pcm) -> float:
    """Return how long `pcm` lasts, in ms."""
    return len(pcm) * 1000 / RATE
