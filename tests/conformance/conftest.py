"""Servers under test: each a real process on a port of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.serving import serving

SLOW = {"words": 60, "token_ms": 60.0}
"""Options of a stand-in model that takes seconds to answer, so that there is time to interrupt it."""

SLOW_ENVIRONMENT = {"ANTIPHON_ENGINES__LLM__OPTIONS": json.dumps(SLOW)}


@pytest.fixture(scope="session")
def stand_in() -> Iterator[str]:
    """The WebSocket URL of a server whose engines answer at once."""
    with serving("stand-in") as server:
        yield server.ws_url


@pytest.fixture(scope="session")
def slow_stand_in() -> Iterator[str]:
    """The WebSocket URL of a server whose model takes its time."""
    with serving("stand-in", environment=SLOW_ENVIRONMENT) as server:
        yield server.ws_url


@pytest.fixture(scope="session")
def busy_stand_in() -> Iterator[str]:
    """The WebSocket URL of a server whose replies take some 100 ms, so that events of clients fall into them."""
    environment = {
        "ANTIPHON_ENGINES__LLM__OPTIONS": json.dumps({"words": 12, "token_ms": 10.0}),
        "ANTIPHON_ENGINES__TTS__OPTIONS": json.dumps({"character_ms": 10.0}),
    }
    with serving("stand-in", environment=environment) as server:
        yield server.ws_url
