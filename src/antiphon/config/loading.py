"""Reads the configuration and tells of everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from antiphon.config.document import KeyPath
from antiphon.config.engine_checks import Finding, check_engines
from antiphon.config.layers import FlagLayer, Layer, find_file, merged, read_environment, read_file
from antiphon.config.problems import ConfigError, Problem, nearest, read_mistake
from antiphon.config.settings import MergedSettings, Settings

Flags = Mapping[str, tuple[tuple[str, ...], Any]]
"""Command line flags: name, e.g. "--port", to the path of the setting and its value."""


@dataclass(frozen=True)
class Configuration:
    """Settings, and where each of them came from.

    Attributes:
        file: that was read; None for none.
        layers: what was set, the strongest last.
    """

    settings: Settings
    file: Path | None
    layers: tuple[Layer, ...] = field(default_factory=tuple)

    def value(self, path: KeyPath) -> Any:
        """Return a setting as it was written in the strongest layer that has it; None for not at all."""
        for layer in reversed(self.layers):
            if _has(layer.data, path):
                found: Any = layer.data
                for part in path:
                    found = found[part]
                return found
        return None

    def origin(self, path: KeyPath) -> str:
        """Return where a setting came from: "antiphon.yaml:12:5", "ANTIPHON_PORT", "--port" or "default"."""
        for layer in reversed(self.layers):
            if _has(layer.data, path):
                return layer.where(path, key=True) or "default"
        return "default"


def load_configuration(file: Path | None = None, flags: Flags | None = None) -> Configuration:
    """Read the file, the environment and the flags; each wins over those before it.

    Args:
        file: the configuration file; looked for by `find_file` if None.
        flags: of the command line.

    Raises:
        ConfigError: with everything that is wrong.
    """
    file = find_file(file)
    problems: list[Problem] = []
    layers: list[Layer] = []
    if file is not None:
        from_file, problems = read_file(file)
        if from_file is not None:
            layers.append(from_file)
    from_environment, more = read_environment()
    problems += more
    layers += [from_environment, FlagLayer(flags or {})]
    raw: dict[str, Any] = {}
    for layer in layers:
        raw = merged(raw, layer.data)
    settings = None
    try:
        settings = MergedSettings(**raw)
    except ValidationError as error:
        mistakes = (read_mistake(raw, flaw) for flaw in error.errors(include_url=False))
        problems += [
            _problem(layers, mistake.path, mistake.message, mistake.near, mistake.about_key) for mistake in mistakes
        ]
        problems += [_problem(layers, *finding) for finding in _check_default(raw, error)]
    problems += [_problem(layers, *finding) for finding in check_engines(raw)]
    if problems or settings is None:
        raise ConfigError(sorted(dict.fromkeys(problems), key=_order))
    return Configuration(settings, file, tuple(layers))


def reload_configuration(file: Path | None = None, flags: Flags | None = None) -> Configuration:
    """Read everything again, as `load_configuration` did. A file that says nothing is one that is just being written.

    Raises:
        ConfigError: with everything that is wrong.
    """
    found = load_configuration(file, flags)
    if found.file is not None and not found.layers[0].data:
        raise ConfigError([Problem(str(found.file), (), "it says nothing; was it read while it was being written?")])
    return found


def _check_default(raw: Mapping[str, Any], error: ValidationError) -> Iterator[Finding]:
    """Tell of a default that there is not, where pipelines have mistakes and so were not compared with it."""
    default, pipelines = raw.get("default_pipeline"), raw.get("pipelines")
    broken = any(flaw["loc"][:1] == ("pipelines",) for flaw in error.errors(include_url=False))
    if broken and isinstance(default, str) and isinstance(pipelines, Mapping) and default not in pipelines:
        yield Finding(("default_pipeline",), f"there is no pipeline {default!r}", nearest(default, pipelines))


def _problem(layers: list[Layer], path: KeyPath, message: str, near: str | None, about_key: bool) -> Problem:
    """Return a problem with the place where the setting, or else the nearest group around it, was set last."""
    for length in range(len(path), 0, -1):
        for layer in reversed(layers):
            if _has(layer.data, path[:length]):
                where = layer.where(path[:length], key=about_key or length < len(path))
                return Problem(where or "", path, message, near)
    return Problem(_variable(path), path, message, near)


def _variable(path: KeyPath) -> str:
    """Return the environment variable of a setting that was set nowhere."""
    return "ANTIPHON_" + "__".join(str(part).upper() for part in path) if path else ""


def _has(data: Any, path: KeyPath) -> bool:
    for part in path:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):  # TypeError: a word or a number, which has no parts
            return False
    return True


def _order(problem: Problem) -> tuple[int, str, list[int]]:
    """Files by line, then the rest as it was found."""
    name, _, place = problem.where.partition(".yaml:")
    numbers = [int(number) for number in place.split(":") if number.isdigit()]
    return (0 if numbers else 1, name if numbers else "", numbers)
