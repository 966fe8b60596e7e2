"""Where settings come from: a file, the environment, flags. Each layer wins over those before it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import platformdirs
from pydantic_settings import EnvSettingsSource, SettingsError

from antiphon.config.document import Document, DocumentError, KeyPath, read_document
from antiphon.config.problems import Problem, nearest
from antiphon.config.settings import Settings
from antiphon.config.tree import secret_paths

PREFIX = "ANTIPHON_"
FILE_NAME = "antiphon.yaml"
FILE_VARIABLE = "ANTIPHON_CONFIG"
_NOT_SETTINGS = (FILE_VARIABLE, "ANTIPHON_HOME")


class Layer(Protocol):
    """Some settings and where they were set."""

    @property
    def data(self) -> dict[str, Any]:
        """The settings, nested."""
        ...

    def where(self, path: KeyPath, *, key: bool = False) -> str | None:
        """Return where `path`, or what it is in, was set; None for not here."""
        ...


@dataclass(frozen=True)
class FileLayer:
    """The settings of a file."""

    document: Document

    @property
    def data(self) -> dict[str, Any]:
        """The file's data."""
        return self.document.data

    def where(self, path: KeyPath, *, key: bool = False) -> str | None:
        """Return "antiphon.yaml:12:5"."""
        mark = self.document.mark(path, key=key)
        return None if mark is None else f"{self.document.file}:{mark.line}:{mark.column}"

    def problems(self) -> Iterator[Problem]:
        """Tell of keys that come twice, and of secrets that stand in the file."""
        for path, mark, first in self.document.repeated:
            where = f"{self.document.file}:{mark.line}:{mark.column}"
            yield Problem(where, path, f"stands here again; it was set in line {first.line}")
        for secret in secret_paths():
            value: Any = self.data
            for part in secret:
                value = value.get(part) if isinstance(value, Mapping) else None
            values = list(enumerate(value)) if isinstance(value, list) else [(None, value)]
            for index, one in values:
                if isinstance(one, (str, int, float)):
                    path = secret if index is None else (*secret, index)
                    yield Problem(
                        self.where(path) or str(self.document.file),
                        path,
                        "secrets are not written into the file: give {env: NAME} or {file: PATH}",
                    )


@dataclass(frozen=True)
class EnvironmentLayer:
    """The settings of the environment."""

    data: dict[str, Any] = field(default_factory=dict)
    variables: Mapping[KeyPath, str] = field(default_factory=dict)

    def where(self, path: KeyPath, *, key: bool = False) -> str | None:
        """Return the name of the variable."""
        del key
        words = tuple(str(part).lower() for part in path)
        for length in range(len(words), 0, -1):
            if words[:length] in self.variables:
                return self.variables[words[:length]]
        return next((name for known, name in self.variables.items() if known[: len(words)] == words), None)


@dataclass(frozen=True)
class FlagLayer:
    """The settings of flags: each with its path and value."""

    flags: Mapping[str, tuple[tuple[str, ...], Any]] = field(default_factory=dict)

    @property
    def data(self) -> dict[str, Any]:
        """The flags' settings, nested."""
        data: dict[str, Any] = {}
        for path, value in self.flags.values():
            group = data
            for part in path[:-1]:
                group = group.setdefault(part, {})
            group[path[-1]] = value
        return data

    def where(self, path: KeyPath, *, key: bool = False) -> str | None:
        """Return the flag."""
        del key
        for flag, (known, _) in self.flags.items():
            if path[: len(known)] == known or (path and known[: len(path)] == path):
                return flag
        return None


def find_file(named: Path | None) -> Path | None:
    """Return the configuration file: the one that is named, by flag or by $ANTIPHON_CONFIG, or else antiphon.yaml here
    or in the user's configuration directory. None for no file: $ANTIPHON_CONFIG is empty, or there is none."""
    if named is not None:
        return named
    variable = os.environ.get(FILE_VARIABLE)
    if variable is not None:
        return Path(variable) if variable else None
    for directory in (Path(), platformdirs.user_config_path("antiphon")):
        if (directory / FILE_NAME).is_file():
            return directory / FILE_NAME
    return None


def read_file(file: Path) -> tuple[FileLayer | None, list[Problem]]:
    """Return what a file says, and what is wrong with it as such."""
    try:
        layer = FileLayer(read_document(file))
    except DocumentError as error:
        place = f"{file}:{error.mark.line}:{error.mark.column}" if error.mark else str(file)
        return None, [Problem(place, (), error.message)]
    return layer, list(layer.problems())


def read_environment() -> tuple[EnvironmentLayer, list[Problem]]:
    """Return what the environment says, and what is wrong with it as such."""
    variables: dict[KeyPath, str] = {}
    problems = []
    for name in os.environ:
        if not name.upper().startswith(PREFIX) or name in _NOT_SETTINGS:
            continue
        path = tuple(name[len(PREFIX) :].lower().split("__"))
        if path[0] in Settings.model_fields:
            variables[path] = name
        elif near := nearest(path[0], Settings.model_fields):
            # Others are not ours: Kubernetes, e.g., tells of its services in such variables.
            problems.append(Problem(name, (), "there is no such setting", f"{PREFIX}{near.upper()}"))
    source = EnvSettingsSource(Settings)
    while True:
        try:
            return EnvironmentLayer(source(), variables), problems
        except SettingsError as error:
            # The message names the setting, e.g. "limits", of which one variable is no JSON.
            broken = [path for path in variables if f'"{path[0]}"' in str(error)]
            if not broken:
                return EnvironmentLayer(), [*problems, Problem("", (), str(error))]
            names = [variables.pop(path) for path in broken]
            what = f"is not what is wanted here, or no JSON: {error.__cause__}"
            problems.append(Problem(" or ".join(names), (), what))
            left = {name: value for name, value in source.env_vars.items() if name.upper() not in set(names)}
            source.env_vars = left


def merged(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return `under` with the settings of `over`, groups merged key by key."""
    result = dict(under)
    for key, value in over.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result
