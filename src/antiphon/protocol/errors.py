"""Errors as the protocol reports them."""

from __future__ import annotations

from typing import Any

from antiphon.protocol.ids import new_id


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
        type: str = "invalid_request_error",  # noqa: A002 - the protocol's own name
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
