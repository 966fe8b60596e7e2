"""Every bound of a session. What happens at each is said beside it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """Bounds of one session.

    Attributes:
        max_duration_s: after this the client is told `session_expired` and the session ends.
        max_turn_s: longest uncommitted speech. With turn detection the turn is committed at this length; without,
            further audio is refused with an error.
        quiet_buffer_s: with turn detection, how much audio without speech is kept for a manual commit.
        max_items: most conversation items; creating another is refused with an error.
        max_retained_audio_s: seconds of item audio kept for `conversation.item.retrieve`; the oldest goes first.
        max_responses: most responses in progress at once, out-of-band ones included; another is refused.
        inbox_bytes: client frames waiting to be handled, in bytes; beyond that the transport stops reading.
        reply_lookahead: events of a reply, or of a draft, that wait; beyond that the pipeline waits.
        drafts_per_turn: most drafts made for one turn, half of them at mere dips; later pauses of it get none.
        min_interruption_ms: speech over a reply interrupts it when it is this long, or has words; anything shorter
            only makes it pause. 0: any speech interrupts at once.
    """

    max_duration_s: float = 3600.0
    max_turn_s: float = 600.0
    quiet_buffer_s: float = 60.0
    max_items: int = 5000
    max_retained_audio_s: float = 600.0
    max_responses: int = 8
    inbox_bytes: int = 32 * 1024 * 1024
    reply_lookahead: int = 128
    drafts_per_turn: int = 32
    min_interruption_ms: int = 700
