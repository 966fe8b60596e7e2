"""The configuration in force, as YAML with where each setting came from, without secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from antiphon.config.document import KeyPath
from antiphon.config.loading import Configuration
from antiphon.config.resolved import EnginePlan, PipelinePlan, pipeline_plans
from antiphon.engines.base import Engine
from antiphon.engines.registry import find_engine

MASK = "********"

_SECRET = re.compile(r"key|secret|token|password", re.IGNORECASE)
_OWN = ("aliases", "drafts", "voice", "max_sessions", "idle_unload_s")


def show(configuration: Configuration) -> str:
    """Return the effective settings as YAML. Each line says where its setting came from; engines are those that the
    pipelines have in the end, with all their options."""
    settings = configuration.settings
    lines = [f"# {'No file was read.' if configuration.file is None else f'Read from {configuration.file}'}"]
    data = settings.model_dump(mode="json", exclude={"engines", "pipelines"})
    data["api_keys"] = [MASK for _ in settings.api_keys]
    if settings.webrtc.turn_password is not None:
        data["webrtc"]["turn_password"] = MASK
    for name, value in data.items():
        lines += _lines(configuration, (name,), value, 0)
    plans = pipeline_plans(settings)
    if settings.default_pipeline is None:
        lines = [line for line in lines if not line.startswith("default_pipeline:")]
        lines.append(_line(0, "default_pipeline", next(iter(plans)), "default"))
    lines.append("pipelines:")
    for plan in plans.values():
        lines += _pipeline(configuration, plan)
    return "\n".join(lines) + "\n"


def _pipeline(configuration: Configuration, plan: PipelinePlan) -> Iterator[str]:
    path: KeyPath = ("pipelines", plan.name)
    yield f"  {_word(plan.name)}:"
    for role, chain in plan.engines.items():
        yield from _chain(configuration, plan.name, role, chain)
    upstream = plan.settings.upstream
    if upstream is not None:
        yield from _lines(configuration, (*path, "upstream"), _masked("upstream", upstream.model_dump(mode="json")), 2)
    instructions = (*path, "instructions") if plan.settings.instructions is not None else ("instructions",)
    yield _line(2, "instructions", plan.instructions, configuration.origin(instructions))
    settings = plan.settings.model_dump(mode="json")
    for name in _OWN:
        yield _line(2, name, settings[name], configuration.origin((*path, name)))
    yield from _lines(configuration, (*path, "turn_detection"), settings["turn_detection"], 2)
    yield "    limits:"
    for name in type(plan.settings.limits).model_fields:
        own = name in plan.settings.limits.model_fields_set
        origin = configuration.origin((*path, "limits", name) if own else ("limits", name))
        yield _line(3, name, getattr(plan.limits, name), origin)


def _chain(configuration: Configuration, pipeline: str, role: str, chain: tuple[EnginePlan, ...]) -> Iterator[str]:
    yield f"    {role}:"
    raw = configuration.value(("pipelines", pipeline, role))
    for index, plan in enumerate(chain):
        place: KeyPath = ("pipelines", pipeline, role)
        if isinstance(raw, list):
            place = (*place, index)
        places: tuple[KeyPath, ...] = (place, ("engines", role)) if raw is not None else (("engines", role),)
        named = next((found for found in places if _names_engine(configuration.value(found))), ("engines", "preset"))
        own = {"cores": plan.cores, "idle_unload_s": plan.idle_unload_s}
        options = _effective_options(plan)
        first = True
        for name, value in (("engine", plan.name), *own.items(), *options.items()):
            if name in own and value is None:
                continue
            origin = configuration.origin(named) if name == "engine" else _origin(configuration, places, name)
            line = _line(3, name, value, origin)
            yield "      - " + line.lstrip() if first else "        " + line.lstrip()
            first = False


def _names_engine(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, dict) and ("engine" in value or "name" in value))


def _origin(configuration: Configuration, places: tuple[KeyPath, ...], name: str) -> str:
    for place in places:
        for path in ((*place, name), (*place, "options", name)):
            if configuration.value(path) is not None:
                return configuration.origin(path)
    if name == "idle_unload_s" and places[0][0] == "pipelines":
        return configuration.origin((*places[0][:2], name))
    return "default"


def _effective_options(plan: EnginePlan) -> dict[str, Any]:
    """Return all options of an engine, as far as it tells what it has."""
    kind = find_engine(plan.name, Engine).options_type
    given = dict(plan.options)
    options = given if kind is None else kind.model_validate(given).model_dump(mode="json")
    return {name: _masked(name, value) for name, value in options.items()}


def _masked(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {"env", "file"}:  # a reference to a secret
            return {key: where for key, where in value.items() if where is not None}
        return {key: _masked(key, inner) for key, inner in value.items()}
    return MASK if isinstance(value, str) and _SECRET.search(name) else value


def _lines(configuration: Configuration, path: KeyPath, value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, dict) and value:
        yield f"{'  ' * depth}{path[-1]}:"
        for key, inner in value.items():
            yield from _lines(configuration, (*path, key), inner, depth + 1)
    else:
        yield _line(depth, str(path[-1]), value, configuration.origin(path))


def _line(depth: int, name: str, value: Any, origin: str) -> str:
    return f"{'  ' * depth}{name}: {_word(value)}  # {origin}"


def _word(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=1_000_000, allow_unicode=True)
    return str(text).removesuffix("...\n").strip()
