"""Bodies of requests, read within bounds."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.requests import Request

from antiphon.protocol.errors import ProtocolError, json_type

MAX_BODY_BYTES = 2 * 1024 * 1024
"""Largest body of a request: a session with many tools and an SDP offer."""


class TooLargeError(Exception):
    """The body of a request is larger than MAX_BODY_BYTES."""


async def read_body(request: Request) -> bytes:
    """Return the body of a request.

    Raises:
        TooLargeError: it is too large; the rest of it was not read.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise TooLargeError
    return bytes(body)


async def read_json_object(request: Request) -> dict[str, Any]:
    """Return the JSON object in the body of a request; an empty body is an empty object.

    Raises:
        ProtocolError: it is no JSON object.
        TooLargeError: it is too large.
    """
    body = await read_body(request)
    return parse_json_object(body, "The body") if body.strip() else {}


def parse_json_object(text: bytes | str, what: str, param: str | None = None) -> dict[str, Any]:
    """Return the JSON object in `text`; `what` names it in errors.

    Raises:
        ProtocolError: code "invalid_json"; it is no JSON object.
    """
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ProtocolError(f"{what} is not valid JSON: {error}.", code="invalid_json", param=param) from None
    if not isinstance(found, dict):
        message = f"{what} must be a JSON object, but is {json_type(found)}."
        raise ProtocolError(message, code="invalid_json", param=param)
    return found
