"""The moments of a turn: where its milliseconds went."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from antiphon.protocol.frames import server_event

Moment = Literal[
    "speech_started",
    "speech_paused",
    "draft_started",
    "speech_stopped",
    "transcript",
    "response_created",
    "first_token",
    "first_clause",
    "first_audio_made",
    "first_audio_sent",
    "response_done",
]


Stage = Literal["speech", "closing", "transcription", "first_token", "first_clause", "synthesis", "waiting", "reply"]

_ENDS: dict[Stage, Moment] = {
    "speech": "speech_stopped",
    "closing": "speech_stopped",
    "transcription": "transcript",
    "first_token": "first_token",
    "first_clause": "first_clause",
    "synthesis": "first_audio_made",
    "waiting": "first_audio_sent",
    "reply": "response_done",
}
"""The moment that ends each stage."""

_OF_A_DRAFT: tuple[Moment, ...] = (
    "speech_paused",
    "draft_started",
    "transcript",
    "first_token",
    "first_clause",
    "first_audio_made",
)


@dataclass(slots=True)
class TurnTimeline:
    """When each thing of one turn happened, in seconds of the event loop's clock.

    Attributes:
        item_id: the user's item that the turn became.
        moments: what happened when. Those that a draft repeats (pause to first audio made) are the last draft's.
        audio_ms: length of the user's audio, in ms.
        drafts: how many drafts were made.
        adopted: what of a draft was taken over when the turn closed.
    """

    item_id: str
    moments: dict[Moment, float] = field(default_factory=dict)
    audio_ms: int = 0
    drafts: int = 0
    adopted: Literal["nothing", "transcript", "reply"] = "nothing"

    def mark(self, moment: Moment, at: float) -> None:
        """Note `moment`; only its first occurrence counts."""
        self.moments.setdefault(moment, at)

    def forget_draft(self) -> None:
        """Forget the moments of a draft that was dropped."""
        for moment in _OF_A_DRAFT:
            self.moments.pop(moment, None)

    def stages(self) -> dict[Stage, float]:
        """Return how long each stage of the turn took, in seconds, of those whose beginning and end are known.

        Without a draft, transcription begins where speech stopped.
        """
        moments = self.moments
        begins: dict[Stage, float | None] = {
            "speech": moments.get("speech_started"),
            "closing": moments.get("speech_paused"),
            "transcription": moments.get("draft_started", moments.get("speech_stopped")),
            "first_token": moments.get("transcript"),
            "first_clause": moments.get("first_token"),
            "synthesis": moments.get("first_clause"),
            "waiting": moments.get("speech_stopped"),
            "reply": moments.get("response_created"),
        }
        found: dict[Stage, float] = {}
        for stage, begin in begins.items():
            end = moments.get(_ENDS[stage])
            if begin is not None and end is not None and end >= begin:
                found[stage] = end - begin
        return found

    def since_speech_stopped_ms(self) -> dict[str, float]:
        """Return every moment in ms relative to the end of the turn; earlier ones are negative."""
        origin = self.moments.get("speech_stopped")
        if origin is None:
            return {}
        return {moment: round((at - origin) * 1000, 1) for moment, at in self.moments.items()}

    def event(self, response_id: str | None) -> dict[str, Any]:
        """Return the event that tells a client which asked for it where the turn's time went.

        Args:
            response_id: of the response that answered the turn, if there was one.
        """
        return server_event(
            "antiphon.turn.timeline",
            item_id=self.item_id,
            response_id=response_id,
            audio_ms=self.audio_ms,
            drafts=self.drafts,
            adopted=self.adopted,
            since_speech_stopped_ms=self.since_speech_stopped_ms(),
        )
