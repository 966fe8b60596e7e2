"""The tree of settings as such: what there is, at which path, and what it means."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from antiphon.config.document import KeyPath
from antiphon.config.settings import Settings
from antiphon.engines.secrets import Secret


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Attributes:
        path: its keys; "*" for the name of a pipeline.
        description: what it means, without line breaks.
        default: what holds if it is not set.
        group: whether it has settings of its own.
    """

    path: tuple[str, ...]
    description: str
    default: Any
    group: bool


def all_settings(model: type[BaseModel] = Settings, path: tuple[str, ...] = ()) -> Iterator[Setting]:
    """Tell of every setting, groups before what is in them."""
    for name, info in model.model_fields.items():
        inner = [kind for kind in _models(info.annotation) if kind is not Secret]  # which is one value, wherever it is
        here = (*path, name)
        yield Setting(here, " ".join((info.description or "").split()), _default(info), bool(inner))
        below = (*here, "*") if _is_mapping(info.annotation) else here
        for kind in inner:
            yield from all_settings(kind, below)


def names_at(path: KeyPath) -> list[str]:
    """Return the settings that there are in the group `path`; none when it is no group."""
    return list(dict.fromkeys(name for kind in _kinds_at(path) for name in kind.model_fields))


def secret_paths() -> list[tuple[str, ...]]:
    """Return the paths of the settings that are secrets."""
    found = []
    for setting in all_settings():
        kinds = _kinds_at(setting.path[:-1]) if setting.path[:-1] else [Settings]
        field = next(kind.model_fields[setting.path[-1]] for kind in kinds if setting.path[-1] in kind.model_fields)
        if SecretStr in set(_parts(field.annotation)):
            found.append(setting.path)
    return found


def _kinds_at(path: KeyPath) -> list[type[BaseModel]]:
    kinds: list[type[BaseModel]] = [Settings]
    named = False
    for part in path:
        if named or isinstance(part, int):
            named = False
            continue
        annotations = [kind.model_fields[part].annotation for kind in kinds if part in kind.model_fields]
        kinds = [inner for annotation in annotations for inner in _models(annotation)]
        named = any(_is_mapping(annotation) for annotation in annotations)
    return [] if named else kinds


def _default(info: FieldInfo) -> Any:
    return info.get_default(call_default_factory=True) if not info.is_required() else None


def _parts(annotation: Any) -> Iterator[Any]:
    """Tell of a type and of all that it is made of."""
    yield annotation
    if get_origin(annotation) in (Union, types.UnionType, Annotated, tuple, list, dict):
        arguments = get_args(annotation)
        for argument in arguments[:1] if get_origin(annotation) is Annotated else arguments:
            yield from _parts(argument)


def _models(annotation: Any) -> list[type[BaseModel]]:
    return [part for part in _parts(annotation) if isinstance(part, type) and issubclass(part, BaseModel)]


def _is_mapping(annotation: Any) -> bool:
    origin = get_origin(annotation)
    return isinstance(origin, type) and issubclass(origin, Mapping)
