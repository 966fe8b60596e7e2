"""A UDP link that loses packets and delays each of them differently, in this process: the same on every machine."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

Address = tuple[str, int]


@dataclass(frozen=True)
class Quality:
    """What becomes of packets.

    Attributes:
        loss: the share that is lost, each way.
        delay_s: mean delay, each way, s.
        jitter_s: the delay lies within the mean plus or minus this, evenly; packets overtake each other.
    """

    loss: float
    delay_s: float
    jitter_s: float


class Link:
    """Stands between a client and one address of a server.

    `answer` rewrites the server's SDP so that the client sends here; `offer` takes the client's addresses out of its
    SDP, so that the server does not find a way around.
    """

    def __init__(self, quality: Quality, seed: int) -> None:
        self._quality = quality
        self._chance = random.Random(seed)
        self._near: asyncio.DatagramTransport
        self._far: asyncio.DatagramTransport
        self._client: Address | None = None
        self._server: Address | None = None
        self.passed = 0
        self.lost = 0

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        address = ("127.0.0.1", 0)
        self._near, _ = await loop.create_datagram_endpoint(lambda: _End(self._from_client), local_addr=address)
        self._far, _ = await loop.create_datagram_endpoint(lambda: _End(self._from_server), local_addr=address)

    def close(self) -> None:
        self._near.close()
        self._far.close()

    @staticmethod
    def offer(sdp: str) -> str:
        lines = sdp.splitlines(keepends=True)
        return "".join(line for line in lines if not line.startswith(("a=candidate", "a=end-of-candidates")))

    def answer(self, sdp: str) -> str:
        found = re.search(r"a=candidate:\S+ 1 udp \d+ 127\.0\.0\.1 (\d+) typ host", sdp)
        assert found is not None, sdp
        self._server = ("127.0.0.1", int(found[1]))
        here = self._near.get_extra_info("sockname")[1]
        lines = [
            line.replace(f" {found[1]} typ", f" {here} typ")
            for line in sdp.splitlines(keepends=True)
            if not line.startswith("a=candidate") or " 127.0.0.1 " in line
        ]
        return "".join(lines)

    def _from_client(self, data: bytes, address: Address) -> None:
        self._client = address
        self._pass_on(self._far, data, self._server)

    def _from_server(self, data: bytes, address: Address) -> None:
        del address
        self._pass_on(self._near, data, self._client)

    def _pass_on(self, transport: asyncio.DatagramTransport, data: bytes, to: Address | None) -> None:
        if self._chance.random() < self._quality.loss:
            self.lost += 1
            return
        self.passed += 1
        delay = self._quality.delay_s + self._chance.uniform(-1, 1) * self._quality.jitter_s
        asyncio.get_running_loop().call_later(delay, self._deliver, transport, data, to)

    @staticmethod
    def _deliver(transport: asyncio.DatagramTransport, data: bytes, to: Address | None) -> None:
        if not transport.is_closing():
            transport.sendto(data, to)


class _End(asyncio.DatagramProtocol):
    def __init__(self, received: Any) -> None:
        self._received = received

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self._received(data, (addr[0], addr[1]))


@asynccontextmanager
async def lossy(quality: Quality, seed: int = 1) -> AsyncIterator[Link]:
    """A link of this quality."""
    link = Link(quality, seed)
    await link.open()
    try:
        yield link
        await asyncio.sleep(quality.delay_s + quality.jitter_s)  # for goodbyes that are under way
    finally:
        link.close()
