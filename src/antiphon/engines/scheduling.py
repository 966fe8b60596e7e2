"""In which order an engine takes work, and how much of it there is."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Priority(enum.IntEnum):
    """Who goes first when engine work has to wait. Lower goes first."""

    LIVE = 0
    """Somebody is waiting for this now."""
    DRAFT = 1
    """Work ahead that may be thrown away."""


@dataclass(frozen=True, slots=True)
class EngineLoad:
    """How busy an engine is: jobs running, jobs waiting, and how many can run at once."""

    running: int
    waiting: int
    capacity: int
