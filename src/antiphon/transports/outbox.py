"""What a session has said and its client has not been sent yet. Bounded: beyond the bound the session waits."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from antiphon.protocol.frames import AudioDelta, ServerEvent

MAX_EVENTS = 1024
MAX_AUDIO_BYTES = 4 * 1024 * 1024
"""87 s of 24 kHz PCM16: replies are made faster than they play, and a session that waits cannot listen."""


class Outbox:
    """A queue of server events for one writer. Not thread-safe; any number of tasks may put."""

    def __init__(self, max_events: int = MAX_EVENTS, max_audio_bytes: int = MAX_AUDIO_BYTES) -> None:
        self._events: deque[ServerEvent] = deque()
        self._audio_bytes = 0
        self._max_events = max_events
        self._max_audio_bytes = max_audio_bytes
        self._closed = False
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()

    def __len__(self) -> int:
        return len(self._events)

    async def put(self, event: ServerEvent) -> None:
        """Add an event at the end; waits while there is no room. After `close` or `abandon` it is dropped.

        Audio waits for room among the audio, so that the end of a reply gets past a reply that is too long. The end
        of a cancelled response takes the response's waiting audio out of the queue: nobody wants to hear it.
        """
        while not self._closed and not self._has_room_for(event):
            self._room.clear()
            await self._room.wait()
        if self._closed:
            return
        if isinstance(event, AudioDelta):
            self._audio_bytes += len(event.audio)
        elif (response_id := _cancelled_response(event)) is not None:
            self._drop_audio(response_id)
        self._events.append(event)
        self._arrived.set()

    async def get(self) -> ServerEvent | None:
        """Take the next event; waits for one. None once the outbox is closed and empty."""
        while not self._events:
            if self._closed:
                return None
            self._arrived.clear()
            await self._arrived.wait()
        event = self._events.popleft()
        if isinstance(event, AudioDelta):
            self._audio_bytes -= len(event.audio)
        self._room.set()
        return event

    def close(self) -> None:
        """Take no more events; those that wait can still be got."""
        self._closed = True
        self._arrived.set()
        self._room.set()

    def abandon(self) -> None:
        """Close, and forget what waits: the client is gone."""
        self._events.clear()
        self._audio_bytes = 0
        self.close()

    def _has_room_for(self, event: ServerEvent) -> bool:
        if len(self._events) >= self._max_events:
            return False
        return not isinstance(event, AudioDelta) or self._audio_bytes < self._max_audio_bytes

    def _drop_audio(self, response_id: str) -> None:
        self._events = deque(
            event for event in self._events if not isinstance(event, AudioDelta) or event.response_id != response_id
        )
        self._audio_bytes = sum(len(event.audio) for event in self._events if isinstance(event, AudioDelta))
        self._room.set()


def _cancelled_response(event: dict[str, Any]) -> str | None:
    if event["type"] == "response.done" and event["response"]["status"] == "cancelled":
        return str(event["response"]["id"])
    return None
