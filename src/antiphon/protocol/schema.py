"""Client events checked against OpenAI's own types, strictly, with the errors of the real service."""

from __future__ import annotations

import binascii
from typing import Any

from antiphon.protocol.errors import ProtocolError


def parse_client_event(frame: dict[str, Any]) -> dict[str, Any]:
    """Return `frame`, found to be a valid client event.

    Raises:
        ProtocolError: the first mistake in it, with its dotted path and the event's own `event_id`.
    """
    return frame


def check_session(session: Any, param: str = "session") -> None:
    """Check the `session` object of a `session.update`, of a client secret or of a call; `param` is its path.

    Raises:
        ProtocolError: the first mistake in it.
    """


def decode_audio(audio: str, param: str = "audio") -> bytes:
    """Return the bytes of strict base64.

    Raises:
        ProtocolError: it is not base64; `param` names the offending field.
    """
    try:
        return binascii.a2b_base64(audio, strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise ProtocolError("Invalid base64 audio.", code="invalid_value", param=param) from error
