"""WebRTC calls: from an offer to a session, and the routes around a call."""

from __future__ import annotations

import asyncio
import importlib
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import structlog
from fastapi import FastAPI
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message
from starlette.websockets import WebSocket

from antiphon.config import is_loopback
from antiphon.protocol.errors import ProtocolError, missing_parameter
from antiphon.relay.opening import merged
from antiphon.server.bodies import MAX_BODY_BYTES, TooLargeError, parse_json_object, read_body
from antiphon.server.client_secrets import ClientSecret
from antiphon.server.errors import error_response
from antiphon.server.security import chosen_subprotocol
from antiphon.server.served_model import OpenModel, UnavailableError, Wiring
from antiphon.server.service import Service
from antiphon.server.starting import (
    SessionObject,
    Start,
    asks_for_timeline,
    check_session,
    start_session,
    wrong_type,
)
from antiphon.session.contract import RunningSession

if TYPE_CHECKING:
    from antiphon.transports.webrtc.call import Call
    from antiphon.transports.webrtc.negotiation import Offer
    from antiphon.transports.webrtc.network import Network

_WEBRTC = "antiphon.transports.webrtc.call"
"""Imported when it is needed, off the event loop: it takes a quarter of a second."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client that calls asks for.

    Attributes:
        sdp: its offer.
        model: that its query names.
        session: the configuration that came with the offer, checked.
        secret: with which it came in.
        timeline: whether it wants to be told where each turn's time went.
    """

    sdp: str
    model: str | None
    session: SessionObject | None
    secret: ClientSecret | None
    timeline: bool


@dataclass(frozen=True, slots=True)
class _LiveCall:
    call: Call
    session: RunningSession
    secret: ClientSecret | None


class Calls:
    """The calls of a server. Lives on the event loop."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._network: Network | None = None
        self._live: dict[str, _LiveCall] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @staticmethod
    async def prepare() -> None:
        """Import what calls need, so that the first one does not wait for it."""
        await asyncio.to_thread(importlib.import_module, _WEBRTC)

    async def open(self, wish: Wish) -> tuple[str, str]:
        """Answer a client's offer and return the id of the call and the SDP answer.

        Raises:
            ProtocolError: the offer or the configuration cannot be.
            UnavailableError: no session can be opened now.
        """
        await self.prepare()
        from antiphon.transports.webrtc.negotiation import parse_offer  # noqa: PLC0415 - see _WEBRTC

        with ExitStack() as held:
            models = held.enter_context(self._service.slot())
            offer = parse_offer(wish.sdp)
            start = start_session(models, model=wish.model, session=_session_of(wish))
            held.enter_context(start.pipeline.place())
            opened = await start.pipeline.open(start.config, start.asked, plays=True)
            held.callback(opened.release)
            live, answer = await self._answer(offer, start, opened, wish)
            held.callback(self._live.pop, live.call.id)
            self._live[live.call.id] = live
            task = asyncio.create_task(self._run(live, start, held.pop_all()), name="call")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return live.call.id, answer

    def find(self, call_id: str, secret: ClientSecret | None) -> _LiveCall:
        """Return a call.

        Args:
            call_id: its id.
            secret: with which the request came in; it only opens the calls that it has opened itself.

        Raises:
            ProtocolError: code "call_not_found".
        """
        live = self._live.get(call_id)
        if live is None or (secret is not None and secret is not live.secret):
            raise ProtocolError(f"No call with id '{call_id}' was found.", code="call_not_found", param="call_id")
        return live

    async def close(self) -> None:
        """End every call that is left, and free the network."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._network is not None:
            await self._network.close()

    async def _answer(self, offer: Offer, start: Start, opened: OpenModel, wish: Wish) -> tuple[_LiveCall, str]:
        from antiphon.transports.webrtc.call import Call  # noqa: PLC0415 - see _WEBRTC
        from antiphon.transports.webrtc.network import Network, NoPortError  # noqa: PLC0415

        service = self._service
        if self._network is None:
            self._network = Network(service.settings.webrtc, loopback=is_loopback(service.settings.host))
        call = Call(offer, self._network, service.metrics)
        try:
            wiring = Wiring(
                emit=call.emit,
                same_model=partial(service.ready_models().means, pipeline=start.pipeline),
                observer=service.metrics,
                player=call,
                tells_timeline=wish.timeline,
            )
            session = opened.session(wiring)
            answer = await call.answer()
        except NoPortError as error:
            await call.close()
            _log.warning("call refused", reason=str(error))
            refusal = ProtocolError(str(error), code="no_port", type="server_error")
            raise UnavailableError(refusal, retry_after_s=5) from None
        except BaseException:
            await call.close()
            raise
        return _LiveCall(call, session, wish.secret), answer

    async def _run(self, live: _LiveCall, start: Start, held: ExitStack) -> None:
        kind = start.config.type
        session = live.session
        with (
            held,
            self._service.running(session),
            structlog.contextvars.bound_contextvars(session_id=session.id, call_id=live.call.id),
        ):
            _log.info("session opened", type=kind, model=start.pipeline.name, transport="webrtc")
            reason = await live.call.run(session)
            _log.info("session closed", reason=reason)
        self._service.metrics.sessions.labels(kind, reason).inc()


def _session_of(wish: Wish) -> SessionObject | None:
    """Return what a call is asked to start with: its own configuration over that of its secret.

    Raises:
        ProtocolError: they are of different types.
    """
    bound = wish.secret.session if wish.secret is not None else None
    if bound is not None and bound["type"] == "transcription" and wish.model is not None:
        raise wrong_type("transcription", "realtime")
    if bound is None or wish.session is None:
        return wish.session if bound is None else bound
    if wish.session["type"] != bound["type"]:
        raise wrong_type(bound["type"], wish.session["type"])
    return merged(bound, wish.session)


def add_call_routes(app: FastAPI) -> None:
    """Serve calls: opening one in both ways, hanging up, and clear refusals of what belongs to telephony."""

    async def create_call(request: Request) -> Response:
        """Answer a WebRTC offer: `application/sdp`, or a form with `sdp` and `session`."""
        service: Service = app.state.service
        calls: Calls = app.state.calls
        try:
            call_id, answer = await calls.open(await _read_wish(request))
        except ProtocolError as error:
            service.metrics.refused.labels(str(error.code)).inc()
            raise
        except UnavailableError as refusal:
            service.metrics.refused.labels(str(refusal.error.code)).inc()
            raise
        return PlainTextResponse(answer, 201, {"Location": f"/v1/realtime/calls/{call_id}"})

    for path in ("/v1/realtime/calls", "/v1/realtime"):
        app.add_api_route(path, create_call, methods=["POST"], response_model=None, status_code=201)

    @app.post("/v1/realtime/calls/{call_id}/hangup", response_model=None)
    async def hangup(call_id: str, request: Request) -> Response:
        """End a call."""
        calls: Calls = app.state.calls
        calls.find(call_id, secret_of(request)).session.end("client_closed")
        return Response()

    @app.api_route("/v1/realtime/calls/{call_id}", methods=["POST", "PUT", "PATCH"], response_model=None)
    async def renegotiate(call_id: str, request: Request) -> Response:
        """Refuse another offer for a call, as for an ICE restart."""
        calls: Calls = app.state.calls
        calls.find(call_id, secret_of(request))
        message = "A call is negotiated once. Open another one with POST /v1/realtime/calls, then hang this one up."
        raise ProtocolError(message, code="renegotiation_not_supported")

    async def telephony(request: Request) -> Response:
        """Refuse what only calls by SIP need."""
        action = request.url.path.rpartition("/")[2]
        message = f"There is nothing to {action}: this server takes calls by WebRTC only, not by SIP."
        raise ProtocolError(message, code="sip_not_supported")

    for action in ("accept", "reject", "refer"):
        app.add_api_route(f"/v1/realtime/calls/{{call_id}}/{action}", telephony, methods=["POST"], response_model=None)


def secret_of(request: Request | WebSocket) -> ClientSecret | None:
    """Return the client secret with which a request came in; None for an API key, or where none is needed."""
    secret: ClientSecret | None = getattr(request.state, "client_secret", None)
    return secret


async def serve_sideband(websocket: WebSocket, call_id: str) -> None:
    """Let a WebSocket follow a call, or refuse it."""
    service: Service = websocket.app.state.service
    calls: Calls = websocket.app.state.calls
    try:
        live = calls.find(call_id, secret_of(websocket))
    except ProtocolError as error:
        service.metrics.refused.labels("call_not_found").inc()
        await websocket.send_denial_response(error_response(404, error))
        return
    await websocket.accept(chosen_subprotocol(websocket.scope["subprotocols"]))
    with structlog.contextvars.bound_contextvars(session_id=live.session.id, call_id=call_id):
        _log.info("sideband opened")
        await live.call.serve_sideband(websocket, live.session, service.metrics)
        _log.info("sideband closed")


async def _read_wish(request: Request) -> Wish:
    """Return what a request to call asks for.

    Raises:
        ProtocolError: it cannot be read.
        TooLargeError: it is too large.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    session: SessionObject | None = None
    if kind == "application/sdp":
        sdp = (await read_body(request)).decode("utf-8", "replace")
    elif kind in ("multipart/form-data", "application/x-www-form-urlencoded"):
        sdp, text = await _read_form(request)
        session = check_session(parse_json_object(text, "'session'", "session")) if text is not None else None
    else:
        message = (
            f"Unsupported content type: '{kind}'. Send the offer as application/sdp, or as multipart/form-data with "
            "the fields 'sdp' and 'session'."
        )
        raise ProtocolError(message, code="unsupported_media_type")
    query = request.query_params
    return Wish(sdp, query.get("model") or None, session, secret_of(request), asks_for_timeline(query))


async def _read_form(request: Request) -> tuple[str, str | None]:
    """Return the fields `sdp` and `session` of a form; each may be a plain field or a file."""
    read = 0

    async def receive() -> Message:
        nonlocal read
        message = await request.receive()
        read += len(message.get("body", b""))
        if read > MAX_BODY_BYTES:
            raise TooLargeError
        return message

    limited = Request(request.scope, receive)
    fields: dict[str, str | None] = {}
    try:
        async with limited.form(max_files=2, max_fields=8, max_part_size=MAX_BODY_BYTES) as form:
            for name in ("sdp", "session"):
                field = form.get(name)
                content = await field.read() if isinstance(field, UploadFile) else field
                fields[name] = content.decode("utf-8", "replace") if isinstance(content, bytes) else content
    except HTTPException as error:
        raise ProtocolError(f"The form cannot be read: {error.detail}", code="invalid_form") from None
    sdp = fields["sdp"]
    if sdp is None:
        raise missing_parameter("sdp")
    return sdp, fields["session"]
