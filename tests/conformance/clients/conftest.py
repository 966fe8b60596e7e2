"""Taps between the clients and the servers under test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.conformance.tap import Tap


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
