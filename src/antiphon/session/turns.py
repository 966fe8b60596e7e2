"""Taking turns: the user's audio becomes speech events, committed items, drafts and answers."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from antiphon.audio.clock import HEARING_RATE, ms_to_samples, samples_to_ms
from antiphon.engines.base import DenoiserStream, EngineError, Priority, Samples, Transcript, VadStream
from antiphon.pipeline.voices import voice_names
from antiphon.protocol.errors import ProtocolError
from antiphon.protocol.frames import server_event
from antiphon.protocol.ids import new_id
from antiphon.session.config import ResponseConfig, SemanticVad, ServerVad, SessionConfig, response_config
from antiphon.session.context import prepare_request
from antiphon.session.conversation import Item, ItemAudio
from antiphon.session.draft import Draft
from antiphon.session.history import ContextTooLong
from antiphon.session.input_audio import CommittedAudio, InputAudioBuffer
from antiphon.session.reply import Reply
from antiphon.session.responses import Responses
from antiphon.session.state import SessionState, log
from antiphon.session.timeline import TurnTimeline
from antiphon.session.transcription import TranscriptionJob, TranscriptReady, transcription_events, wants_logprobs
from antiphon.session.turn_detection import (
    Detection,
    SpeechPaused,
    SpeechResumed,
    SpeechStarted,
    SpeechStopped,
    TurnDetector,
)

Pcm = NDArray[np.int16]

_MIN_COMMIT_MS = 100
"""Least audio that a commit takes (the service's own limit)."""
_SILENT_TAIL_MS = 300
"""Silence after the last speech that is transcribed with it; recognisers want some, more only costs time."""
_NEVER_MS = 1 << 40
_SILENCE_BY_EAGERNESS_MS = {"low": 1000, "medium": 600, "auto": 600, "high": 400}


@dataclass(frozen=True, slots=True)
class TurnJudged:
    """Notice: the turn classifier's opinion of the pause noticed at `pause_at`, on the session clock."""

    turn: Turn
    pause_at: int
    probability: float


@dataclass(slots=True)
class Turn:
    """A turn of the user's in progress: the item that it will be, where it starts, and the work done ahead for it."""

    item_id: str
    start: int
    timeline: TurnTimeline
    draft: Draft | None = None


class TurnTaking:
    """Listens to one session's audio.

    Args:
        state: the session's.
        responses: who answers.
    """

    def __init__(self, state: SessionState, responses: Responses) -> None:
        self._state = state
        self._responses = responses
        self._buffer = InputAudioBuffer(state.config.input.format.rate)
        self._vad: VadStream = state.pipeline.open_vad()
        self._denoiser: DenoiserStream | None = None
        self._detector = TurnDetector(self._detection(state.config))
        self._turn: Turn | None = None
        self._ready: tuple[Turn, Draft] | None = None
        self._judging: asyncio.Task[None] | None = None
        self._prefill: asyncio.Task[None] | None = None
        self.on_speech: Callable[[], None] = lambda: None
        """Called when the user begins to speak."""

    @property
    def speaking(self) -> bool:
        """Whether the user is in the middle of a turn."""
        return self._turn is not None

    def configure(self, before: SessionConfig, after: SessionConfig) -> None:
        """Follow a change of the session's configuration."""
        if before.input.format != after.input.format:
            self._buffer.set_rate(after.input.format.rate)
        if before.input.noise_reduction != after.input.noise_reduction:
            self._set_denoiser(after)
        if before.input.turn_detection != after.input.turn_detection:
            self._detector.mode = self._detection(after)
            if (before.input.turn_detection is None) != (after.input.turn_detection is None):
                self._forget_turn()
        elif before != after:
            self._drop_ready()

    async def hear(self, pcm: Pcm) -> None:
        """Take audio (int16 at the client's rate) and do what follows from it."""
        if self._denoiser is None:
            self._buffer.append(pcm)
        else:
            await asyncio.to_thread(self._buffer.append, pcm)
        windows = self._buffer.windows()
        if len(windows):
            for probability in await self._vad.push(windows):
                for detection in self._detector.push(float(probability)):
                    await self._on_detection(detection)
        if self._announces:
            await self._bound_turn()

    def check_room(self, samples: int) -> None:
        """Raise ProtocolError if a client that commits by hand sends more than a turn may have."""
        limit = self._state.limits.max_turn_s
        if not self._announces and self._buffer.duration_s + samples / self._rate > limit:
            raise ProtocolError(
                f"The input audio buffer holds {limit:.0f} seconds of audio, the most that it can. "
                "Commit or clear it first.",
                code="input_audio_buffer_full",
                param="audio",
            )

    async def commit(self) -> None:
        """Commit what is buffered, because the client asked.

        Raises:
            ProtocolError: there is too little.
        """
        have_ms = self._buffer.duration_s * 1000
        if have_ms < _MIN_COMMIT_MS:
            raise ProtocolError(
                "Error committing input audio buffer: buffer too small. "
                f"Expected at least 100ms of audio, but buffer only has {have_ms:.2f}ms of audio.",
                code="input_audio_buffer_commit_empty",
            )
        turn = self._turn or self._new_turn(self._buffer.start)
        turn.timeline.mark("speech_stopped", self._state.now())
        self._turn = None
        self._detector.forget()
        await self._close(turn, self._buffer.commit(), answer=False)

    async def clear(self) -> None:
        """Forget what is buffered, because the client asked."""
        self._buffer.clear()
        self._forget_turn()
        await self._state.emit(server_event("input_audio_buffer.cleared"))

    async def commit_silence(self, silence_ms: int) -> None:
        """Commit an item for a silence that lasted too long, `silence_ms`, and answer it."""
        since = max(self._buffer.position - ms_to_samples(silence_ms), 0)
        audio = CommittedAudio(since, self._buffer.position, np.zeros(0, np.int16), self._rate, np.zeros(0, np.float32))
        turn = self._new_turn(since)
        await self._state.emit(
            server_event(
                "input_audio_buffer.timeout_triggered",
                audio_start_ms=samples_to_ms(since),
                audio_end_ms=samples_to_ms(audio.end),
                item_id=turn.item_id,
            )
        )
        item = await self._add_item(turn, audio)
        item.silence_s = silence_ms / 1000
        item.transcript_state = "known"
        if self._state.config.input.transcription is not None:
            await self._state.emit_all(transcription_events(item, Transcript(""), 0.0, logprobs=False))
        await self._responses.answer(self._response_config(), item, turn.timeline, None)

    def transcribe_item(self, item: Item) -> None:
        """Find out what the audio of an item that the client made says."""
        audio = item.audio.get(item.heard_index)
        if audio is not None and audio.heard is not None and item.transcript_state == "none":
            self._transcribe(item, audio.heard)

    @property
    def position(self) -> int:
        """The session clock, in samples at 16 kHz."""
        return self._buffer.position

    async def on_transcript(self, notice: TranscriptReady) -> None:
        """Take the outcome of a transcription."""
        job = notice.job
        if job.item is not None:
            self._settle(job.item, job)
            self._state.conversation.changed()
            await self._tell_transcript(job.item, job)
            await self._responses.transcript_known(job.item)
            return
        turn = self._turn
        if turn is None or turn.draft is None or turn.draft.job is not job:
            return
        turn.timeline.mark("transcript", self._state.now())
        if job.transcript is not None and job.transcript.text.strip() and self._may_draft_reply():
            self._draft_reply(turn.draft, job.transcript.text)

    def take_ready(self, config: ResponseConfig) -> tuple[Reply, TurnTimeline] | None:
        """Return the answer drafted for the turn committed last, if it is what `config` asks for.

        With it comes the turn's timeline. The draft is the caller's then.
        """
        ready, self._ready = self._ready, None
        if ready is None:
            return None
        turn, draft = ready
        fits = draft.holds(self._state.conversation.version, self._state.config)
        same = replace(config, metadata=None) == draft.asked
        if fits and same and draft.reply is not None and draft.reply.failure is None:
            self._adopted(turn, draft)
            return draft.reply, turn.timeline
        self._drop(turn, draft)
        return None

    async def on_judged(self, notice: TurnJudged) -> None:
        """Take the turn classifier's opinion."""
        if notice.turn is self._turn:
            for detection in self._detector.judge(notice.probability, notice.pause_at):
                await self._on_detection(detection)

    def close(self) -> None:
        """Stop everything; the session is over."""
        self._forget_turn()
        self._vad.close()
        if self._denoiser is not None:
            self._denoiser.close()

    # --- detections --------------------------------------------------------------------------------------------------

    async def _on_detection(self, detection: Detection) -> None:
        match detection:
            case SpeechStarted():
                await self._speech_started(detection)
            case SpeechPaused():
                self._speech_paused(detection)
            case SpeechResumed():
                self._drop_draft()
            case SpeechStopped():
                await self._speech_stopped(detection)

    async def _speech_started(self, detection: SpeechStarted) -> None:
        self._drop_ready()
        turn = self._turn = self._new_turn(detection.start)
        turn.timeline.mark("speech_started", self._state.now())
        mode = self._state.config.input.turn_detection
        if mode is not None:
            await self._state.emit(
                server_event(
                    "input_audio_buffer.speech_started",
                    audio_start_ms=samples_to_ms(detection.start),
                    item_id=turn.item_id,
                )
            )
            self.on_speech()
            if mode.interrupt_response:
                await self._responses.interrupt()
        if self._may_draft_reply():
            self._warm_prefix()

    def _speech_paused(self, detection: SpeechPaused) -> None:
        turn = self._turn
        if turn is None:
            return
        if detection.ask:
            self._judge(turn, detection)
        pipeline = self._state.pipeline
        drafts_left = turn.timeline.drafts < self._state.limits.drafts_per_turn
        if turn.draft is None and pipeline.drafts != "off" and drafts_left and self._needs_transcripts:
            now = self._state.now()
            turn.timeline.drafts += 1
            turn.timeline.mark("speech_paused", now)
            turn.timeline.mark("draft_started", now)
            heard = self._buffer.heard(turn.start, detection.at)
            job = TranscriptionJob(self._state, heard, priority=Priority.DRAFT)
            turn.draft = Draft(job, self._state.conversation.version, self._state.config, now)

    async def _speech_stopped(self, detection: SpeechStopped) -> None:
        turn = self._turn
        mode = self._state.config.input.turn_detection
        if turn is None or mode is None:
            return
        self._turn = None
        turn.timeline.mark("speech_stopped", self._state.now())
        await self._state.emit(
            server_event(
                "input_audio_buffer.speech_stopped", audio_end_ms=samples_to_ms(detection.end), item_id=turn.item_id
            )
        )
        audio = self._buffer.commit(turn.start, detection.end)
        said = min(detection.speech_end + ms_to_samples(_SILENT_TAIL_MS), detection.end) - audio.start
        answer = mode.create_response and self._state.config.type == "realtime"
        await self._close(turn, audio, answer=answer, said=said)

    async def _close(self, turn: Turn, audio: CommittedAudio, *, answer: bool, said: int | None = None) -> None:
        """Make the turn an item, and answer it.

        Args:
            turn: the turn that is over.
            audio: all of its audio.
            answer: whether the server answers by itself.
            said: how many samples of what is heard can have words in them; None for all.
        """
        draft = self._take_draft(turn)
        item = await self._add_item(turn, audio)
        job = draft.job if draft is not None else self._transcribe(item, audio.heard[:said])
        if draft is not None:
            draft.job.item = item
            item.transcript_state = "pending"
            turn.timeline.adopted = "transcript"
        ended = job is not None and job.ended
        if job is not None and ended:
            self._settle(item, job)
        reply = draft.reply if draft is not None and draft.reply is not None and not draft.reply.failure else None
        if answer:
            if draft is not None and reply is not None:
                self._adopted(turn, draft)
            await self._responses.answer(self._response_config(), item, turn.timeline, reply)
        elif draft is not None and reply is not None:
            draft.version = self._state.conversation.version
            self._ready = (turn, draft)
        if job is not None and ended:
            await self._tell_transcript(item, job)

    async def _bound_turn(self) -> None:
        """Close a turn that has become too long, and forget quiet audio that nobody will ask for."""
        turn = self._turn
        limits = self._state.limits
        if turn is not None:
            if self._detector.position - turn.start > limits.max_turn_s * HEARING_RATE:
                for detection in self._detector.stop():
                    await self._on_detection(detection)
            return
        self._buffer.drop_before(self._buffer.position - int(limits.quiet_buffer_s * HEARING_RATE))

    # --- items -------------------------------------------------------------------------------------------------------

    async def _add_item(self, turn: Turn, audio: CommittedAudio) -> Item:
        content = [{"type": "input_audio", "transcript": None}]
        wire = {"id": turn.item_id, "type": "message", "status": "completed", "role": "user", "content": content}
        item = Item(wire)
        part = item.audio[0] = ItemAudio(audio.rate, heard=audio.heard)
        part.append(audio.pcm)
        turn.timeline.audio_ms = part.duration_ms
        previous = self._state.conversation.add(item)
        shown = copy.deepcopy(wire)
        await self._state.emit_all(
            [
                server_event("input_audio_buffer.committed", previous_item_id=previous, item_id=item.id),
                server_event("conversation.item.added", previous_item_id=previous, item=shown),
                server_event("conversation.item.done", previous_item_id=previous, item=shown),
            ]
        )
        return item

    def _transcribe(self, item: Item, heard: Samples) -> TranscriptionJob | None:
        if not self._needs_transcripts:
            return None
        item.transcript_state = "pending"
        return TranscriptionJob(self._state, heard, priority=Priority.LIVE, item=item)

    def _settle(self, item: Item, job: TranscriptionJob) -> None:
        """Write down what the user said."""
        item.transcript_state = "failed" if job.transcript is None else "known"
        item.transcript = "" if job.transcript is None else job.transcript.text
        if job.transcript is not None and self._state.config.input.transcription is not None:
            item.wire["content"][item.heard_index]["transcript"] = item.transcript
        if not self._state.pipeline.supports_audio:
            item.audio[item.heard_index].heard = None

    async def _tell_transcript(self, item: Item, job: TranscriptionJob) -> None:
        if self._state.config.input.transcription is None or item.id not in self._state.conversation:
            return
        duration_s = item.audio[item.heard_index].duration_ms / 1000
        events = transcription_events(
            item, job.transcript or job.error, duration_s, logprobs=wants_logprobs(self._state)
        )
        await self._state.emit_all(events)

    # --- drafts ------------------------------------------------------------------------------------------------------

    def _may_draft_reply(self) -> bool:
        """Tell whether an answer may be made ahead: it must be able to know all that was said before."""
        state = self._state
        mode = state.config.input.turn_detection
        wanted = state.config.type == "realtime" and (mode is None or mode.create_response)
        settled = all(item.transcript_state != "pending" for item in state.conversation.items)
        return wanted and settled and state.pipeline.drafts == "full" and not self._responses.busy

    def _draft_reply(self, draft: Draft, said: str) -> None:
        state = self._state
        if not draft.holds(state.conversation.version, state.config):
            return
        if self._prefill is not None:
            self._prefill.cancel()
        draft.asked = self._response_config()
        prepare = prepare_request(
            state,
            draft.asked,
            state.conversation.items,
            history_start=self._responses.history_start,
            said=said,
            priority=Priority.DRAFT,
        )
        draft.reply = Reply(state, prepare)

    def _take_draft(self, turn: Turn) -> Draft | None:
        """Return the turn's draft if it is exactly what would be made now."""
        draft, turn.draft = turn.draft, None
        if draft is None:
            return None
        if draft.holds(self._state.conversation.version, self._state.config) and draft.job.error is None:
            return draft
        self._drop(turn, draft)
        return None

    def _adopted(self, turn: Turn, draft: Draft) -> None:
        moments = turn.timeline.moments
        turn.timeline.adopted = "reply"
        done = moments.get("first_audio_made", self._state.now())
        self._state.observer.draft_ended("adopted", done - draft.started)

    def _drop_draft(self) -> None:
        if self._turn is not None and self._turn.draft is not None:
            draft, self._turn.draft = self._turn.draft, None
            self._drop(self._turn, draft)

    def _drop(self, turn: Turn, draft: Draft) -> None:
        draft.drop()
        turn.timeline.forget_draft()
        self._state.observer.draft_ended("dropped", 0.0)

    def _drop_ready(self) -> None:
        if self._ready is not None:
            turn, draft = self._ready
            self._ready = None
            self._drop(turn, draft)

    def _warm_prefix(self) -> None:
        """Bring everything before this turn into the model's cache while the user speaks."""
        state = self._state
        prepare = prepare_request(
            state, self._response_config(), state.conversation.items, history_start=self._responses.history_start
        )

        async def prefill() -> None:
            try:
                request = await prepare()
                await state.pipeline.prefill(request.generation)
            except (EngineError, ContextTooLong) as error:
                log.info("prefill failed; the reply will tell", error=str(error))

        if self._prefill is not None:
            self._prefill.cancel()
        self._prefill = state.spawn(prefill(), "prefill")

    # --- the turn in progress ----------------------------------------------------------------------------------------

    def _judge(self, turn: Turn, pause: SpeechPaused) -> None:
        classifier = self._state.pipeline.turn_classifier
        if classifier is None:
            return
        heard = self._buffer.heard(turn.start, pause.at)

        async def judge() -> None:
            try:
                probability = await classifier.complete(heard)
            except EngineError as error:
                log.warning("turn classifier failed; the turn ends at the longest silence", error=error.message)
                return
            self._state.notify(TurnJudged(turn, pause.at, probability))

        self._judging = self._state.spawn(judge(), "turn-classifier")

    def _new_turn(self, start: int) -> Turn:
        item_id = new_id("item")
        return Turn(item_id, start, TurnTimeline(item_id))

    def _forget_turn(self) -> None:
        self._drop_draft()
        self._drop_ready()
        self._turn = None
        self._detector.forget()

    def _set_denoiser(self, config: SessionConfig) -> None:
        if self._denoiser is not None:
            self._denoiser.close()
            self._denoiser = None
        wanted = config.input.noise_reduction
        if wanted is not None:
            self._denoiser = self._state.pipeline.open_denoiser(wanted.type)
            if self._denoiser is None:
                log.warning("noise reduction was asked for, but no denoiser is installed; audio is heard as it comes")
        self._buffer.denoise = self._denoiser.process if self._denoiser is not None else None

    def _response_config(self) -> ResponseConfig:
        return response_config(self._state.config, None, voices=voice_names(self._state.pipeline.voices))

    def _detection(self, config: SessionConfig) -> ServerVad | SemanticVad:
        return _detection(config, has_classifier=self._state.pipeline.turn_classifier is not None)

    @property
    def _announces(self) -> bool:
        """Whether turn detection is on; otherwise turns are only followed to draft for them."""
        return self._state.config.input.turn_detection is not None

    @property
    def _needs_transcripts(self) -> bool:
        return self._state.config.input.transcription is not None or not self._state.pipeline.supports_audio

    @property
    def _rate(self) -> int:
        return self._state.config.input.format.rate


def _detection(config: SessionConfig, *, has_classifier: bool) -> ServerVad | SemanticVad:
    """Return how to detect turns.

    A client that commits by hand still has its pauses found, to draft at them. Without a turn classifier, semantic
    detection waits for a silence that fits its eagerness.
    """
    mode = config.input.turn_detection
    if mode is None:
        return ServerVad(silence_duration_ms=_NEVER_MS)
    if isinstance(mode, SemanticVad) and not has_classifier:
        silence_ms = _SILENCE_BY_EAGERNESS_MS[mode.eagerness]
        return ServerVad(silence_duration_ms=silence_ms)
    return mode
