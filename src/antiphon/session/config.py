"""What a session is configured to do: typed, immutable, replaced whole by each `session.update`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Literal

from antiphon.audio.formats import AudioFormat
from antiphon.engines.base import ToolChoice

Modality = Literal["audio", "text"]
SessionType = Literal["realtime", "transcription"]

PCM_24K = AudioFormat("audio/pcm", 24_000)


@dataclass(frozen=True, slots=True)
class ServerVad:
    """Turns end after a fixed silence. Times in ms, threshold a probability; defaults from the protocol."""

    threshold: float = 0.5
    prefix_padding_ms: int = 300
    silence_duration_ms: int = 500
    idle_timeout_ms: int | None = None
    create_response: bool = True
    interrupt_response: bool = True


@dataclass(frozen=True, slots=True)
class SemanticVad:
    """Turns end when what was said sounds finished."""

    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True


@dataclass(frozen=True, slots=True)
class Transcription:
    """Transcription of the user's audio. `language` is ISO 639-1; None where the client gave nothing."""

    model: str
    language: str | None = None
    prompt: str | None = None
    languages: tuple[str, ...] | None = None
    keywords: tuple[str, ...] | None = None
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None


@dataclass(frozen=True, slots=True)
class NoiseReduction:
    """Noise suppression of the input; `strength` None for the full one."""

    type: Literal["near_field", "far_field"]
    strength: float | None = None


@dataclass(frozen=True, slots=True)
class RetentionRatio:
    """Truncation that keeps `ratio` (0..1) of the tokens that fit, or of `post_instructions_tokens`."""

    ratio: float
    post_instructions_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class FunctionTool:
    """A function that the model may call; `parameters` is a JSON Schema object. None where nothing was given."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class InputConfig:
    """`audio.input` of a session. `turn_detection` None: the client commits by hand."""

    format: AudioFormat = PCM_24K
    transcription: Transcription | None = None
    noise_reduction: NoiseReduction | None = None
    turn_detection: ServerVad | SemanticVad | None = field(default_factory=ServerVad)


@dataclass(frozen=True, slots=True)
class OutputConfig:
    """`audio.output` of a session. `speed` 0.25 to 1.5."""

    voice: str
    format: AudioFormat = PCM_24K
    speed: float = 1.0


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """The effective configuration of one session.

    Attributes:
        max_output_tokens: None for no limit ("inf" on the wire).
        tracing, prompt, include, parallel_tool_calls, reasoning: as the client gave them; None for nothing.
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
    prompt: dict[str, Any] | None = None
    include: tuple[str, ...] | None = None
    parallel_tool_calls: bool | None = None
    reasoning: dict[str, Any] | None = None
    default_instructions: str = ""

    def updated(
        self,
        session: dict[str, Any],
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
        return self

    def wire(self, id: str, expires_at: int) -> dict[str, Any]:
        """Return the effective session as `session.created` and `session.updated` carry it.

        Args:
            id: of the session.
            expires_at: Unix time, s.
        """
        return {"type": self.type, "object": "realtime.session", "id": id, "expires_at": expires_at}


@dataclass(frozen=True, slots=True)
class ResponseConfig:
    """What one response is asked for: the session's configuration with `response.create`'s own on top.

    Attributes:
        input: items and item references that replace the conversation as context; None for the conversation.
        conversation: "none" for a response that is out of band.
        max_output_tokens: None for no limit.
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
    prompt: dict[str, Any] | None = None
    reasoning: dict[str, Any] | None = None


def response_config(
    session: SessionConfig, response: dict[str, Any] | None, *, voices: Collection[str]
) -> ResponseConfig:
    """Return what a response is asked for by the checked `response` object of a `response.create`.

    `response` is None for one that the server starts by itself. Its `input` items are checked but not resolved.

    Raises:
        ProtocolError: the response is refused.
    """
    return ResponseConfig(
        instructions=session.instructions,
        modality=session.modality,
        tools=session.tools,
        tool_choice=session.tool_choice,
        max_output_tokens=session.max_output_tokens,
        voice=session.output.voice,
        format=session.output.format,
        speed=session.output.speed,
    )


def default_session_config(
    *,
    model: str,
    voice: str,
    instructions: str,
    type: SessionType = "realtime",
) -> SessionConfig:
    """Return the configuration that a session starts with; `model` is the name that the client asked for."""
    return SessionConfig(
        type=type,
        model=model,
        instructions=instructions,
        default_instructions=instructions,
        output=OutputConfig(voice=voice),
    )
