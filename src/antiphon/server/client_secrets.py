"""Client secrets: keys for a web page or a device, which open sessions only, for a short time, as they were bound."""

from __future__ import annotations

import hashlib
import heapq
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse

from antiphon.protocol.checks import Choice, FreeObject, Number, Object
from antiphon.protocol.errors import ProtocolError
from antiphon.protocol.ids import new_id, random_base62
from antiphon.server.beta_sessions import body_from_ga, error_from_ga, read_body_of
from antiphon.server.bodies import read_json_object
from antiphon.server.service import Service
from antiphon.server.starting import SessionObject, check_session, start_session
from antiphon.session.config import SessionType

PREFIX = "ek_"

DEFAULT_SECONDS = 600
BETA_DEFAULT_SECONDS = 60
MIN_SECONDS, MAX_SECONDS = 10, 7200

MAX_SECRETS = 10_000
"""Secrets that are valid at once at most; another is refused."""

MAX_BYTES = 64 * 1024 * 1024
"""Bound configurations, as JSON, that are kept at once at most; another is refused."""

_LENGTH = 40
"""Characters after the prefix: 238 bits."""

_EXPIRY = Object({"anchor": Choice(("created_at",)), "seconds": Number(MIN_SECONDS, MAX_SECONDS)})
_BODY = Object({"expires_after": _EXPIRY, "session": FreeObject()})
_BETA_EXPIRY = {
    "realtime": Object({"expires_after": _EXPIRY}),
    "transcription": Object({"expires_at": _EXPIRY, "expires_after": _EXPIRY}),
}
"""A transcription session's is called `expires_at` in OpenAI's types."""


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """What a secret opens.

    Attributes:
        digest: SHA-256 of the secret; the secret itself is not kept.
        expires_at: Unix time, s.
        session: the bound configuration, as `check_session` returned it.
        size: of the configuration as JSON, bytes.
    """

    digest: bytes
    expires_at: int
    session: SessionObject
    size: int


class ClientSecrets:
    """The secrets that are valid now. An expired one is forgotten when any is created or asked for.

    Args:
        clock: returns the Unix time, s.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._by_tag: dict[bytes, ClientSecret] = {}
        self._expiries: list[tuple[int, bytes]] = []
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._by_tag)

    def create(self, session: SessionObject, seconds: int) -> tuple[str, ClientSecret]:
        """Return a new secret and what it opens.

        Raises:
            ProtocolError: code "rate_limit_exceeded"; there are too many, or too much is bound to them.
        """
        self._forget_expired()
        size = len(orjson.dumps(session))
        if len(self._by_tag) >= MAX_SECRETS or self._bytes + size > MAX_BYTES:
            message = "There are too many client secrets that have not expired. Wait until some have."
            raise ProtocolError(message, code="rate_limit_exceeded", type="server_error")
        value = PREFIX + random_base62(_LENGTH)
        digest = _digest(value)
        secret = ClientSecret(digest, int(self._clock()) + seconds, session, size)
        self._by_tag[_tag(digest)] = secret
        self._bytes += size
        heapq.heappush(self._expiries, (secret.expires_at, _tag(digest)))
        return value, secret

    def find(self, value: str) -> ClientSecret | None:
        """Return what `value` opens, or None when it is no secret or has expired.

        The half of the digest that finds an entry tells nothing of its other half, which is compared in constant time.
        """
        self._forget_expired()
        digest = _digest(value)
        secret = self._by_tag.get(_tag(digest))
        return secret if secret is not None and hmac.compare_digest(secret.digest, digest) else None

    def _forget_expired(self) -> None:
        now = self._clock()
        while self._expiries and self._expiries[0][0] <= now:
            _, tag = heapq.heappop(self._expiries)
            self._bytes -= self._by_tag.pop(tag).size


def _digest(value: str) -> bytes:
    return hashlib.sha256(value.encode("utf-8", "surrogateescape")).digest()


def _tag(digest: bytes) -> bytes:
    return digest[:16]


def add_client_secret_routes(app: FastAPI, secrets: ClientSecrets) -> None:
    """Serve `POST /v1/realtime/client_secrets`, and beta's two ways to a secret."""

    @app.post("/v1/realtime/client_secrets", response_model=None)
    async def create_client_secret(request: Request) -> JSONResponse:
        """Return a new client secret, and the session that it opens."""
        body = await read_json_object(request)
        _BODY(body, "")
        asked = body.get("session")
        session = check_session({"type": "realtime"} if asked is None else asked)
        shown = effective_session(app.state.service, session)
        value, secret = secrets.create(session, _seconds(body.get("expires_after"), DEFAULT_SECONDS))
        return JSONResponse({"value": value, "expires_at": secret.expires_at, "session": shown})

    async def create_beta_session(request: Request, kind: SessionType) -> JSONResponse:
        body = await read_json_object(request)
        try:
            asked = read_body_of(body, kind)
            expiry = asked.client_secret if asked.client_secret is not None else {}
            _BETA_EXPIRY[kind](expiry, "client_secret")
            session = check_session(asked.session)
            shown = effective_session(app.state.service, session)
        except ProtocolError as error:
            raise error_from_ga(error) from None
        seconds = _seconds(expiry.get("expires_after") or expiry.get("expires_at"), BETA_DEFAULT_SECONDS)
        value, secret = secrets.create(session, seconds)
        given = {"value": value, "expires_at": secret.expires_at}
        return JSONResponse(body_from_ga(shown, asked.temperature, given))

    @app.post("/v1/realtime/sessions", response_model=None)
    async def create_session(request: Request) -> JSONResponse:
        """Return a session in beta's form, with the client secret that opens it."""
        return await create_beta_session(request, "realtime")

    @app.post("/v1/realtime/transcription_sessions", response_model=None)
    async def create_transcription_session(request: Request) -> JSONResponse:
        """Return a transcription session in beta's form, with the client secret that opens it."""
        return await create_beta_session(request, "transcription")


def _seconds(expiry: dict[str, Any] | None, default: int) -> int:
    """Return how long a secret is to be valid, of an object that was checked."""
    seconds: int | None = (expiry or {}).get("seconds")
    return default if seconds is None else seconds


def effective_session(service: Service, session: SessionObject) -> dict[str, Any]:
    """Return the session that starts with `session`; it has not begun, so it does not expire yet.

    Raises:
        ProtocolError: it cannot be.
        UnavailableError: the models are not loaded.
    """
    models = service.ready_models()
    return start_session(models, session=session).wire(new_id("sess"))
