"""Language models in GGUF files through llama.cpp, in this process: by default SmolLM2-135M-Instruct (Apache-2.0).

All sessions share one model: llama.cpp computes the tokens of all requests together, and keeps each session's context
in a slot, so that a reply begins with the words that are new.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field

from antiphon.engines.base import (
    EngineContext,
    EngineError,
    EngineLoad,
    Finish,
    GenerationRequest,
    LanguageModel,
    Message,
    ModelPaths,
    TextDelta,
    TextPart,
    Tool,
    ToolCallDelta,
    Usage,
)
from antiphon.engines.llamacpp.prompt import Template, alternate, chat_messages, chat_tools
from antiphon.engines.llamacpp.reply import ReplyEvent, ReplyPlan, ReplyReader, plan_reply
from antiphon.engines.llamacpp.server import LlamaServer, ServerConfig
from antiphon.engines.llamacpp.slots import Slot, Slots
from antiphon.engines.model_files import find_model, is_path
from antiphon.engines.options import read_options

T = TypeVar("T")

_Give = Callable[[list[ReplyEvent]], bool]
"""Gives events to the reader; False when nobody wants them any more."""

_SYSTEM = {"role": "system", "content": "SYSTEM"}
_USER = {"role": "user", "content": "USER"}
_ASSISTANT = {"role": "assistant", "content": "ASSISTANT"}

_LATER_PART = re.compile(r"-(?!00001)\d{5}-of-\d{5}\.gguf$")
"""llama.cpp finds the other files of a model that was cut by its `gguf-split` beside the first."""

_COUNTING_THREADS = 2
_MOST_COUNTS = 4096
"""Counts that are remembered: a session counts each of its exchanges anew for every reply."""


class LlamaCppOptions(BaseModel):
    """Options of the engine.

    Attributes:
        model: a name of the catalog, a reference, or the path of a GGUF file or of a directory with one; of a model in
            several files, the first one.
        context: tokens that one request may take, prompt and reply together; no more than the model was trained on.
            Memory for all of them, in every slot, is taken at once: 94 MB for 4096 tokens of SmolLM2-135M.
        slots: requests at once, and sessions whose context is kept.
        gpu_layers: how many of the model's layers go to the GPU; None for all where there is one.
        max_tokens: most tokens of a reply whose request sets no limit: a small model may not find an end.
        temperature, top_p: of sampling, as on SmolLM2's model card; a request may have a temperature of its own.
        repeat_penalty: what the last 64 tokens are divided by in sampling, against going round in circles.
        seed: of sampling; None for another one each time.
        reasoning: let a model that can think do so before it answers. Its thoughts are not given out.
        chat_template: Jinja source to use instead of the model's own.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = "smollm2-135m-instruct"
    context: int = Field(4096, ge=256)
    slots: int = Field(8, ge=1, le=256)
    gpu_layers: int | None = Field(None, ge=0)
    max_tokens: int = Field(1024, ge=1)
    temperature: float = Field(0.2, ge=0)
    top_p: float = Field(0.9, gt=0, le=1)
    repeat_penalty: float = Field(1.1, ge=1)
    seed: int | None = Field(None, ge=0)
    reasoning: bool = False
    chat_template: str | None = None


class LlamaCppModel(LanguageModel):
    """Generates with llama.cpp; see `LlamaCppOptions`.

    Tool calls are kept within their schemas by a grammar, except those that a model makes unasked in a form of its own
    template. The grammar does not know the keywords `not`, `if` and `dependentSchemas`, nor that only one branch of
    `oneOf` may fit.
    """

    name: ClassVar[str] = "llamacpp"
    options_type: ClassVar[type[LlamaCppOptions]] = LlamaCppOptions
    required_models: ClassVar[tuple[str, ...]] = ("smollm2-135m-instruct",)

    def __init__(self, server: LlamaServer, template: Template, options: LlamaCppOptions) -> None:
        self.context_tokens = server.context
        self._server: LlamaServer | None = server
        self._template = template
        self._options = options
        self._slots = Slots(options.slots)
        self._threads = ThreadPoolExecutor(options.slots + _COUNTING_THREADS, thread_name_prefix=self.name)
        self._closing = threading.Event()
        self._counts: OrderedDict[bytes, int] = OrderedDict()

    @classmethod
    async def load(cls, context: EngineContext) -> Self:
        """Load the model; see `LlamaServer` for what can go wrong.

        Raises:
            EngineError: and code "invalid_option" for options that are unknown or out of range, a context longer than
                what the model was trained on, and layers for a GPU that is not there.
        """
        options = read_options(cls.name, LlamaCppOptions, context.options)

        def load() -> tuple[LlamaServer, Template]:
            server = LlamaServer(
                ServerConfig(
                    _model_file(options.model, context.models),
                    context.cores,
                    options.slots,
                    options.context,
                    options.gpu_layers,
                    options.chat_template,
                    options.reasoning,
                )
            )
            if server.context < options.context and "context" in options.model_fields_set:
                server.close()
                raise EngineError(
                    f"llamacpp: option 'context': {options.context} is more than the {server.context} tokens that "
                    f"{options.model} was trained on",
                    code="invalid_option",
                )
            return server, Template(server.knows_tools, _refuses_neighbours(server), server.end_token)

        return cls(*await asyncio.to_thread(load), options)

    async def warm_up(self) -> None:
        """Generate a few words and a call, so that weights and grammars are in memory."""
        words = (Message("user", (TextPart("Say hello."),)),)
        for request in (
            GenerationRequest(words, max_tokens=4),
            GenerationRequest(words, tools=(Tool("hello"),), tool_choice="required"),
        ):
            async for _ in self.generate(request):
                pass

    def load_now(self) -> EngineLoad:
        """Return how many requests are being computed and wait for a slot."""
        return self._slots.load()

    async def close(self) -> None:
        """Stop all generations, join the threads and free the model. Idempotent."""
        self._closing.set()
        self._slots.close()
        await asyncio.to_thread(self._threads.shutdown)
        server, self._server = self._server, None
        if server is not None:
            await asyncio.to_thread(server.close)

    async def generate(self, request: GenerationRequest) -> AsyncIterator[TextDelta | ToolCallDelta | Usage | Finish]:
        """Continue the context; see `LanguageModel.generate`.

        An image raises EngineError with code "unsupported". At most `context_tokens` events wait for a slow reader.
        """
        plan = plan_reply(request, self._template)
        sampling = self._sampling(request)
        slot = await self._slots.acquire(request.cache_key, request.priority)
        async with aclosing(self._run(slot, partial(self._generate, plan, sampling, slot.number))) as events:
            async for event in events:
                yield event

    async def prefill(self, request: GenerationRequest) -> None:
        """Compute the context of a session's next request ahead; nothing without a `cache_key` or a free slot."""
        if request.cache_key is None:
            return
        plan = plan_reply(request, self._template)
        slot = self._slots.acquire_home(request.cache_key)
        if slot is not None:
            async with aclosing(self._run(slot, partial(self._prefill, plan, slot.number))) as events:
                async for _ in events:
                    pass

    async def count_tokens(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> int:
        """Return how many tokens these take, so that the parts of a context add up to the `input_tokens` of its reply.

        With a system message first, or with tools, or with nothing at all, these are the beginning of a context, and
        what the chat template puts around every context is counted with them; else they are a later part of one.
        """
        chat = chat_messages(messages, tools, replace(self._template, alternating=False))
        if not chat:
            return await self._whole([_USER], tools) - await self._part([_USER])
        if tools or chat[0]["role"] == "system":
            return await self._whole(chat, tools)
        return await self._part(chat)

    async def _whole(self, chat: list[dict[str, Any]], tools: Sequence[Tool]) -> int:
        listed = {"tools": chat_tools(tools)} if tools and self._template.tools else {}
        return await self._count({"messages": self._folded(chat), **listed})

    async def _part(self, chat: list[dict[str, Any]]) -> int:
        before = [_SYSTEM, _USER] if chat[0]["role"] == "assistant" else [_SYSTEM, _USER, _ASSISTANT]
        both = {"messages": self._folded([*before, *chat]), "add_generation_prompt": False}
        return await self._count(both) - await self._count({**both, "messages": before})

    def _folded(self, chat: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return alternate(chat) if self._template.alternating else chat

    async def _count(self, body: Mapping[str, Any]) -> int:
        key = blake2b(orjson.dumps(body), digest_size=16).digest()
        if key in self._counts:
            self._counts.move_to_end(key)
            return self._counts[key]
        ask = partial(self._loaded().ask, "POST", "/v1/chat/completions/input_tokens", body)
        count: int = (await asyncio.wrap_future(self._submit(ask)))["input_tokens"]
        self._counts[key] = count
        if len(self._counts) > _MOST_COUNTS:
            self._counts.popitem(last=False)
        return count

    def _sampling(self, request: GenerationRequest) -> dict[str, Any]:
        options = self._options
        return {
            "max_tokens": options.max_tokens if request.max_tokens is None else request.max_tokens,
            "temperature": options.temperature if request.temperature is None else request.temperature,
            "top_p": options.top_p,
            "repeat_penalty": options.repeat_penalty,
            **({} if options.seed is None else {"seed": options.seed}),
        }

    async def _run(self, slot: Slot, work: Callable[[_Give], None]) -> AsyncGenerator[ReplyEvent]:
        """Do `work` in a thread, and yield what it gives. Owns the slot until the thread is done with it."""
        loop = asyncio.get_running_loop()
        given: asyncio.Queue[list[ReplyEvent] | None] = asyncio.Queue()
        stopped = threading.Event()
        done = False

        def give(events: list[ReplyEvent]) -> bool:
            if stopped.is_set() or self._closing.is_set():
                return False
            return _call_soon(loop, partial(given.put_nowait, events))

        def finish() -> None:
            nonlocal done
            done = True
            self._slots.release(slot)
            given.put_nowait(None)

        def finished(_: Future[None]) -> None:
            if not _call_soon(loop, finish):
                self._slots.release(slot)  # nobody runs beside us once the loop is closed

        try:
            future = self._submit(partial(work, give))
        except EngineError:
            self._slots.release(slot)
            raise
        future.add_done_callback(finished)
        try:
            while (events := await given.get()) is not None:
                for event in events:
                    yield event
            future.result()
            if self._closing.is_set():
                raise EngineError("the engine was closed", code="closed")
        finally:
            stopped.set()
            if not done:
                slot.passing = True

    def _generate(self, plan: ReplyPlan, sampling: Mapping[str, Any], slot: int, give: _Give) -> None:
        """Generate, in a worker thread."""
        reader = ReplyReader(plan.names, must_call=plan.must_call)
        wanted = give([])

        def read(chunk: dict[str, Any]) -> bool:
            nonlocal wanted
            wanted = give(reader.read(chunk))
            return wanted

        server = self._loaded()
        body = {"id_slot": slot, **sampling, **plan.sampling}
        if wanted and plan.from_text:
            rendered = server.ask("POST", "/apply-template", plan.prompt)
            server.stream("text", {**body, "prompt": rendered["prompt"]}, read)
        elif wanted:
            server.stream("chat", {**body, **plan.prompt}, read)
        if wanted:
            give(reader.finish())

    def _prefill(self, plan: ReplyPlan, slot: int, give: _Give) -> None:
        """Compute a prompt up to where the reply would begin, in a worker thread."""
        body = {**plan.prompt, "id_slot": slot, "max_tokens": 1, "add_generation_prompt": False}
        self._loaded().stream("chat", body, lambda _: give([]))

    def _submit(self, work: Callable[[], T]) -> Future[T]:
        try:
            return self._threads.submit(work)
        except RuntimeError as error:
            raise EngineError("the engine is closed", code="closed") from error

    def _loaded(self) -> LlamaServer:
        if self._server is None:
            raise EngineError("the engine is closed", code="closed")
        return self._server


def _call_soon(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> bool:
    """Call back on the loop; False when it is closed."""
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:
        return False
    return True


def _model_file(model: str, models: ModelPaths) -> Path:
    """Return the GGUF file that `model` means, the first one of a model in several.

    Raises:
        EngineError: code "invalid_option" when it means a directory with no GGUF model in it, or several;
            "model_missing" for a path where nothing is.
        antiphon.models.ModelError: see `ModelPaths.path`.
    """
    plain = model.endswith(".gguf") and ":" not in model and not is_path(model)
    path = find_model(f"./{model}" if plain else model, models)
    if not path.is_dir():
        return path
    files = [file for file in sorted(path.rglob("*.gguf")) if not _LATER_PART.search(file.name)]
    if len(files) != 1:
        found = ", ".join(file.name for file in files) or "none"
        raise EngineError(f"llamacpp: name one GGUF file of {model}; there are: {found}", code="invalid_option")
    return files[0]


def _refuses_neighbours(server: LlamaServer) -> bool:
    """Whether the chat template fails on, or leaves out, a system message or a second user message in between."""
    probe = [_SYSTEM, _USER, _USER, _ASSISTANT, {"role": "system", "content": "LATER"}, _USER]
    try:
        prompt: str = server.ask("POST", "/apply-template", {"messages": probe})["prompt"]
    except EngineError:
        return True
    return "LATER" not in prompt or prompt.count(_USER["content"]) < 3
