"""What a session starts with, when its client says so before there is a session: calls and client secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from antiphon.pipeline.voices import voice_names
from antiphon.protocol.errors import ProtocolError, invalid_type
from antiphon.protocol.schema import parse_client_event
from antiphon.relay.opening import merged
from antiphon.server.served_model import ServedModel
from antiphon.server.served_models import ServedModels
from antiphon.session.config import SessionConfig, SessionType, check_model, default_session_config

SessionObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Start:
    """What a session starts with.

    Attributes:
        asked: what the client asked for that `config` does not tell, because an upstream server is to judge it.
    """

    pipeline: ServedModel
    config: SessionConfig
    asked: SessionObject | None = None

    def wire(self, id: str) -> dict[str, Any]:
        """Return the session object, before the session has begun and can expire. What only an upstream server knows
        is a guess in it."""
        return merged(self.config.wire(id, 0), self.asked or {})


def check_session(session: Any) -> SessionObject:
    """Return a `session` object that a client gave outside a session, checked as that of a `session.update` is.

    Raises:
        ProtocolError: the first mistake in it.
    """
    if not isinstance(session, dict):
        raise invalid_type("session", "an object", session)
    checked: SessionObject = parse_client_event({"type": "session.update", "session": session})["session"]
    return checked


def start_session(
    models: ServedModels,
    *,
    type: SessionType = "realtime",
    model: str | None = None,
    session: SessionObject | None = None,
) -> Start:
    """Return what a session starts with.

    Args:
        models: that are served.
        type: of the session, where no `session` says it.
        model: that the client asked for beside `session`; None where it did not.
        session: what `check_session` returned.

    Raises:
        ProtocolError: a model that is not served, or a configuration that cannot be.
    """
    kind: SessionType = session["type"] if session is not None else type
    name = model or (session or {}).get("model")
    pipeline = models.resolve_transcription(name) if kind == "transcription" else models.resolve(name)
    config = default_session_config(
        model=name or pipeline.name,
        voice=pipeline.voice or (pipeline.voices[0].name if pipeline.voices else ""),
        instructions=pipeline.instructions or "",
        type=kind,
    )
    if pipeline.has_turn_detection:
        config = replace(config, input=replace(config.input, turn_detection=pipeline.turn_detection))
    same_model = partial(models.means, pipeline=pipeline)
    if session is not None and pipeline.decides_itself:
        check_model(session.get("model"), config.model, same_model)
        return Start(pipeline, config, session)
    if session is not None:
        config = config.updated(
            session,
            assistant_audio_present=False,
            voices=voice_names(pipeline.voices or ()),
            same_model=same_model,
        )
    return Start(pipeline, config)


def asks_for_timeline(query: Mapping[str, str]) -> bool:
    """Tell whether a client wants to be told where each turn's time went: `timeline=true`.

    Raises:
        ProtocolError: it is neither true nor false.
    """
    asked = query.get("timeline", "false")
    if asked not in ("true", "false"):
        message = f"Invalid value: '{asked}'. Supported values are: 'true' and 'false'."
        raise ProtocolError(message, code="invalid_value", param="timeline")
    return asked == "true"


def wrong_type(bound: SessionType, asked: SessionType) -> ProtocolError:
    """Return the error for a client secret that is used for a session of another type than its own."""
    hint = " Connect with ?intent=transcription." if bound == "transcription" else ""
    message = f"This client secret is for {bound} sessions and cannot open a {asked} session.{hint}"
    return ProtocolError(message, code="invalid_session_type", param="session.type")
