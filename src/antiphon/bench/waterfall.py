"""Where a turn's milliseconds go, from the line that a server of ours logs for each turn."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from antiphon.bench.figures import percentile
from antiphon.bench.report import Figures

_WIDTH = 40
_FROM_MS = -2_000.0
"""Speech that began earlier is not drawn: what counts is what happens from the pause on."""


@dataclass(frozen=True, slots=True)
class TurnLog:
    """One turn as the server saw it: moments in ms from `speech_stopped`, drafts made, and what of them was adopted."""

    since_speech_stopped_ms: dict[str, float]
    drafts: int
    adopted: str


def parse_turns(log: str) -> list[TurnLog]:
    """Return the turns of a log of JSON lines, in their order. Lines of other shapes are skipped."""
    turns = []
    for line in log.splitlines():
        if not line.startswith("{"):
            continue
        try:
            entry: dict[str, Any] = json.loads(line)
        except json.JSONDecodeError:
            continue  # of a library that writes as it likes
        if entry.get("event") == "turn" and entry.get("since_speech_stopped_ms"):
            turns.append(TurnLog(entry["since_speech_stopped_ms"], entry["drafts"], entry["adopted"]))
    return turns


def waterfall(label: str, turns: Sequence[TurnLog]) -> Figures:
    """Return the median moments of the turns, earliest first, each drawn from the moment before it."""
    names = dict.fromkeys(name for turn in turns for name in turn.since_speech_stopped_ms)
    medians = {
        name: percentile(
            [turn.since_speech_stopped_ms[name] for turn in turns if name in turn.since_speech_stopped_ms], 50
        )
        for name in names
    }
    moments = sorted(((at, name) for name, at in medians.items() if at >= _FROM_MS), key=lambda moment: moment[0])
    first, last = (moments[0][0], moments[-1][0]) if moments else (0.0, 0.0)
    scale = (_WIDTH - 1) / (last - first) if last > first else 0.0
    rows, before = [], first
    for at, name in moments:
        begin, end = round((before - first) * scale), round((at - first) * scale)
        bar = " " * begin + "━" * (end - begin) + "┃"
        rows.append((name, f"{at:.0f}", f"+{at - before:.0f}", bar.ljust(_WIDTH)))
        before = at
    adopted = sum(turn.adopted == "reply" for turn in turns)
    drafts = sum(turn.drafts for turn in turns)
    note = f"medians of {len(turns)} turns, in ms from speech_stopped; {drafts} drafts made, {adopted} answers adopted"
    return Figures(f"{label}: where the time goes", ("moment", "at", "after", ""), rows, [note])
