"""Fixtures for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.serving import ServerProcess, serving


@pytest.fixture(scope="module")
def stand_in_server() -> Iterator[ServerProcess]:
    """A server process with stand-in engines, shared by the tests of a module."""
    with serving("stand-in") as server:
        yield server


@pytest.fixture(scope="module")
def embedded_server() -> Iterator[ServerProcess]:
    """A server process with the embedded models, shared by the tests of a module."""
    with serving("embedded") as server:
        yield server
