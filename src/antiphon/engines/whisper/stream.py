"""Transcription of an utterance while it is being spoken, piece by piece.

What was said before a pause is transcribed for good as soon as there is enough of it, so no word is cut in two or
heard twice, and what is left to do when the speaker stops does not grow with the length of the utterance.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from antiphon.engines.base import HEARING_RATE, Priority, Samples, Transcript, TranscriptionStream
from antiphon.engines.whisper.decoder import WhisperDecoder
from antiphon.engines.whisper.pieces import SHORTEST_S, find_cut, join
from antiphon.engines.workers import Cancellation, Workers

_LEAST_GUESSED = HEARING_RATE
"""Samples (1 s) below which there are too few words to be worth a guess."""


class WhisperStream(TranscriptionStream):
    """One utterance. Its pieces are transcribed as drafts are: behind what somebody waits for."""

    def __init__(self, decoder: WhisperDecoder, workers: Workers, language: str | None, prompt: str | None) -> None:
        """Start with no audio."""
        self._decoder = decoder
        self._workers = workers
        self._language = language
        self._prompt = prompt
        self._pending: Samples = np.zeros(0, np.float32)
        self._final: list[Transcript] = []
        self._returned = 0

    async def push(self, audio: Samples) -> str:
        """Take more audio (float32[n], 16 kHz) and return the text that became final; see `TranscriptionStream`."""
        self._pending = np.concatenate([self._pending, audio])
        while len(self._pending) >= SHORTEST_S * HEARING_RATE:
            piece = await self._workers.run(partial(self._read_piece, self._pending), priority=Priority.DRAFT)
            if piece is None:
                break
            transcript, cut = piece
            self._pending = self._pending[cut:]
            self._final.append(transcript)
            if transcript.text:
                self._language = transcript.language
        text = join(self._final).text
        new, self._returned = text[self._returned :], len(text)
        return new

    async def transcript(self, *, logprobs: bool = False, priority: Priority = Priority.LIVE) -> Transcript:
        """Return what was said so far; see `TranscriptionStream`."""
        rest = await self._workers.run(partial(self._read, self._pending, logprobs), priority=priority)
        whole = join([*self._final, rest])
        return whole if logprobs else replace(whole, logprobs=())

    async def guess(self) -> str | None:
        """Return what was probably said so far; see `TranscriptionStream`."""
        load = self._workers.load()
        if load.running or load.waiting or len(self._pending) < _LEAST_GUESSED:
            return None
        rest = await self._workers.run(partial(self._read, self._pending, False), priority=Priority.DRAFT)
        return join([*self._final, rest]).text

    def _read_piece(self, pending: Samples, cancellation: Cancellation) -> tuple[Transcript, int] | None:
        """Return the first piece of what is pending and where it ends, or None when it is too early."""
        cut = find_cut(pending)
        # Who will ask for log probabilities is not known yet; they cost a tenth of the piece.
        return None if cut is None else (self._read(pending[:cut], True, cancellation), cut)

    def _read(self, audio: Samples, logprobs: bool, cancellation: Cancellation) -> Transcript:
        return self._decoder.transcribe(
            audio, cancellation, language=self._language, prompt=self._prompt, logprobs=logprobs
        )
