"""UDP ports, addresses and servers that calls use, and what a bad network does to them."""

from __future__ import annotations

import asyncio
import random
import re
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest

from antiphon.transports.webrtc import network
from tests.calling import Caller, calling, loud
from tests.e2e.howto import changed, code
from tests.remote_servers import eventually
from tests.serving import LocalServer, serving_here


@contextmanager
def free_ports(count: int) -> Iterator[range]:
    """`count` consecutive UDP ports of the loopback interface that were free just now."""
    chance = random.Random()
    for _ in range(200):
        first = chance.randrange(20_000, 32_000)
        ports = range(first, first + count)
        try:
            for port in ports:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        yield ports
        return
    raise AssertionError("no free ports")


@asynccontextmanager
async def serving_at(**webrtc: Any) -> AsyncIterator[LocalServer]:
    async with serving_here(webrtc={"interfaces": ("127.0.0.1",), **webrtc}) as server:
        yield server


def candidates(sdp: str) -> list[tuple[str, int, str]]:
    """The address, port and type of every candidate of the first media section."""
    section = sdp.split("m=")[1]
    found = re.findall(r"a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ (\w+)", section)
    return [(address, int(port), kind) for address, port, kind in found]


async def talks(caller: Caller) -> None:
    """See that sound and events go both ways."""
    start = len(caller.events)
    caller.microphone.say(loud(0.3))
    await caller.expect("output_audio_buffer.started", start)
    async with asyncio.timeout(10):
        while not (abs(caller.sound()) > 1000).any():  # noqa: ASYNC110 - until there is
            await asyncio.sleep(0.05)


async def test_calls_keep_to_a_range_of_ports_and_give_them_back() -> None:
    with free_ports(2) as ports:
        async with serving_at(udp_ports=f"{ports[0]}-{ports[1]}") as server:
            async with calling(server.base_url) as one, calling(server.base_url) as two:
                used = candidates(one.answer) + candidates(two.answer)
                assert sorted(port for _, port, _ in used) == list(ports)
                await talks(one)
                offer = Caller()
                async with httpx2.AsyncClient(timeout=30) as http:
                    headers = {"Content-Type": "application/sdp"}
                    url = f"{server.base_url}/realtime/calls"
                    refused = await http.post(url, content=await offer.offer(), headers=headers)
                await offer.close()
                assert refused.status_code == 503
                assert refused.json()["error"]["code"] == "no_port"
                assert server.service._reserved == 2
            async with asyncio.timeout(10):
                while server.service._reserved:  # noqa: ASYNC110 - the service tells nobody
                    await asyncio.sleep(0.02)
            async with calling(server.base_url) as three:
                await talks(three)


async def test_all_calls_share_one_port() -> None:
    with free_ports(1) as ports:
        async with serving_at(udp_ports=str(ports[0])) as server:
            async with (
                calling(server.base_url) as one,
                calling(server.base_url) as two,
                calling(server.base_url) as three,
            ):
                callers = (one, two, three)
                assert {candidates(caller.answer)[0][:2] for caller in callers} == {("127.0.0.1", ports[0])}
                await asyncio.gather(*(talks(caller) for caller in callers))
                sockets = [line for line in _udp_sockets() if line == ports[0]]
                assert len(sockets) == 1
            async with calling(server.base_url) as four:
                await talks(four)
        await eventually(lambda: ports[0] not in _udp_sockets())


async def test_strangers_at_a_shared_port_are_not_heard() -> None:
    with free_ports(1) as ports:
        async with serving_at(udp_ports=str(ports[0])) as server, calling(server.base_url) as caller:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                for junk in (
                    b"",
                    b"\x00",
                    b"\x00\x01\x00\x00" + b"x" * 16,
                    b"\x80" * 40,
                    b"\x16" * 40,
                    b"\x01\x01" * 30,
                ):
                    stranger.sendto(junk, ("127.0.0.1", ports[0]))
            await talks(caller)


async def test_a_public_address_stands_for_the_local_one() -> None:
    async with serving_at(public_addresses=("203.0.113.7",)) as server:
        caller = Caller()
        try:
            await caller.connect(server.base_url, rewrite=lambda sdp: sdp.replace("203.0.113.7", "127.0.0.1"))
            await talks(caller)
        finally:
            await caller.close()
    async with serving_at(public_addresses=("203.0.113.8/10.0.0.1", "203.0.113.9/127.0.0.1")) as server:
        caller = Caller()
        rewritten: list[str] = []
        try:
            await caller.connect(
                server.base_url,
                rewrite=lambda sdp: (rewritten.append(sdp), sdp.replace("203.0.113.9", "127.0.0.1"))[1],  # type: ignore[func-returns-value]
            )
        finally:
            await caller.close()
        assert {address for address, _, _ in candidates(rewritten[0])} == {"203.0.113.9"}


async def test_a_stun_server_that_does_not_answer_holds_nothing_up_for_long() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        address = f"stun:127.0.0.1:{silent.getsockname()[1]}"
        async with serving_at(stun_server=address) as server, calling(server.base_url) as caller:
            await talks(caller)


async def test_a_stun_server_tells_the_public_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "GATHERING_S", 20)  # it does answer, on a busy machine too
    async with (
        stun_server() as port,
        serving_at(stun_server=f"stun:127.0.0.1:{port}") as server,
        calling(server.base_url) as caller,
    ):
        assert ("198.51.100.4", 4321, "srflx") in candidates(caller.answer)
    with free_ports(1) as ports:
        async with (
            stun_server() as port,
            serving_at(stun_server=f"stun:127.0.0.1:{port}", udp_ports=str(ports[0])) as server,
            calling(server.base_url) as caller,
        ):
            assert ("198.51.100.4", 4321, "srflx") in candidates(caller.answer)


async def test_a_call_through_a_turn_server(tmp_path: Path) -> None:
    """With the configuration of the how-to."""
    server_command = shutil.which("turnserver")
    if server_command is None:
        pytest.skip("NOT TESTED: there is no TURN server on this machine (install coturn to test calls through one)")
    with free_ports(1) as ports:
        configuration = tmp_path / "turnserver.conf"
        here = f"listening-port={ports[0]}\nlistening-ip=127.0.0.1\nallow-loopback-peers\nlog-file=stdout"
        configuration.write_text(changed(code("turn-servers-and-nat", "conf"), {"listening-port=3478": here}))
        command = [server_command, "-c", str(configuration), "--pidfile", str(tmp_path / "pid")]
        turn = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: ASYNC220
        try:
            await eventually(lambda: ports[0] in _udp_sockets())
            settings = {
                "turn_server": f"turn:127.0.0.1:{ports[0]}?transport=udp",
                "turn_username": "antiphon",
                "turn_password": "a-long-password",
            }
            async with serving_at(**settings) as server:
                caller = Caller()
                try:
                    await caller.connect(server.base_url, rewrite=only_relayed)
                    await talks(caller)
                finally:
                    await caller.close()
        finally:
            turn.terminate()
            turn.wait(10)


def only_relayed(sdp: str) -> str:
    """Leave only relayed candidates in an answer."""
    assert "typ relay" in sdp
    return "".join(line for line in sdp.splitlines(keepends=True) if "typ host" not in line)


@asynccontextmanager
async def stun_server() -> AsyncIterator[int]:
    """A STUN server that takes everyone for 198.51.100.4:4321; yields its port."""
    from aioice import stun

    class Server(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = cast(asyncio.DatagramTransport, transport)

        def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
            request = stun.parse_message(data)
            response = stun.Message(
                message_method=request.message_method,
                message_class=stun.Class.RESPONSE,
                transaction_id=request.transaction_id,
            )
            response.attributes["XOR-MAPPED-ADDRESS"] = ("198.51.100.4", 4321)
            response.add_fingerprint()
            self.transport.sendto(bytes(response), addr)

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Server, local_addr=("127.0.0.1", 0))
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


def _udp_sockets() -> list[int]:
    """The ports of this machine's IPv4 UDP sockets."""
    with open("/proc/net/udp") as table:  # noqa: PTH123
        return [int(line.split()[1].rpartition(":")[2], 16) for line in list(table)[1:]]
