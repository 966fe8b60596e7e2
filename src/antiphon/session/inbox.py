"""A session's inbox: what clients send and what engines report, handled one at a time.

Two lanes take turns, so that neither a flood of audio nor a fast engine can hold back the other.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

C = TypeVar("C")
N = TypeVar("N")

MESSAGE_OVERHEAD = 256
"""Bytes that any client message is counted with beside its audio."""


class Inbox(Generic[C, N]):
    """Client messages, bounded in bytes, and notices, bounded by those who send them.

    Args:
        max_bytes: client messages waiting beyond this make `put` wait; a single larger one is still taken.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._client: deque[tuple[C, int]] = deque()
        self._notices: deque[N] = deque()
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._notice_turn = True

    async def put(self, message: C, size: int) -> None:
        """Add a client message of about `size` bytes; waits for room."""
        while self._bytes >= self._max_bytes:
            self._room.clear()
            await self._room.wait()
        self._bytes += size + MESSAGE_OVERHEAD
        self._client.append((message, size + MESSAGE_OVERHEAD))
        self._arrived.set()

    def put_back(self, message: C) -> None:
        """Put the rest of a client message in front of all others."""
        self._client.appendleft((message, 0))
        self._arrived.set()

    def notify(self, notice: N) -> None:
        """Add a notice."""
        self._notices.append(notice)
        self._arrived.set()

    async def get(self) -> C | N:
        """Return the next message of either lane; waits for one."""
        while not self._client and not self._notices:
            self._arrived.clear()
            await self._arrived.wait()
        self._notice_turn = not self._notice_turn
        if self._notices and (self._notice_turn or not self._client):
            return self._notices.popleft()
        message, size = self._client.popleft()
        self._bytes -= size
        self._room.set()
        return message
