"""Answers that do not end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import httpx2
import pytest

from antiphon.engines.remote.answer_limits import BoundedStream, TooLongError


class Body(httpx2.AsyncByteStream):
    """A body that comes in these pieces."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = pieces
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece

    async def aclose(self) -> None:
        self.closed = True


async def read(pieces: Sequence[bytes], most: int, most_of_event: int | None) -> bytes:
    stream = BoundedStream(Body(pieces), most=most, most_of_event=most_of_event)
    return b"".join([piece async for piece in stream])


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
@pytest.mark.parametrize("step", [1, 2, 3, 5, 1000])
async def test_events_begin_anew_wherever_the_stream_is_cut(end: bytes, step: int) -> None:
    whole = (b"data: 12345" + end) * 20
    pieces = [whole[start : start + step] for start in range(0, len(whole), step)]
    assert await read(pieces, 1000, 16) == whole
    with pytest.raises(TooLongError, match="an event of the answer"):
        await read([*pieces, b"data: 123456789", b"0123456789"], 1000, 16)


async def test_a_whole_answer() -> None:
    assert await read([b"\0" * 10] * 10, 100, None) == b"\0" * 100
    with pytest.raises(TooLongError, match="longer than 100 bytes"):
        await read([b"\n\n"] * 51, 100, 10)


async def test_closing_it_closes_what_it_reads() -> None:
    body = Body([])
    await BoundedStream(body).aclose()
    assert body.closed
