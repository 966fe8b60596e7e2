"""What a session is configured to do: typed, immutable, replaced whole by each `session.update`.

A null in an update clears what may be null in the effective session (`turn_detection`, `transcription`, …) and leaves
everything else as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from antiphon.audio.formats import AudioFormat
from antiphon.engines.base import ToolChoice
from antiphon.protocol.errors import ProtocolError, shown
from antiphon.session.config_audio import (
    InputConfig,
    NoiseReduction,
    OutputConfig,
    SemanticVad,
    ServerVad,
    Transcription,
)
from antiphon.session.config_tools import FunctionTool, tool_choice_from_wire, tool_choice_wire, tools_from_wire

__all__ = [
    "FunctionTool",
    "InputConfig",
    "Modality",
    "NoiseReduction",
    "OutputConfig",
    "ResponseConfig",
    "RetentionRatio",
    "SemanticVad",
    "ServerVad",
    "SessionConfig",
    "SessionType",
    "Transcription",
    "check_model",
    "default_session_config",
    "response_config",
]

Modality = Literal["audio", "text"]
SessionType = Literal["realtime", "transcription"]


@dataclass(frozen=True, slots=True)
class RetentionRatio:
    """Truncation that keeps the share `ratio` (0..1) of the tokens that fit.

    `post_instructions_tokens` is the most tokens that the conversation may have after the instructions; None for no
    limit of its own.
    """

    ratio: float
    post_instructions_tokens: int | None = None

    def wire(self) -> dict[str, Any]:
        """Return the effective `truncation` object."""
        wire: dict[str, Any] = {"type": "retention_ratio", "retention_ratio": self.ratio}
        if self.post_instructions_tokens is not None:
            wire["token_limits"] = {"post_instructions": self.post_instructions_tokens}
        return wire


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """The effective configuration of one session.

    Attributes:
        model: the name that the client asked for.
        max_output_tokens: None for no limit ("inf" on the wire).
        tracing, include, parallel_tool_calls, reasoning: as the client gave them; None for nothing.
        default_instructions: what `instructions` falls back to when the client clears them.
    """

    type: SessionType
    model: str
    instructions: str
    output: OutputConfig
    input: InputConfig = field(default_factory=InputConfig)
    modality: Modality = "audio"
    tools: tuple[FunctionTool, ...] = ()
    tool_choice: ToolChoice = "auto"
    max_output_tokens: int | None = None
    truncation: Literal["auto", "disabled"] | RetentionRatio = "auto"
    tracing: Literal["auto"] | dict[str, Any] | None = None
    include: tuple[str, ...] | None = None
    parallel_tool_calls: bool | None = None
    reasoning: dict[str, Any] | None = None
    default_instructions: str = ""

    def updated(
        self,
        session: Mapping[str, Any],
        *,
        assistant_audio_present: bool,
        voices: Collection[str],
        same_model: Callable[[str], bool],
        transcription_models: Collection[str] = (),
    ) -> SessionConfig:
        """Return this configuration with a checked `session` object merged into it.

        Args:
            session: what `protocol.schema` has checked.
            assistant_audio_present: whether the session has sent assistant audio, which fixes the voice.
            voices: names that the client may choose from, OpenAI's included where they are mapped.
            same_model: tells whether a name means the model that is served.
            transcription_models: names beside OpenAI's that the client may ask for.

        Raises:
            ProtocolError: the whole update is refused; this configuration stands.
        """
        if session["type"] != self.type:
            raise ProtocolError(
                f"Passing a {session['type']} session update event to a {self.type} session is not allowed.",
                code="invalid_parameter",
            )
        check_model(session.get("model"), self.model, same_model)
        audio = session.get("audio") or {}
        input_wire = audio.get("input") or {}
        heard = self.input.updated(input_wire, transcription_models=transcription_models)
        changes: dict[str, Any] = {
            "input": heard.for_transcription(input_wire) if self.type == "transcription" else heard,
            "output": self.output.updated(
                audio.get("output") or {},
                param="session.audio.output",
                voices=voices,
                voice_fixed=assistant_audio_present,
            ),
            **_shared_changes(session, "session", self),
        }
        if session.get("instructions") == "":
            changes["instructions"] = self.default_instructions
        if session.get("truncation") is not None:
            changes["truncation"] = _truncation(session["truncation"])
        if session.get("tracing") is not None:
            changes["tracing"] = self._traced(session["tracing"])
        if "include" in session:
            changes["include"] = None if session["include"] is None else tuple(session["include"])
        return replace(self, **changes)

    def wire(self, id: str, expires_at: int) -> dict[str, Any]:
        """Return the effective session as `session.created` and `session.updated` carry it.

        Args:
            id: of the session.
            expires_at: Unix time, s.
        """
        include = None if self.include is None else list(self.include)
        if self.type == "transcription":
            return {
                "type": "transcription",
                "object": "realtime.transcription_session",
                "id": id,
                "expires_at": expires_at,
                "audio": {"input": self.input.wire()},
                "include": include,
            }
        more = {"parallel_tool_calls": self.parallel_tool_calls, "reasoning": self.reasoning}
        return {
            "type": "realtime",
            "object": "realtime.session",
            "id": id,
            "model": self.model,
            "output_modalities": [self.modality],
            "instructions": self.instructions,
            "tools": [tool.wire() for tool in self.tools],
            "tool_choice": tool_choice_wire(self.tool_choice),
            "max_output_tokens": "inf" if self.max_output_tokens is None else self.max_output_tokens,
            "tracing": self.tracing,
            "truncation": self.truncation.wire() if isinstance(self.truncation, RetentionRatio) else self.truncation,
            "prompt": None,
            "expires_at": expires_at,
            "audio": {"input": self.input.wire(), "output": self.output.wire()},
            "include": include,
            **{name: value for name, value in more.items() if value is not None},
        }

    def _traced(self, tracing: Literal["auto"] | dict[str, Any]) -> Literal["auto"] | dict[str, Any]:
        """Return `tracing` unless another one was set before."""
        if self.tracing not in (None, tracing):
            raise ProtocolError(
                "Cannot update a session's tracing configuration once it has been set.",
                code="invalid_value",
                param="session.tracing",
            )
        return tracing


def check_model(asked: str | None, model: str, same_model: Callable[[str], bool]) -> None:
    """Raise ProtocolError if a session that was opened as `model` is `asked` to be another."""
    if asked is not None and asked != model and not same_model(asked):
        raise ProtocolError(
            f"Cannot change the model of a session from '{model}' to '{shown(asked)}'.",
            code="invalid_value",
            param="session.model",
        )


@dataclass(frozen=True, slots=True)
class ResponseConfig:
    """What one response is asked for: the session's configuration with `response.create`'s own on top.

    Attributes:
        max_output_tokens: None for no limit.
        metadata: as the client gave it; None for nothing.
        conversation: "none" for a response that is out of band.
        input: items and item references that replace the conversation as context; None for the conversation.
    """

    instructions: str
    modality: Modality
    tools: tuple[FunctionTool, ...]
    tool_choice: ToolChoice
    max_output_tokens: int | None
    voice: str
    format: AudioFormat
    speed: float
    metadata: dict[str, str] | None = None
    conversation: Literal["auto", "none"] = "auto"
    input: list[dict[str, Any]] | None = None
    parallel_tool_calls: bool | None = None
    reasoning: dict[str, Any] | None = None


def response_config(
    session: SessionConfig, response: Mapping[str, Any] | None, *, voices: Collection[str]
) -> ResponseConfig:
    """Return what a response is asked for by the checked `response` object of a `response.create`.

    `response` is None for one that the server starts by itself. Its `input` items are checked but not resolved. A voice
    of its own is allowed even when the session's is fixed.

    Raises:
        ProtocolError: the response is refused.
    """
    wire = response or {}
    output = session.output.updated(
        (wire.get("audio") or {}).get("output") or {}, param="response.audio.output", voices=voices
    )
    asked = replace(session, **_shared_changes(wire, "response", session))
    return ResponseConfig(
        instructions=asked.instructions,
        modality=asked.modality,
        tools=asked.tools,
        tool_choice=asked.tool_choice,
        max_output_tokens=asked.max_output_tokens,
        voice=output.voice,
        format=output.format,
        speed=output.speed,
        metadata=wire.get("metadata"),
        conversation=wire.get("conversation") or "auto",
        input=wire.get("input"),
        parallel_tool_calls=asked.parallel_tool_calls,
        reasoning=asked.reasoning,
    )


def default_session_config(
    *,
    model: str,
    voice: str,
    instructions: str,
    type: SessionType = "realtime",
    transcription_model: str | None = None,
) -> SessionConfig:
    """Return the configuration that a session starts with.

    Args:
        model: the name that the client asked for.
        voice: of the replies.
        instructions: what holds until the client gives its own, and again when it clears them.
        type: of the session.
        transcription_model: name of the transcription that is on from the start; None for off.
    """
    heard = InputConfig(transcription=Transcription(transcription_model) if transcription_model else None)
    return SessionConfig(
        type=type,
        model=model,
        instructions=instructions,
        default_instructions=instructions,
        output=OutputConfig(voice),
        input=heard.for_transcription({}) if type == "transcription" else heard,
    )


def _shared_changes(wire: Mapping[str, Any], param: str, current: SessionConfig) -> dict[str, Any]:
    """Return the fields that sessions and responses have in common, as far as `wire`, found at `param`, changes them.

    Raises:
        ProtocolError: modalities, tools or a tool choice that cannot be.
    """
    changes: dict[str, Any] = {}
    if wire.get("output_modalities") is not None:
        changes["modality"] = _modality(wire["output_modalities"], f"{param}.output_modalities")
    if wire.get("instructions") is not None:
        changes["instructions"] = wire["instructions"]
    tools = current.tools
    if wire.get("tools") is not None:
        changes["tools"] = tools = tools_from_wire(wire["tools"], f"{param}.tools")
    changes["tool_choice"] = tool_choice_from_wire(
        wire.get("tool_choice"), f"{param}.tool_choice", current=current.tool_choice, tools=tools
    )
    if wire.get("max_output_tokens") is not None:
        limit = wire["max_output_tokens"]
        changes["max_output_tokens"] = None if limit == "inf" else limit
    if wire.get("prompt") is not None:
        raise ProtocolError(
            "Stored prompts are not available on this server. Send the text as 'instructions'.",
            code="invalid_value",
            param=f"{param}.prompt",
        )
    for name in ("parallel_tool_calls", "reasoning"):
        if name in wire:
            changes[name] = wire[name]
    return changes


def _modality(modalities: list[Modality], param: str) -> Modality:
    if len(modalities) != 1:
        shown_list = ", ".join(f"'{modality}'" for modality in modalities[:2])
        raise ProtocolError(
            f"Invalid modalities: [{shown_list}]. Supported combinations are: ['text'] and ['audio'].",
            code="invalid_value",
            param=param,
        )
    return modalities[0]


def _truncation(wire: str | Mapping[str, Any]) -> Literal["auto", "disabled"] | RetentionRatio:
    if isinstance(wire, str):
        return "disabled" if wire == "disabled" else "auto"
    limits = wire.get("token_limits") or {}
    return RetentionRatio(wire["retention_ratio"], limits.get("post_instructions"))
