"""A transparent proxy between any WebSocket client and the server under test, which checks every frame that passes.

For clients that we did not write: they connect to the tap instead of the server. Path, query, headers, subprotocols,
frames and close codes pass unchanged, and so does a handshake that the server refuses.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Iterator
from http import HTTPStatus
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from tests.conformance.order import OrderChecker
from tests.conformance.recorder import FrameChecker, Recording

_OWN_HEADERS = frozenset(
    {
        "host",
        "connection",
        "upgrade",
        "sec-websocket-key",
        "sec-websocket-version",
        "sec-websocket-extensions",
        "sec-websocket-protocol",
    }
)
"""Headers of a hop, not of the client: the tap's own connection sends its own."""


class Checker(Protocol):
    """What looks at the frames of one connection: `FrameChecker` for GA; a dialect's checker translates first."""

    recording: Recording
    order: OrderChecker

    def sent(self, data: str | bytes) -> None:
        """Take a frame of the client."""

    def received(self, data: str | bytes) -> Any:
        """Take a frame of the server."""


class Tap:
    """Serves on a loopback port for as long as the context lasts.

    Args:
        upstream: base URL of the server under test, e.g. "http://127.0.0.1:8080".
        checker: makes the checker of each new connection.
        tls: the certificate to serve with, for clients that speak TLS only.
    """

    def __init__(
        self, upstream: str, checker: Callable[[], Checker] = FrameChecker, tls: ssl.SSLContext | None = None
    ) -> None:
        self._upstream = urlsplit(upstream).netloc
        self._make_checker = checker
        self._tls = tls
        self._open: set[ServerConnection] = set()
        self._ready: dict[ServerConnection, ClientConnection] = {}
        self._server: Server | None = None
        self.connections: list[Checker] = []
        self.failures: list[AssertionError] = []

    @property
    def port(self) -> int:
        """The port on 127.0.0.1 to connect to."""
        if self._server is None:
            raise RuntimeError("the tap is not open")
        port: int = next(iter(self._server.sockets)).getsockname()[1]
        return port

    async def __aenter__(self) -> Self:
        self._server = await serve(
            self._relay,
            "127.0.0.1",
            0,
            process_request=self._connect_upstream,
            select_subprotocol=self._select_subprotocol,
            max_size=None,
            ping_interval=None,
            ssl=self._tls,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        if kind is None:
            self.raise_failure()

    def raise_failure(self) -> None:
        """Raise the first thing that was wrong with any frame, if anything was."""
        if self.failures:
            raise self.failures[0]

    def finish(self) -> None:
        """Raise what was wrong with any frame, or what a connection left open. For clients that ended in good order."""
        self.raise_failure()
        for connection in self.connections:
            connection.order.finish()

    async def disconnect(self, code: int) -> None:
        """Close every connection with `code`, as a server does that is restarted."""
        for client in list(self._open):
            await client.close(code)

    async def _connect_upstream(self, client: ServerConnection, request: Request) -> Response | None:
        """Open the connection to the server first, so that its refusal reaches the client as it is."""
        headers = [(key, value) for key, value in request.headers.raw_items() if key.lower() not in _OWN_HEADERS]
        offered = [
            Subprotocol(name.strip())
            for line in request.headers.get_all("Sec-WebSocket-Protocol")
            for name in line.split(",")
        ]
        try:
            self._ready[client] = await connect(
                f"ws://{self._upstream}{request.path}",
                additional_headers=headers,
                user_agent_header=None,
                subprotocols=offered or None,
                max_size=None,
                ping_interval=None,
            )
        except InvalidStatus as refusal:
            answer = refusal.response
            kept = Headers(
                (key, value)
                for key, value in answer.headers.raw_items()
                if key.lower() not in ("content-length", "transfer-encoding", "connection")
            )
            body = answer.body or b""
            kept["Content-Length"] = str(len(body))
            kept["Connection"] = "close"
            return Response(answer.status_code, HTTPStatus(answer.status_code).phrase, kept, bytes(body))
        return None

    def _select_subprotocol(self, client: ServerConnection, offered: object) -> Subprotocol | None:
        return self._ready[client].subprotocol

    async def _relay(self, client: ServerConnection) -> None:
        server = self._ready.pop(client)
        checker = self._make_checker()
        self.connections.append(checker)
        self._open.add(client)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pass(client, server, checker.sent))
            group.create_task(self._pass(server, client, checker.received))
        self._open.discard(client)

    async def _pass(
        self,
        source: ServerConnection | ClientConnection,
        target: ServerConnection | ClientConnection,
        check: Callable[[str | bytes], Any],
    ) -> None:
        """Pass frames on until either side closes; after a mistake the rest passes unchecked."""
        try:
            async for data in source:
                if not self.failures:
                    with self._noted():
                        check(data)
                await target.send(data)
        except ConnectionClosed:
            pass  # the other direction's own loop sees the same and ends
        code = source.close_code or 1000
        await target.close(1011 if code in (1005, 1006, 1015) else code, source.close_reason or "")

    @contextlib.contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except AssertionError as failure:
            self.failures.append(failure)
