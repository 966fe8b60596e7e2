"""From settings to a loaded pipeline."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from antiphon.config import EngineChoice, EngineSettings
from antiphon.engines.base import Engine, EngineError
from antiphon.engines.registry import find_engine
from antiphon.models import CATALOG, ModelStore
from antiphon.models.catalog import is_reference
from antiphon.pipeline.cascade import EMBEDDED, STAND_IN, Cascade, CascadeSpec, EngineSpec, load_cascade

PIPELINE_NAMES = {"embedded": "antiphon-embedded", "stand-in": "antiphon-stand-in"}
"""What the model of each preset is called."""

_PRESETS = {"embedded": EMBEDDED, "stand-in": STAND_IN}


def cascade_spec(settings: EngineSettings) -> CascadeSpec:
    """Return the preset's engines with the settings' changes.

    Raises:
        EngineError: the preset has no engine in a role that is changed, and none is named.
    """
    spec = _PRESETS[settings.preset]
    changes = {}
    for role in _roles():
        choice: EngineChoice | None = getattr(settings, role)
        if choice is not None:
            changes[role] = _changed(getattr(spec, role), choice, role)
    return dataclasses.replace(spec, **changes)


def _changed(preset: EngineSpec | None, choice: EngineChoice, role: str) -> EngineSpec:
    name = choice.name or (preset.name if preset else None)
    if name is None:
        message = f"the preset has no engine for {role}: name one with ANTIPHON_ENGINES__{role.upper()}__NAME"
        raise EngineError(message, code="unknown_engine")
    return EngineSpec(name, choice.options, choice.cores)


def _roles() -> list[str]:
    return [field.name for field in dataclasses.fields(CascadeSpec)]


def engine_specs(settings: EngineSettings) -> dict[str, EngineSpec]:
    """Return the engine of each role that has one."""
    spec = cascade_spec(settings)
    return {role: engine for role in _roles() if (engine := getattr(spec, role)) is not None}


def models_of(engine: EngineSpec) -> tuple[str, ...]:
    """Return the models that have to be pulled for an engine: its own, or the one that its option `model` names.

    An option that is neither in the catalog nor a reference is the engine's own affair, e.g. the path of a file.

    Raises:
        EngineError: the engine is not installed.
    """
    own = find_engine(engine.name, Engine).required_models
    chosen = engine.options.get("model")
    if not isinstance(chosen, str):
        return own
    return (chosen,) if chosen in CATALOG or is_reference(chosen) else ()


def required_models(settings: EngineSettings) -> list[str]:
    """Return the models that have to be pulled for all engines.

    Raises:
        EngineError: an engine is not installed.
    """
    return list(dict.fromkeys(name for engine in engine_specs(settings).values() for name in models_of(engine)))


async def load_pipeline(settings: EngineSettings, on_ready: Callable[[str], None]) -> Cascade:
    """Load the engines and warm them up; `on_ready` is told each role that is warm.

    Raises:
        EngineError: an engine cannot be loaded.
        ModelError: a model is missing or damaged.
    """
    return await load_cascade(
        PIPELINE_NAMES[settings.preset], cascade_spec(settings), models=ModelStore.default(), on_ready=on_ready
    )
