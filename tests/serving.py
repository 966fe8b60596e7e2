"""Real servers for tests: a process of their own, or in the test's own event loop."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

from antiphon.config import Settings
from antiphon.server.app import create_app
from antiphon.server.run import RealtimeServer, bind
from antiphon.server.service import Service

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 30.0


def free_port() -> int:
    """Return a port of this machine that is free, and that a server can be given again after it has ended: none that
    the system gives to others by itself (Linux begins at 32768, others at 49152)."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


class ServerProcess:
    """`antiphon serve` on a free port of this machine.

    Args:
        engines: the preset.
        arguments: more of the command line.
        environment: settings beside it; those of the caller's environment do not count.
    """

    def __init__(
        self, engines: str = "stand-in", arguments: Sequence[str] = (), environment: Mapping[str, str] | None = None
    ) -> None:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("ANTIPHON_") or name == "ANTIPHON_HOME"
        }
        command = [sys.executable, "-m", "antiphon", "serve", "--port", "0", "--engines", engines]
        self._process = subprocess.Popen(
            [*command, "--log-format", "json", *arguments],
            env={**inherited, "ANTIPHON_CONFIG": "", **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.log: list[dict[str, Any]] = []
        self.output: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def port(self) -> int:
        return int(self.wait_for("listening")["port"])

    @property
    def base_url(self) -> str:
        """What the `openai` package takes as base_url."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/realtime"

    def wait_for(self, event: str, timeout_s: float = START_TIMEOUT_S) -> dict[str, Any]:
        """Return the first log line `event`, once it is there."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while True:
                for line in self.log:
                    if line["event"] == event:
                        return line
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    raise AssertionError(f"no log line {event!r}; the server said:\n" + "\n".join(self.output))
                self._changed.wait(left)

    def wait_ready(self) -> None:
        self.wait_for("ready")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        if self._process.poll() is None:
            self._process.send_signal(number)
        return self.wait()

    def wait(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Return the exit code once the process has ended; it is killed when that takes too long."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        finally:
            self._reader.join(STOP_TIMEOUT_S)

    def kill(self) -> None:
        self._process.kill()
        self.wait()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            with self._changed:
                self.output.append(line.rstrip())
                if line.startswith("{"):
                    self.log.append(json.loads(line))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


@contextmanager
def serving(
    engines: str = "stand-in", arguments: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> Iterator[ServerProcess]:
    """A server process that is ready, and stopped afterwards."""
    server = ServerProcess(engines, arguments, environment)
    try:
        server.wait_ready()
        yield server
    finally:
        server.stop()


@dataclass
class LocalServer:
    """A server in the test's own event loop, so that the test sees its tasks and its state."""

    port: int
    service: Service
    server: RealtimeServer

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/realtime"


@asynccontextmanager
async def serving_here(**settings: Any) -> AsyncIterator[LocalServer]:
    """A server with stand-in engines in this event loop, ready, and stopped afterwards."""
    chosen = Settings(**{"port": 0, "engines": {"preset": "stand-in"}, "drain_s": 0.0, **settings})
    sockets = bind(chosen.host, chosen.port)
    app = create_app(chosen)
    server = RealtimeServer(app, on_ready=lambda service: None)
    task = asyncio.create_task(server.serve(sockets))
    try:
        while not server.started:
            assert not task.done(), task
            await asyncio.sleep(0.01)
        service: Service = app.state.service
        await service.loaded.wait()
        assert service.state == "ready", service.failure
        yield LocalServer(sockets[0].getsockname()[1], service, server)
    finally:
        server.should_exit = True
        await task
