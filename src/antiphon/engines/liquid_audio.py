"""LFM2-Audio in this process, through the package `liquid-audio` (LFM Open License v1.0; the extra `liquid`).

This module is imported only where a configuration names the engine: nothing else here depends on the package.
"""

from __future__ import annotations

import asyncio
import json
import math
import platform
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

# Not compared as `sys.version_info`, by which a type checker would leave out the rest of the module.
if sys.hexversion < 0x030C0000:
    raise ImportError(f"liquid-audio needs Python 3.12 or newer, and this is Python {platform.python_version()}")

import numpy as np
import torch
from liquid_audio import ChatState, LFM2AudioModel, LFM2AudioProcessor
from liquid_audio.moshi.utils.compile import no_cuda_graph
from safetensors import SafetensorError, safe_open
from tokenizers.decoders import DecodeStream

from antiphon.engines.base import (
    HEARING_RATE,
    AudioChunk,
    EngineContext,
    EngineError,
    EngineLoad,
    Finish,
    GenerationRequest,
    Message,
    Samples,
    SpeechModel,
    TextDelta,
    TextPart,
    Tool,
    ToolCallDelta,
    Usage,
    Voice,
)
from antiphon.engines.heard_turns import seconds_of, words_of
from antiphon.engines.liquid_audio_prompt import LiquidAudioOptions, Turn, liquid_turns
from antiphon.engines.model_files import find_model
from antiphon.engines.options import read_options
from antiphon.engines.voice_choice import choose_voice
from antiphon.engines.workers import Cancellation, Workers

_CONTEXT_TOKENS = 32_768
"""Of the model card; the configuration has room for more positions than the model was trained with."""

_AUDIO_TOKENS_PER_SECOND = 12.5
"""Of what it hears and of what it says (model card)."""

_END_OF_AUDIO = 2048
"""The code that is no sound: speech is over. Sound has the codes below."""

_PARTS = ("lfm", "encoder", "depthformer", "preprocessor")
"""What the configuration of an LFM2-Audio has, and that of no other model."""

_Delta = TextDelta | AudioChunk | Usage | Finish


@dataclass(frozen=True, slots=True)
class _Loaded:
    model: Any
    processor: Any

    @property
    def context_tokens(self) -> int:
        return min(_CONTEXT_TOKENS, int(self.model.conf.lfm.max_position_embeddings))


class LiquidAudioModel(SpeechModel):
    """LFM2-Audio; one reply at a time. See `LiquidAudioOptions`.

    Text and speech are made by turns, a few tokens of the one and a second of the other, and both are streamed: a frame
    of speech, 80 ms, goes out as soon as it is made. It has one voice, and calls no functions.
    """

    name: ClassVar[str] = "liquid-audio"
    options_type: ClassVar[type[LiquidAudioOptions]] = LiquidAudioOptions
    sample_rate = 24_000
    voices: Sequence[Voice] = (Voice("lfm2", "the model's own"),)

    def __init__(self, options: LiquidAudioOptions, loaded: _Loaded) -> None:
        self._options = options
        self._loaded: _Loaded | None = loaded
        self._tokenizer = loaded.processor.text
        self._workers = Workers(self.name, 1)
        self.context_tokens = loaded.context_tokens

    @classmethod
    async def load(cls, context: EngineContext) -> Self:
        """Load the model. Sets how many threads PyTorch uses in this process.

        Raises:
            EngineError: code "invalid_option", also for a model that is no LFM2-Audio; "model_missing" when it is not
                on this machine.
        """
        options = read_options(cls.name, cls.options_type, context.options)
        place = await asyncio.to_thread(find_model, options.model, context.models)
        return cls(options, await asyncio.to_thread(_load, options, place, context.cores))

    async def warm_up(self) -> None:
        """Say a few frames."""
        request = GenerationRequest((Message("user", (TextPart("Hello"),)),), max_tokens=8)
        async with aclosing(self._stream(request, speech=True)) as deltas:
            async for _ in deltas:
                pass

    def load_now(self) -> EngineLoad:
        """Return whether a reply is being made, and how many wait."""
        return self._workers.load()

    async def close(self) -> None:
        """Stop the worker thread and free the model. Idempotent."""
        await self._workers.close()
        self._loaded = None

    async def respond(
        self, request: GenerationRequest, *, voice: str | None = None, speech: bool = True
    ) -> AsyncIterator[TextDelta | AudioChunk | ToolCallDelta | Usage | Finish]:
        """Continue the context in text and speech; see `SpeechModel.respond`."""
        choose_voice(self.name, self.voices, voice)
        async with aclosing(self._stream(request, speech=speech)) as deltas:
            async for delta in deltas:
                yield delta

    async def count_tokens(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> int:
        """Return how many tokens these take; speech and the marks around turns are estimated. Tools take none."""
        tokens = await asyncio.to_thread(self._tokenizer.encode, words_of(messages), add_special_tokens=False)
        return len(tokens) + 8 * len(messages) + math.ceil(seconds_of(messages) * _AUDIO_TOKENS_PER_SECOND)

    async def _stream(self, request: GenerationRequest, *, speech: bool) -> AsyncGenerator[_Delta, None]:
        """Run the model in its thread; closing stops it at its next token."""
        turns = await asyncio.to_thread(liquid_turns, request, audio_turns=self._options.audio_turns, speech=speech)

        def work(give: Callable[[_Delta], None], cancellation: Cancellation) -> None:
            if self._loaded is not None:  # else the workers are closed
                _Reply(self._loaded, self._options, request, give, cancellation).make(turns, speech=speech)

        async with aclosing(self._workers.stream(work, priority=request.priority)) as deltas:
            async for delta in deltas:
                yield delta


class _Reply:
    """One reply, in the worker's thread."""

    def __init__(
        self,
        loaded: _Loaded,
        options: LiquidAudioOptions,
        request: GenerationRequest,
        give: Callable[[_Delta], None],
        cancellation: Cancellation,
    ) -> None:
        self._model = loaded.model
        self._processor = loaded.processor
        self._most = loaded.context_tokens
        self._options = options
        self._request = request
        self._give = give
        self._cancellation = cancellation
        self._words = DecodeStream(skip_special_tokens=True)
        self._text_end = loaded.processor.text.convert_tokens_to_ids("<|text_end|>")

    def make(self, turns: Sequence[Turn], *, speech: bool) -> None:
        """Make the reply.

        Raises:
            EngineError: the model failed, or the context does not fit.
        """
        try:
            chat = self._chat(turns)
            read = int(chat.modality_flag.shape[1])
            limit = self._request.max_tokens or self._options.max_tokens
            if read + limit > self._most:
                message = "The conversation is longer than the model's context."
                raise EngineError(message, code="context_length_exceeded")
            written, spoken, ended = self._speak(chat, limit) if speech else self._write(chat, limit)
        except RuntimeError as error:
            raise EngineError(f"the model failed: {str(error).splitlines()[0]}") from error
        heard = int(read - chat.text.shape[1])
        self._give(Usage(read, written + spoken, input_audio_tokens=heard, output_audio_tokens=spoken))
        self._give(Finish("stop" if ended else "length"))

    def _chat(self, turns: Sequence[Turn]) -> Any:
        chat = ChatState(self._processor, codebooks=self._model.codebooks, dtype=self._model.lfm.dtype)
        for turn in turns:
            self._cancellation.check()
            chat.new_turn(turn.role)
            for part in turn.parts:
                if isinstance(part, str):
                    chat.add_text(part)
                else:
                    chat.add_audio(torch.from_numpy(part)[None], HEARING_RATE)
            chat.end_turn()
        chat.new_turn("assistant")
        return chat

    def _speak(self, chat: Any, limit: int) -> tuple[int, int, bool]:
        """Return how many tokens of text and frames of speech were made, and whether the reply came to its end."""
        written = spoken = 0
        mimi = self._processor.mimi
        steps = self._model.generate_interleaved(
            **chat,
            max_new_tokens=limit,
            **self._sampling(),
            audio_temperature=self._options.audio_temperature or None,
            audio_top_k=self._options.audio_top_k,
        )
        # Other engines may use the GPU meanwhile, which is forbidden while a CUDA graph is captured.
        with no_cuda_graph(), torch.inference_mode(), mimi.streaming(1):
            for step in self._checked(steps):
                if step.numel() == 1:
                    written += 1
                    self._take(step)
                    continue
                spoken += 1
                if not bool((step == _END_OF_AUDIO).any()):
                    self._give(_chunk(mimi.decode(step[None, :, None])))
        return written, spoken, written + spoken < limit

    def _write(self, chat: Any, limit: int) -> tuple[int, int, bool]:
        """Return as `_speak` does. A model that begins to speak in spite of all has come to its end."""
        written = 0
        ends = self._processor.text.convert_tokens_to_ids(["<|im_end|>", "<|audio_start|>"])
        steps = self._model.generate_sequential(**chat, max_new_tokens=limit, **self._sampling())
        for step in self._checked(steps):
            if int(step) in ends:
                return written, 0, True
            written += 1
            self._take(step)
        return written, 0, False

    def _checked(self, steps: Any) -> Iterator[Any]:
        """Yield what the model makes, and stop it at once when the reply is not wanted any more."""
        with closing(steps):
            self._cancellation.check()
            for step in steps:
                self._cancellation.check()
                yield step

    def _sampling(self) -> dict[str, Any]:
        temperature = self._options.temperature if self._request.temperature is None else self._request.temperature
        return {"text_temperature": float(temperature or 0) or None, "text_top_k": self._options.top_k}

    def _take(self, token: Any) -> None:
        if int(token) == self._text_end:
            return
        text = self._words.step(self._processor.text.backend_tokenizer, int(token))
        if text:
            self._give(TextDelta(text))


def _chunk(sound: Any) -> AudioChunk:
    samples: Samples = sound.flatten().float().cpu().numpy().astype(np.float32)
    return AudioChunk(samples, LiquidAudioModel.sample_rate)


def _load(options: LiquidAudioOptions, place: Path, cores: int) -> _Loaded:
    torch.set_num_threads(cores)
    _check_files(options, place)
    gpu = torch.cuda.is_available()
    device = ("cuda" if gpu else "cpu") if options.device == "auto" else options.device
    if device.startswith("cuda") and not gpu:
        message = f"liquid-audio: device {device!r}: PyTorch finds no GPU on this machine"
        raise EngineError(message, code="invalid_option")
    small = options.dtype == "bfloat16" or (options.dtype == "auto" and device != "cpu")
    try:
        processor = LFM2AudioProcessor.from_pretrained(place, device=device).eval()
        if processor.mimi_weights_path is None:
            message = f"liquid-audio: {options.model} comes without Mimi, which is needed to speak while it thinks"
            raise EngineError(message, code="invalid_option")
        dtype = torch.bfloat16 if small else torch.float32
        model = LFM2AudioModel.from_pretrained(place, device=device, dtype=dtype).eval()
        _check_weights(model, place)
        if not small or device == "cpu":
            model.lfm.set_attn_implementation("sdpa")  # flash attention, where it is installed, can do neither
        processor.mimi.eval()  # loaded at its first use
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        message = f"liquid-audio: {options.model} cannot be loaded: {' '.join(str(error).split())[:300]}"
        raise EngineError(message, code="invalid_option") from error
    return _Loaded(model, processor)


def _check_files(options: LiquidAudioOptions, place: Path) -> None:
    path = place / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"liquid-audio: {options.model} is not the directory of a model: {path}: {error.strerror}"
        raise EngineError(message, code="model_missing") from error
    except ValueError as error:
        message = f"liquid-audio: {options.model}: its config.json is not JSON: {error}"
        raise EngineError(message, code="invalid_option") from error
    if not isinstance(config, dict) or any(part not in config for part in _PARTS):
        kind = config.get("model_type", "something else") if isinstance(config, dict) else "something else"
        message = f"liquid-audio: {options.model} is no LFM2-Audio, but {kind}"
        raise EngineError(message, code="invalid_option")


def _check_weights(model: Any, place: Path) -> None:
    """Refuse a model that lacks weights: the package fills them in at random and says nothing."""
    saved: set[str] = set()
    for file in place.glob("model*.safetensors"):
        with safe_open(file, framework="pt") as weights:
            saved.update(weights.keys())
    names: dict[int, list[str]] = {}  # of a weight, which has several where it is shared
    for name, weight in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(weight), []).append(name)
    lacking = [known[0] for known in names.values() if saved.isdisjoint(known)]
    if lacking:
        raise ValueError(f"{len(lacking)} of its weights are missing, {lacking[0]} among them")
