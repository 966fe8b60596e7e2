"""Bounds on the answers of servers: what never ends, or has no end of an event, must not fill the memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import cast

import httpx2

MOST_BYTES = 64 * 1024 * 1024
"""Of a whole answer: 23 minutes of PCM at 24 kHz."""

MOST_BYTES_OF_EVENT = 8 * 1024 * 1024
"""Of a server-sent event, or of JSON: two minutes of speech at 24 kHz in base64. Parsers hold an event whole."""

_ENDS = (b"\n\n", b"\r\n\r\n", b"\r\r")
_LONGEST_END = max(map(len, _ENDS))


class TooLongError(ValueError):
    """An answer is longer than any that makes sense."""


class BoundedStream(httpx2.AsyncByteStream):
    """The body of an answer, as far as it is within bounds.

    Args:
        stream: the body.
        most: bytes of all of it.
        most_of_event: bytes between two empty lines; None where lines mean nothing.

    Raises (while iterating):
        TooLongError: it goes on beyond a bound.
    """

    def __init__(
        self,
        stream: httpx2.AsyncByteStream,
        *,
        most: int = MOST_BYTES,
        most_of_event: int | None = MOST_BYTES_OF_EVENT,
    ) -> None:
        self._stream = stream
        self._most = most
        self._most_of_event = most_of_event

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Give the body as it comes."""
        total = of_event = 0
        tail = b""
        async with aclosing(cast(AsyncGenerator[bytes, None], aiter(self._stream))) as pieces:
            async for piece in pieces:
                total += len(piece)
                if total > self._most:
                    raise TooLongError(f"the answer is longer than {self._most} bytes")
                if self._most_of_event is not None:
                    seen = tail + piece
                    end = max(seen.rfind(mark) + len(mark) if mark in seen else 0 for mark in _ENDS)
                    of_event = len(seen) - end if end else of_event + len(piece)
                    tail = seen[-(_LONGEST_END - 1) :]
                    if of_event > self._most_of_event:
                        raise TooLongError(f"an event of the answer is longer than {self._most_of_event} bytes")
                yield piece

    async def aclose(self) -> None:
        """Close the connection's side of it."""
        await self._stream.aclose()


async def bound_answer(answer: httpx2.Response) -> None:
    """Put bounds on an answer whose body was not read yet; a response hook of an HTTP client."""
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    raw = kind.startswith("audio/") or kind in ("", "application/octet-stream")
    stream = cast(httpx2.AsyncByteStream, answer.stream)
    answer.stream = BoundedStream(stream, most_of_event=None if raw else MOST_BYTES_OF_EVENT)
