"""The `audio` part of a session's configuration: input, turn detection, transcription, output."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from antiphon.audio.formats import PCM_24K, AudioFormat
from antiphon.protocol.errors import ProtocolError, invalid_value, missing_parameter

OPENAI_TRANSCRIPTION_MODELS = (
    "whisper-1",
    "gpt-transcribe",
    "gpt-live-transcribe",
    "gpt-4o-mini-transcribe",
    "gpt-4o-mini-transcribe-2025-12-15",
    "gpt-4o-transcribe",
    "gpt-4o-transcribe-diarize",
    "gpt-realtime-whisper",
)
"""Names that clients ask for by default (openai 3.52.0); the server's own transcriber answers to all of them."""

COMMITTED_BY_HAND = frozenset({"gpt-realtime-whisper", "gpt-live-transcribe"})
"""Models whose transcription sessions have no turn detection: their clients commit, and would commit twice with it."""


@dataclass(frozen=True, slots=True)
class ServerVad:
    """Turns end after a fixed silence. Times in ms, threshold a probability.

    The defaults are the API reference's; the real service was seen with 200 ms of silence on some models.
    """

    threshold: float = 0.5
    prefix_padding_ms: int = 300
    silence_duration_ms: int = 500
    idle_timeout_ms: int | None = None
    create_response: bool = True
    interrupt_response: bool = True

    def updated(self, wire: Mapping[str, Any]) -> ServerVad:
        """Return it with the fields that a checked `turn_detection` object names."""
        fields = ("threshold", "prefix_padding_ms", "silence_duration_ms", "create_response", "interrupt_response")
        return replace(self, **_given(wire, fields), **_named(wire, ("idle_timeout_ms",)))

    def wire(self) -> dict[str, Any]:
        """Return the effective `turn_detection` object."""
        return {
            "type": "server_vad",
            "threshold": self.threshold,
            "prefix_padding_ms": self.prefix_padding_ms,
            "silence_duration_ms": self.silence_duration_ms,
            "idle_timeout_ms": self.idle_timeout_ms,
            "create_response": self.create_response,
            "interrupt_response": self.interrupt_response,
        }


@dataclass(frozen=True, slots=True)
class SemanticVad:
    """Turns end when what was said sounds finished; `eagerness` "auto" is "medium"."""

    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True

    def updated(self, wire: Mapping[str, Any]) -> SemanticVad:
        """Return it with the fields that a checked `turn_detection` object names."""
        return replace(self, **_given(wire, ("eagerness", "create_response", "interrupt_response")))

    def wire(self) -> dict[str, Any]:
        """Return the effective `turn_detection` object."""
        return {
            "type": "semantic_vad",
            "eagerness": self.eagerness,
            "create_response": self.create_response,
            "interrupt_response": self.interrupt_response,
        }


@dataclass(frozen=True, slots=True)
class Transcription:
    """Transcription of the user's audio. `language` is ISO 639-1; None where the client gave nothing."""

    model: str
    language: str | None = None
    prompt: str | None = None
    languages: tuple[str, ...] | None = None
    keywords: tuple[str, ...] | None = None
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None

    def wire(self) -> dict[str, Any]:
        """Return the effective `transcription` object.

        The last three fields stand in it only when given: some clients know nothing beyond the first three.
        """
        more = {
            "languages": None if self.languages is None else list(self.languages),
            "keywords": None if self.keywords is None else list(self.keywords),
            "delay": self.delay,
        }
        return {
            "model": self.model,
            "language": self.language,
            "prompt": self.prompt,
            **{name: value for name, value in more.items() if value is not None},
        }


@dataclass(frozen=True, slots=True)
class NoiseReduction:
    """Noise suppression of the input; `strength` 0 to 1, None where the client gave nothing (1)."""

    type: Literal["near_field", "far_field"]
    strength: float | None = None

    def wire(self) -> dict[str, Any]:
        """Return the effective `noise_reduction` object; `strength` only when given."""
        return {"type": self.type} if self.strength is None else {"type": self.type, "strength": self.strength}


@dataclass(frozen=True, slots=True)
class InputConfig:
    """`audio.input` of a session. `turn_detection` None: the client commits by hand."""

    format: AudioFormat = PCM_24K
    transcription: Transcription | None = None
    noise_reduction: NoiseReduction | None = None
    turn_detection: ServerVad | SemanticVad | None = field(default_factory=ServerVad)

    def updated(self, wire: Mapping[str, Any], *, transcription_models: Collection[str]) -> InputConfig:
        """Return it with a checked `session.audio.input` object merged into it.

        Raises:
            ProtocolError: unknown transcription model, or something switched on without saying what.
        """
        changes: dict[str, Any] = {}
        if wire.get("format") is not None:
            changes["format"] = AudioFormat.from_wire(wire["format"])
        if "transcription" in wire:
            changes["transcription"] = _transcription(self.transcription, wire["transcription"], transcription_models)
        if "noise_reduction" in wire:
            changes["noise_reduction"] = _noise_reduction(self.noise_reduction, wire["noise_reduction"])
        if "turn_detection" in wire:
            changes["turn_detection"] = _turn_detection(self.turn_detection, wire["turn_detection"])
        return replace(self, **changes)

    def for_transcription(self, wire: Mapping[str, Any]) -> InputConfig:
        """Return it as the input of a transcription session that `wire` has been merged into.

        Raises:
            ProtocolError: `wire` asks for turn detection, which the transcription model does not have.
        """
        if self.transcription is None or self.transcription.model not in COMMITTED_BY_HAND:
            return self
        if wire.get("turn_detection") is not None:
            raise ProtocolError(
                "Turn detection is not supported for this transcription model.",
                code="invalid_value",
                param="session.audio.input.turn_detection",
            )
        return replace(self, turn_detection=None)

    def wire(self) -> dict[str, Any]:
        """Return the effective `audio.input` object."""
        return {
            "format": self.format.wire(),
            "transcription": self.transcription and self.transcription.wire(),
            "noise_reduction": self.noise_reduction and self.noise_reduction.wire(),
            "turn_detection": self.turn_detection and self.turn_detection.wire(),
        }


@dataclass(frozen=True, slots=True)
class OutputConfig:
    """`audio.output` of a session. `speed` 0.25 to 1.5; a change holds from the next response on."""

    voice: str
    format: AudioFormat = PCM_24K
    speed: float = 1.0

    def updated(
        self, wire: Mapping[str, Any], *, param: str, voices: Collection[str], voice_fixed: bool = False
    ) -> OutputConfig:
        """Return it with a checked `audio.output` object, found at the path `param`, merged into it.

        Args:
            wire: the object.
            param: its dotted path.
            voices: names that may be chosen.
            voice_fixed: whether the voice may no longer change.

        Raises:
            ProtocolError: unknown voice, or code "cannot_update_voice".
        """
        changes: dict[str, Any] = {}
        if wire.get("format") is not None:
            changes["format"] = AudioFormat.from_wire(wire["format"])
        if wire.get("speed") is not None:
            changes["speed"] = float(wire["speed"])
        if wire.get("voice") is not None:
            voice, path = wire["voice"], f"{param}.voice"
            if isinstance(voice, dict):
                voice, path = voice["id"], f"{path}.id"
            if voice not in voices:
                raise invalid_value(path, voice, tuple(voices))
            if voice_fixed and voice != self.voice:
                raise ProtocolError(
                    "Cannot update a conversation's voice if assistant audio is present.",
                    code="cannot_update_voice",
                    param=f"{param}.voice",
                )
            changes["voice"] = voice
        return replace(self, **changes)

    def wire(self) -> dict[str, Any]:
        """Return the effective `audio.output` object."""
        return {"format": self.format.wire(), "voice": self.voice, "speed": self.speed}


def _transcription(
    current: Transcription | None, wire: Mapping[str, Any] | None, models: Collection[str]
) -> Transcription | None:
    if wire is None:
        return None
    param = "session.audio.input.transcription.model"
    model = wire.get("model") or (current.model if current else None)
    if model is None:
        raise missing_parameter(param)
    known = tuple(dict.fromkeys((*OPENAI_TRANSCRIPTION_MODELS, *models)))
    if model not in known:
        raise invalid_value(param, model, known)
    changes = _named(wire, ("language", "prompt", "delay"))
    for name in ("languages", "keywords"):
        if name in wire:
            changes[name] = None if wire[name] is None else tuple(wire[name])
    return replace(current or Transcription(model), model=model, **changes)


def _noise_reduction(current: NoiseReduction | None, wire: Mapping[str, Any] | None) -> NoiseReduction | None:
    if wire is None:
        return None
    kind = wire.get("type") or (current.type if current else None)
    if kind is None:
        raise missing_parameter("session.audio.input.noise_reduction.type")
    return replace(current or NoiseReduction(kind), type=kind, **_given(wire, ("strength",)))


def _turn_detection(
    current: ServerVad | SemanticVad | None, wire: Mapping[str, Any] | None
) -> ServerVad | SemanticVad | None:
    """Return turn detection merged with `wire`; another type than the current one starts from its own defaults."""
    if wire is None:
        return None
    kind = ServerVad if wire["type"] == "server_vad" else SemanticVad
    return (current if isinstance(current, kind) else kind()).updated(wire)


def _given(wire: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return the named fields that `wire` has a value for."""
    return {name: wire[name] for name in names if wire.get(name) is not None}


def _named(wire: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return the named fields that `wire` has, nulls too: null clears them."""
    return {name: wire[name] for name in names if name in wire}
