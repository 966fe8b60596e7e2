"""The realtime endpoint: from a WebSocket handshake to a session."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import structlog
from starlette.websockets import WebSocket

from antiphon.pipeline.reply import Pipeline
from antiphon.protocol.dialects import Dialect, Ga
from antiphon.protocol.errors import ProtocolError
from antiphon.server.errors import error_response
from antiphon.server.security import chosen_subprotocol
from antiphon.server.served_models import ServedModels
from antiphon.server.service import Service, UnavailableError
from antiphon.session.config import SessionConfig, SessionType, default_session_config
from antiphon.session.session import Session
from antiphon.transports.websocket import WebSocketConnection

PATHS = ("/v1/realtime", "/openai/v1/realtime", "/openai/realtime", "/realtime")

_BETA_SUBPROTOCOL = "openai-beta.realtime-v1"

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Opening:
    """What a handshake asks for."""

    type: SessionType
    model: str | None
    dialect: Dialect


async def realtime(websocket: WebSocket) -> None:
    """Serve one WebSocket of the realtime endpoint until it is over."""
    service: Service = websocket.app.state.service
    call_id = websocket.query_params.get("call_id")
    if call_id is not None:
        error = ProtocolError(f"No call with id '{call_id}' was found.", code="call_not_found", param="call_id")
        service.metrics.refused.labels("call_not_found").inc()
        await websocket.send_denial_response(error_response(404, error))
        return
    try:
        with service.slot() as models:
            await websocket.accept(chosen_subprotocol(websocket.scope["subprotocols"]))
            await _serve(websocket, service, models)
    except UnavailableError as refusal:
        service.metrics.refused.labels(str(refusal.error.code)).inc()
        _log.warning("connection refused", reason=refusal.error.message)
        headers = {"Retry-After": str(refusal.retry_after_s)}
        await websocket.send_denial_response(error_response(503, refusal.error, headers))


async def _serve(websocket: WebSocket, service: Service, models: ServedModels) -> None:
    try:
        opening = read_opening(websocket)
        pipeline = _pipeline(models, opening)
    except ProtocolError as error:
        service.metrics.refused.labels(str(error.code)).inc()
        _log.warning("session refused", code=error.code, reason=error.message)
        await WebSocketConnection(websocket, Ga(), service.metrics).refuse(error)
        return
    connection = WebSocketConnection(websocket, opening.dialect, service.metrics)
    session = Session(
        pipeline,
        _config(opening, pipeline, service.settings.instructions),
        limits=service.settings.limits,
        emit=connection.emit,
        same_model=partial(_same_model, models, pipeline),
        observer=service.metrics,
    )
    with service.running(session), structlog.contextvars.bound_contextvars(session_id=session.id):
        _log.info("session opened", type=opening.type, model=pipeline.name, client=_client(websocket))
        reason = await connection.run(session)
        _log.info("session closed", reason=reason)
    service.metrics.sessions.labels(opening.type, reason).inc()


def read_opening(websocket: WebSocket) -> Opening:
    """Return what the handshake's path, query, headers and subprotocols ask for.

    Raises:
        ProtocolError: it asks for something that is not served.
    """
    query = websocket.query_params
    intent = query.get("intent")
    if intent not in (None, "", "transcription"):
        message = f"Invalid value: '{intent}'. Supported values are: 'transcription'."
        raise ProtocolError(message, code="invalid_value", param="intent")
    return Opening(
        type="transcription" if intent == "transcription" else "realtime",
        model=query.get("model") or query.get("deployment") or None,
        dialect=choose_dialect(websocket),
    )


def choose_dialect(websocket: WebSocket) -> Dialect:
    """Return a translator for what the client speaks: by its headers, subprotocols, path and query.

    Raises:
        ProtocolError: a dialect that is not served.
    """
    asks_for_beta = (
        "realtime=v1" in websocket.headers.get("openai-beta", "")
        or _BETA_SUBPROTOCOL in websocket.scope["subprotocols"]
        or (websocket.url.path.endswith("/openai/realtime") and "api-version" in websocket.query_params)
    )
    if asks_for_beta:
        message = "The Realtime Beta API is not supported. Please use /v1/realtime for the GA API."
        raise ProtocolError(message, code="beta_api_shape_disabled")
    return Ga()


def _pipeline(models: ServedModels, opening: Opening) -> Pipeline:
    if opening.type == "transcription":
        return models.resolve_transcription(opening.model)
    return models.resolve(opening.model)


def _same_model(models: ServedModels, pipeline: Pipeline, name: str) -> bool:
    return models.means(name, pipeline)


def _config(opening: Opening, pipeline: Pipeline, instructions: str) -> SessionConfig:
    voice = pipeline.voices[0].name if pipeline.voices else ""
    return default_session_config(
        model=opening.model or pipeline.name, voice=voice, instructions=instructions, type=opening.type
    )


def _client(websocket: WebSocket) -> str | None:
    return websocket.client.host if websocket.client else None
