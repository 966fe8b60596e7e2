"""What a transport needs of a session, whoever runs it: our own engines, or another server behind a relay."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from antiphon.protocol.errors import ProtocolError

EndReason = Literal["client_closed", "expired", "shutdown", "failed", "upstream_unavailable", "upstream_failed"]
"""Why a session ended. The last two are those of a relay: its upstream cannot be had now, or did what it must not."""


class RunningSession(Protocol):
    """One client's session, run by a task of the transport's."""

    id: str
    end_reason: EndReason | None

    async def post(self, frame: dict[str, Any] | ProtocolError) -> None:
        """Take a decoded client frame, or the error that decoding it gave; waits while too much is waiting."""
        ...

    async def post_audio(self, pcm: NDArray[np.int16]) -> None:
        """Take audio that flows beside the frames: int16 at the rate of the session's input format."""
        ...

    def end(self, reason: EndReason) -> None:
        """Ask the session to end; `run` then cleans up and returns."""
        ...

    async def run(self) -> None:
        """Run the session until it ends; `end_reason` says why it did."""
        ...
