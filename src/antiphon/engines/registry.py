"""Finds engines by name, among all installed packages (entry point group `antiphon.engines`)."""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import TypeVar

from antiphon.engines.base import Engine, EngineError

GROUP = "antiphon.engines"

E = TypeVar("E", bound=Engine)


def engine_names() -> list[str]:
    """Return the names of all installed engines, sorted. Imports none of them."""
    return sorted(importlib.metadata.entry_points(group=GROUP).names)


def find_engine(name: str, role: type[E]) -> type[E]:
    """Import the engine `name` and return its class.

    Args:
        name: the entry point's name.
        role: the role class of `antiphon.engines.base` that it must be a subclass of, e.g. Synthesizer.

    Raises:
        EngineError: code "unknown_engine" when there is none of that name, or two packages have one; "wrong_role" when
            it does something else; "missing_package" when a package that it needs is not installed; "engine_failed"
            when its module cannot be imported for another reason.
    """
    points = list(importlib.metadata.entry_points(group=GROUP, name=name))
    if not points:
        raise EngineError(
            f"there is no engine {name!r}; installed are: {', '.join(engine_names())}", code="unknown_engine"
        )
    if len(points) > 1:
        packages = " and ".join(sorted(_package(point) for point in points))
        raise EngineError(f"{packages} both have an engine {name!r}: uninstall one", code="unknown_engine")
    point = points[0]
    try:
        importlib.import_module(point.module)
    except ImportError as error:
        package = _package(point)
        extra = point.extras[0] if point.extras else "local"
        remedy = f"pip install 'antiphon[{extra}]'" if package == "antiphon" else f"reinstall {package}"
        raise EngineError(
            f"the engine {name!r} cannot be imported: {error}. Try: {remedy}", code="missing_package"
        ) from error
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        raise EngineError(f"the engine {name!r} of {_package(point)} cannot be imported: {told}") from error
    try:
        engine = point.load()
    except AttributeError as error:
        raise EngineError(f"{_package(point)} names an engine {name!r} that is not there: {error}") from error
    if not (isinstance(engine, type) and issubclass(engine, role)):
        raise EngineError(f"the engine {name!r} is not a {role.__name__}", code="wrong_role")
    return engine


def _package(point: importlib.metadata.EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value
