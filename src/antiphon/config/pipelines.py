"""Settings of engines and of the pipelines made of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from antiphon.config.limits import LimitSettings
from antiphon.relay.settings import UpstreamSettings
from antiphon.session.config import SemanticVad, ServerVad

ROLES = ("vad", "transcription", "llm", "tts", "turn", "denoise", "speech")
OPTIONAL_ROLES = frozenset({"turn", "denoise"})
CHAIN_ROLES = frozenset({"transcription", "llm", "tts"})
"""Roles that may have several engines, each of which stands in for those before it."""

SPEECH_TAKES = ("llm", "tts")
"""Roles that a speech model takes itself."""

_OF_ENGINES = (*ROLES, "drafts", "idle_unload_s")
"""Settings that mean nothing where another server has the engines."""

_OWN_KEYS = ("engine", "name", "cores", "idle_unload_s", "options")
"""What is not an option of the engine."""

_STRICT = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True)

_SERVER_VAD, _SEMANTIC_VAD = ServerVad(), SemanticVad()

Seconds = Annotated[float, Field(ge=0)]


class EngineChoice(BaseModel):
    """An engine and how it is set up: its name, or a mapping whose other keys are the engine's own options.

    `{engine: openai-chat, base_url: …, model: …, cores: 1}`. An option that has the name of one of the keys here goes
    into `options`. Without `engine`, it is that of the preset with other options.
    """

    model_config = _STRICT

    name: str | None = None
    """The engine's name; written `engine` in files."""
    options: dict[str, Any] = Field(default_factory=dict)
    """The engine's own settings."""
    cores: Annotated[int, Field(ge=1)] | None = None
    """CPU threads that it may keep busy; by the machine if not set."""
    idle_unload_s: Seconds | None = None
    """Unload it when no session has used it for so long, in s; load it again on demand."""

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"name": value}
        if not isinstance(value, Mapping):
            return value
        own = {key: value[key] for key in _OWN_KEYS if key in value}
        if "engine" in own and "name" in own:
            raise ValueError("give `engine` or `name`, not both")
        if "engine" in own:
            own["name"] = own.pop("engine")
        flat = {key: option for key, option in value.items() if key not in _OWN_KEYS}
        nested = own.get("options", {})
        if isinstance(nested, Mapping):
            own["options"] = {**nested, **flat}
        elif flat:
            raise ValueError("`options` must be a mapping")
        return own


class EngineSettings(BaseModel):
    """Which engines serve where a pipeline names none: a preset, and changes to it by role."""

    model_config = _STRICT

    preset: Literal["embedded", "stand-in"] = "embedded"
    """`embedded` for real models on this machine, `stand-in` for scripted engines without models."""
    vad: EngineChoice | None = None
    """Voice activity detection."""
    turn: EngineChoice | None = None
    """The end of turns, for `semantic_vad`."""
    denoise: EngineChoice | None = None
    """Noise suppression, for clients that ask for it."""
    transcription: EngineChoice | None = None
    """Speech to text."""
    llm: EngineChoice | None = None
    """The language model."""
    tts: EngineChoice | None = None
    """Text to speech."""


class ServerVadSettings(BaseModel):
    """Turns end after a fixed silence."""

    model_config = _STRICT

    type: Literal["server_vad"]
    threshold: Annotated[float, Field(ge=0, le=1)] = _SERVER_VAD.threshold
    """Probability from which on a sound is speech."""
    prefix_padding_ms: Annotated[int, Field(ge=0, le=10_000)] = _SERVER_VAD.prefix_padding_ms
    """Audio kept from before the speech, in ms."""
    silence_duration_ms: Annotated[int, Field(ge=0, le=60_000)] = _SERVER_VAD.silence_duration_ms
    """Silence that ends a turn, in ms."""
    idle_timeout_ms: Annotated[int, Field(ge=5_000, le=30_000)] | None = _SERVER_VAD.idle_timeout_ms
    """Speak up when the user has said nothing for so long, in ms."""
    create_response: bool = _SERVER_VAD.create_response
    """Answer when a turn ends."""
    interrupt_response: bool = _SERVER_VAD.interrupt_response
    """Let speech interrupt a reply."""


class SemanticVadSettings(BaseModel):
    """Turns end when what was said sounds finished."""

    model_config = _STRICT

    type: Literal["semantic_vad"]
    eagerness: Literal["low", "medium", "high", "auto"] = _SEMANTIC_VAD.eagerness
    """How soon a turn is taken for finished; `auto` is `medium`."""
    create_response: bool = _SEMANTIC_VAD.create_response
    """Answer when a turn ends."""
    interrupt_response: bool = _SEMANTIC_VAD.interrupt_response
    """Let speech interrupt a reply."""


def _kind(value: Any) -> str | None:
    if isinstance(value, str):
        return "off" if value == "off" else None
    kind = value.get("type") if isinstance(value, Mapping) else getattr(value, "type", None)
    return kind if kind in ("server_vad", "semantic_vad") else None


TurnDetection = Annotated[
    Annotated[ServerVadSettings, Tag("server_vad")]
    | Annotated[SemanticVadSettings, Tag("semantic_vad")]
    | Annotated[Literal["off"], Tag("off")],
    Discriminator(
        _kind,
        custom_error_type="turn_detection",
        custom_error_message="Input should be `off`, or have `type: server_vad` or `type: semantic_vad`",
    ),
]


def _as_chain(value: Any) -> Any:
    """Return the engines of a role as a list; none of them for "off"."""
    if value == "off":
        return []
    return [value] if isinstance(value, (str, Mapping, EngineChoice)) else value


Chain = Annotated[tuple[EngineChoice, ...], BeforeValidator(_as_chain, json_schema_input_type=Any)]
NeededChain = Annotated[Chain, Field(min_length=1)]


class PipelineSettings(BaseModel):
    """One served model: engines by role, and what its sessions start with.

    A role that is not named has the engine of `engines`. A list of engines is a chain of fallbacks (`transcription`,
    `llm`, `tts`); `turn` and `denoise` may be `off`. With a `speech` model there is no `llm` and no `tts`, and
    `transcription` may be `off` too. With an `upstream` there are no engines at all.
    """

    model_config = _STRICT

    vad: NeededChain | None = None
    """Voice activity detection."""
    turn: Chain | None = None
    """The end of turns, for `semantic_vad`; or `off`."""
    denoise: Chain | None = None
    """Noise suppression, for clients that ask for it; or `off`."""
    transcription: Chain | None = None
    """Speech to text; with a `speech` model for the client's eyes only, and it may be `off`."""
    llm: NeededChain | None = None
    """The language model."""
    tts: NeededChain | None = None
    """Text to speech."""
    speech: NeededChain | None = None
    """One model that hears and speaks, in place of `llm` and `tts`."""
    aliases: tuple[Annotated[str, Field(min_length=1, max_length=128)], ...] = ()
    """Other names that clients may ask for; `*` stands for anything."""
    drafts: Literal["off", "transcription", "full"] | None = None
    """How far work runs ahead of the end of a turn. By default as far as no engine elsewhere is asked, where calls may
    cost money: `full` when all engines are on this machine."""
    instructions: str | None = None
    """What a session is told to be until its client says otherwise; the server's if not set."""
    voice: str | None = None
    """The voice of a session until its client says otherwise; the first one of the synthesizer if not set."""
    turn_detection: TurnDetection | None = None
    """Turn detection of a session until its client says otherwise, or `off` for turns that clients commit by hand;
    `server_vad` if not set."""
    max_sessions: Annotated[int, Field(ge=1)] | None = None
    """Most sessions of this pipeline at once; another is refused with HTTP 503."""
    limits: LimitSettings = LimitSettings()
    """Bounds of its sessions that differ from the server's."""
    idle_unload_s: Seconds | None = None
    """Unload its engines when no session has used them for so long, in s; the first session after that waits until
    they are loaded. Kept loaded if not set."""
    upstream: UpstreamSettings | None = None
    """Another Realtime server that has the sessions of this pipeline, in place of engines."""

    @field_validator("speech")
    @classmethod
    def _speaks_alone(cls, speech: Any, info: ValidationInfo) -> Any:
        others = [role for role in SPEECH_TAKES if info.data.get(role) is not None]
        if speech is not None and others:
            raise ValueError(f"a pipeline with speech has no {' and no '.join(others)}: the model does it all")
        return speech

    @field_validator("upstream")
    @classmethod
    def _is_elsewhere(cls, upstream: Any, info: ValidationInfo) -> Any:
        others = [name for name in _OF_ENGINES if info.data.get(name) is not None]
        if upstream is not None and others:
            raise ValueError(f"a pipeline with upstream has no {' and no '.join(others)}: the other server does it all")
        return upstream

    @model_validator(mode="after")
    def _hears(self) -> PipelineSettings:
        if self.transcription == () and self.speech is None:
            raise ValueError("transcription cannot be off: only a speech model does without")
        return self
