"""Work done ahead for a turn that is not over: adopted whole when the turn closes as it was heard, or dropped."""

from __future__ import annotations

from dataclasses import dataclass

from antiphon.engines.base import Samples
from antiphon.engines.promotion import Promotion
from antiphon.session.config import ResponseConfig, SessionConfig
from antiphon.session.reply import Reply
from antiphon.session.transcription import TranscriptionJob


@dataclass(slots=True)
class Draft:
    """What was made for a turn from what was said until a pause. Nothing of it can be seen outside.

    Attributes:
        job: the transcription of what was said; None when nobody reads it.
        heard: what was said, float32 at 16 kHz.
        promotion: of everything that the engines do for it.
        version: of the conversation that the draft builds on.
        config: of the session that the draft builds on.
        started: the event loop's time, s.
        reply: the answer to it, once there is a transcript, or at once by a model that hears.
        asked: what that answer was asked for.
    """

    job: TranscriptionJob | None
    heard: Samples
    promotion: Promotion
    version: int
    config: SessionConfig
    started: float
    reply: Reply | None = None
    asked: ResponseConfig | None = None

    def holds(self, version: int, config: SessionConfig) -> bool:
        """Tell whether the draft is what would be made now, given that nothing was said since."""
        return self.version == version and self.config == config

    def drop(self) -> None:
        """Stop every engine that works on it."""
        if self.job is not None:
            self.job.cancel()
        if self.reply is not None:
            self.reply.stop()
