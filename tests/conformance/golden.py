"""Comparing a connection with what the real service sent: the order of its events and the keys of each, not values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby
from typing import Any

Event = Mapping[str, Any]

TRANSCRIPTION = "conversation.item.input_audio_transcription."

_FREE = frozenset({"parameters", "metadata"})
"""Keys whose values are the client's own."""


def variant(event: Event) -> str:
    """Return the type of an event with what decides on its keys: the kind of item, part or response in it."""
    about: list[str] = []
    item, part, response, session = (event.get(key) for key in ("item", "part", "response", "session"))
    if item is not None:
        about += [item["type"], *(content["type"] for content in item.get("content", ()))]
    if part is not None:
        about.append(part["type"])
    if response is not None:
        about.append(response["status"])
        for output in response["output"]:
            about += [output["type"], *(content["type"] for content in output.get("content", ()))]
    if session is not None:
        about += _session_kinds(session)
    return " ".join([event["type"], *about])


def key_paths(node: Any, path: str = "") -> Iterator[str]:
    """Yield the path of every value in an event; members of a list share theirs."""
    if isinstance(node, Mapping) and path.rpartition(".")[2] not in _FREE:
        for key, value in node.items():
            yield from key_paths(value, f"{path}.{key}" if path else key)
    elif isinstance(node, list) and any(isinstance(member, Mapping) for member in node):
        for member in node:
            yield from key_paths(member, f"{path}[]")
    else:
        yield path


def keys_by_variant(events: Iterable[Event]) -> dict[str, frozenset[str]]:
    """Return the paths that events of each variant have."""
    found: dict[str, set[str]] = {}
    for event in events:
        found.setdefault(variant(event), set()).update(key_paths(event))
    return {name: frozenset(paths) for name, paths in found.items()}


def sequence(events: Iterable[Event]) -> list[str]:
    """Return the types in order: transcription apart, and deltas that stream side by side as one step.

    How many deltas there are, and how those of different kinds interleave, depends on the model and not the protocol.
    """
    types = [event["type"] for event in events if not event["type"].startswith(TRANSCRIPTION)]
    steps: list[str] = []
    for streaming, group in groupby(types, lambda kind: kind.endswith(".delta")):
        run = list(group)
        steps += [" + ".join(sorted(set(run)))] if streaming else run
    return steps


def transcription_steps(events: Iterable[Event]) -> list[str]:
    """Return the transcription events in order, a run of deltas as one."""
    types = [event["type"] for event in events if event["type"].startswith(TRANSCRIPTION)]
    return [kind.removeprefix(TRANSCRIPTION) for kind, _ in groupby(types)]


def _session_kinds(session: Event) -> Iterator[str]:
    """Yield what a session has beyond the default: one with server_vad, no tools and no transcription."""
    hearing = session["audio"]["input"]
    if session["type"] != "realtime":
        yield session["type"]
    if session.get("tools"):
        yield "tools"
    if hearing["transcription"] is not None:
        yield "transcription"
    detection = hearing["turn_detection"]
    if detection is None or detection["type"] != "server_vad":
        yield "manual" if detection is None else detection["type"]


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not as in a recording: where, what the recording has, what ours has."""

    where: str
    recorded: str
    ours: str

    def __str__(self) -> str:
        return f"{self.where}: recorded {self.recorded or 'nothing'}, ours {self.ours or 'nothing'}"


def compare_sequences(recorded: Sequence[str], ours: Sequence[str], where: str) -> list[Difference]:
    """Return where two sequences of types differ, as an edit script of whole runs."""
    matcher = SequenceMatcher(None, recorded, ours, autojunk=False)
    return [
        Difference(where, ", ".join(recorded[a:b]), ", ".join(ours[c:d]))
        for tag, a, b, c, d in matcher.get_opcodes()
        if tag != "equal"
    ]


def compare_keys(recorded: Mapping[str, frozenset[str]], ours: Mapping[str, frozenset[str]]) -> list[Difference]:
    """Return which keys differ in the variants that both have."""
    return [
        Difference(
            f"keys of {name}",
            ", ".join(sorted(recorded[name] - ours[name])),
            ", ".join(sorted(ours[name] - recorded[name])),
        )
        for name in sorted(recorded.keys() & ours.keys())
        if recorded[name] != ours[name]
    ]
