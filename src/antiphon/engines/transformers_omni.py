"""Qwen2.5-Omni and Qwen3-Omni in this process, through `transformers`: they hear, think and, with a talker, speak."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import torch
from pydantic import BaseModel, ConfigDict, Field
from transformers import (
    AutoConfig,
    AutoModelForMultimodalLM,
    AutoProcessor,
    StoppingCriteria,
    StoppingCriteriaList,
    TextStreamer,
)

from antiphon.engines.base import (
    HEARING_RATE,
    AudioChunk,
    EngineContext,
    EngineError,
    EngineLoad,
    Finish,
    GenerationRequest,
    LanguageModel,
    Message,
    SpeechModel,
    TextDelta,
    TextPart,
    Tool,
    ToolCallDelta,
    Usage,
    Voice,
)
from antiphon.engines.heard_turns import seconds_of, words_of
from antiphon.engines.llamacpp.parser import ReplyParser
from antiphon.engines.llamacpp.prompt import chat_tools
from antiphon.engines.options import read_options
from antiphon.engines.transformers_omni_prompt import OmniPrompt, omni_prompt
from antiphon.engines.voice_choice import choose_voice
from antiphon.engines.workers import Cancellation, Workers

_FAMILIES = ("qwen2_5_omni", "qwen3_omni_moe")

_PREAMBLE = (
    "You are Qwen, a virtual human developed by the Qwen Team, Alibaba Group, capable of perceiving auditory and "
    "visual inputs, as well as generating text and speech."
)
"""What the instructions of Qwen2.5-Omni have to begin with, or its talker does not work well (model card)."""

_AUDIO_TOKENS_PER_SECOND = 25
"""Of Qwen2.5-Omni (technical report); Qwen3-Omni has half as many."""
_CODES_PER_TOKEN = 25
_MOST_CODES = 4096
"""Codes of speech for a token of text at most, half a second in Qwen2.5-Omni, and altogether."""

_Delta = TextDelta | AudioChunk | ToolCallDelta | Usage | Finish


class TransformersOmniOptions(BaseModel):
    """Options of `transformers-omni`.

    Attributes:
        model: a directory, or the name of a model that was fetched from the Hub before.
        device: where it runs, e.g. "cuda:1"; "auto" for the GPU where there is one.
        dtype: of its weights; "auto" for what they were saved in.
        talker: whether to load what speaks, if the model has it; without, it is a language model that hears.
        max_tokens: most tokens of a reply where the session sets no limit.
        temperature: sampling temperature where the session sets none; the model's own by default.
        audio_turns: how many of the user's last turns are heard; older ones stand as their transcripts, where there
            are any.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Annotated[str, Field(min_length=1)]
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    talker: bool = True
    max_tokens: Annotated[int, Field(ge=2)] = 512
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    audio_turns: Annotated[int, Field(ge=1)] = 1


@dataclass(frozen=True, slots=True)
class _Loaded:
    model: Any
    processor: Any

    @property
    def context_tokens(self) -> int:
        return int(self.model.config.thinker_config.text_config.max_position_embeddings)


class TransformersOmniModel(LanguageModel, SpeechModel):
    """A model of the Qwen-Omni family; one reply at a time. See `TransformersOmniOptions`.

    As `llm` it hears and writes; as `speech` it speaks, too. Text is streamed. Speech comes in one piece once the text
    is complete: the talker is given the thinker's whole thought, and `transformers` has no way to stream it.
    """

    name: ClassVar[str] = "transformers-omni"
    options_type: ClassVar[type[TransformersOmniOptions]] = TransformersOmniOptions
    sample_rate = 24_000
    supports_audio = True

    def __init__(self, options: TransformersOmniOptions, loaded: _Loaded) -> None:
        self._options = options
        self._loaded: _Loaded | None = loaded
        self._tokenizer = loaded.processor.tokenizer
        self._workers = Workers(self.name, 1)
        self._family = loaded.model.config.model_type
        self._lists_tools = "tools" in str(loaded.processor.chat_template)
        self.voices: Sequence[Voice] = tuple(map(Voice, _speakers(loaded.model)))
        self.context_tokens = loaded.context_tokens

    @classmethod
    async def load(cls, context: EngineContext) -> Self:
        """Load the model. Sets how many threads PyTorch uses in this process.

        Raises:
            EngineError: code "invalid_option", or "model_missing" when the model is not on this machine.
        """
        options = read_options(cls.name, TransformersOmniOptions, context.options)
        return cls(options, await asyncio.to_thread(_load, options, context.cores))

    async def warm_up(self) -> None:
        """Say a few tokens."""
        request = GenerationRequest((Message("user", (TextPart("Hello"),)),), max_tokens=4)
        async with aclosing(self._stream(request, self._voice(None) if self.voices else None)) as deltas:
            async for _ in deltas:
                pass

    def load_now(self) -> EngineLoad:
        """Return whether a reply is being made, and how many wait."""
        return self._workers.load()

    async def close(self) -> None:
        """Stop the worker thread and free the model. Idempotent."""
        await self._workers.close()
        self._loaded = None

    async def generate(self, request: GenerationRequest) -> AsyncIterator[TextDelta | ToolCallDelta | Usage | Finish]:
        """Continue the context in text; see `LanguageModel.generate`."""
        async with aclosing(self._stream(request, None)) as deltas:
            async for delta in deltas:
                if not isinstance(delta, AudioChunk):
                    yield delta

    async def respond(
        self, request: GenerationRequest, *, voice: str | None = None, speech: bool = True
    ) -> AsyncIterator[_Delta]:
        """Continue the context in text and speech; see `SpeechModel.respond`."""
        async with aclosing(self._stream(request, self._voice(voice) if speech else None)) as deltas:
            async for delta in deltas:
                yield delta

    async def count_tokens(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> int:
        """Return how many tokens these take; speech and the template's own tokens are estimated."""
        text = "\n".join([words_of(messages), *map(str, chat_tools(tools))])
        tokens = await asyncio.to_thread(self._tokenizer, text)
        return len(tokens["input_ids"]) + 8 * len(messages) + math.ceil(seconds_of(messages) * _AUDIO_TOKENS_PER_SECOND)

    def _voice(self, name: str | None) -> str:
        if not self.voices:
            raise EngineError(f"{self._options.model} has no talker: it cannot speak", code="unsupported")
        return choose_voice(self.name, self.voices, name)

    async def _stream(self, request: GenerationRequest, voice: str | None) -> AsyncGenerator[_Delta, None]:
        """Run the model in its thread; closing stops it at its next token."""
        preamble = _PREAMBLE if voice is not None and self._family == "qwen2_5_omni" else None
        prompt = omni_prompt(
            request, audio_turns=self._options.audio_turns, lists_tools=self._lists_tools, preamble=preamble
        )

        def work(give: Callable[[_Delta], None], cancellation: Cancellation) -> None:
            if self._loaded is not None:  # else the workers are closed
                _Reply(self._loaded, self._options, request, give, cancellation).make(prompt, voice)

        async with aclosing(self._workers.stream(work, priority=request.priority)) as deltas:
            async for delta in deltas:
                yield delta


class _OnlyCalls(Exception):  # noqa: N818 - the name says it
    """The reply is function calls, which are not spoken."""


class _Watch(StoppingCriteria):  # type: ignore[misc]  # the package is not there everywhere
    """Is asked after each token."""

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check

    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
        self._check()
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)


class _Streamer(TextStreamer):  # type: ignore[misc]
    """Gives out text as it is made, and counts its tokens."""

    def __init__(self, tokenizer: Any, take: Callable[[str], None]) -> None:
        super().__init__(tokenizer, skip_prompt=True, skip_special_tokens=True)
        self.tokens: list[int] = []
        self._take = take
        self._prompted = False

    def put(self, value: Any) -> None:
        if self._prompted:
            self.tokens += value.flatten().tolist()
        self._prompted = True
        super().put(value)

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        self._take(text)


class _Reply:
    """One reply, in the worker's thread."""

    def __init__(
        self,
        loaded: _Loaded,
        options: TransformersOmniOptions,
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
        self._parser = ReplyParser(())

    def make(self, prompt: OmniPrompt, voice: str | None) -> None:
        """Make the reply.

        Raises:
            EngineError: the model failed, or the context does not fit.
        """
        self._parser = ReplyParser(prompt.names)
        inputs = self._inputs(prompt)
        read = int(inputs["input_ids"].shape[1])
        limit = self._request.max_tokens or self._options.max_tokens
        if read + limit > self._most:
            message = "The conversation is longer than the model's context."
            raise EngineError(message, code="context_length_exceeded")
        streamer = _Streamer(self._processor.tokenizer, self._take)
        try:
            self._generate(inputs, voice, max(limit, 2), streamer)
        except _OnlyCalls:
            pass
        except RuntimeError as error:
            raise EngineError(f"the model failed: {str(error).splitlines()[0]}") from error
        for delta in self._parser.finish():
            self._give(delta)
        heard = int((inputs["input_ids"] == self._model.config.thinker_config.audio_token_index).sum())
        written = len(streamer.tokens)
        self._give(Usage(read, written, input_audio_tokens=heard))
        cut = written >= limit and streamer.tokens[-1] not in _ends(self._model)
        self._give(Finish("length" if cut else "tool_calls" if self._parser.calls else "stop"))

    def _inputs(self, prompt: OmniPrompt) -> Any:
        text = self._processor.apply_chat_template(
            prompt.messages, tools=prompt.tools, add_generation_prompt=True, tokenize=False
        )
        inputs = self._processor(
            text=text, audio=prompt.sounds or None, sampling_rate=HEARING_RATE, return_tensors="pt"
        )
        return inputs.to(self._model.device, self._model.dtype)

    def _generate(self, inputs: Any, voice: str | None, limit: int, streamer: _Streamer) -> None:
        thinking: dict[str, Any] = {
            "max_new_tokens": limit,
            "streamer": streamer,
            "stopping_criteria": StoppingCriteriaList([_Watch(self._cancellation.check)]),
        }
        temperature = self._options.temperature if self._request.temperature is None else self._request.temperature
        if temperature is not None:
            thinking |= {"do_sample": True, "temperature": temperature} if temperature else {"do_sample": False}
        if voice is None:
            self._model.thinker.generate(**inputs, **thinking)
            return
        thinking["min_new_tokens"] = 2  # the talker cannot do with less
        options = {f"thinker_{name}": value for name, value in thinking.items()}
        options["talker_max_new_tokens"] = min(_MOST_CODES, 100 + _CODES_PER_TOKEN * limit)
        options["talker_stopping_criteria"] = StoppingCriteriaList([_Watch(self._check_speaking)])
        if self._model.config.model_type == "qwen2_5_omni":
            talker = self._model.config.talker_config
            options["talker_eos_token_id"] = [talker.tts_codec_pad_token_id, talker.tts_codec_end_token_id]
        _, speech = self._model.generate(**inputs, speaker=voice, **options)
        self._give(AudioChunk(speech.flatten().float().cpu().numpy(), TransformersOmniModel.sample_rate))

    def _check_speaking(self) -> None:
        self._cancellation.check()
        if self._parser.calls:
            raise _OnlyCalls

    def _take(self, text: str) -> None:
        for delta in self._parser.feed(text):
            self._give(delta)


def _load(options: TransformersOmniOptions, cores: int) -> _Loaded:
    torch.set_num_threads(cores)
    place = str(Path(options.model).expanduser()) if Path(options.model).expanduser().is_dir() else options.model
    try:
        config = AutoConfig.from_pretrained(place, local_files_only=True)
        if config.model_type not in _FAMILIES:
            message = f"transformers-omni: {options.model} is a {config.model_type}, not one of {', '.join(_FAMILIES)}"
            raise EngineError(message, code="invalid_option")
        config.enable_audio_output = bool(config.enable_audio_output and options.talker)
        device = options.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        model = AutoModelForMultimodalLM.from_pretrained(
            place, config=config, dtype=options.dtype, local_files_only=True
        )
        processor = AutoProcessor.from_pretrained(place, local_files_only=True)
        return _Loaded(model.to(device).eval(), processor)
    except (OSError, ValueError, RuntimeError) as error:
        missing = isinstance(error, OSError)
        remedy = f"; fetch it with `hf download {options.model}`, or name its directory" if missing else ""
        message = f"transformers-omni: {options.model} cannot be loaded: {str(error).splitlines()[0]}{remedy}"
        raise EngineError(message, code="model_missing" if missing else "invalid_option") from error


def _speakers(model: Any) -> list[str]:
    """Return the voices of a model's talker; none without one."""
    if not model.has_talker:
        return []
    if model.config.model_type == "qwen2_5_omni":
        return list(model.speaker_map)
    return [name.title() for name in model.config.talker_config.speaker_id]


def _ends(model: Any) -> set[int]:
    """Return the tokens that end a reply."""
    ends = model.thinker.generation_config.eos_token_id
    return set(ends if isinstance(ends, list) else [ends])
