"""From the chunks of a streamed chat completion with audio to the deltas of a spoken reply. Pure.

OpenAI puts speech into `delta.audio`: first its `id`, then pieces of `transcript` and of `data`, last `expires_at`.
vLLM-Omni says of each chunk which `modality` it is; those of audio have it in `delta.content`, each a WAV file.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, Field

from antiphon.engines.base import AudioChunk, Finish, TextDelta, ToolCallDelta, Usage
from antiphon.engines.openai.chat_stream import ChatStream, MalformedStreamError
from antiphon.engines.remote.pcm_stream import PcmDecoder
from antiphon.engines.wav import read_wav

_WAV = b"RIFF"


class _Audio(BaseModel):
    id: str | None = None
    data: str | None = None
    transcript: str | None = None
    expires_at: float | None = None


class _Delta(BaseModel):
    content: Any = None
    refusal: str | None = None
    audio: _Audio | None = None


class _Choice(BaseModel):
    index: int = 0
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Chunk(BaseModel):
    choices: list[_Choice] = Field(default_factory=list)
    modality: str | None = None


class AudioChatStream:
    """Reads the chunks of one completion.

    Attributes:
        audio_id: by which the server knows the speech of the reply, once it has told.
        expires_at: until when, Unix time in s.

    Args:
        rate: of raw PCM, in Hz; a WAV file tells its own.
        speech: whether speech was asked for, so that a reply without any is a broken one.
    """

    def __init__(self, rate: int, *, speech: bool) -> None:
        self.audio_id: str | None = None
        self.expires_at: float | None = None
        self._rate = rate
        self._speech = speech
        self._chat = ChatStream()
        self._pcm = PcmDecoder()
        self._source: Literal["content", "transcript"] | None = None
        self._says_modality = False
        self._has_audio = self._has_calls = self._refused = False

    @property
    def ended(self) -> bool:
        """Whether the reply is complete. Where chunks say their modality, each of these ends by itself, so that only
        the end of the stream tells."""
        return self._chat.ended and not self._says_modality

    def feed(self, data: object) -> Sequence[TextDelta | AudioChunk | ToolCallDelta]:
        """Take a chunk (decoded JSON) and return what it adds to the reply; nothing for a sign of life.

        Raises:
            ValueError: it is no chunk of a chat completion, or its audio is none.
        """
        chunk = _Chunk.model_validate(data)
        self._says_modality = self._says_modality or chunk.modality is not None
        made: list[TextDelta | AudioChunk | ToolCallDelta] = []
        if chunk.modality == "audio":
            for choice in chunk.choices:
                if choice.index == 0 and choice.delta is not None and isinstance(choice.delta.content, str):
                    made += self._sound(choice.delta.content)
            # Its tokens are not counted in its usage, and what it has for content is no text.
            ends = [{"finish_reason": choice.finish_reason} for choice in chunk.choices if choice.index == 0]
            self._chat.feed({"choices": ends})
            return made
        for delta in self._chat.feed(data):
            if isinstance(delta, TextDelta):
                made += self._text("content", delta.text)
            else:
                self._has_calls = True
                made.append(delta)
        for choice in chunk.choices:
            if choice.index == 0 and choice.delta is not None:
                self._refused = self._refused or bool(choice.delta.refusal)
                made += self._read(choice.delta.audio) if choice.delta.audio is not None else []
        return made

    def finish(self) -> Sequence[Usage | Finish]:
        """Return how the reply ended.

        Raises:
            MalformedStreamError: it did not, or there is nothing to hear although there is something to say.
        """
        ends = self._chat.finish()
        has_text = self._source is not None
        if self._speech and has_text and not (self._has_audio or self._has_calls or self._refused):
            raise MalformedStreamError("there was no speech in the answer")
        return ends

    def _read(self, audio: _Audio) -> list[TextDelta | AudioChunk | ToolCallDelta]:
        self.audio_id = audio.id or self.audio_id
        self.expires_at = audio.expires_at or self.expires_at
        made = self._text("transcript", audio.transcript or "")
        return made + (self._sound(audio.data) if audio.data else [])

    def _text(
        self, source: Literal["content", "transcript"], text: str
    ) -> list[TextDelta | AudioChunk | ToolCallDelta]:
        """Take text of the reply, which some servers send twice: as its content and as the transcript of its audio."""
        if not text:
            return []
        self._source = self._source or source
        return [TextDelta(text)] if source == self._source else []

    def _sound(self, data: str) -> list[TextDelta | AudioChunk | ToolCallDelta]:
        raw = base64.b64decode(data, validate=True)
        chunk = read_wav(raw) if raw.startswith(_WAV) else AudioChunk(self._pcm.feed(raw), self._rate)
        self._has_audio = self._has_audio or chunk.samples.size > 0
        return [chunk] if chunk.samples.size else []
