"""Client secrets: keys for a web page or a device, which open sessions only, for a short time, as they were bound."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse

from antiphon.protocol.checks import Choice, FreeObject, Number, Object
from antiphon.protocol.errors import ProtocolError
from antiphon.protocol.ids import new_id, random_base62
from antiphon.server.bodies import read_json_object
from antiphon.server.service import Service
from antiphon.server.starting import SessionObject, check_session, start_session

PREFIX = "ek_"

DEFAULT_SECONDS = 600
MIN_SECONDS, MAX_SECONDS = 10, 7200

MAX_SECRETS = 10_000
"""Secrets that are valid at once at most; another is refused."""

_LENGTH = 40
"""Characters after the prefix: 238 bits."""

_BODY = Object(
    {
        "expires_after": Object({"anchor": Choice(("created_at",)), "seconds": Number(MIN_SECONDS, MAX_SECONDS)}),
        "session": FreeObject(),
    }
)


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """What a secret opens.

    Attributes:
        digest: SHA-256 of the secret; the secret itself is not kept.
        expires_at: Unix time, s.
        session: the bound configuration, as `check_session` returned it.
    """

    digest: bytes
    expires_at: int
    session: SessionObject


class ClientSecrets:
    """The secrets that are valid now.

    Args:
        clock: returns the Unix time, s.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._by_tag: dict[bytes, ClientSecret] = {}

    def __len__(self) -> int:
        return len(self._by_tag)

    def create(self, session: SessionObject, seconds: int) -> tuple[str, ClientSecret]:
        """Return a new secret and what it opens.

        Raises:
            ProtocolError: code "rate_limit_exceeded"; there are too many.
        """
        self._forget_expired()
        if len(self._by_tag) >= MAX_SECRETS:
            message = f"{MAX_SECRETS} client secrets are valid, the most that there may be. Wait until some expire."
            raise ProtocolError(message, code="rate_limit_exceeded", type="server_error")
        value = PREFIX + random_base62(_LENGTH)
        digest = _digest(value)
        secret = ClientSecret(digest, int(self._clock()) + seconds, session)
        self._by_tag[_tag(digest)] = secret
        return value, secret

    def find(self, value: str) -> ClientSecret | None:
        """Return what `value` opens, or None when it is no secret or has expired.

        The half of the digest that finds an entry tells nothing of its other half, which is compared in constant time.
        """
        digest = _digest(value)
        secret = self._by_tag.get(_tag(digest))
        if secret is None or not hmac.compare_digest(secret.digest, digest):
            return None
        if secret.expires_at <= self._clock():
            self._forget_expired()
            return None
        return secret

    def _forget_expired(self) -> None:
        now = self._clock()
        self._by_tag = {tag: secret for tag, secret in self._by_tag.items() if secret.expires_at > now}


def _digest(value: str) -> bytes:
    return hashlib.sha256(value.encode("utf-8", "surrogateescape")).digest()


def _tag(digest: bytes) -> bytes:
    return digest[:16]


def add_client_secret_routes(app: FastAPI, secrets: ClientSecrets) -> None:
    """Serve `POST /v1/realtime/client_secrets`."""

    @app.post("/v1/realtime/client_secrets", response_model=None)
    async def create_client_secret(request: Request) -> JSONResponse:
        """Return a new client secret, and the session that it opens."""
        service: Service = app.state.service
        body = await read_json_object(request)
        _BODY(body, "")
        session = check_session(body.get("session") or {"type": "realtime"})
        shown = effective_session(service, session)
        value, secret = secrets.create(session, (body.get("expires_after") or {}).get("seconds") or DEFAULT_SECONDS)
        return JSONResponse({"value": value, "expires_at": secret.expires_at, "session": shown})


def effective_session(service: Service, session: SessionObject) -> dict[str, Any]:
    """Return the session that starts with `session`; it has not begun, so it does not expire yet.

    Raises:
        ProtocolError: it cannot be.
        UnavailableError: the models are not loaded.
    """
    models = service.ready_models()
    config = start_session(models, instructions=service.settings.instructions, session=session).config
    return config.wire(new_id("sess"), 0)
