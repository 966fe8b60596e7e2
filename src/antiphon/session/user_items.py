"""The items that the user's audio becomes: committed, shown, transcribed."""

from __future__ import annotations

import copy

from antiphon.engines.base import Samples
from antiphon.protocol.frames import obfuscation, server_event
from antiphon.session.conversation import Item, ItemAudio
from antiphon.session.input_audio import CommittedAudio
from antiphon.session.live_transcript import LiveTranscript
from antiphon.session.state import SessionState
from antiphon.session.transcription import TranscriptionJob, transcription_events, wants_logprobs


class UserItems:
    """Puts the user's audio into the conversation and finds out what it says."""

    def __init__(self, state: SessionState) -> None:
        self._state = state

    @property
    def need_transcripts(self) -> bool:
        """Whether anybody reads what the user says: the client, or the model now or later."""
        return self._client_reads or self._state.pipeline.transcribes

    async def commit(self, item_id: str, audio: CommittedAudio, told: int = 0) -> Item:
        """Make an item of committed audio and tell the client, which knows `told` characters of what it says."""
        content = [{"type": "input_audio", "transcript": None}]
        wire = {"id": item_id, "type": "message", "status": "completed", "role": "user", "content": content}
        item = Item(wire, tells_transcript=self._client_reads or told > 0, told=told)
        part = item.audio[0] = ItemAudio(audio.rate, heard=audio.heard)
        part.append(audio.pcm)
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

    def transcribe(self, item: Item, heard: Samples) -> TranscriptionJob | None:
        """Begin to find out what `heard` (float32 at 16 kHz) says, if anybody wants to know."""
        if not self.need_transcripts:
            return None
        item.transcript_state = "pending"
        return TranscriptionJob.of_audio(self._state, heard, item=item)

    def listen_along(self, item_id: str) -> LiveTranscript | None:
        """Begin to listen along to a turn, if anybody wants to know what is said and the engine can."""
        if not self.need_transcripts:
            return None
        asked = self._state.config.input.transcription
        language, prompt = (asked.language, asked.prompt) if asked else (None, None)
        stream = self._state.pipeline.stream_transcription(language=language, prompt=prompt)
        guesses = self._state.pipeline.drafts == "full" and self._state.config.type == "realtime"
        return LiveTranscript(self._state, stream, item_id, guesses=guesses) if stream is not None else None

    async def tell_words(self, live: LiveTranscript, item_id: str, text: str) -> None:
        """Take words of a turn that are certain now, and tell the client if it asked to be told.

        A client that commits by hand does not know the item yet: it is told after the commit.
        """
        live.said += text
        if self._client_reads and self._state.config.input.turn_detection is not None:
            new = live.said[live.told :]
            live.told = len(live.said)
            await self._state.emit(
                server_event(
                    "conversation.item.input_audio_transcription.delta",
                    item_id=item_id,
                    content_index=0,
                    delta=new,
                    obfuscation=obfuscation(new),
                )
            )

    def transcribe_created(self, item: Item) -> None:
        """Begin to find out what the audio of an item that the client made says, unless it said so itself.

        For the model only: clients are told transcripts of what went through the input audio buffer.
        """
        audio = item.audio.get(item.heard_index)
        if audio is not None and audio.heard is not None and item.transcript_state == "none":
            self.transcribe(item, audio.heard)

    def settle(self, item: Item, job: TranscriptionJob) -> None:
        """Write down what the user said, or that it is not known."""
        if job.live is not None:
            job.live.close()
        item.transcript_state = "failed" if job.transcript is None else "known"
        item.transcript = "" if job.transcript is None else job.transcript.text
        if job.transcript is not None and item.tells_transcript:
            item.wire["content"][item.heard_index]["transcript"] = item.transcript
        if not self._state.pipeline.supports_audio:
            item.audio[item.heard_index].heard = None

    async def tell_transcript(self, item: Item, job: TranscriptionJob) -> None:
        """Tell the client what the user said, if it asked to be told and the item is still there."""
        if not item.tells_transcript or item.id not in self._state.conversation:
            return
        duration_s = item.audio[item.heard_index].duration_ms / 1000
        outcome = job.transcript or job.error
        events = transcription_events(item, outcome, duration_s, logprobs=wants_logprobs(self._state))
        await self._state.emit_all(events)

    @property
    def _client_reads(self) -> bool:
        return self._state.config.input.transcription is not None
