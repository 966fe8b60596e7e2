"""Servers under test: each a real process on a port of its own, with every kind of pipeline in turn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.pipelines import KINDS, SLOW, serving_pipeline


@pytest.fixture(scope="session", params=KINDS)
def stand_in(request: pytest.FixtureRequest) -> Iterator[str]:
    """The WebSocket URL of a server whose engines answer at once."""
    with serving_pipeline(request.param) as url:
        yield url


@pytest.fixture(scope="session", params=KINDS)
def slow_stand_in(request: pytest.FixtureRequest) -> Iterator[str]:
    """The WebSocket URL of a server whose model takes its time."""
    with serving_pipeline(request.param, SLOW) as url:
        yield url


@pytest.fixture(scope="session", params=KINDS)
def busy_stand_in(request: pytest.FixtureRequest) -> Iterator[str]:
    """The WebSocket URL of a server whose replies take some 100 ms, so that events of clients fall into them."""
    with serving_pipeline(request.param, {"words": 12, "token_ms": 10.0}, {"character_ms": 10.0}) as url:
        yield url
