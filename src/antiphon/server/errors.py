"""HTTP errors with the JSON body that OpenAI's clients read."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from antiphon.protocol.errors import ProtocolError
from antiphon.server.bodies import MAX_BODY_BYTES, TooLargeError
from antiphon.server.served_model import UnavailableError

_STATUS = {"model_not_found": 404, "call_not_found": 404, "unsupported_media_type": 415, "rate_limit_exceeded": 429}
"""HTTP status by error code, where it is not 400."""


def error_response(status: int, error: ProtocolError, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return the response for `error`: `{"error": {message, type, param, code}}`. Also refuses a WebSocket."""
    body = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
    return JSONResponse({"error": body}, status_code=status, headers=headers)


async def not_found(request: Request, error: Exception) -> Response:
    """Answer a request for a path or method that is not served."""
    del error
    message = f"Invalid URL ({request.method} {request.url.path})"
    return error_response(404, ProtocolError(message, code="unknown_url"))


def add_error_handlers(app: FastAPI) -> None:
    """Answer what routes raise with errors that clients can read."""

    async def mistake(request: Request, error: Exception) -> Response:
        del request
        assert isinstance(error, ProtocolError)  # noqa: S101 - by registration
        return error_response(_STATUS.get(error.code or "", 400), error)

    async def unavailable(request: Request, refusal: Exception) -> Response:
        del request
        assert isinstance(refusal, UnavailableError)  # noqa: S101 - by registration
        return error_response(503, refusal.error, {"Retry-After": str(refusal.retry_after_s)})

    async def too_large(request: Request, error: Exception) -> Response:
        del request, error
        message = f"The body of the request is larger than {MAX_BODY_BYTES} bytes."
        return error_response(413, ProtocolError(message, code="body_too_large"))

    app.add_exception_handler(404, not_found)
    app.add_exception_handler(405, not_found)
    app.add_exception_handler(ProtocolError, mistake)
    app.add_exception_handler(UnavailableError, unavailable)
    app.add_exception_handler(TooLargeError, too_large)
