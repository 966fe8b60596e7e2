"""What the user says while it is being said, for engines that can listen along."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import numpy as np

from antiphon.audio.clock import ms_to_samples
from antiphon.engines.base import EngineError, Priority, Samples, Transcript, TranscriptionStream
from antiphon.session.state import SessionState, log

_STEP_MS = 600
"""Audio that is worth a look: less costs more looks, more leaves more to do when the user pauses."""


@dataclass(frozen=True, slots=True)
class WordsHeard:
    """Notice: more of what the user says in the turn `item_id` is certain."""

    item_id: str
    text: str


@dataclass(frozen=True, slots=True)
class WordsGuessed:
    """Notice: what the user has probably said so far in the turn `item_id`."""

    item_id: str
    text: str


class LiveTranscript:
    """Listens along to one turn.

    Attributes:
        said: the words that are certain; every later transcript of the turn starts with them.
        told: how many characters of them the client was told.
    """

    def __init__(self, state: SessionState, stream: TranscriptionStream, item_id: str, *, guesses: bool) -> None:
        self.said = ""
        self.told = 0
        self._state = state
        self._stream = stream
        self._item_id = item_id
        self._guesses = guesses
        self._asked = 0
        self._waiting: list[Samples] = []
        self._waiting_samples = 0
        self._listening: asyncio.Task[None] | None = None
        self._guessing: asyncio.Task[None] | None = None
        self._failure: EngineError | None = None

    def feed(self, heard: Samples) -> None:
        """Take more of the turn (float32 at 16 kHz); listens when there is enough to be worth it."""
        self._waiting.append(heard)
        self._waiting_samples += len(heard)
        if self._listening is None and self._waiting_samples >= ms_to_samples(_STEP_MS):
            self._listen()

    async def transcript(self, *, logprobs: bool, priority: Priority) -> Transcript:
        """Return what was said so far, as if the turn ended here.

        Raises:
            EngineError: the engine failed.
        """
        self._stop_guessing()
        self._asked += 1
        try:
            while self._listening is not None or self._waiting:
                if self._listening is None:
                    self._listen()
                if self._listening is not None:
                    await asyncio.shield(self._listening)
            if self._failure is not None:
                raise self._failure
            return await self._stream.transcript(logprobs=logprobs, priority=priority)
        finally:
            self._asked -= 1

    def close(self) -> None:
        """Stop listening."""
        self._stop_guessing()
        if self._listening is not None:
            self._listening.cancel()
        self._stream.close()

    def _listen(self) -> None:
        audio = np.concatenate(self._waiting)
        self._waiting, self._waiting_samples = [], 0
        self._listening = self._state.spawn(self._push(audio), "listening")

    async def _push(self, audio: Samples) -> None:
        try:
            text = await self._stream.push(audio)
        except EngineError as error:
            self._failure = error
            log.warning("listening along failed", code=error.code, error=error.message)
            return
        finally:
            self._listening = None
        if text:
            self._state.notify(WordsHeard(self._item_id, text))
        if self._waiting_samples >= ms_to_samples(_STEP_MS):
            self._listen()
        elif self._guesses and self._guessing is None and not self._asked:
            self._guessing = self._state.spawn(self._guess(), "guessing")

    async def _guess(self) -> None:
        try:
            text = await self._stream.guess()
        except EngineError as error:
            log.info("guessing what is being said failed; the transcript will tell", error=error.message)
            return
        finally:
            self._guessing = None
        if text:
            self._state.notify(WordsGuessed(self._item_id, text))

    def _stop_guessing(self) -> None:
        if self._guessing is not None:
            self._guessing.cancel()
            self._guessing = None
