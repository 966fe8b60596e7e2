"""The door: every request and WebSocket passes here before anything else looks at it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from antiphon.protocol.errors import ProtocolError
from antiphon.server import playground
from antiphon.server.client_secrets import PREFIX, ClientSecrets
from antiphon.server.errors import error_response
from antiphon.server.security import ApiKeys, OriginPolicy, credentials

OPEN_PATHS = frozenset({"/healthz", "/readyz", *playground.PATHS})
"""What needs no API key: load balancers ask without one, and the playground is where people type theirs."""

_log = structlog.get_logger(__name__)


class Guard:
    """Refuses what may not come in, before any upgrade, and gives each request an id (`X-Request-Id`)."""

    def __init__(self, app: ASGIApp, *, keys: ApiKeys, secrets: ClientSecrets, origins: OriginPolicy) -> None:
        self._app = app
        self._keys = keys
        self._secrets = secrets
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
        given = credentials(headers, scope.get("subprotocols", ()))
        if any(value.startswith(PREFIX) for value in given) and not any(self._keys.admit(value) for value in given):
            refusal = self._refusal_of_secret(scope, given)
            if refusal is not None or self._keys:
                return refusal
        if self._keys:
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

    def _refusal_of_secret(self, scope: Scope, given: Sequence[str]) -> tuple[int, ProtocolError] | None:
        """Check a client secret, and leave what it opens where the routes find it."""
        secret = next((found for value in given if (found := self._secrets.find(value)) is not None), None)
        if secret is None:
            message = "Incorrect client secret provided, or it has expired. Ask for a new one."
            return 401, ProtocolError(message, code="invalid_client_secret")
        if not _opens_sessions(scope):
            message = "A client secret only opens sessions. Use an API key for this."
            return 403, ProtocolError(message, code="client_secret_not_allowed")
        scope.setdefault("state", {})["client_secret"] = secret
        return None


def _opens_sessions(scope: Scope) -> bool:
    """Tell whether a request is one for which client secrets are made: opening a session, or ending one's own."""
    path = str(scope["path"])
    if scope["type"] == "websocket":
        return True
    return scope["method"] == "POST" and (path == "/v1/realtime" or path.startswith("/v1/realtime/calls"))
