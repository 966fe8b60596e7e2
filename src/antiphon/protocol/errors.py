"""Errors as the protocol reports them, in the words of the real service."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from antiphon.protocol.ids import new_id

_SHOWN_LENGTH = 200
"""Most characters of a client's own text that an error repeats."""


class ProtocolError(Exception):
    """A client's mistake, told to the client in an `error` event; the session goes on.

    Attributes:
        code: the protocol's error code, e.g. "missing_required_parameter".
        message: for the developer of the client.
        param: dotted path of the offending parameter, e.g. "session.audio.input.format.type".
        type: "invalid_request_error" for the client's mistakes, "server_error" for ours.
        event_id: the client's own id of the offending event, if it gave one.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str | None,
        param: str | None = None,
        type: str = "invalid_request_error",
        event_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.param = param
        self.type = type
        self.event_id = event_id

    def body(self) -> dict[str, Any]:
        """Return the `error` object as it stands in an `error` event; REST bodies carry it without `event_id`."""
        return {
            "type": self.type,
            "code": self.code,
            "message": self.message,
            "param": self.param,
            "event_id": self.event_id,
        }


def error_event(error: ProtocolError) -> dict[str, Any]:
    """Return the `error` server event for `error`."""
    return {"type": "error", "event_id": new_id("event"), "error": error.body()}


def missing_parameter(param: str) -> ProtocolError:
    """Return the error for a required key that is absent."""
    return ProtocolError(f"Missing required parameter: '{param}'.", code="missing_required_parameter", param=param)


def unknown_parameter(param: str) -> ProtocolError:
    """Return the error for a key that the schema does not have."""
    return ProtocolError(f"Unknown parameter: '{param}'.", code="unknown_parameter", param=param)


def invalid_type(param: str, expected: str, value: Any) -> ProtocolError:
    """Return the error for a JSON value of another type than `expected`, e.g. "an object"."""
    return ProtocolError(
        f"Invalid type for '{param}': expected {expected}, but got {json_type(value)} instead.",
        code="invalid_type",
        param=param,
    )


def invalid_value(param: str, value: str, supported: Sequence[str]) -> ProtocolError:
    """Return the error for a string that is none of `supported`."""
    values = f"Value must be '{supported[0]}'" if len(supported) == 1 else f"Supported values are: {listed(supported)}"
    return ProtocolError(f"Invalid value: '{shown(value)}'. {values}.", code="invalid_value", param=param)


def json_type(value: Any) -> str:
    """Return what JSON calls the type of a decoded value, with its article."""
    return {
        type(None): "null",
        bool: "a boolean",
        int: "an integer",
        float: "a decimal number",
        str: "a string",
        list: "an array",
        dict: "an object",
    }[type(value)]


def listed(values: Iterable[str], conjunction: str = "and") -> str:
    """Return quoted `values` as a list in words: 'a' and 'b', or 'a', 'b', and 'c'."""
    quoted = [f"'{value}'" for value in values]
    if len(quoted) <= 2:
        return f" {conjunction} ".join(quoted)
    return f"{', '.join(quoted[:-1])}, {conjunction} {quoted[-1]}"


def shown(text: str) -> str:
    """Return `text` as an error repeats it: whole, or its beginning."""
    return text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}…"
