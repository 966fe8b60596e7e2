"""Where calls meet the network: local addresses, UDP ports, public addresses, STUN and TURN.

aioice binds every socket to a random port of every interface. `IceConnection` replaces that one step, and
`SharedPort` lets all calls use one socket, told apart by their ICE user names (RFC 8445 section 7.3).
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
import socket
from collections.abc import Callable
from typing import Any, cast

import aioice
import ifaddr
import structlog
from aioice import stun
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import StunProtocol, server_reflexive_candidate
from aiortc.rtcicetransport import RTCIceCandidate, RTCIceGatherer, candidate_from_aioice, parse_stun_turn_uri

from antiphon.config import WebRtcSettings
from antiphon.protocol.ids import random_base62

GATHERING_S = 2
"""How long STUN and TURN servers may take to answer before a call is answered without them."""

_RECEIVE_BUFFER = 1024 * 1024
"""Bytes of received packets that the kernel keeps for a shared port."""

_log = structlog.get_logger(__name__)

Address = tuple[str, int]


class NoPortError(Exception):
    """No UDP port is free, or there is no address to use."""


class Network:
    """What all calls share. Lives on the event loop.

    Args:
        settings: see WebRtcSettings.
        loopback: whether clients on this machine are to be reached at its loopback address.
    """

    def __init__(self, settings: WebRtcSettings, *, loopback: bool) -> None:
        self.settings = settings
        self._loopback = loopback
        self._shared: dict[str, SharedPort] = {}
        self._opening = asyncio.Lock()

    def gatherer(self) -> RTCIceGatherer:
        """Return an ICE agent for one call."""
        gatherer = RTCIceGatherer(iceServers=[])
        gatherer._connection = IceConnection(self)
        return gatherer

    def candidates(self, gatherer: RTCIceGatherer) -> list[RTCIceCandidate]:
        """Return the addresses at which the client is told to reach the agent."""
        told = []
        for local in gatherer._connection.local_candidates:
            for public in self._public(local.host) if local.type == "host" else [local.host]:
                candidate = candidate_from_aioice(local)
                candidate.ip = public
                told.append(candidate)
        return told

    def addresses(self) -> list[str]:
        """Return this machine's addresses that calls use.

        Raises:
            NoPortError: there is none.
        """
        wanted = self.settings.interfaces
        found = []
        for adapter in ifaddr.get_adapters():
            for ip in adapter.ips:
                address = ip.ip if isinstance(ip.ip, str) else ip.ip[0]
                if isinstance(ip.ip, tuple) and ip.ip[2]:
                    continue  # link-local: means nothing on another machine
                if wanted:
                    usable = adapter.name in wanted or address in wanted
                else:
                    usable = not ipaddress.ip_address(address).is_loopback or self._loopback
                if usable:
                    found.append(address)
        if not found:
            raise NoPortError(f"This machine has no address that WebRTC may use; interfaces: {wanted or 'all'}.")
        return found

    async def bind(self, connection: IceConnection, address: str) -> StunProtocol:
        """Return a bound endpoint of `connection`.

        Raises:
            OSError: nothing can be bound at `address`.
        """
        ports = self.settings.ports
        if ports is not None and ports[0] == ports[1]:
            return (await self._shared_port(address, ports[0])).register(connection)
        loop = asyncio.get_running_loop()
        for port in [0] if ports is None else _shuffled(*ports):
            try:
                _, protocol = await loop.create_datagram_endpoint(
                    lambda: StunProtocol(connection), local_addr=(address, port)
                )
            except OSError:
                if ports is None:
                    raise
                continue
            return protocol
        raise OSError(f"all UDP ports of {ports} are in use at {address}")

    async def close(self) -> None:
        """Close the shared ports."""
        for shared in self._shared.values():
            shared.close()
        self._shared.clear()

    async def _shared_port(self, address: str, port: int) -> SharedPort:
        async with self._opening:
            if address not in self._shared:
                loop = asyncio.get_running_loop()
                _, shared = await loop.create_datagram_endpoint(SharedPort, local_addr=(address, port))
                self._shared[address] = shared
            return self._shared[address]

    def _public(self, address: str) -> list[str]:
        """Return what stands for a local address outside: a public one where there is one of its kind, or itself."""
        version = ipaddress.ip_address(address).version
        mapped = [public for public, local in self.settings.public if local == address]
        general = [
            public
            for public, local in self.settings.public
            if local is None and ipaddress.ip_address(public).version == version
        ]
        return mapped or general or [address]


class IceConnection(aioice.Connection):
    """An ICE agent whose sockets and candidates come from a Network."""

    def __init__(self, network: Network) -> None:
        settings = network.settings
        # Longer than aioice's own: at a shared port it is what tells calls apart.
        options: dict[str, Any] = {"local_username": random_base62(12)}
        if settings.stun_server is not None:
            stun_server = parse_stun_turn_uri(settings.stun_server)
            options["stun_server"] = (stun_server["host"], stun_server["port"])
        if settings.turn_server is not None:
            turn = parse_stun_turn_uri(settings.turn_server)
            password = settings.turn_password
            options |= {
                "turn_server": (turn["host"], turn["port"]),
                "turn_ssl": turn["scheme"] == "turns",
                "turn_transport": turn["transport"],
                "turn_username": settings.turn_username,
                "turn_password": password.get_secret_value() if password is not None else None,
            }
        super().__init__(ice_controlling=False, **options)
        self._network = network

    async def get_component_candidates(
        self,
        component: int,
        addresses: list[str],
        timeout: int = GATHERING_S,  # noqa: ASYNC109 - aioice's own name
    ) -> list[aioice.Candidate]:
        """Return the candidates of this agent.

        Raises:
            NoPortError: not one address could be bound.
        """
        bound = []
        for address in self._network.addresses():
            try:
                protocol = await self._network.bind(self, address)
            except OSError as error:
                _log.warning("cannot use address for WebRTC", address=address, error=str(error))
                continue
            host, port = protocol.transport.get_extra_info("sockname")[:2]
            protocol.local_candidate = aioice.Candidate(
                foundation=candidate_foundation("host", "udp", host),
                component=component,
                transport="udp",
                priority=candidate_priority(component, "host"),
                host=host,
                port=port,
                type="host",
            )
            self._protocols.append(protocol)
            bound.append(protocol)
        if not bound:
            raise NoPortError("No UDP port is free for another WebRTC call.")
        found = [protocol.local_candidate for protocol in bound]
        reflexive, relayed = await asyncio.gather(
            self._reflexive(bound), super().get_component_candidates(component, [], GATHERING_S)
        )
        if self.turn_server is not None and not relayed:
            _log.warning("the TURN server gave no relay", server=self.turn_server[0])
        return [*found, *reflexive, *relayed]

    async def _reflexive(self, bound: list[StunProtocol]) -> list[aioice.Candidate]:
        server = self.stun_server
        if server is None:
            return []
        tasks = [
            asyncio.create_task(server_reflexive_candidate(protocol, server))
            for protocol in bound
            if ipaddress.ip_address(protocol.local_candidate.host).version == 4
        ]
        done, pending = await asyncio.wait(tasks, timeout=GATHERING_S) if tasks else (set(), set())
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        found = [task.result()[0] for task in done if task.exception() is None]
        if len(found) < len(tasks):
            _log.warning("the STUN server did not answer everywhere", server=server[0], answers=len(found))
        return found


class SharedPort(asyncio.DatagramProtocol):
    """One UDP socket for many calls.

    A client's address belongs to the call whose ICE user name it proved to know, until that call ends.
    """

    def __init__(self) -> None:
        self._transport: asyncio.DatagramTransport
        self._by_name: dict[str, StunProtocol] = {}
        self._by_address: dict[Address, StunProtocol] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the socket."""
        self._transport = cast(asyncio.DatagramTransport, transport)
        bound = transport.get_extra_info("socket")
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)

    def register(self, connection: aioice.Connection) -> StunProtocol:
        """Return an endpoint of `connection` at this port."""
        protocol = StunProtocol(connection)
        name = connection.local_username
        self._by_name[name] = protocol
        protocol.connection_made(_Share(self._transport, lambda: self._remove(name)))
        return protocol

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Pass a packet on to the call that it belongs to; others are dropped."""
        address = (str(addr[0]), int(addr[1]))
        protocol = self._by_address.get(address)
        if _is_stun(data):
            protocol = self._owner(data, address) or protocol
        if protocol is not None:
            protocol.datagram_received(data, address)

    def error_received(self, exc: Exception) -> None:
        """Take note that an earlier packet did not arrive; ICE finds out by itself."""
        _log.debug("packet was refused", error=str(exc))

    def close(self) -> None:
        """Close the socket."""
        self._transport.close()

    def _owner(self, data: bytes, address: Address) -> StunProtocol | None:
        """Return the call that a STUN message is for, and remember its sender if it proves to be that call's client."""
        try:
            message = stun.parse_message(data)
        except ValueError:
            return None
        if message.message_class != stun.Class.REQUEST:
            transaction = message.transaction_id
            return next((each for each in self._by_name.values() if transaction in each.transactions), None)
        name = str(message.attributes.get("USERNAME", "")).partition(":")[0]
        protocol = self._by_name.get(name)
        if protocol is not None and "MESSAGE-INTEGRITY" in message.attributes:
            key = protocol.receiver.local_password.encode()
            if message.check_message_integrity(key):
                self._by_address[address] = protocol
        return protocol

    def _remove(self, name: str) -> None:
        protocol = self._by_name.pop(name, None)
        if protocol is not None:
            self._by_address = {key: value for key, value in self._by_address.items() if value is not protocol}
            asyncio.get_running_loop().call_soon(protocol.connection_lost, None)


class _Share(asyncio.DatagramTransport):
    """A call's part of a shared socket."""

    def __init__(self, transport: asyncio.DatagramTransport, on_close: Callable[[], None]) -> None:
        super().__init__()
        self._transport = transport
        self._on_close = on_close

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def sendto(self, data: bytes, addr: Any = None) -> None:  # type: ignore[override] # bytes are all that is sent
        self._transport.sendto(data, addr)

    def close(self) -> None:
        self._on_close()

    def abort(self) -> None:
        self._on_close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()


def _is_stun(data: bytes) -> bool:
    """Tell by the first byte (RFC 7983)."""
    return bool(data) and data[0] < 4


def _shuffled(first: int, last: int) -> list[int]:
    ports = list(range(first, last + 1))
    random.shuffle(ports)
    return ports
