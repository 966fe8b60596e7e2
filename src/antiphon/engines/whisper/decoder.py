"""Whisper through CTranslate2, for short audio at a fraction of the usual cost.

Whisper was trained on windows of 30 s, and padding to them is most of what it costs to transcribe a sentence. With a
shorter window the encoder is cheap, but the decoder, which has never seen so short a memory, loops. So the encoder
reads the audio and one second of silence, and the rest of the memory that the decoder looks at is silence which was
encoded once, at load: the decoder sees 30 s as it always did. Nothing is lost in accuracy, and the doubtful rest
(`whisper_checks`) is read again with the full window and a wider search.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import tokenizers
from faster_whisper.tokenizer import Tokenizer
from numpy.typing import NDArray

from antiphon.engines.base import HEARING_RATE, EngineError, Samples, TokenLogprob, Transcript
from antiphon.engines.log_mel import HOP, LogMel
from antiphon.engines.whisper.checks import is_doubtful, is_speech, most_tokens
from antiphon.engines.workers import Cancellation

FULL_WINDOW = 3000
"""Frames of 10 ms in the window that Whisper was trained on."""

_TAIL = 100
"""Frames of silence encoded together with the audio. Without it words are doubled where the two memories meet."""

_SHORTEST = HEARING_RATE // 10
"""Samples (100 ms) below which there can be no word."""

_WINDOW_STEP = 100
_BEAM = 2
_CAREFUL_BEAM = 5

_POSITIONS = 448
"""Tokens that the decoder can hold, the prompt's and its own."""

_MOST_PROMPT_TOKENS = _POSITIONS // 2 - 1
"""As in openai-whisper, decoding.py."""

_LANGUAGE = re.compile(r"<\|([a-z]{2,3})\|>")

_Memory = Any  # ctranslate2.StorageView, for which there are no types


@dataclass(frozen=True, slots=True)
class _Hypothesis:
    text: str
    tokens: tuple[int, ...]
    average_logprob: float
    no_speech_prob: float


class WhisperDecoder:
    """A loaded model. Blocking and thread-safe.

    Args:
        path: a directory with a Whisper model in CTranslate2's format and its `tokenizer.json`.
        device: "cpu" or "cuda".
        index: which GPU.
        compute_type: of CTranslate2, e.g. "int8" or "float16".
        workers: how many threads will call at once; each call runs on one core.
    """

    def __init__(self, path: Path, *, device: str, index: int = 0, compute_type: str, workers: int) -> None:
        self._model = ctranslate2.models.Whisper(
            str(path),
            device=device,
            device_index=index,
            compute_type=compute_type,
            inter_threads=workers,
            intra_threads=1,
        )
        self._vocabulary = tokenizers.Tokenizer.from_file(str(path / "tokenizer.json"))
        self._log_mel = LogMel(self._model.n_mels)
        self.languages = self._read_languages()
        # On a GPU the full window costs a few ms and reading its memory back would cost more.
        self._silence = self._encode_silence() if device == "cpu" else None

    def transcribe(
        self,
        audio: Samples,
        cancellation: Cancellation,
        *,
        language: str | None,
        prompt: str | None,
        logprobs: bool,
    ) -> Transcript:
        """Transcribe at most 28 s of audio (float32[n], 16 kHz).

        Raises:
            EngineError: code "unsupported" for a language that the model does not know.
            JobCancelled: nobody wants it any more.
        """
        if len(audio) < _SHORTEST:
            return Transcript("", language)
        memory = self._encode(audio)
        cancellation.check()
        tokenizer = self._tokenizer(language or self._detect_language(memory))
        heard = self._generate(memory, tokenizer, prompt, _BEAM, audio)
        if is_speech(heard.no_speech_prob, heard.average_logprob) and is_doubtful(
            heard.text, len(heard.tokens), heard.average_logprob, audio
        ):
            cancellation.check()
            memory = self._model.encode(self._features(audio, FULL_WINDOW))
            cancellation.check()
            heard = self._generate(memory, tokenizer, prompt, _CAREFUL_BEAM, audio)
        said = is_speech(heard.no_speech_prob, heard.average_logprob) and any(map(str.isalnum, heard.text))
        if not said:
            return Transcript("", tokenizer.language_code)
        cancellation.check()
        details = self._logprobs(memory, tokenizer, heard.tokens, audio) if logprobs else ()
        return Transcript(heard.text, tokenizer.language_code, details, heard.average_logprob)

    def close(self) -> None:
        """Free the model. Nothing may be transcribed any more."""
        self._model.unload_model()

    def _features(self, audio: Samples, frames: int) -> _Memory:
        return ctranslate2.StorageView.from_array(self._log_mel(audio, frames)[None])

    def _encode(self, audio: Samples) -> _Memory:
        """Return what the decoder attends to, [1, 1500, width]."""
        frames = math.ceil(len(audio) / HOP / _WINDOW_STEP) * _WINDOW_STEP + _TAIL
        if self._silence is None or frames >= FULL_WINDOW:
            return self._model.encode(self._features(audio, FULL_WINDOW))
        heard = np.asarray(self._model.encode(self._features(audio, frames)))
        # The encoder halves the rate. Silence keeps its place in time.
        return ctranslate2.StorageView.from_array(np.concatenate([heard, self._silence[:, heard.shape[1] :]], axis=1))

    def _encode_silence(self) -> NDArray[np.float32]:
        return np.array(self._model.encode(self._features(np.zeros(1, np.float32), FULL_WINDOW)))

    def _generate(
        self, memory: _Memory, tokenizer: Tokenizer, prompt: str | None, beam: int, audio: Samples
    ) -> _Hypothesis:
        start = [*tokenizer.sot_sequence, tokenizer.no_timestamps]
        if prompt:
            start = [tokenizer.sot_prev, *tokenizer.encode(" " + prompt.strip())[-_MOST_PROMPT_TOKENS:], *start]
        most = min(most_tokens(len(audio) / HEARING_RATE), _POSITIONS // 2)
        result = self._model.generate(
            memory,
            [start],
            beam_size=beam,
            # CTranslate2 gives the text half of this, or what the start leaves.
            max_length=min(max(2 * most, len(start) + most), _POSITIONS),
            return_scores=True,
            return_no_speech_prob=True,
        )[0]
        tokens = result.sequences_ids[0]
        # The score is the mean over the text; as in Whisper, its end counts as a token too.
        logprob = result.scores[0] * len(tokens) / (len(tokens) + 1) if tokens else result.scores[0]
        return _Hypothesis(tokenizer.decode(tokens).strip(), tuple(tokens), logprob, result.no_speech_prob)

    def _logprobs(
        self, memory: _Memory, tokenizer: Tokenizer, tokens: Sequence[int], audio: Samples
    ) -> tuple[TokenLogprob, ...]:
        """Return the probability of each token given the audio and the text before, among all text tokens."""
        frames = min(len(audio) // HOP + 1, FULL_WINDOW)
        aligned = self._model.align(memory, tokenizer.sot_sequence, [list(tokens)], frames)[0]
        pieces = [self._bytes(token) for token in tokens]
        return tuple(
            TokenLogprob(piece.decode(errors="replace"), math.log(max(probability, 1e-10)), tuple(piece))
            for piece, probability in zip(pieces, aligned.text_token_probs, strict=True)
        )

    def _bytes(self, token: int) -> bytes:
        letters = self._vocabulary.id_to_token(token) or ""
        return bytes(_byte_values()[letter] for letter in letters)

    def _read_languages(self) -> tuple[str, ...]:
        if not self._model.is_multilingual:
            return ("en",)
        return tuple(
            sorted(match[1] for token in self._vocabulary.get_vocab() if (match := _LANGUAGE.fullmatch(token)))
        )

    def _detect_language(self, memory: _Memory) -> str:
        if not self._model.is_multilingual:
            return "en"
        (token, _probability), *_ = self._model.detect_language(memory)[0]
        return str(token)[2:-2]

    def require_language(self, language: str | None) -> None:
        """Raise EngineError, code "unsupported", for a language that the model does not know; None is fine."""
        if language is not None and _code(language) not in self.languages:
            raise EngineError(
                f"the transcription model does not know {language!r}; it knows {', '.join(self.languages)}",
                code="unsupported",
            )

    def _tokenizer(self, language: str) -> Tokenizer:
        self.require_language(language)
        return Tokenizer(self._vocabulary, self._model.is_multilingual, task="transcribe", language=_code(language))


def _code(language: str) -> str:
    """Return the language of a tag such as "en-GB", as Whisper names it."""
    return language.lower().partition("-")[0]


@lru_cache(maxsize=1)
def _byte_values() -> dict[str, int]:
    """Return the byte that each letter of the vocabulary stands for (GPT-2's `bytes_to_unicode`, reversed)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}
