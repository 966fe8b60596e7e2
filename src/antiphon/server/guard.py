"""The door: every request and WebSocket passes here before anything else looks at it."""

from __future__ import annotations

import uuid

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from antiphon.protocol.errors import ProtocolError
from antiphon.server.errors import error_response
from antiphon.server.security import ApiKeys, OriginPolicy, credentials

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
"""What needs no API key: load balancers ask without one."""

_log = structlog.get_logger(__name__)


class Guard:
    """Refuses what may not come in, before any upgrade, and gives each request an id (`X-Request-Id`)."""

    def __init__(self, app: ASGIApp, *, keys: ApiKeys, origins: OriginPolicy) -> None:
        self._app = app
        self._keys = keys
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        request_id = f"req_{uuid.uuid4().hex}"

        async def send_with_id(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start", "websocket.accept"):
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send_with_id)
            return
        status, error = refusal
        _log.warning("request refused", status=status, path=scope["path"], reason=error.message)
        headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
        await error_response(status, error, headers)(scope, receive, send_with_id)

    def _refusal(self, scope: Scope) -> tuple[int, ProtocolError] | None:
        if scope["path"] in OPEN_PATHS:
            return None
        headers = Headers(scope=scope)
        if self._keys:
            given = credentials(headers, scope.get("subprotocols", ()))
            if not given:
                message = "You didn't provide an API key. Send it in the header: Authorization: Bearer YOUR_KEY."
                return 401, ProtocolError(message, code="invalid_api_key")
            if not any(self._keys.admit(key) for key in given):
                return 401, ProtocolError("Incorrect API key provided.", code="invalid_api_key")
        elif not self._origins.admit(headers.get("origin"), headers.get("host")):
            message = (
                "Web pages of this origin may not use this server. Set ANTIPHON_ALLOWED_ORIGINS to let them, or "
                "ANTIPHON_API_KEYS so that they need a key."
            )
            return 403, ProtocolError(message, code="origin_not_allowed")
        return None
