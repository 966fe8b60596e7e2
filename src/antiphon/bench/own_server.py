"""A server of our own to measure, in a process of its own, and what any server's process and metrics tell."""

from __future__ import annotations

import asyncio
import http.client
import os
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from antiphon.bench.connection import BenchError, Target
from antiphon.bench.waterfall import TurnLog, parse_turns

EnginePreset = Literal["embedded", "stand-in"]

_READY_S = 600.0
"""A first start fetches models."""
_STOP_S = 15.0
_LOG_TAIL = 2_000


@dataclass(frozen=True, slots=True)
class OwnServer:
    """A server that was started for a measurement.

    Attributes:
        target: where it listens.
        pid: of its process.
        log: file with its log, one JSON object a line.
        start_s: from start to ready, s.
    """

    target: Target
    pid: int
    log: Path
    start_s: float

    def turns(self) -> list[TurnLog]:
        """Return what the server has logged of turns so far."""
        return parse_turns(self.log.read_text("utf-8", "replace"))


@asynccontextmanager
async def own_server(
    engines: EnginePreset, settings: Mapping[str, str], cpus: set[int] | None = None
) -> AsyncIterator[OwnServer]:
    """Run `antiphon serve` on a free port until the block ends.

    Args:
        engines: preset.
        settings: environment variables beside those of this process.
        cpus: CPUs that it may run on; None for all.

    Raises:
        BenchError: it does not start.
    """
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "antiphon", "serve", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--engines", engines, "--log-format", "json"]
    # Keys of the user's own server are not for this one.
    environment = {**os.environ, "ANTIPHON_API_KEYS": "", **settings}
    environment.pop("ANTIPHON_API_KEYS_FILE", None)
    with tempfile.TemporaryDirectory(prefix="antiphon-bench-") as directory:
        log = Path(directory) / "server.log"
        began = time.perf_counter()
        with log.open("wb") as out:
            process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=out, stderr=out)
        try:
            if cpus is not None:
                os.sched_setaffinity(process.pid, cpus)
            target = Target.parse(f"http://127.0.0.1:{port}")
            await _wait_until_ready(process, target, log)
            yield OwnServer(target, process.pid, log, time.perf_counter() - began)
        finally:
            await _stop(process)


async def fetch(target: Target, path: str) -> tuple[int, str] | None:
    """GET `path` of a server and return status and body; None when it cannot be reached."""
    return await asyncio.to_thread(_fetch, target, path)


def _fetch(target: Target, path: str) -> tuple[int, str] | None:
    parts = urlsplit(target.http_root)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=10)
    try:
        connection.request("GET", path, headers=target.headers)
        response = connection.getresponse()
        return response.status, response.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


async def _wait_until_ready(process: asyncio.subprocess.Process, target: Target, log: Path) -> None:
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline:
        if process.returncode is not None:
            raise BenchError(f"the server ended with code {process.returncode}:\n{_tail(log)}")
        answer = await fetch(target, "/readyz")
        if answer is not None and answer[0] == http.HTTPStatus.OK:
            return
        await asyncio.sleep(0.1)
    raise BenchError(f"the server was not ready after {_READY_S:.0f} s:\n{_tail(log)}")


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _STOP_S)
    except TimeoutError:
        process.kill()
        await process.wait()


def _tail(log: Path) -> str:
    return log.read_text("utf-8", "replace")[-_LOG_TAIL:]
