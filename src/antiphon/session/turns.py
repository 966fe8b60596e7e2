"""Taking turns: the user's audio becomes speech events, committed items, drafts and answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from antiphon.audio.clock import HEARING_RATE, ms_to_samples, samples_to_ms
from antiphon.audio.quiet import QuietWindows
from antiphon.engines.base import DenoiserStream, Transcript, VadStream
from antiphon.protocol.errors import ProtocolError
from antiphon.protocol.frames import server_event
from antiphon.protocol.ids import new_id
from antiphon.session.barge_in import BargeIn
from antiphon.session.config import SemanticVad, ServerVad, SessionConfig
from antiphon.session.drafting import Drafting, Turn
from antiphon.session.input_audio import CommittedAudio, InputAudioBuffer
from antiphon.session.late_answers import LateAnswers
from antiphon.session.live_transcript import WordsGuessed, WordsHeard
from antiphon.session.noise_reduction import open_denoiser
from antiphon.session.responses import Responses
from antiphon.session.state import SessionState
from antiphon.session.timeline import TurnTimeline
from antiphon.session.transcription import TranscriptionJob, TranscriptReady, transcription_events
from antiphon.session.turn_closing import TurnClosing
from antiphon.session.turn_detection import (
    Detection,
    SpeechDipped,
    SpeechLasted,
    SpeechPaused,
    SpeechResumed,
    SpeechStarted,
    SpeechStopped,
    TurnDetector,
    detection_in_force,
)
from antiphon.session.turn_judging import TurnJudged, judge_turn
from antiphon.session.user_items import UserItems

Pcm = NDArray[np.int16]

_MIN_COMMIT_MS = 100
"""Least audio that a commit takes (the service's own limit)."""
_SILENT_TAIL_MS = 300
"""Silence after the last speech that is transcribed with it; recognisers want some, more only costs time."""


class TurnTaking:
    """Listens to one session's audio and acts on it."""

    def __init__(
        self, state: SessionState, responses: Responses, drafting: Drafting, items: UserItems, barge_in: BargeIn
    ) -> None:
        self._state = state
        self._responses = responses
        self._drafting = drafting
        self._items = items
        self._buffer = InputAudioBuffer(state.config.input.format.rate)
        self._vad: VadStream = state.pipeline.open_vad()
        self._denoiser: DenoiserStream | None = None
        self._barge_in = barge_in
        self._detector = TurnDetector(
            self._detection(state.config), lasting_ms=state.limits.min_interruption_ms or None
        )
        self._quiet = QuietWindows()
        self._turn: Turn | None = None
        self._late = LateAnswers(state, responses, drafting, barge_in)
        self._closing = TurnClosing(state, responses, drafting, items, self._late)
        self.on_speech: Callable[[], None] = lambda: None
        """Called when the user begins to speak."""

    @property
    def speaking(self) -> bool:
        """Whether the user is in the middle of a turn."""
        return self._turn is not None

    async def configure(self, before: SessionConfig, after: SessionConfig) -> None:
        """Follow a change of the session's configuration."""
        if before.input.format != after.input.format:
            self._buffer.set_rate(after.input.format.rate)
        if before.input.noise_reduction != after.input.noise_reduction:
            self._set_denoiser(after)
        if before.input.turn_detection != after.input.turn_detection:
            self._detector.mode = self._detection(after)
            if (before.input.turn_detection is None) != (after.input.turn_detection is None):
                await self._forget_turn()

    async def hear(self, pcm: Pcm) -> None:
        """Take audio (int16 at the client's rate) and do what follows from it."""
        if self._denoiser is None:
            self._buffer.append(pcm)
        else:
            await asyncio.to_thread(self._buffer.append, pcm)
        windows = self._buffer.windows()
        if len(windows):
            probabilities = await self._vad.push(windows)
            quiet = self._quiet.judge(windows, probabilities)
            for probability, is_quiet in zip(probabilities, quiet, strict=True):
                for detection in self._detector.push(float(probability), quiet=is_quiet):
                    await self._on_detection(detection)
        if self._turn is not None and not self._detector.paused:
            self._listen_along(self._turn, self._detector.position)
        if self._announces:
            await self._bound_turn()

    def check_room(self, samples: int) -> None:
        """Raise ProtocolError if a client that commits by hand sends more than a turn may have."""
        limit = self._state.limits.max_turn_s
        if not self._announces and self._buffer.duration_s + samples / self._rate > limit:
            raise ProtocolError(
                f"The input audio buffer holds {self._buffer.duration_s:.0f} seconds of audio, and it may not hold "
                f"more than {limit:.0f}. Commit or clear it first.",
                code="input_audio_buffer_full",
                param="audio",
            )

    def forget_quiet(self) -> None:
        """Forget audio without speech that is older than anybody will ask for."""
        if self._turn is None:
            keep = int(self._state.limits.quiet_buffer_s * HEARING_RATE)
            self._buffer.drop_before(self._buffer.position - keep)

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
        await self._barge_in.decided_by_client()
        self._late.supersede()
        turn = self._turn or self._new_turn(self._buffer.start)
        turn.timeline.mark("speech_stopped", self._state.now())
        self._turn = None
        self._detector.forget()
        await self._closing.close(turn, self._buffer.commit(), answer=False)

    async def clear(self) -> None:
        """Forget what is buffered, because the client asked."""
        self._buffer.clear()
        await self._state.emit(server_event("input_audio_buffer.cleared"))
        await self._forget_turn()

    async def commit_silence(self, silence_ms: int) -> None:
        """Commit an item for a silence that lasted too long, `silence_ms`, and answer it."""
        since = max(self._buffer.position - ms_to_samples(silence_ms), 0)
        nothing = np.zeros(0, np.int16)
        audio = CommittedAudio(since, self._buffer.position, nothing, self._rate, np.zeros(0, np.float32))
        turn = self._new_turn(since)
        await self._state.emit(
            server_event(
                "input_audio_buffer.timeout_triggered",
                audio_start_ms=samples_to_ms(since),
                audio_end_ms=samples_to_ms(audio.end),
                item_id=turn.item_id,
            )
        )
        item = await self._items.commit(turn.item_id, audio)
        item.silence_s = silence_ms / 1000
        item.transcript_state = "known"
        if item.tells_transcript:
            await self._state.emit_all(transcription_events(item, Transcript(""), 0.0, logprobs=False))
        await self._responses.answer(self._drafting.response_config(), item, turn.timeline, None)

    async def on_transcript(self, notice: TranscriptReady) -> None:
        """Take the outcome of a transcription."""
        job = notice.job
        if job.timeline is not None:
            job.timeline.mark("transcript", self._state.now())
        if job.item is None:
            turn = self._turn
            if turn is not None and turn.draft is not None and turn.draft.job is job:
                await self._drafted(turn, job)
        else:
            await self._closing.on_transcript(job, job.item)

    async def on_words(self, notice: WordsHeard) -> None:
        """Take words that are certain while the user goes on."""
        turn = self._turn
        if turn is not None and turn.live is not None and turn.item_id == notice.item_id:
            await self._items.tell_words(turn.live, turn.item_id, notice.text)
            if turn.draft is None:
                self._drafting.warm(turn.live.said)

    def on_guess(self, notice: WordsGuessed) -> None:
        """Take what the user has probably said so far; the last word may still become another."""
        turn = self._turn
        if turn is not None and turn.item_id == notice.item_id and turn.draft is None:
            self._drafting.warm(notice.text.rpartition(" ")[0])

    async def on_judged(self, notice: TurnJudged) -> None:
        """Take the turn classifier's opinion."""
        if notice.turn is self._turn:
            for detection in self._detector.judge(notice.probability, notice.pause_at):
                await self._on_detection(detection)

    async def reply_cut(self) -> None:
        """Take note that the client itself has cut what the user spoke over."""
        await self._late.reply_cut()

    def close(self) -> None:
        """Stop everything; the session is over."""
        self._drop_turn()
        self._barge_in.close()
        self._vad.close()
        if self._denoiser is not None:
            self._denoiser.close()

    async def _on_detection(self, detection: Detection) -> None:
        match detection:
            case SpeechStarted():
                await self._speech_started(detection)
            case SpeechDipped():
                self._speech_dipped(detection)
            case SpeechPaused():
                await self._speech_paused(detection)
            case SpeechResumed():
                if self._turn is not None:
                    self._drafting.drop(self._turn)
                    self._barge_in.speech_resumed(self._turn)
            case SpeechLasted():
                if self._turn is not None:
                    await self._barge_in.speech_lasted(self._turn)
            case SpeechStopped():
                await self._speech_stopped(detection)

    async def _speech_started(self, detection: SpeechStarted) -> None:
        turn = self._turn = self._new_turn(detection.start)
        self._late.supersede()
        turn.timeline.mark("speech_started", self._state.now())
        turn.live = self._items.listen_along(turn.item_id)
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
            if mode.interrupt_response and self._state.config.type == "realtime":
                await self._barge_in.speech_started(turn)
        self._drafting.speech_started()

    def _speech_dipped(self, detection: SpeechDipped) -> None:
        """Begin a draft before the detector is sure of a pause."""
        turn = self._turn
        if turn is None:
            return
        if detection.ask:
            judge_turn(self._state, turn, self._buffer.heard(turn.start, detection.at), detection.at)
        # A model that hears would hear a word that is cut short.
        if not self._state.pipeline.supports_audio and self._drafting.wants(turn, dip=True):
            self._draft(turn, detection.at)

    async def _drafted(self, turn: Turn, job: TranscriptionJob) -> None:
        """Go on now that it is known what was said until the dip or pause. At a dip, a word may not be complete."""
        if self._detector.paused:
            await self._barge_in.heard(turn, self._buffer.heard(turn.start, self._detector.position), job)
        self._drafting.transcribed(turn, job)

    def _draft(self, turn: Turn, until: int) -> None:
        self._listen_along(turn, until)
        heard = self._buffer.heard(turn.start, until)
        self._drafting.begin(turn, heard, transcribe=self._items.need_transcripts)

    async def _speech_paused(self, detection: SpeechPaused) -> None:
        turn = self._turn
        if turn is None:
            return
        if detection.ask:
            judge_turn(self._state, turn, self._buffer.heard(turn.start, detection.at), detection.at)
        turn.timeline.mark("speech_paused", self._state.now())
        if not self._items.need_transcripts:
            await self._barge_in.heard(turn, self._buffer.heard(turn.start, detection.at), None)
        elif turn.draft is not None and turn.over_reply == "unknown":
            job = turn.draft.job
            if job is not None and job.ended:
                await self._drafted(turn, job)
        if self._drafting.wants(turn):
            self._draft(turn, detection.at)

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
        await self._closing.close(turn, audio, answer=answer, said=said)

    async def _bound_turn(self) -> None:
        """Close a turn that has become too long, and forget quiet audio that nobody will ask for."""
        self.forget_quiet()
        most = self._state.limits.max_turn_s * HEARING_RATE
        if self._turn is not None and self._detector.position - self._turn.start > most:
            for detection in self._detector.stop():
                await self._on_detection(detection)

    def _listen_along(self, turn: Turn, until: int) -> None:
        if turn.live is not None and until > turn.listened:
            turn.live.feed(self._buffer.heard(turn.listened, until))
            turn.listened = until

    def _new_turn(self, start: int) -> Turn:
        item_id = new_id("item")
        return Turn(item_id, start, TurnTimeline(item_id), listened=start)

    async def _forget_turn(self) -> None:
        if self._turn is not None and self._barge_in.is_doubtful(self._turn):
            await self._barge_in.dismiss()
        self._drop_turn()

    def _drop_turn(self) -> None:
        if self._turn is not None:
            self._drafting.drop(self._turn)
            if self._turn.live is not None:
                self._turn.live.close()
            self._turn = None
        self._drafting.drop_ready()
        self._detector.forget()

    def _set_denoiser(self, config: SessionConfig) -> None:
        if self._denoiser is not None:
            self._denoiser.close()
        self._denoiser = open_denoiser(self._state.pipeline, config)
        self._buffer.denoise = self._denoiser.process if self._denoiser is not None else None

    def _detection(self, config: SessionConfig) -> ServerVad | SemanticVad:
        judged = self._state.pipeline.turn_classifier is not None
        return detection_in_force(config.input.turn_detection, judged=judged)

    @property
    def _announces(self) -> bool:
        """Whether turn detection is on; otherwise turns are only followed to draft for them."""
        return self._state.config.input.turn_detection is not None

    @property
    def _rate(self) -> int:
        return self._state.config.input.format.rate
