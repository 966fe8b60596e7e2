"""The realtime endpoint: from a WebSocket handshake to a session."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import structlog
from starlette.websockets import WebSocket

from antiphon.protocol.dialects import Dialect, Ga
from antiphon.protocol.errors import ProtocolError
from antiphon.server.calls import secret_of, serve_sideband
from antiphon.server.client_secrets import ClientSecret
from antiphon.server.dialects import choose_dialect, heard_at_16_khz, names_deployment, sends_16_khz
from antiphon.server.errors import error_response
from antiphon.server.security import chosen_subprotocol
from antiphon.server.served_model import UnavailableError, Wiring
from antiphon.server.served_models import ServedModels
from antiphon.server.service import Service
from antiphon.server.starting import Start, asks_for_timeline, start_session, wrong_type
from antiphon.session.config import SessionConfig, SessionType
from antiphon.transports.websocket import WebSocketConnection

PATHS = ("/v1/realtime", "/openai/v1/realtime", "/openai/realtime", "/realtime")

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Opening:
    """What a handshake asks for.

    Attributes:
        model: name of the model; None for the default one.
        deployment: Azure's name for the default model.
        timeline: whether the client is told where each turn's time went.
    """

    type: SessionType
    model: str | None
    dialect: Dialect
    deployment: str | None
    sixteen_kilohertz: bool
    timeline: bool


async def realtime(websocket: WebSocket) -> None:
    """Serve one WebSocket of the realtime endpoint until it is over."""
    service: Service = websocket.app.state.service
    call_id = websocket.query_params.get("call_id")
    if call_id is not None:
        await serve_sideband(websocket, call_id)
        return
    try:
        with service.slot() as models:
            try:
                opening = read_opening(websocket, models)
                start = _start(models, opening, secret_of(websocket))
            except ProtocolError as error:
                await _accept(websocket)
                await _refuse(websocket, service, error)
                return
            with start.pipeline.place():
                await _accept(websocket)
                await _serve(websocket, service, models, opening, start)
    except UnavailableError as refusal:
        service.metrics.refused.labels(str(refusal.error.code)).inc()
        _log.warning("connection refused", reason=refusal.error.message)
        headers = {"Retry-After": str(refusal.retry_after_s)}
        await websocket.send_denial_response(error_response(503, refusal.error, headers))


async def _accept(websocket: WebSocket) -> None:
    await websocket.accept(chosen_subprotocol(websocket.scope["subprotocols"]))


async def _refuse(websocket: WebSocket, service: Service, error: ProtocolError) -> None:
    service.metrics.refused.labels(str(error.code)).inc()
    _log.warning("session refused", code=error.code, reason=error.message)
    await WebSocketConnection(websocket, Ga(), service.metrics).refuse(error)


async def _serve(websocket: WebSocket, service: Service, models: ServedModels, opening: Opening, start: Start) -> None:
    try:
        opened = await start.pipeline.open(_as_opened(start.config, opening), start.asked, plays=False)
    except UnavailableError as refusal:
        await _refuse(websocket, service, refusal.error)
        return
    except ProtocolError as error:
        await _refuse(websocket, service, error)
        return
    try:
        connection = WebSocketConnection(websocket, opening.dialect, service.metrics)
        wiring = Wiring(
            emit=connection.emit,
            same_model=partial(models.means, pipeline=start.pipeline),
            observer=service.metrics,
            tells_timeline=opening.timeline,
        )
        session = opened.session(wiring)
        with service.running(session), structlog.contextvars.bound_contextvars(session_id=session.id):
            _log.info("session opened", type=opening.type, model=start.pipeline.name, client=_client(websocket))
            reason = await connection.run(session)
            _log.info("session closed", reason=reason)
    finally:
        opened.release()
    service.metrics.sessions.labels(opening.type, reason).inc()


def read_opening(websocket: WebSocket, models: ServedModels) -> Opening:
    """Return what the handshake's path, query, headers and subprotocols ask for.

    Raises:
        ProtocolError: it asks for something that is not served.
    """
    query = websocket.query_params
    intent = query.get("intent")
    if intent not in (None, "", "transcription"):
        message = f"Invalid value: '{intent}'. Supported values are: 'transcription'."
        raise ProtocolError(message, code="invalid_value", param="intent")
    model = query.get("model") or query.get("deployment") or None
    deployment = model if model is not None and names_deployment(websocket) and not models.serves(model) else None
    return Opening(
        type="transcription" if intent == "transcription" else "realtime",
        model=model if deployment is None else None,
        dialect=choose_dialect(websocket),
        deployment=deployment,
        sixteen_kilohertz=sends_16_khz(websocket),
        timeline=asks_for_timeline(query),
    )


def _as_opened(config: SessionConfig, opening: Opening) -> SessionConfig:
    if opening.deployment is not None:
        config = replace(config, model=opening.deployment)
    return heard_at_16_khz(config) if opening.sixteen_kilohertz else config


def _start(models: ServedModels, opening: Opening, secret: ClientSecret | None) -> Start:
    session = secret.session if secret is not None else None
    if session is not None and session["type"] != opening.type:
        raise wrong_type(session["type"], opening.type)
    return start_session(models, type=opening.type, model=opening.model, session=session)


def _client(websocket: WebSocket) -> str | None:
    return websocket.client.host if websocket.client else None
