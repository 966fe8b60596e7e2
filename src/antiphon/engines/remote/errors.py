"""What went wrong with a remote engine, in one kind of error.

Its message is for everyone, clients included; what the server itself said is for the operator only, because servers
put account names and parts of keys into it.
"""

from __future__ import annotations

import time
from typing import Any

import httpx2
import openai
from pydantic import ValidationError

from antiphon.engines.base import EngineError
from antiphon.engines.remote.retry import retry_after

_MOST_DETAIL = 300
_RETRIED = frozenset({408, 425})

TRANSLATED = (openai.OpenAIError, httpx2.HTTPError, httpx2.StreamError, ValueError)
"""What HTTP clients and parsers of answers raise. ValueError covers JSON, Unicode and pydantic."""


class RemoteError(EngineError):
    """A remote engine could not do its work.

    Attributes:
        code: "engine_unavailable" when its server cannot be reached, "timeout", "rate_limited", "engine_refused" when
            the server does not accept the key, the model or the request, "context_length_exceeded", "content_filter",
            and "engine_failed" for everything else.
        detail: what the server or the network said, for the operator.
        retryable: the same call may go well in a moment.
        retry_after_s: when the server wants to be asked again, in s from now.
        status: HTTP status of the answer, if there was one.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "engine_failed",
        detail: str = "",
        retryable: bool = False,
        retry_after_s: float | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message, code=code)
        self.detail = " ".join(detail.split())[:_MOST_DETAIL]
        self.retryable = retryable
        self.retry_after_s = retry_after_s
        self.status = status


def remote_error(engine: str, error: Exception) -> RemoteError:
    """Return what one of `TRANSLATED` means; `engine` is how the engine is called."""
    match error:
        case openai.APIStatusError():
            return status_error(engine, error.response, error.body)
        case openai.APIResponseValidationError():
            return malformed(engine, error)
        case openai.APIConnectionError() if isinstance(error.__cause__, httpx2.HTTPError):
            return remote_error(engine, error.__cause__)
        case openai.APIError():
            code, text = _reason(error.body)
            return _told(engine, code, text or error.message, retryable=True)
        case httpx2.ConnectError() | httpx2.ConnectTimeout() | httpx2.ProxyError() | httpx2.UnsupportedProtocol():
            message = f"{engine} cannot be reached"
            return RemoteError(message, code="engine_unavailable", detail=_said(error), retryable=True)
        case httpx2.TimeoutException():
            return RemoteError(f"{engine} took too long", code="timeout", detail=_said(error), retryable=True)
        case httpx2.TransportError():
            return RemoteError(f"{engine} broke off", detail=_said(error), retryable=True)
        case _:
            return malformed(engine, error)


def malformed(engine: str, error: Exception) -> RemoteError:
    """Return the error for an answer that does not mean anything."""
    return RemoteError(f"{engine} gave a malformed answer", detail=_said(error), retryable=True)


def status_error(engine: str, response: httpx2.Response, body: object) -> RemoteError:
    """Return what an HTTP status of 400 or more means; `body` is the decoded body, or its text."""
    status = response.status_code
    code, text = _reason(body)
    detail = f"HTTP {status}: {text}" if text else f"HTTP {status}"
    if status == 429 and code not in ("insufficient_quota", "quota_exceeded"):
        wait = retry_after(response.headers, time.time())
        message = f"{engine} is being asked too often"
        return RemoteError(
            message, code="rate_limited", detail=detail, retryable=True, retry_after_s=wait, status=status
        )
    if status >= 500 or status in _RETRIED:
        wait = retry_after(response.headers, time.time())
        return RemoteError(
            f"{engine} failed (HTTP {status})", detail=detail, retryable=True, retry_after_s=wait, status=status
        )
    error = _told(engine, code, text, retryable=False)
    if error.code == "engine_failed":
        error = RemoteError(f"{engine} refused the request (HTTP {status})", code="engine_refused")
    return RemoteError(error.message, code=error.code, detail=detail, status=status)


def _told(engine: str, code: str, text: str, *, retryable: bool) -> RemoteError:
    """Return what a server's own words mean."""
    if code in ("context_length_exceeded", "exceed_context_size_error") or "maximum context length" in text:
        message = "The conversation is longer than the model's context."
        return RemoteError(message, code="context_length_exceeded", detail=text)
    if code == "content_filter":
        return RemoteError(f"{engine} filtered the request", code="content_filter", detail=text)
    return RemoteError(f"{engine} failed", detail=text, retryable=retryable)


def _reason(body: object) -> tuple[str, str]:
    """Return the code and the words of an error's body: OpenAI's form, llama.cpp's, FastAPI's, ElevenLabs' or text."""
    if isinstance(body, dict):
        for key in ("error", "detail"):
            if body.get(key):
                return _reason(body[key])
        code = _first(body, "code", "status", "type") if not isinstance(body.get("code"), int) else body.get("type")
        return str(code or ""), str(_first(body, "message", "msg") or "")
    if isinstance(body, list):
        return _reason(body[0]) if body else ("", "")
    return "", body if isinstance(body, str) else ""


def _first(body: dict[Any, Any], *keys: str) -> object:
    return next((body[key] for key in keys if body.get(key)), None)


def _said(error: Exception) -> str:
    if isinstance(error, ValidationError):  # in words of its own it repeats what was said in the conversation
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        return f"{first['type']} at {'.'.join(map(str, first['loc'])) or 'the top'}"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
