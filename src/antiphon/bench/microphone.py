"""A microphone that never stops: recordings at real-time pace, and silence between them."""

from __future__ import annotations

import asyncio
import base64
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import numpy as np

from antiphon.bench.corpus import RATE, Pcm, Recording


@dataclass(frozen=True, slots=True)
class Spoken:
    """When the speech of a recording begins and ends at the microphone (`time.perf_counter`, s)."""

    begin: float
    end: float


def append_frames(pcm: Pcm, chunk: int) -> list[str]:
    """Return `input_audio_buffer.append` frames for int16[n], `chunk` samples each, the last one filled with zeros."""
    padded = np.concatenate([pcm, np.zeros(-len(pcm) % chunk, np.int16)]).astype("<i2")
    return [_frame(padded[at : at + chunk].tobytes()) for at in range(0, len(padded), chunk)]


def _frame(data: bytes) -> str:
    return f'{{"type":"input_audio_buffer.append","audio":"{base64.b64encode(data).decode()}"}}'


class Microphone:
    """Sends a chunk whenever one would be full at a real microphone.

    Sample i counts as spoken at `start` + i / 24000, when a person would say it; its chunk goes out when it is full.
    """

    def __init__(self, send: Callable[[str], Awaitable[None]], chunk_ms: int) -> None:
        """Speak into `send`, in chunks of `chunk_ms`."""
        self._send = send
        self._chunk = RATE * chunk_ms // 1000
        self._silence = append_frames(np.zeros(self._chunk, np.int16), self._chunk)[0]
        self._queue: deque[str] = deque()
        self._sent = 0
        self._start = time.perf_counter()
        self.lateness_s: list[float] = []
        """How long after it was full each chunk went out: what this client itself was late."""

    def say(self, recording: Recording) -> Spoken:
        """Speak a recording as soon as what was said before is over, and return when that will be."""
        first = (self._sent + len(self._queue)) * self._chunk
        self._queue.extend(append_frames(recording.pcm, self._chunk))
        return Spoken(self._start + (first + recording.begin) / RATE, self._start + (first + recording.end) / RATE)

    async def run(self) -> None:
        """Send until cancelled."""
        self._start, self._sent = time.perf_counter(), 0
        while True:
            due = self._start + (self._sent + 1) * self._chunk / RATE
            await asyncio.sleep(max(due - time.perf_counter(), 0.0))
            self.lateness_s.append(time.perf_counter() - due)
            self._sent += 1
            await self._send(self._queue.popleft() if self._queue else self._silence)
