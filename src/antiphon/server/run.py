"""Running the application under uvicorn: sockets, signals, graceful stop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI

from antiphon.config import ConfigError, Settings
from antiphon.server.app import create_app
from antiphon.server.garbage import freeze_what_stays
from antiphon.server.service import NOT_RELOADED, Service
from antiphon.server.websocket_protocol import MAX_FRAME_BYTES, PING_INTERVAL_S, PING_TIMEOUT_S

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_RELOAD: signal.Signals | None = getattr(signal, "SIGHUP", None)
"""Not on Windows."""

_END_S = 5.0
"""How long threads may go on when everything is closed."""

_log = structlog.get_logger(__name__)


def bind(host: str, port: int) -> list[socket.socket]:
    """Return sockets bound to the addresses of `host` that this machine has; with port 0 they share one free port.

    Raises:
        OSError: the name is unknown, the port is in use or not allowed, or no address of `host` is this machine's.
    """
    sockets: list[socket.socket] = []
    absent: OSError | None = None
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, kind, protocol, _, address in dict.fromkeys(found):
        try:
            bound = socket.socket(family, kind, protocol)
        except OSError as error:
            absent = error
            continue
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            bound.bind((address[0], sockets[0].getsockname()[1] if sockets else port, *address[2:]))
        except OSError as error:
            bound.close()
            if error.errno == errno.EADDRNOTAVAIL:  # "localhost" has an IPv6 address where there is no IPv6
                absent = error
                continue
            for other in sockets:
                other.close()
            raise
        sockets.append(bound)
    if not sockets and absent is not None:
        raise absent
    return sockets


def run_server(
    settings: Settings,
    sockets: list[socket.socket],
    on_ready: Callable[[Service], None],
    reread: Callable[[], Settings] | None = None,
) -> str | None:
    """Serve on `sockets` until a signal comes, and return None, or why the models could not be loaded.

    Args:
        settings: of the server.
        sockets: from `bind`.
        on_ready: called once when the models are warm.
        reread: returns the settings anew on SIGHUP, or raises ConfigError; None to leave SIGHUP alone.
    """

    def ready(service: Service) -> None:
        freeze_what_stays()
        on_ready(service)

    app = create_app(settings)
    server = RealtimeServer(app, ready, reread)
    server.on_stopped = lambda: _end_soon(server)
    server.run(sockets)
    return server.failure


def _end_soon(server: RealtimeServer) -> None:
    """End the process in a moment, should it still be there: Python waits for threads, which nothing else can end."""

    def end() -> None:
        _log.error("threads of engines do not end: the process ends without them", failure=server.failure)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0 if server.failure is None else 1)

    timer = threading.Timer(_END_S, end)
    timer.daemon = True
    timer.start()


def uvicorn_options() -> dict[str, Any]:
    """Return how uvicorn is set up, whichever way it is started."""
    return {
        "loop": "auto",
        "http": "httptools",
        "ws": "antiphon.server.websocket_protocol:RealtimeWebSocketProtocol",
        "ws_max_size": MAX_FRAME_BYTES,
        "ws_ping_interval": PING_INTERVAL_S,
        "ws_ping_timeout": PING_TIMEOUT_S,
        # Negotiated by RealtimeWebSocketProtocol.
        "ws_per_message_deflate": False,
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "timeout_graceful_shutdown": 5,
    }


class RealtimeServer(uvicorn.Server):
    """uvicorn's server, which drains sessions before it stops and does not die of the signal that stopped it."""

    def __init__(
        self, app: FastAPI, on_ready: Callable[[Service], None], reread: Callable[[], Settings] | None = None
    ) -> None:
        super().__init__(uvicorn.Config(app, **uvicorn_options()))
        self.failure: str | None = None
        self.on_stopped: Callable[[], None] = lambda: None
        self._app = app
        self._on_ready = on_ready
        self._reread = reread
        self._reload_wanted = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen, and see to what happens when the models are loaded."""
        await super().startup(sockets)
        for server in self.servers:
            for listening in server.sockets:
                address, port = listening.getsockname()[:2]
                _log.info("listening", address=address, port=port)
        self._loop = asyncio.get_running_loop()
        self._watchers = [asyncio.create_task(self._watch_loading())]
        if self._reread is not None and _RELOAD is not None:
            self._watchers.append(asyncio.create_task(self._watch_reloads(self._reread)))
            signal.signal(_RELOAD, self.handle_reload)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop to listen, let sessions end, then close what is left."""
        for server in self.servers:
            server.close()
        for watcher in self._watchers:
            watcher.cancel()
        await self._service.drain()
        await super().shutdown(sockets)
        _log.info("stopped")
        self.on_stopped()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals while serving. uvicorn's own raises them again at the end, which is no exit code 0."""
        previous = {number: signal.signal(number, self.handle_exit) for number in _SIGNALS}
        if _RELOAD is not None:
            previous[_RELOAD] = signal.getsignal(_RELOAD)
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop gracefully at the first signal, at once at the second."""
        del frame
        if self.should_exit:
            os._exit(128 + sig)
        self.should_exit = True

    def handle_reload(self, sig: int, frame: FrameType | None) -> None:
        """Read the configuration again."""
        del sig, frame
        self._loop.call_soon_threadsafe(self._reload_wanted.set)

    @property
    def _service(self) -> Service:
        service: Service = self._app.state.service
        return service

    async def _watch_reloads(self, reread: Callable[[], Settings]) -> None:
        await self._service.loaded.wait()
        while True:
            await self._reload_wanted.wait()
            self._reload_wanted.clear()
            try:
                settings = await asyncio.to_thread(reread)
            except ConfigError as error:
                for problem in error.problems:
                    _log.error("configuration refused", problem=str(problem))
                _log.error(NOT_RELOADED)
                continue
            except Exception as error:  # noqa: BLE001 - engines of third parties check options of their own
                _log.exception(NOT_RELOADED, reason=f"{type(error).__name__}: {error}")
                continue
            await self._service.reload(settings)

    async def _watch_loading(self) -> None:
        service = self._service
        await service.loaded.wait()
        if service.state == "ready":
            self._on_ready(service)
        elif service.state == "failed":
            self.failure = service.failure
            self.should_exit = True
