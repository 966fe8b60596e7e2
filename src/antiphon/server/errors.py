"""HTTP errors with the JSON body that OpenAI's clients read."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from antiphon.protocol.errors import ProtocolError


def error_response(status: int, error: ProtocolError, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return the response for `error`: `{"error": {message, type, param, code}}`. Also refuses a WebSocket."""
    body = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
    return JSONResponse({"error": body}, status_code=status, headers=headers)


async def not_found(request: Request, error: Exception) -> Response:
    """Answer a request for a path or method that is not served."""
    del error
    message = f"Invalid URL ({request.method} {request.url.path})"
    return error_response(404, ProtocolError(message, code="unknown_url"))
