"""Fixtures for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.serving import ServerProcess, serving

# A machine that is busy with something else for a moment is no failure: the time of an example, or of drawing some, is
# not tested.
settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")


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
