"""What the programs of this folder share: the command line, and reports on standard output."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any

TIMEOUT = 40
"""Seconds for a scenario. A bound for a hung one, far above what a slow machine needs."""


def report(kind: str, **fields: Any) -> None:
    """Print a report."""
    print(json.dumps({"report": kind, **fields}), flush=True)


def speech() -> Iterator[bytes]:
    """Yield the speech, 20 ms of PCM16 at 24 kHz at a time."""
    pcm = Path(sys.argv[2]).read_bytes()
    for start in range(0, len(pcm), 960):
        yield pcm[start : start + 960]


def main(scenarios: Mapping[str, Callable[[str], Coroutine[Any, Any, None]]]) -> None:
    """Play the scenario that the command line names against the URL that it names."""
    asyncio.run(_play(scenarios[sys.argv[3]](sys.argv[1])))


async def _play(scenario: Coroutine[Any, Any, None]) -> None:
    playing = asyncio.create_task(scenario)
    if not (await asyncio.wait({playing}, timeout=TIMEOUT))[0]:
        playing.print_stack()
        os._exit(1)  # some clients do not let themselves be cancelled
    playing.result()
