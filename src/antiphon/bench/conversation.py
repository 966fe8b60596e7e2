"""A person at a microphone in one session: says something, waits for the answer, says the next thing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from antiphon.bench.connection import BenchError, Connection, Event, Target, WebSocketConnection
from antiphon.bench.corpus import RATE, Recording
from antiphon.bench.microphone import Microphone
from antiphon.bench.turn import Turn, TurnTracker

if TYPE_CHECKING:
    from antiphon.bench.call import CallMicrophone

Mode = Literal["server_vad", "semantic_vad"]
Eagerness = Literal["low", "medium", "high", "auto"]
Transport = Literal["websocket", "webrtc"]

_SET_UP_S = 60.0
_ANSWER_S = 30.0
_TRANSCRIPT_S = 5.0
_LOOK_AGAIN_S = 0.25
"""An answer to a turn that was closed early may be complete before the rest is said, and then no event follows."""
_PAUSE_S = 0.6
"""Silence, s, between an answer and the next thing said."""


@dataclass(frozen=True, slots=True)
class SessionSetup:
    """How a session is configured.

    Attributes:
        mode: turn detection.
        silence_ms: for server_vad: silence that ends a turn.
        eagerness: for semantic_vad.
        transcribe: ask for transcripts of what is said.
        reply_tokens: most tokens of an answer; None for the server's own limit.
        chunk_ms: length of the chunks that the microphone sends by WebSocket.
        transport: how the client is connected.
    """

    mode: Mode = "server_vad"
    silence_ms: int = 500
    eagerness: Eagerness = "auto"
    transcribe: bool = True
    reply_tokens: int | None = None
    chunk_ms: int = 20
    transport: Transport = "websocket"

    def event(self) -> dict[str, Any]:
        """Return the `session.update` that configures a session so."""
        if self.mode == "server_vad":
            detection: dict[str, Any] = {"type": "server_vad", "silence_duration_ms": self.silence_ms}
        else:
            detection = {"type": "semantic_vad", "eagerness": self.eagerness}
        pcm = {"type": "audio/pcm", "rate": RATE}
        hearing: dict[str, Any] = {"format": pcm, "turn_detection": detection}
        if self.transcribe:
            hearing["transcription"] = {"model": "whisper-1"}
        session: dict[str, Any] = {"type": "realtime", "audio": {"input": hearing, "output": {"format": pcm}}}
        if self.reply_tokens is not None:
            session["max_output_tokens"] = self.reply_tokens
        return {"type": "session.update", "session": session}


class Conversation:
    """One open session with its microphone on.

    Attributes:
        connection: for what else a measurement sends or waits for.
        microphone: always on.
        listeners: called with every event.
    """

    def __init__(self, transport: Transport) -> None:
        """Use `open_conversation`."""
        self.listeners: list[Callable[[Event], None]] = []
        self.connection: Connection
        self.microphone: Microphone | CallMicrophone
        self._transport = transport

    def hear(self, event: Event) -> None:
        """Pass an event of the server on to the listeners."""
        for listener in list(self.listeners):
            listener(event)

    async def turn(self, recording: Recording) -> Turn:
        """Say a recording and wait until it is answered, for 30 s at most.

        Raises:
            BenchError: the connection broke.
        """
        spoken = self.microphone.say(recording)
        tracker = TurnTracker(recording.name, spoken, played=self._transport == "webrtc")
        self.listeners.append(tracker.take)
        try:
            deadline = spoken.end + _ANSWER_S
            while not tracker.answered(now := time.perf_counter()) and now < deadline:
                wait_s = min(deadline - now, _LOOK_AGAIN_S)
                await self.connection.until(lambda: tracker.answered(time.perf_counter()), wait_s)
            await self.connection.until(lambda: tracker.transcribed, _TRANSCRIPT_S)
            await asyncio.sleep(_PAUSE_S)
        finally:
            self.listeners.remove(tracker.take)
        return tracker.result()


@asynccontextmanager
async def open_conversation(target: Target, setup: SessionSetup) -> AsyncIterator[Conversation]:
    """Connect, configure the session and turn the microphone on.

    Raises:
        BenchError: the server cannot be reached, does not answer or refuses the configuration.
    """
    conversation = Conversation(setup.transport)
    seen: dict[str, Event] = {}

    def note(event: Event) -> None:
        seen.setdefault(event.type, event)

    conversation.listeners.append(note)
    async with _connected(conversation, target, setup) as connection:
        if not await connection.until(lambda: "session.created" in seen or "error" in seen, _SET_UP_S):
            raise BenchError(f"{target.url} did not send session.created in {_SET_UP_S:.0f} s")
        if "error" not in seen:
            await connection.send_event(setup.event())
            await connection.until(lambda: "session.updated" in seen or "error" in seen, _SET_UP_S)
        if "error" in seen:
            raise BenchError(f"the server refused the session: {seen['error'].body.get('error')}")
        if "session.updated" not in seen:
            raise BenchError(f"{target.url} did not answer session.update in {_SET_UP_S:.0f} s")
        conversation.listeners.clear()
        if not isinstance(connection, WebSocketConnection):
            yield conversation
            return
        conversation.microphone = microphone = Microphone(connection.send, setup.chunk_ms)
        speaking = asyncio.create_task(microphone.run())
        try:
            yield conversation
        finally:
            speaking.cancel()
            (outcome,) = await asyncio.gather(speaking, return_exceptions=True)
            if isinstance(outcome, Exception) and not isinstance(outcome, BenchError):
                raise outcome


@asynccontextmanager
async def _connected(conversation: Conversation, target: Target, setup: SessionSetup) -> AsyncIterator[Connection]:
    """Connect, and close the connection after it; a call's microphone is on from its beginning."""
    connection: Connection
    if setup.transport == "webrtc":
        from antiphon.bench.call import CallConnection  # noqa: PLC0415 - aiortc takes a quarter of a second to import

        connection = call = await CallConnection.open(target, conversation.hear)
        conversation.microphone = call.microphone
    else:
        connection = await WebSocketConnection.open(target, conversation.hear)
    conversation.connection = connection
    try:
        yield connection
    finally:
        await connection.close()
