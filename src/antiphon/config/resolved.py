"""From settings to pipelines: which engines they are made of, and what their sessions start with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from antiphon.config.pipelines import ROLES, SPEECH_TAKES, EngineChoice, EngineSettings, PipelineSettings
from antiphon.config.settings import Settings
from antiphon.engines.base import EngineError
from antiphon.session.limits import SessionLimits

PIPELINE_NAMES = {"embedded": "antiphon-embedded", "stand-in": "antiphon-stand-in"}
"""What the only pipeline is called when none is named, by preset."""

_PRESETS = {
    "embedded": {
        "vad": "silero",
        "turn": "smart-turn",
        "denoise": "gtcrn",
        "transcription": "whisper",
        "llm": "llamacpp",
        "tts": "hibari",
    },
    "stand-in": {
        "vad": "stand-in-vad",
        "turn": "stand-in-turn",
        "transcription": "stand-in-transcription",
        "llm": "stand-in-llm",
        "tts": "stand-in-tts",
    },
}
"""The engines of each preset by role: real models on this machine's CPU, and no models at all."""


@dataclass(frozen=True, slots=True)
class EnginePlan:
    """An engine of a pipeline.

    Attributes:
        name: of its entry point.
        options: its own settings.
        cores: CPU threads that it was given; None for its share of the machine.
        idle_unload_s: unload it when no session has used it for so long, in s; None for never.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    cores: int | None = None
    idle_unload_s: float | None = None


@dataclass(frozen=True, slots=True)
class PipelinePlan:
    """A pipeline as it is to be served.

    Attributes:
        engines: by role; several are a chain of fallbacks. Roles that are off are not there, and none is where an
            upstream server serves it.
        settings: what else was set for it.
        instructions: of its sessions. None leaves an upstream server its own.
        limits: of its sessions.
    """

    name: str
    engines: Mapping[str, tuple[EnginePlan, ...]]
    settings: PipelineSettings
    instructions: str | None
    limits: SessionLimits


def pipeline_plans(settings: Settings) -> dict[str, PipelinePlan]:
    """Return every pipeline by name, the default one first.

    Raises:
        EngineError: a role is set up, but no engine is named for it.
    """
    pipelines = settings.pipelines or {PIPELINE_NAMES[settings.engines.preset]: PipelineSettings()}
    limits = settings.limits.session_limits()
    plans = {
        name: PipelinePlan(
            name,
            engine_plans(settings.engines, pipeline),
            pipeline,
            _instructions(settings, pipeline),
            pipeline.limits.over(limits),
        )
        for name, pipeline in pipelines.items()
    }
    default = settings.default_pipeline
    return plans if default is None else {default: plans[default], **plans}


def _instructions(settings: Settings, pipeline: PipelineSettings) -> str | None:
    if pipeline.instructions is not None:
        return pipeline.instructions
    chosen = pipeline.upstream is None or "instructions" in settings.model_fields_set
    return settings.instructions if chosen else None


def engine_plans(base: EngineSettings, pipeline: PipelineSettings) -> dict[str, tuple[EnginePlan, ...]]:
    """Return the engines of a pipeline by role.

    Raises:
        EngineError: as `pipeline_plans`.
    """
    plans: dict[str, tuple[EnginePlan, ...]] = {}
    if pipeline.upstream is not None:
        return plans
    for role in ROLES:
        chain: tuple[EngineChoice, ...] | None = getattr(pipeline, role)
        if chain is None and pipeline.speech is not None and role in SPEECH_TAKES:
            continue
        if chain is None:
            known = base_plan(base, role)
            chain = () if known is None else (EngineChoice(),)
        engines = tuple(engine_plan(base, role, choice, pipeline.idle_unload_s) for choice in chain)
        if engines:
            plans[role] = engines
    return plans


def engine_plan(
    base: EngineSettings, role: str, choice: EngineChoice, idle_unload_s: float | None = None
) -> EnginePlan:
    """Return what a pipeline's choice for a role comes to.

    Args:
        base: what it builds on: a choice without a name is that engine with more options.
        role: the role.
        choice: of the pipeline.
        idle_unload_s: of the pipeline, where neither the choice nor the base has its own.

    Raises:
        EngineError: no engine is named for the role.
    """
    known = base_plan(base, role)
    if choice.name is None:
        if known is None:
            raise _unnamed(role)
        options = {**known.options, **choice.options}
        cores = known.cores if choice.cores is None else choice.cores
        idle = known.idle_unload_s if choice.idle_unload_s is None else choice.idle_unload_s
        name = known.name
    else:
        name, options, cores, idle = choice.name, dict(choice.options), choice.cores, choice.idle_unload_s
    return EnginePlan(name, options, cores, idle_unload_s if idle is None else idle)


def base_plan(base: EngineSettings, role: str) -> EnginePlan | None:
    """Return the engine of a role where a pipeline names none; None for none.

    Raises:
        EngineError: the role is set up, but no engine is named for it.
    """
    preset = _PRESETS[base.preset].get(role)
    choice: EngineChoice | None = getattr(base, role, None)
    if choice is None:
        return None if preset is None else EnginePlan(preset)
    name = choice.name or preset
    if name is None:
        raise _unnamed(role)
    return EnginePlan(name, choice.options, choice.cores, choice.idle_unload_s)


def _unnamed(role: str) -> EngineError:
    message = f"the preset has no engine for {role}: name one, with `engine` or ANTIPHON_ENGINES__{role.upper()}__NAME"
    return EngineError(message, code="unknown_engine")
