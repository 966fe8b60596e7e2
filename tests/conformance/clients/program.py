"""Clients that run as programs of their own, in Node or in an environment of their own.

A program gets the URL, a file of speech (PCM16, 24 kHz) and the scenario to play, and prints what the client reported:
one JSON object a line, with the kind of the report under "report".
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conformance.clients.stimuli import SPEECH

TIMEOUT = 120.0
"""Seconds for a whole scenario; a bound for a hung one. A program's imports alone take 20 s of a busy machine."""

Report = dict[str, Any]


@dataclass(frozen=True)
class Program:
    """How to start a client program.

    Args:
        command: interpreter and file.
        speech: the file of speech.
        environment: variables beside this process's own.
    """

    command: Sequence[str]
    speech: Path
    environment: Mapping[str, str]

    async def play(self, scenario: str, url: str, environment: Mapping[str, str] | None = None) -> Reports:
        """Run a scenario to its end.

        Raises:
            AssertionError: the program failed; with what it said.
        """
        self.speech.write_bytes(SPEECH.astype("<i2").tobytes())
        process = await asyncio.create_subprocess_exec(
            *self.command,
            url,
            str(self.speech),
            scenario,
            env={**os.environ, **self.environment, **(environment or {})},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        ending = asyncio.create_task(process.communicate())
        if not (await asyncio.wait({ending}, timeout=TIMEOUT))[0]:
            process.kill()
        out, said = await ending
        lines = out.decode().splitlines()
        reported = "\n".join(line[:500] for line in lines)
        assert process.returncode == 0, f"{scenario} ended with {process.returncode}:\n{said.decode()}\n{reported}"
        return Reports([json.loads(line) for line in lines])


class Reports(list[Report]):
    """What a client reported, in order."""

    def of(self, *kinds: str) -> list[Report]:
        """Return the reports of `kinds`."""
        return [report for report in self if report["report"] in kinds]

    def one(self, kind: str) -> Report:
        """Return the only report of `kind`."""
        (report,) = self.of(kind)
        return report

    def messages(self) -> list[tuple[str, str, str]]:
        """Return role, status and words of the messages in the history that an Agents SDK reported."""
        found = []
        for item in (item for item in self.one("history")["items"] if item["type"] == "message"):
            words = [part.get("transcript") or part.get("text") or "" for part in item["content"]]
            found.append((item["role"], item["status"], " ".join(words)))
        return found
