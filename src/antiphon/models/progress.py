"""What is told while models are pulled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Report = Callable[[int, int | None], None]
"""Told how many bytes of a download have come, and of how many if that is known."""


@dataclass(frozen=True, slots=True)
class PullProgress:
    """A step in pulling one model.

    Attributes:
        model: its name.
        step: "waiting" for another process that pulls it; "fetching" from `source`; "failed" to get it from `source`,
            so that the next one is tried; "ready" when it is in place.
        source: e.g. "pypi:silero-vad==6.2.3"; empty for steps without one.
        done: bytes downloaded.
        total: bytes to download, if known.
        reason: why the source failed.
    """

    model: str
    step: Literal["waiting", "fetching", "failed", "ready"]
    source: str = ""
    done: int = 0
    total: int | None = None
    reason: str = ""


Progress = Callable[[PullProgress], None]
"""Called in the thread that pulls, or in those of the hub's client: from one or several threads, never for two models
at once."""
