"""Bounds of sessions as settings."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from antiphon.session.limits import SessionLimits

Positive = Annotated[float, Field(gt=0)]


class LimitSettings(BaseModel):
    """Bounds of one session."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True)

    max_duration_s: Positive = SessionLimits().max_duration_s
    """After this, in s, the client is told `session_expired` and the session ends."""
    max_turn_s: Positive = SessionLimits().max_turn_s
    """Longest turn, in s. With turn detection it is committed at this length; without, further audio is refused."""
    quiet_buffer_s: Annotated[float, Field(ge=0)] = SessionLimits().quiet_buffer_s
    """With turn detection, seconds of audio without speech that are kept for a manual commit."""
    max_items: Annotated[int, Field(ge=1)] = SessionLimits().max_items
    """Most conversation items; another is refused."""
    max_retained_audio_s: Annotated[float, Field(ge=0)] = SessionLimits().max_retained_audio_s
    """Seconds of item audio kept for `conversation.item.retrieve`; the oldest goes first."""
    max_responses: Annotated[int, Field(ge=1)] = SessionLimits().max_responses
    """Most responses in progress at once; another is refused."""
    inbox_bytes: Annotated[int, Field(ge=1)] = SessionLimits().inbox_bytes
    """Bytes of client frames waiting to be handled; beyond that the server stops reading."""
    reply_lookahead: Annotated[int, Field(ge=1)] = SessionLimits().reply_lookahead
    """Events of a reply that wait to be sent; beyond that the engines wait."""
    drafts_per_turn: Annotated[int, Field(ge=0)] = SessionLimits().drafts_per_turn
    """Most drafts made for one turn."""
    min_interruption_ms: Annotated[int, Field(ge=0)] = SessionLimits().min_interruption_ms
    """Speech over a reply interrupts it when it is this long, in ms, or has words; anything shorter only makes it
    pause. 0: any speech interrupts at once."""

    def over(self, limits: SessionLimits) -> SessionLimits:
        """Return `limits` with what is set here."""
        return replace(limits, **self.model_dump(exclude_unset=True))

    def session_limits(self) -> SessionLimits:
        """Return them as a session takes them."""
        return self.over(SessionLimits())
