"""From pipelines as they were planned to the engines that they need."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from antiphon.config.engine_checks import ROLE_CLASSES
from antiphon.config.resolved import EnginePlan, PipelinePlan, pipeline_plans
from antiphon.config.settings import Settings
from antiphon.engines.base import Engine, EngineError
from antiphon.engines.registry import find_engine
from antiphon.engines.secrets import secrets_in
from antiphon.models import CATALOG
from antiphon.models.catalog import is_reference
from antiphon.server.core_plan import CorePlan
from antiphon.server.engine_pool import EngineKey, options_text, raise_failures

EngineKeys = Mapping[str, tuple[EngineKey, ...]]
"""The engines of a pipeline by role; several are a chain of fallbacks."""


@dataclass(frozen=True, slots=True)
class ServingPlan:
    """The engines of all pipelines, each engine once.

    Attributes:
        keys: by pipeline and role.
        idle_s: how long an engine may be idle before it is unloaded, in s; those that are kept are not there.
    """

    keys: Mapping[str, EngineKeys]
    idle_s: Mapping[EngineKey, float]

    @property
    def all_keys(self) -> set[EngineKey]:
        """Every engine."""
        return {key for keys in self.keys.values() for chain in keys.values() for key in chain}


def serving_plan(pipelines: Iterable[PipelinePlan], cores: int | None = None) -> ServingPlan:
    """Return which engines the pipelines need, with the CPU threads of each.

    An engine that is used by several pipelines has the most cores that one of them gives it, and stays for as long as
    one of them keeps it. Engines without cores of their own share those that `CorePlan` has for their role.

    Args:
        pipelines: to serve.
        cores: of this machine; counted if None.

    Raises:
        EngineError: an engine is not installed, or is of another role. One error tells of all.
    """
    pipelines = list(pipelines)
    machine = CorePlan.of(cores or os.cpu_count() or 1)
    users: dict[tuple[str, str, str], list[EnginePlan]] = {}
    for pipeline in pipelines:
        for role, chain in pipeline.engines.items():
            for plan in chain:
                users.setdefault(_identity(role, plan), []).append(plan)
    remote, failures = set(), []
    secrets: dict[tuple[str, str, str], str] = {}
    for identity in users:
        role, name, _ = identity
        try:
            kind = find_engine(name, ROLE_CLASSES[role])
            secrets[identity] = _secrets_of(kind, users[identity][0].options)
            if kind.remote:
                remote.add(identity)
        except EngineError as error:
            failures.append(error)
    raise_failures(failures)
    found: dict[tuple[str, str, str], EngineKey] = {}
    idle_s: dict[EngineKey, float] = {}
    for identity, plans in users.items():
        given = [plan.cores for plan in plans if plan.cores is not None]
        sharers = [
            other
            for other, theirs in users.items()
            if other[0] == identity[0] and other not in remote and all(plan.cores is None for plan in theirs)
        ]
        share = max(1, getattr(machine, identity[0], machine.llm) // max(1, len(sharers)))
        key = found[identity] = EngineKey.of(plans[0], max(given) if given else share, secrets[identity])
        patience = [plan.idle_unload_s for plan in plans if plan.idle_unload_s is not None]
        if len(patience) == len(plans):
            idle_s[key] = max(patience)
    keys = {
        pipeline.name: {
            role: tuple(found[_identity(role, plan)] for plan in chain) for role, chain in pipeline.engines.items()
        }
        for pipeline in pipelines
    }
    return ServingPlan(keys, idle_s)


def _identity(role: str, plan: EnginePlan) -> tuple[str, str, str]:
    return role, plan.name, options_text(plan)


def _secrets_of(kind: type[Engine], options: Mapping[str, Any]) -> str:
    """Return a digest of the keys that an engine's options refer to, so that one with a new key is another engine."""
    if kind.options_type is None:
        return ""
    digest = hashlib.sha256()
    for name, secret in secrets_in(kind.options_type, options):
        try:
            digest.update(f"{name}={secret.read()};".encode())
        except EngineError:
            continue  # told when the engine is loaded
    return digest.hexdigest()


def models_of(engine: EnginePlan) -> tuple[str, ...]:
    """Return the models that have to be pulled for an engine.

    One that is neither in the catalog nor a reference is the engine's own affair, e.g. the path of a file.

    Raises:
        EngineError: the engine is not installed.
    """
    wanted = find_engine(engine.name, Engine).models_for(engine.options)
    return tuple(name for name in wanted if name in CATALOG or is_reference(name))


def engines_of(settings: Settings) -> dict[str, EnginePlan]:
    """Return every engine of all pipelines, each once, by its role (`llm`), or by pipeline and role (`my-voice.llm`)
    where there are several pipelines, and its place in a chain (`tts[1]`)."""
    plans = pipeline_plans(settings)
    found: dict[tuple[str, str, str], tuple[str, EnginePlan]] = {}
    for pipeline in plans.values():
        for role, chain in pipeline.engines.items():
            label = role if len(plans) == 1 else f"{pipeline.name}.{role}"
            for index, plan in enumerate(chain):
                place = label if len(chain) == 1 else f"{label}[{index}]"
                found.setdefault(_identity(role, plan), (place, plan))
    return dict(found.values())


def required_models(settings: Settings) -> list[str]:
    """Return the models that have to be pulled for all engines.

    Raises:
        EngineError: an engine is not installed.
    """
    return list(dict.fromkeys(name for engine in engines_of(settings).values() for name in models_of(engine)))
