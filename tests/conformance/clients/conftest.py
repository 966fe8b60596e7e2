"""Taps between the clients and the servers under test."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.conformance.clients.environments import install_node, install_python
from tests.conformance.pipelines import SLOW, serving_pipeline
from tests.conformance.tap import Tap


@pytest.fixture(scope="session")
def stand_in() -> Iterator[str]:
    """The WebSocket URL of a server whose engines answer at once."""
    with serving_pipeline("engines here") as url:
        yield url


@pytest.fixture(scope="session")
def slow_stand_in() -> Iterator[str]:
    """The WebSocket URL of a server whose model takes its time."""
    with serving_pipeline("engines here", SLOW) as url:
        yield url


@pytest.fixture
async def tap(stand_in: str) -> AsyncIterator[Tap]:
    """A tap in front of a server whose engines answer at once; a wrong frame fails the test."""
    async with Tap(stand_in) as tap:
        yield tap


@pytest.fixture
async def slow_tap(slow_stand_in: str) -> AsyncIterator[Tap]:
    """A tap in front of a server whose model takes seconds, so that there is time to interrupt it."""
    async with Tap(slow_stand_in) as tap:
        yield tap


@pytest.fixture(scope="session")
def installed(request: pytest.FixtureRequest) -> Path:
    """The folder that keeps the clients' environments between runs."""
    cache: pytest.Cache = request.config.cache
    return cache.mkdir("clients")


@pytest.fixture(scope="session")
def client_python(installed: Path) -> str:
    """The interpreter of the environment of the Python clients that have one of their own."""
    return str(install_python(installed))


@pytest.fixture(scope="session")
def node_programs(installed: Path) -> Path:
    """The folder of the Node programs with their packages; without Node, tests of them are skipped."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        missing = "Node.js and npm are not installed: clients from npm are NOT tested"
        warnings.warn(missing, stacklevel=1)
        pytest.skip(missing)
    return install_node(installed, npm)
