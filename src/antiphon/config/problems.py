"""What is wrong with a configuration, and where."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from antiphon.config.document import KeyPath
from antiphon.config.tree import names_at


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake.

    Attributes:
        where: "antiphon.yaml:12:5", the name of an environment variable or of a flag; empty for none of these.
        path: of the setting; empty for the whole.
        message: what is wrong. Never contains a secret.
        near: what was meant, probably.
    """

    where: str
    path: KeyPath
    message: str
    near: str | None = None

    def __str__(self) -> str:
        """Tell of it in one line."""
        meant = f"; did you mean {self.near!r}?" if self.near else ""
        # The name of a variable says the path already.
        path = "" if self.where.startswith("ANTIPHON_") else path_text(self.path)
        return ": ".join(part for part in (self.where, path, self.message + meant) if part)


class ConfigError(Exception):
    """A configuration that cannot be used.

    Attributes:
        problems: everything that is wrong with it.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


def path_text(path: KeyPath) -> str:
    """Return a path as it is told: `pipelines.my-voice.tts[0].voice`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def nearest(word: object, known: Iterable[str]) -> str | None:
    """Return the one of `known` that was meant by `word`, if one comes near."""
    return next(iter(difflib.get_close_matches(str(word), list(known), n=1)), None)


@dataclass(frozen=True, slots=True)
class Mistake:
    """What pydantic has to say about a value, in the words of this module; see `Problem`."""

    path: KeyPath
    message: str
    near: str | None
    about_key: bool


def read_mistake(raw: Any, mistake: Any, names: Iterable[str] | None = None) -> Mistake:
    """Return an error of pydantic's `ValidationError.errors()` as a mistake in `raw`.

    Args:
        raw: what was validated.
        mistake: the error.
        names: what the group with an unknown key may hold; looked up in the tree of settings if None.
    """
    path = _path_in(raw, mistake["loc"])
    kind, message, near, about_key = mistake["type"], mistake["msg"].removeprefix("Value error, "), None, False
    if kind == "extra_forbidden":
        known = _file_names(names_at(path[:-1])) if names is None else list(names)
        if path[-1] in known:  # of another of the types that may stand there
            message = f"there is no such setting with type: {mistake['loc'][-2]}"
        else:
            message = "there is no such setting"
            near = nearest(path[-1], known)
        about_key = True
    elif kind in ("dict_type", "model_type", "model_attributes_type"):
        message = "must be a mapping"
        example = next(iter(names_at(path)), None)
        if example is not None and path and isinstance(path[-1], str):
            message += f", like {path[-1]}: {{{example}: …}}"
    elif kind == "string_type" and isinstance(mistake["input"], (int, float)):
        message = f"must be text: write it in quotes, {json.dumps(str(mistake['input']))}"
    elif kind == "missing":
        message = "is missing"
    elif kind == "string_pattern_mismatch" and mistake["loc"][-1] == "[key]":
        message = "is no name for a pipeline: letters, digits and . _ : / - only, the first one a letter or a digit"
        about_key = True
    elif kind in ("literal_error", "enum"):
        near = nearest(mistake["input"], re.findall(r"'([^']*)'", str(mistake["ctx"]["expected"])))
    elif kind == "too_short" and path[:1] == ("pipelines",):
        message = "cannot be off: a pipeline needs an engine here"
    return Mistake(path, message, near, about_key)


def _file_names(names: list[str]) -> list[str]:
    """Return names as they are written in files."""
    return ["engine" if name == "name" and "options" in names else name for name in names]


def _path_in(raw: Any, loc: tuple[str | int, ...]) -> KeyPath:
    """Return where in `raw` pydantic's `loc` is: without what stands for its own types, and in short forms."""
    path: list[str | int] = []
    here = raw
    for position, part in enumerate(loc):
        last = position == len(loc) - 1
        name: str | int = "engine" if part == "name" and isinstance(here, dict) and "engine" in here else part
        inside = name < len(here) if isinstance(here, list) and isinstance(name, int) else False
        if inside or (isinstance(here, dict) and name in here):
            path.append(name)
            here = here[name]
        elif last and isinstance(here, dict) and isinstance(name, str) and name != "[key]":
            path.append(name)
    return tuple(path)
