"""What can be said about engines before any is loaded: names, roles, options, secrets, voices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, TypeAdapter, ValidationError

from antiphon.config.document import KeyPath
from antiphon.config.pipelines import (
    CHAIN_ROLES,
    OPTIONAL_ROLES,
    ROLES,
    Chain,
    EngineChoice,
    EngineSettings,
    PipelineSettings,
)
from antiphon.config.problems import nearest, read_mistake
from antiphon.config.resolved import EnginePlan, base_plan, engine_plan
from antiphon.engines.base import (
    Denoiser,
    Engine,
    EngineError,
    LanguageModel,
    SpeechModel,
    Synthesizer,
    Transcriber,
    TurnClassifier,
    Voice,
    VoiceActivityDetector,
)
from antiphon.engines.model_files import is_path
from antiphon.engines.registry import engine_names, find_engine
from antiphon.engines.secrets import secrets_in
from antiphon.models import CATALOG, ModelError, resolve
from antiphon.models.catalog import FileSource
from antiphon.pipeline.voices import voice_names
from antiphon.relay.settings import UpstreamSettings

ROLE_CLASSES: Mapping[str, type[Engine]] = {
    "vad": VoiceActivityDetector,
    "turn": TurnClassifier,
    "denoise": Denoiser,
    "transcription": Transcriber,
    "llm": LanguageModel,
    "tts": Synthesizer,
    "speech": SpeechModel,
}

_ENGINE_KEYS = ("engine", "cores", "idle_unload_s", "options")


class Finding(NamedTuple):
    """Something wrong at `path`, and what was probably meant; `about_key` when the key is wrong, not the value."""

    path: KeyPath
    message: str
    near: str | None = None
    about_key: bool = False


def check_engines(raw: Mapping[str, Any]) -> Iterator[Finding]:
    """Tell of everything wrong with the engines of merged settings. What cannot be read at all is not looked at."""
    base_raw = raw.get("engines", {})
    base_raw = base_raw if isinstance(base_raw, Mapping) else {}
    base = _readable_base(base_raw)
    pipelines = raw.get("pipelines") or {}
    for role in ROLES:
        choice = getattr(base, role, None)
        if choice is not None:
            yield from _check(base, role, choice, ("engines", role), base_raw[role], is_base=True)
        elif not pipelines and base_plan(base, role) is not None:
            yield from _check(base, role, EngineChoice(), ("engines", "preset"), None, is_base=True)
    if not isinstance(pipelines, Mapping):
        return
    for name, pipeline in pipelines.items():
        if isinstance(pipeline, Mapping):
            for role in ROLES:
                if pipeline.get(role) is not None:
                    yield from _check_chain(base, role, pipeline[role], ("pipelines", name, role))
            if pipeline.get("upstream") is None:
                yield from _check_voice(base, pipeline, ("pipelines", name, "voice"))
            else:
                yield from _check_upstream(pipeline["upstream"], ("pipelines", name, "upstream"))


def _readable_base(raw: Mapping[str, Any]) -> EngineSettings:
    """Return what can be read of `engines`."""
    readable: dict[str, Any] = {}
    for key, value in raw.items():
        try:
            EngineSettings.model_validate({key: value})
        except ValidationError:
            continue  # told with the settings
        readable[key] = value
    return EngineSettings.model_validate(readable)


_CHAIN: TypeAdapter[tuple[EngineChoice, ...]] = TypeAdapter(Chain)


def _read_chain(raw: Any) -> tuple[EngineChoice, ...] | None:
    try:
        return _CHAIN.validate_python(raw)
    except ValidationError:
        return None  # told with the settings


def _check_chain(base: EngineSettings, role: str, raw: Any, path: KeyPath) -> Iterator[Finding]:
    chain = _read_chain(raw)
    if chain is None:
        return
    if len(chain) > 1 and role not in CHAIN_ROLES:
        yield Finding(path, f"takes one engine; {', '.join(sorted(CHAIN_ROLES))} take several")
    if isinstance(raw, list) and not raw and role in OPTIONAL_ROLES:
        yield Finding(path, "is an empty list; write off for no engine")
    for index, choice in enumerate(chain):
        in_list = isinstance(raw, list)
        yield from _check(base, role, choice, (*path, index) if in_list else path, raw[index] if in_list else raw)


def _check(
    base: EngineSettings, role: str, choice: EngineChoice, path: KeyPath, raw: Any, *, is_base: bool = False
) -> Iterator[Finding]:
    try:
        plan = engine_plan(base, role, EngineChoice() if is_base else choice)
    except EngineError as error:
        yield Finding(path, error.message)
        return
    named = next((key for key in ("engine", "name") if isinstance(raw, Mapping) and key in raw), None)
    try:
        engine = find_engine(plan.name, ROLE_CLASSES[role])
    except EngineError as error:
        near = nearest(plan.name, engine_names()) if error.code == "unknown_engine" else None
        yield Finding(path if named is None else (*path, named), error.message, near)
        return
    yield from _check_options(engine, plan.options, path, raw)


def _check_options(engine: type[Engine], options: Mapping[str, Any], path: KeyPath, raw: Any) -> Iterator[Finding]:
    kind = engine.options_type
    if kind is None:
        return
    # An option stands beside `engine`, or in `options`.
    raw = raw if isinstance(raw, Mapping) else {}
    nested = raw.get("options")
    places: dict[str, KeyPath] = dict.fromkeys(nested, (*path, "options")) if isinstance(nested, Mapping) else {}
    wrong: set[str] = set()
    try:
        kind.model_validate(dict(options))
    except ValidationError as error:
        known = [*kind.model_fields, *_ENGINE_KEYS]
        for flaw in error.errors(include_url=False):
            top_level = len(flaw["loc"]) == 1
            mistake = read_mistake(dict(options), flaw, known if top_level else ())
            name = str(mistake.path[0]) if mistake.path else ""
            wrong.add(name)
            message = mistake.message
            if flaw["type"] == "extra_forbidden" and top_level:
                known_options = ", ".join(kind.model_fields) or "none"
                message = f"{engine.name} has no option {name!r}; it has: {known_options}"
            elif flaw["type"] == "missing" and top_level:
                message = f"{engine.name} needs this option"
            yield Finding((*places.get(name, path), *mistake.path), message, mistake.near, mistake.about_key)
    for name, message in _unreadable_secrets(kind, options):
        yield Finding((*places.get(name, path), name), message)
    if engine.remote:
        return
    for name in engine.models_for(options):
        place = _place_of(name, options) or (("model",) if "model" in kind.model_fields else ())
        if place and place[0] not in wrong:
            yield from _check_model(engine, name, (*places.get(str(place[0]), path), *place))


def _place_of(name: str, options: Any) -> KeyPath:
    """Return where in the options, however deep, a model is named; () for nowhere."""
    entries = options.items() if isinstance(options, Mapping) else enumerate(options)
    for key, value in entries:
        if value == name:
            return (key,)
        if isinstance(value, (Mapping, list, tuple)) and (place := _place_of(name, value)):
            return (key, *place)
    return ()


def _check_model(engine: type[Engine], name: str, path: KeyPath) -> Iterator[Finding]:
    """Tell of a model that there cannot be: a file that is not there, a reference that is none, or an unknown name
    where the engine takes those of the catalog."""
    file = Path(name).expanduser() if is_path(name) else None
    if file is None and (engine.required_models or name.startswith(("file:", "hf:"))):
        try:
            source = resolve(name).sources[0]
        except ModelError as error:
            yield Finding(path, error.message, nearest(name, CATALOG))
            return
        file = source.path if isinstance(source, FileSource) else None
    if file is not None and not file.exists():
        yield Finding(path, f"{file}: no such file or directory")


def _unreadable_secrets(kind: type[BaseModel], given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Tell of references to secrets that are not there. What is no reference is told with the options."""
    for name, secret in secrets_in(kind, given):
        try:
            secret.read()
        except EngineError as error:
            yield name, error.message


def _check_upstream(raw: Any, path: KeyPath) -> Iterator[Finding]:
    """Tell of a secret that cannot be read."""
    if isinstance(raw, Mapping):  # else told with the settings
        for name, message in _unreadable_secrets(UpstreamSettings, raw):
            yield Finding((*path, name), message)


def _check_voice(base: EngineSettings, raw: Mapping[str, Any], path: KeyPath) -> Iterator[Finding]:
    """Tell of a voice that the synthesizer does not have, where its voices are known before it is loaded."""
    voice = raw.get("voice")
    role = "speech" if raw.get("speech") is not None else "tts"
    chain = _read_chain(raw[role]) if raw.get(role) is not None else (EngineChoice(),)
    if not isinstance(voice, str) or not chain:
        return
    try:
        plan = engine_plan(base, role, chain[0])
        known = known_voices(plan)
    except EngineError:
        return  # told before
    if known is not None and voice not in voice_names(known):
        names = [one.name for one in known]
        yield Finding(path, f"{plan.name} has no voice {voice!r}; it has: {', '.join(names)}", nearest(voice, names))


def known_voices(plan: EnginePlan) -> list[Voice] | None:
    """Return the voices of a synthesizer or speech model as far as they are known before it is loaded.

    They are those of its option `voices`, or those of its class; None for not yet.

    Raises:
        EngineError: the engine is not installed.
    """
    options = plan.options.get("voices")
    if isinstance(options, (list, tuple, Mapping)):
        return [Voice(str(name)) for name in options]
    engine = find_engine(plan.name, Engine)
    voices = getattr(engine, "voices", None)
    return list(voices) if isinstance(voices, (list, tuple)) and voices else None


def check_pipeline_voice(pipeline: PipelineSettings, name: str, voices: Sequence[Voice] | None) -> str | None:
    """Return what is wrong with the voice of a pipeline whose voices are known now; None for nothing."""
    if pipeline.voice is None or not voices or pipeline.voice in voice_names(voices):
        return None
    names = ", ".join(voice.name for voice in voices)
    return f"pipelines.{name}.voice: there is no voice {pipeline.voice!r}; there are: {names}"
