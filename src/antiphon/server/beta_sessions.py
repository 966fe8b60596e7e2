"""The REST bodies of beta's `/v1/realtime/sessions` and `/v1/realtime/transcription_sessions`. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from antiphon.protocol.checks import Array, Choice
from antiphon.protocol.dialects.beta_session import (
    DEFAULT_TEMPERATURE,
    modalities_from_ga,
    param_from_ga,
    session_from_ga,
    session_to_ga,
    temperature_of,
)
from antiphon.protocol.errors import ProtocolError
from antiphon.session.config import SessionType

_MODALITIES = Array(Choice(("text", "audio")))


@dataclass(frozen=True, slots=True)
class BetaBody:
    """What a body asks for.

    Attributes:
        session: as a GA object, not checked yet.
        temperature: that is shown again.
        client_secret: how long the secret is to be valid, not checked yet.
    """

    session: dict[str, Any]
    temperature: float
    client_secret: Any


def read_body_of(body: dict[str, Any], kind: SessionType) -> BetaBody:
    """Return what a flat body asks for.

    Raises:
        ProtocolError: a field or value that beta does not have.
    """
    flat = {name: value for name, value in body.items() if name != "client_secret"}
    if kind == "transcription" and (modalities := flat.pop("modalities", None)) is not None:
        _MODALITIES(modalities, "modalities")  # it has no answers, so this asks for nothing
    temperature = temperature_of(flat, "session", DEFAULT_TEMPERATURE)
    return BetaBody(session_to_ga(flat, kind), temperature, body.get("client_secret"))


def body_from_ga(session: dict[str, Any], temperature: float, client_secret: dict[str, Any]) -> dict[str, Any]:
    """Return the flat form of an effective GA session, with the secret that opens it."""
    modalities = modalities_from_ga(session.get("output_modalities", ["audio"]))
    return {**session_from_ga(session, modalities, temperature), "client_secret": client_secret}


def error_from_ga(error: ProtocolError) -> ProtocolError:
    """Return an error about a session as one about a flat body: its parameter has the name that the client knows."""
    if error.param is None:
        return error
    flat = param_from_ga(error.param).removeprefix("session.")
    message = error.message.replace(f"'{error.param}'", f"'{flat}'")
    return ProtocolError(message, code=error.code, param=flat, type=error.type)
