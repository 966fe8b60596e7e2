"""Beta's flat sessions and responses as GA's nested ones, and back. Pure.

The table of names is that of OpenAI's migration guide from the beta to the GA protocol.
"""

from __future__ import annotations

from typing import Any

from antiphon.protocol.errors import ProtocolError, invalid_type, invalid_value, unknown_parameter

FORMATS = {
    "pcm16": {"type": "audio/pcm", "rate": 24_000},
    "g711_ulaw": {"type": "audio/pcmu"},
    "g711_alaw": {"type": "audio/pcma"},
}
_FORMAT_NAMES = {"audio/pcm": "pcm16", "audio/pcmu": "g711_ulaw", "audio/pcma": "g711_alaw"}

_PATHS = {
    "modalities": ("output_modalities",),
    "voice": ("audio", "output", "voice"),
    "speed": ("audio", "output", "speed"),
    "output_audio_format": ("audio", "output", "format"),
    "input_audio_format": ("audio", "input", "format"),
    "input_audio_transcription": ("audio", "input", "transcription"),
    "input_audio_noise_reduction": ("audio", "input", "noise_reduction"),
    "turn_detection": ("audio", "input", "turn_detection"),
    "max_response_output_tokens": ("max_output_tokens",),
}
"""Where a flat field stands in GA; all others keep their names."""

_SESSION = (
    *_PATHS,
    *("instructions", "tools", "tool_choice", "temperature", "tracing", "include", "model", "max_output_tokens"),
)
_TRANSCRIPTION_SESSION = (
    *("input_audio_format", "input_audio_transcription", "input_audio_noise_reduction", "turn_detection", "include"),
)
_RESPONSE = (
    *("modalities", "voice", "output_audio_format", "max_response_output_tokens", "max_output_tokens"),
    *("instructions", "tools", "tool_choice", "temperature", "conversation", "metadata", "input"),
)

_TEMPERATURE = (0.6, 1.2)
DEFAULT_TEMPERATURE = 0.8


def session_to_ga(session: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return the GA `session` object of a flat one.

    Args:
        session: as the client sent it.
        kind: "realtime" or "transcription".

    Raises:
        ProtocolError: a field or value that beta does not have.
    """
    known = _SESSION if kind == "realtime" else _TRANSCRIPTION_SESSION
    return {"type": kind, **_nested(session, "session", known)}


def response_to_ga(response: dict[str, Any]) -> dict[str, Any]:
    """Return the GA `response` object of a flat one. Raises ProtocolError."""
    return _nested(response, "response", _RESPONSE)


def temperature_of(wire: dict[str, Any], param: str, current: float) -> float:
    """Return the temperature that a flat object asks for.

    Raises:
        ProtocolError: it is not a number from 0.6 to 1.2.
    """
    value = wire.get("temperature")
    if value is None:
        return current
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid_type(f"{param}.temperature", "a decimal", value)
    lowest, highest = _TEMPERATURE
    if not lowest <= value <= highest:
        too_low = value < lowest
        raise ProtocolError(
            f"Invalid '{param}.temperature': decimal {'below minimum' if too_low else 'above maximum'} value. "
            f"Expected a value {'>=' if too_low else '<='} {lowest if too_low else highest}, but got {value} instead.",
            code="decimal_below_min_value" if too_low else "decimal_above_max_value",
            param=f"{param}.temperature",
        )
    return float(value)


def session_from_ga(session: dict[str, Any], modalities: list[str], temperature: float) -> dict[str, Any]:
    """Return the flat form of an effective GA session."""
    heard = session["audio"]["input"]
    shared = {
        "input_audio_format": _FORMAT_NAMES[heard["format"]["type"]],
        "input_audio_transcription": heard["transcription"],
        "input_audio_noise_reduction": heard["noise_reduction"],
        "turn_detection": heard["turn_detection"],
    }
    if session["type"] == "transcription":
        return {
            "id": session["id"],
            "object": "realtime.transcription_session",
            "expires_at": session["expires_at"],
            **shared,
            "include": session["include"],
        }
    spoken = session["audio"]["output"]
    return {
        "id": session["id"],
        "object": "realtime.session",
        "model": session["model"],
        "expires_at": session["expires_at"],
        "modalities": modalities,
        "instructions": session["instructions"],
        "voice": spoken["voice"],
        "output_audio_format": _FORMAT_NAMES[spoken["format"]["type"]],
        **shared,
        "tools": session["tools"],
        "tool_choice": session["tool_choice"],
        "temperature": temperature,
        "max_response_output_tokens": session["max_output_tokens"],
        "speed": spoken["speed"],
        "tracing": session["tracing"],
        "client_secret": None,
        "include": session["include"],
    }


def response_from_ga(response: dict[str, Any], modalities: list[str], temperature: float) -> dict[str, Any]:
    """Return the flat form of a GA response, its output items aside."""
    spoken = response["audio"]["output"]
    flat = {key: value for key, value in response.items() if key not in ("audio", "output_modalities")}
    return {
        **flat,
        "modalities": modalities,
        "voice": spoken["voice"],
        "output_audio_format": _FORMAT_NAMES[spoken["format"]["type"]],
        "temperature": temperature,
    }


def modalities_from_ga(ga: list[str]) -> list[str]:
    """Return beta's modalities: what GA calls audio is speech with its transcript."""
    return ["text", "audio"] if ga == ["audio"] else ["text"]


def param_from_ga(param: str) -> str:
    """Return the flat path of a GA path such as `session.audio.input.turn_detection.threshold`."""
    for owner in ("session", "response"):
        for name, path in _PATHS.items():
            nested = ".".join((owner, *path))
            if param == nested or param.startswith((f"{nested}.", f"{nested}[")):
                rest = "" if name.endswith("_format") else param[len(nested) :]
                return f"{owner}.{name}{rest}"
    return param


def _nested(flat: dict[str, Any], owner: str, known: tuple[str, ...]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        if name not in known:
            raise unknown_parameter(f"{owner}.{name}")
        if name == "temperature":
            continue
        place = nested
        *parents, last = _PATHS.get(name, (name,))
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = _value(name, value, f"{owner}.{name}")
    return nested


def _value(name: str, value: Any, param: str) -> Any:
    if name.endswith("_audio_format"):
        if value is None:
            return None
        if not isinstance(value, str):
            raise invalid_type(param, "a string", value)
        if value not in FORMATS:
            raise invalid_value(param, value, tuple(FORMATS))
        return FORMATS[value]
    if name == "modalities" and isinstance(value, list) and "audio" in value:
        # Beta's ["text", "audio"] is what GA calls audio: speech always comes with its transcript.
        return ["audio"] if set(map(str, value)) <= {"audio", "text"} else value
    return value
