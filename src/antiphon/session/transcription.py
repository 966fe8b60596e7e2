"""Transcribing the user's audio beside the session, for an item or ahead of one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from antiphon.engines.base import EngineError, Priority, Samples, TokenLogprob, Transcript
from antiphon.engines.promotion import Promotion
from antiphon.protocol.frames import ServerEvent, obfuscation, server_event
from antiphon.session.conversation import Item
from antiphon.session.live_transcript import LiveTranscript
from antiphon.session.state import SessionState, log
from antiphon.session.timeline import TurnTimeline
from antiphon.session.usage import transcription_usage


@dataclass(frozen=True, slots=True)
class TranscriptReady:
    """Notice: a transcription has ended, well or not."""

    job: TranscriptionJob


class TranscriptionJob:
    """One utterance being transcribed.

    Attributes:
        item: the conversation's item that the utterance became; None while it is only a draft.
        transcript: what was said, once known.
        error: why it is not known.
        live: who listened along to it.
        timeline: of the turn that waits for it, which is over.
    """

    def __init__(
        self,
        state: SessionState,
        work: Callable[[], Awaitable[Transcript]],
        *,
        item: Item | None = None,
        promotion: Promotion | None = None,
    ) -> None:
        self.item = item
        self.transcript: Transcript | None = None
        self.error: EngineError | None = None
        self.live: LiveTranscript | None = None
        self.timeline: TurnTimeline | None = None
        self._state = state
        self._task: asyncio.Task[None] = state.spawn(self._run(work), "transcription", promotion)

    @classmethod
    def of_audio(
        cls, state: SessionState, heard: Samples, *, item: Item | None = None, promotion: Promotion | None = None
    ) -> TranscriptionJob:
        """Transcribe a whole utterance (float32 at 16 kHz); for a draft that has this `promotion`, if any."""
        priority = _priority(promotion)
        asked = state.config.input.transcription
        language, prompt = (asked.language, asked.prompt) if asked else (None, None)
        logprobs = wants_logprobs(state)

        def work() -> Awaitable[Transcript]:
            return state.pipeline.transcribe(
                heard, language=language, prompt=prompt, logprobs=logprobs, priority=priority
            )

        return cls(state, work, item=item, promotion=promotion)

    @classmethod
    def of_turn(
        cls, state: SessionState, live: LiveTranscript, *, item: Item | None = None, promotion: Promotion | None = None
    ) -> TranscriptionJob:
        """Transcribe what was said in a turn that was listened along to; see `of_audio`."""
        priority = _priority(promotion)
        logprobs = wants_logprobs(state)
        job = cls(state, lambda: live.transcript(logprobs=logprobs, priority=priority), item=item, promotion=promotion)
        job.live = live
        return job

    @property
    def ended(self) -> bool:
        """Whether the outcome is known."""
        return self.transcript is not None or self.error is not None

    def cancel(self) -> None:
        """Stop the engine's work; no notice will come."""
        self._task.cancel()

    async def _run(self, work: Callable[[], Awaitable[Transcript]]) -> None:
        try:
            self.transcript = await work()
        except EngineError as error:
            self.error = error
            log.warning("transcription failed", code=error.code, error=error.message)
        except Exception as error:  # noqa: BLE001 - whatever an engine does, the session is told
            self.error = EngineError("The transcription failed.")
            log.exception("transcription failed", exc_info=error)
        self._state.notify(TranscriptReady(self))


def _priority(promotion: Promotion | None) -> Priority:
    return Priority.LIVE if promotion is None else Priority.DRAFT


def wants_logprobs(state: SessionState) -> bool:
    """Tell whether the client asked for the log probabilities of transcripts."""
    return "item.input_audio_transcription.logprobs" in (state.config.include or ())


def transcription_events(
    item: Item, outcome: Transcript | EngineError | None, duration_s: float, *, logprobs: bool
) -> list[ServerEvent]:
    """Return the events that tell the client what was said in an item, or why that is not known.

    Args:
        item: the user's item, which knows how much of it the client was told while it was spoken.
        outcome: None counts as a failure without a reason.
        duration_s: of the item's audio, in seconds.
        logprobs: whether the client asked for log probabilities.
    """
    ids = {"item_id": item.id, "content_index": item.heard_index}
    if not isinstance(outcome, Transcript):
        error = outcome or EngineError("The transcription failed.")
        body = {"type": "server_error", "code": error.code, "message": error.message}
        return [server_event("conversation.item.input_audio_transcription.failed", **ids, error=body)]
    text = outcome.text
    rest = text[item.told :]
    extra = {"logprobs": [_logprob(token) for token in outcome.logprobs]} if logprobs else {}
    events: list[ServerEvent] = []
    if rest:
        events.append(
            server_event(
                "conversation.item.input_audio_transcription.delta",
                **ids,
                delta=rest,
                **extra,
                obfuscation=obfuscation(rest),
            )
        )
    usage = transcription_usage(duration_s)
    events.append(
        server_event(
            "conversation.item.input_audio_transcription.completed", **ids, transcript=text, usage=usage, **extra
        )
    )
    return events


def _logprob(token: TokenLogprob) -> dict[str, object]:
    return {"token": token.token, "logprob": token.logprob, "bytes": list(token.bytes)}
