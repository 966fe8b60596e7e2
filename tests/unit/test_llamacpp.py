"""The language model engine, with the real model: streaming, caching, cancelling, counting, calling functions."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import pytest_asyncio

from antiphon.engines.base import (
    AudioPart,
    EngineContext,
    EngineError,
    Finish,
    GenerationRequest,
    ImagePart,
    LanguageModel,
    Message,
    NamedTool,
    Priority,
    TextDelta,
    TextPart,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolChoice,
    Usage,
)
from antiphon.engines.llamacpp.model import LlamaCppModel
from antiphon.engines.registry import find_engine
from antiphon.models import ModelStore

pytest.importorskip("xllamacpp", reason="the extra `local` is not installed")

pytestmark = [pytest.mark.models, pytest.mark.asyncio(loop_scope="module")]

MODEL = "smollm2-135m-instruct"
LONG = "the quick brown fox jumps over a lazy dog while seven wizards make toxic brew for evil queens and jacks " * 12
"""About 270 tokens."""

LAMP = Tool(
    "set_lamp",
    "Turn a lamp on or off.",
    {
        "type": "object",
        "properties": {"on": {"type": "boolean"}, "room": {"type": "string", "enum": ["kitchen", "bath", "attic"]}},
        "required": ["on", "room"],
    },
)
WEATHER = Tool(
    "get_weather",
    "Get the weather.",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)

TOOLS_TEMPLATE = """\
{%- if tools -%}
{{ '<|im_start|>system\\n' }}{%- for tool in tools -%}{{ tool | tojson }}{%- endfor -%}{{ '<|im_end|>\\n' }}
{%- endif -%}
{%- for m in messages -%}
{{ '<|im_start|>' + ('user' if m.role == 'tool' else m.role) + '\\n' }}
{%- if m.role == 'tool' -%}<tool_response>{{ m.content }}</tool_response>{%- else -%}{{ m.content or '' }}{%- endif -%}
{%- for c in m.tool_calls or [] -%}
{{ '<tool_call>\\n{"name": "' + c.function.name + '", "arguments": ' + (c.function.arguments | tojson) + '}\\n' }}
{{- '</tool_call>' }}
{%- endfor -%}
{{- '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}
"""

STRICT_TEMPLATE = """\
{%- for m in messages -%}
{%- if (m.role == 'system') != (loop.first and m.role == 'system') -%}{{ raise_exception('system') }}{%- endif -%}
{%- if not loop.first and m.role == loop.previtem.role -%}{{ raise_exception('alternate') }}{%- endif -%}
{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}
"""


def system(text: str) -> Message:
    return Message("system", (TextPart(text),))


def user(text: str) -> Message:
    return Message("user", (TextPart(text),))


def assistant(text: str) -> Message:
    return Message("assistant", (TextPart(text),))


def request(*messages: Message, **how: Any) -> GenerationRequest:
    return GenerationRequest(messages, **how)


class Reply:
    """What a generation gave."""

    def __init__(self) -> None:
        self.text = ""
        self.pieces = 0
        self.calls: list[ToolCall] = []
        self.argument_pieces = 0
        self.usage: Usage | None = None
        self.finish: str | None = None

    @classmethod
    async def of(cls, model: LanguageModel, asked: GenerationRequest) -> Reply:
        reply = cls()
        async for event in model.generate(asked):
            assert reply.finish is None, "Finish is the last event"
            match event:
                case TextDelta(text):
                    reply.text += text
                    reply.pieces += 1
                case ToolCallDelta(index, name, arguments, call_id):
                    if name is not None:
                        reply.calls.append(ToolCall(call_id or "", name, ""))
                    assert index == len(reply.calls) - 1
                    last = reply.calls[-1]
                    reply.calls[-1] = ToolCall(last.id, last.name, last.arguments + arguments)
                    reply.argument_pieces += bool(arguments)
                case Usage():
                    reply.usage = event
                case Finish(reason):
                    reply.finish = reason
        assert reply.finish is not None
        return reply

    @property
    def cached(self) -> int:
        assert self.usage is not None
        return self.usage.cached_tokens


async def load(**options: Any) -> LlamaCppModel:
    settings = {"seed": 1, "slots": 4, "context": 2048, **options}
    return await LlamaCppModel.load(EngineContext(ModelStore.default(), 1, settings))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model() -> AsyncIterator[LlamaCppModel]:
    engine = await load()
    await engine.warm_up()
    yield engine
    await engine.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tools_model() -> AsyncIterator[LlamaCppModel]:
    engine = await load(chat_template=TOOLS_TEMPLATE, slots=1, temperature=0.0, repeat_penalty=1.0)
    yield engine
    await engine.close()


async def idle(engine: LlamaCppModel) -> None:
    """Wait until llama.cpp itself says that none of its slots works."""
    server = engine._loaded()
    while engine.load_now().running or any(  # noqa: ASYNC110 - llama.cpp can only be asked
        slot["is_processing"] for slot in await asyncio.to_thread(server.ask, "GET", "/slots")
    ):
        await asyncio.sleep(0.005)


async def working(engine: LlamaCppModel, slots: int) -> None:
    """Wait until llama.cpp itself says that so many of its slots work."""
    server = engine._loaded()
    while slots > sum(  # noqa: ASYNC110 - llama.cpp can only be asked
        slot["is_processing"] for slot in await asyncio.to_thread(server.ask, "GET", "/slots")
    ):
        await asyncio.sleep(0.005)


# --- generating ------------------------------------------------------------------------------------------------------


async def test_it_is_found_by_its_name() -> None:
    assert find_engine("llamacpp", LanguageModel) is LlamaCppModel


async def test_a_reply_streams_and_ends_with_usage_and_finish(model: LlamaCppModel) -> None:
    reply = await Reply.of(model, request(system("Answer briefly."), user("What is the capital of France?")))
    assert reply.text == reply.text.strip()
    assert reply.pieces > 2
    assert reply.finish == "stop"
    assert reply.usage is not None
    assert reply.usage.output_tokens >= reply.pieces
    assert reply.usage.input_tokens > 10


async def test_a_seed_makes_replies_repeat(model: LlamaCppModel) -> None:
    asked = request(user("Tell me a story."), max_tokens=20, temperature=1.0)
    first = await Reply.of(model, asked)
    assert (await Reply.of(model, asked)).text == first.text
    assert first.finish == "length"
    assert first.usage is not None
    assert first.usage.output_tokens == 20


async def test_replies_have_a_limit_of_their_own() -> None:
    engine = await load(max_tokens=5, slots=1)
    try:
        reply = await Reply.of(engine, request(user("Tell me a long story.")))
    finally:
        await engine.close()
    assert reply.finish == "length"


async def test_system_messages_may_come_later_and_speech_is_read_from_its_transcript(model: LlamaCppModel) -> None:
    question = "What is the capital of France?"
    heard = Message("user", (AudioPart(np.zeros(160, np.float32), 16_000, question),))
    before = (system("Answer briefly."), user("Hi"), system("Be polite."))
    reply = await Reply.of(model, request(*before, heard, max_tokens=3))
    assert reply.usage is not None
    assert reply.usage.input_tokens == await model.count_tokens((*before, user(question)))


async def test_the_assistants_last_words_are_not_continued(model: LlamaCppModel) -> None:
    ended = request(user("Hello."), assistant("Hello, I am"), max_tokens=12)
    rendered = await asyncio.to_thread(
        model._loaded().ask, "POST", "/apply-template", {"messages": [{"role": "assistant", "content": "Hello, I am"}]}
    )
    assert rendered["prompt"].endswith("<|im_end|>\n<|im_start|>assistant\n")
    assert (await Reply.of(model, ended)).finish in ("stop", "length")


async def test_images_are_unsupported(model: LlamaCppModel) -> None:
    seen = Message("user", (ImagePart("data:image/png;base64,AAAA"),))
    for attempt in (Reply.of(model, request(seen)), model.count_tokens((seen,))):
        with pytest.raises(EngineError) as caught:
            await attempt
        assert caught.value.code == "unsupported"
    assert not model.supports_images


async def test_a_context_that_is_too_long(model: LlamaCppModel) -> None:
    assert model.context_tokens == 2048
    with pytest.raises(EngineError) as caught:
        await Reply.of(model, request(user(LONG * 9)))
    assert caught.value.code == "context_length_exceeded"
    await idle(model)
    assert (await Reply.of(model, request(user("Hi"), max_tokens=3))).usage is not None


async def test_many_at_once(model: LlamaCppModel) -> None:
    replies = await asyncio.gather(
        *(Reply.of(model, request(user(f"Count to {n}."), max_tokens=12, cache_key=f"many-{n}")) for n in range(10))
    )
    assert all(reply.text for reply in replies)
    assert model.load_now().running == 0


async def test_what_llama_cpp_refuses_is_an_engine_error(model: LlamaCppModel) -> None:
    server = model._loaded()
    for messages in ("no list", [{"role": "user"}]):
        with pytest.raises(EngineError):
            await asyncio.to_thread(server.stream, "chat", {"messages": messages}, lambda chunk: True)
        with pytest.raises(EngineError):
            await asyncio.to_thread(server.ask, "POST", "/apply-template", {"messages": messages})


async def test_an_error_in_the_reader_of_the_stream_is_not_lost(model: LlamaCppModel) -> None:
    def fail(chunk: dict[str, Any]) -> bool:
        raise ZeroDivisionError

    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3}
    with pytest.raises(ZeroDivisionError):
        await asyncio.to_thread(model._loaded().stream, "chat", body, fail)


# --- the cache -------------------------------------------------------------------------------------------------------


async def test_a_session_finds_its_prefix_whatever_others_do(model: LlamaCppModel) -> None:
    context = (system(LONG), user("Hi."))
    cold = await Reply.of(model, request(*context, max_tokens=3, cache_key="long"))
    assert cold.usage is not None
    for n in range(3):
        await Reply.of(model, request(user(f"Something else {n}."), max_tokens=3, cache_key=f"other-{n}"))
    again = await Reply.of(model, request(*context, assistant("Hello."), user("Well?"), max_tokens=3, cache_key="long"))
    assert again.cached >= cold.usage.input_tokens - 8


async def test_a_prefix_survives_the_loss_of_its_slot(model: LlamaCppModel) -> None:
    context = (system("Lost. " + LONG), user("Hi."))
    cold = await Reply.of(model, request(*context, max_tokens=3, cache_key="lost"))
    assert cold.usage is not None
    for n in range(6):
        await Reply.of(model, request(system(f"{n}"), user("Hi."), max_tokens=3, cache_key=f"thief-{n}"))
    again = await Reply.of(model, request(*context, assistant("Hello."), user("Well?"), max_tokens=3, cache_key="lost"))
    assert again.cached >= cold.usage.input_tokens - 8


@pytest.mark.parametrize("tools", [(), (LAMP, WEATHER)])
async def test_prefill_leaves_only_what_is_new(model: LlamaCppModel, tools: tuple[Tool, ...]) -> None:
    key = f"prefill-{len(tools)}"
    context = (system(f"{key}. " + LONG), user("Hi."), assistant("Hello."))
    await model.prefill(request(*context, tools=tools, cache_key=key, priority=Priority.DRAFT))
    assert model.load_now().running == 0
    asked = request(*context, user("Well?"), tools=tools, max_tokens=3, cache_key=key)
    reply = await Reply.of(model, asked)
    assert reply.usage is not None
    assert reply.cached >= await model.count_tokens(context, tools) - 8


async def test_prefill_without_a_session_does_nothing(model: LlamaCppModel) -> None:
    await model.prefill(request(user(LONG * 9)))


async def test_a_request_waits_for_its_prefill_and_uses_it(model: LlamaCppModel) -> None:
    context = (system("Overtaken. " + LONG), user("Hi."))
    prefill = asyncio.create_task(model.prefill(request(*context, cache_key="overtaken")))
    await asyncio.sleep(0.05)
    reply = await Reply.of(model, request(*context, max_tokens=3, cache_key="overtaken"))
    await prefill
    assert reply.cached > 200


# --- cancelling ------------------------------------------------------------------------------------------------------


async def test_closing_the_iterator_stops_the_generation(model: LlamaCppModel) -> None:
    clock = asyncio.get_running_loop().time
    story = request(user("Tell me a very long story."), max_tokens=1000, cache_key="story")
    began = clock()
    await Reply.of(model, story)
    whole = clock() - began
    began = clock()
    for _ in range(10):
        async with aclosing(model.generate(story)) as events:  # type: ignore[type-var]
            async for _ in events:
                break
    await idle(model)
    assert clock() - began < 5 * whole, "ten beginnings take much less than ten stories, however busy the machine is"
    assert model.load_now().running == 0
    assert (await Reply.of(model, request(user("Hi"), max_tokens=3, cache_key="story"))).usage is not None


async def test_cancelling_stops_the_computing_of_a_prompt(model: LlamaCppModel) -> None:
    slots = model._loaded().ask
    task = asyncio.create_task(Reply.of(model, request(user("Stop. " + LONG * 6), cache_key="stop")))
    await working(model, 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await idle(model)
    # Not all of the prompt has been computed: the work was stopped, and not only the waiting for it.
    computed = max(slot.get("n_prompt_tokens", 0) for slot in await asyncio.to_thread(slots, "GET", "/slots"))
    assert 0 < computed < 1000
    after = await Reply.of(model, request(user("Hi"), max_tokens=3, cache_key="stop"))
    assert after.finish == "length"


async def test_cancelling_a_request_that_waits(model: LlamaCppModel) -> None:
    async def endless(n: int) -> None:
        await Reply.of(model, request(user("Tell me a very long story."), max_tokens=1000, cache_key=f"busy-{n}"))

    busy = [asyncio.create_task(endless(n)) for n in range(4)]
    await asyncio.sleep(0.05)
    waiting = asyncio.create_task(Reply.of(model, request(user("Hi"))))
    await asyncio.sleep(0.05)
    assert model.load_now().waiting == 1
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert model.load_now().waiting == 0
    for task in busy:
        task.cancel()
    await asyncio.gather(*busy, return_exceptions=True)
    await asyncio.wait_for(idle(model), 30)


async def test_closing_ends_everything() -> None:
    before = set(threading.enumerate())
    engine = await load(slots=2)
    tasks = [asyncio.create_task(Reply.of(engine, request(user("Tell me a long story.")))) for _ in range(3)]
    await working(engine, 2)
    directory = engine._loaded()._directory
    assert os.path.isdir(directory)  # noqa: PTH112, ASYNC240
    await engine.close()
    await engine.close()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [getattr(outcome, "code", outcome) for outcome in outcomes] == ["closed"] * 3
    assert not os.path.isdir(directory)  # noqa: PTH112, ASYNC240
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("llamacpp")]
    for late in (Reply.of(engine, request(user("Hi"))), engine.count_tokens((user("Hi"),))):
        with pytest.raises(EngineError) as caught:
            await late
        assert caught.value.code == "closed"


# --- counting --------------------------------------------------------------------------------------------------------


async def test_the_parts_of_a_context_add_up_to_what_a_reply_is_charged(model: LlamaCppModel) -> None:
    parts: list[tuple[Message, ...]] = [
        (system("You are kind."),),
        (user("What's the weather like, in Paris?"),),
        (
            Message("assistant", (), (ToolCall("c1", "get_weather", '{"city": "Paris"}'),)),
            Message("tool", (TextPart('{"sky": "blue"}'),), tool_call_id="c1"),
        ),
        (assistant("It is sunny.\nEnjoy!"), user("Thanks — naïve question: why?")),
    ]
    counts = [await model.count_tokens(part, (WEATHER,) if part is parts[0] else ()) for part in parts]
    whole = tuple(message for part in parts for message in part)
    reply = await Reply.of(model, request(*whole, tools=(WEATHER,), max_tokens=1))
    assert reply.usage is not None
    assert sum(counts) == reply.usage.input_tokens == await model.count_tokens(whole, (WEATHER,))


async def test_nothing_takes_what_the_template_puts_around_everything(model: LlamaCppModel) -> None:
    reply = await Reply.of(model, request(user("Hello."), max_tokens=1))
    assert reply.usage is not None
    assert await model.count_tokens(()) + await model.count_tokens((user("Hello."),)) == reply.usage.input_tokens


# --- functions -------------------------------------------------------------------------------------------------------

SCHEMAS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "no properties": {"type": "object", "properties": {}},
    "enums and booleans": dict(LAMP.parameters),
    "integers": {
        "type": "object",
        "properties": {"a": {"type": "integer", "minimum": 3, "maximum": 9}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    },
    "nested": {
        "type": "object",
        "properties": {
            "order": {
                "type": "object",
                "properties": {
                    "items": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "properties": {"sku": {"type": "string", "maxLength": 8}, "count": {"type": "integer"}},
                            "required": ["sku", "count"],
                        },
                        "minItems": 1,
                        "maxItems": 2,
                    },
                    "rush": {"type": "boolean"},
                },
                "required": ["items", "rush"],
            }
        },
        "required": ["order"],
    },
    "$defs": {
        "type": "object",
        "$defs": {"color": {"type": "string", "enum": ["red", "green"]}},
        "properties": {"colors": {"type": "array", "items": {"$ref": "#/$defs/color"}, "minItems": 2, "maxItems": 3}},
        "required": ["colors"],
    },
    "alternatives": {
        "type": "object",
        "properties": {"when": {"anyOf": [{"type": "integer", "maximum": 24}, {"type": "null"}]}},
        "required": ["when"],
    },
    "patterns and formats": {
        "type": "object",
        "properties": {
            "code": {"type": "string", "pattern": "^[A-Z]{3}$"},
            "day": {"type": "string", "format": "date"},
        },
        "required": ["code", "day"],
    },
    "escapes": {
        "type": "object",
        "properties": {'naïve "key"': {"type": "string", "enum": ['a "quote"', "a\nline", "ü"]}},
        "required": ['naïve "key"'],
    },
    "unknown keywords": {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20, "x-widget": "map", "examples": ["Rome"]}},
        "required": ["city"],
        "dependentRequired": {"city": []},
    },
    "free": {"type": "object", "additionalProperties": {"type": "integer"}, "maxProperties": 3},
}


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
async def test_required_calls_fit_their_schema(model: LlamaCppModel, schema: dict[str, Any]) -> None:
    tool = Tool("do_it", "Do it.", schema)
    asked = request(user("Please do it with something nice."), tools=(tool,), tool_choice="required", temperature=0.8)
    reply = await Reply.of(model, asked)
    assert (reply.text, reply.finish) == ("", "tool_calls")
    [call] = reply.calls
    assert call.name == "do_it"
    jsonschema.validate(json.loads(call.arguments), schema)


@pytest.mark.parametrize(
    ("choice", "question", "called"),
    [
        ("required", "Turn on the kitchen lamp.", "set_lamp"),
        (NamedTool("set_lamp"), "What is the weather in Paris?", "set_lamp"),
        (NamedTool("get_weather"), "Turn on the kitchen lamp.", "get_weather"),
    ],
)
async def test_the_right_function_is_called(
    model: LlamaCppModel, choice: ToolChoice, question: str, called: str
) -> None:
    asked = request(
        system("You are helpful."), user(question), tools=(LAMP, WEATHER), tool_choice=choice, temperature=0.0
    )
    reply = await Reply.of(model, asked)
    assert [call.name for call in reply.calls] == [called]
    assert reply.argument_pieces > 3, "arguments are streamed"


def lamp_rounds() -> list[Message]:
    """A conversation in which calling has become a habit."""
    messages = [system("You control lamps.")]
    for room in ("kitchen", "bath", "kitchen"):
        arguments = json.dumps({"on": True, "room": room})
        messages += [
            user(f"Turn on the {room} lamp."),
            Message("assistant", (), (ToolCall("c", "set_lamp", arguments),)),
            Message("tool", (TextPart("ok"),), tool_call_id="c"),
            assistant("Done."),
        ]
    return [*messages, user("Turn on the attic lamp.")]


async def test_a_model_may_call_or_talk_of_its_own_accord(model: LlamaCppModel) -> None:
    talk = await Reply.of(model, request(system("Be brief."), user("Hello!"), tools=(LAMP, WEATHER)))
    assert (talk.calls, talk.finish) == ([], "stop")
    assert talk.text
    call = await Reply.of(model, request(*lamp_rounds(), tools=(LAMP,), temperature=0.0))
    assert [(c.name, json.loads(c.arguments)) for c in call.calls] == [("set_lamp", {"on": True, "room": "attic"})]
    assert (call.text, call.finish) == ("", "tool_calls")


async def test_without_tools_a_habit_of_calling_becomes_talk(model: LlamaCppModel) -> None:
    reply = await Reply.of(model, request(*lamp_rounds(), tools=(LAMP,), tool_choice="none", max_tokens=40))
    assert reply.calls == []
    assert reply.text
    assert not set("<{") & set(reply.text)


async def test_a_call_that_is_cut_short_says_so(model: LlamaCppModel) -> None:
    asked = request(user("Turn on the lamp."), tools=(LAMP,), tool_choice="required", max_tokens=24)
    reply = await Reply.of(model, asked)
    assert (reply.text, reply.finish) == ("", "length")


async def test_a_template_that_knows_tools_calls_in_its_own_way(tools_model: LlamaCppModel) -> None:
    assert tools_model._template.tools
    free = await Reply.of(tools_model, request(*lamp_rounds(), tools=(LAMP,)))
    [call] = free.calls
    assert (call.name, json.loads(call.arguments)) == ("set_lamp", {"on": True, "room": "attic"})
    assert call.id
    assert free.argument_pieces > 3
    assert (free.text, free.finish) == ("", "tool_calls")


async def test_a_template_that_knows_tools_can_be_forced_to_call(tools_model: LlamaCppModel) -> None:
    for choice in ("required", NamedTool("set_lamp")):
        asked = request(user("Turn on the attic lamp."), tools=(LAMP,), tool_choice=choice)
        forced = await Reply.of(tools_model, asked)
        jsonschema.validate(json.loads(forced.calls[0].arguments), dict(LAMP.parameters))
        assert forced.text == ""
        assert forced.usage is not None
        assert forced.usage.input_tokens == await tools_model.count_tokens(asked.messages, asked.tools)


async def test_a_template_that_insists_on_alternating_turns() -> None:
    engine = await load(chat_template=STRICT_TEMPLATE, slots=1)
    try:
        assert engine._template.alternating
        context = (
            system("Be brief."),
            user("Hi."),
            user("What is"),
            system("Be kind."),
            user("the capital of France?"),
        )
        for messages in (context, (system("Greet the user."),), (assistant("Hello!"), user("Hi."))):
            assert (await Reply.of(engine, request(*messages, max_tokens=8))).usage is not None
        assert await engine.count_tokens((assistant("Hello!"),)) > 0
    finally:
        await engine.close()


# --- loading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"colour": 1}, "invalid_option"),
        ({"temperature": "hot"}, "invalid_option"),
        ({"slots": 0}, "invalid_option"),
        ({"gpu_layers": -1}, "invalid_option"),
        ({"model": "/nowhere/model.gguf"}, "model_missing"),
        ({"model": "nowhere/model.gguf"}, "model_missing"),
        ({"model": "~/nowhere"}, "model_missing"),
    ],
)
async def test_options_that_make_no_sense(options: dict[str, Any], code: str) -> None:
    with pytest.raises(EngineError) as caught:
        await load(**options)
    assert caught.value.code == code


async def test_files_that_are_no_models(tmp_path: Path) -> None:
    whole = ModelStore.default().path(MODEL)
    with whole.open("rb") as file:
        start = file.read(1 << 20)
    for content in (b"", b"hello", start):
        damaged = tmp_path / "damaged.gguf"
        damaged.write_bytes(content)
        with pytest.raises(EngineError) as caught:
            await load(model=str(damaged))
        assert "damaged.gguf" in caught.value.message
        assert ("the file is not whole" if content == start else "is not a GGUF file") in caught.value.message


async def test_a_context_that_the_model_was_not_trained_on() -> None:
    with pytest.raises(EngineError, match="100000 is more than the 8192 tokens that smollm2") as caught:
        await load(context=100_000, slots=1)
    assert caught.value.code == "invalid_option"


async def test_layers_for_a_gpu() -> None:
    xllamacpp = pytest.importorskip("xllamacpp")
    if any(device["type"].name.endswith("GPU") for device in xllamacpp.get_device_info()):
        pytest.skip("there is a GPU")
    with pytest.raises(EngineError, match="finds no GPU") as caught:
        await load(gpu_layers=20)
    assert caught.value.code == "invalid_option"
    engine = await load(gpu_layers=0, slots=1, context=256)
    await engine.close()


async def test_two_models_at_once() -> None:
    small, large = await load(slots=1, context=256), await load(slots=2, context=2048)
    try:
        assert (small.context_tokens, large.context_tokens) == (256, 2048)
        asked = request(user("Count to twenty."), max_tokens=12)
        replies = await asyncio.gather(*(Reply.of(engine, asked) for engine in (small, large, small, large)))
        assert all(reply.text for reply in replies)
        long = request(user(LONG + LONG), max_tokens=4)
        with pytest.raises(EngineError) as caught:
            await Reply.of(small, long)
        assert caught.value.code == "context_length_exceeded"
        assert (await Reply.of(large, long)).usage is not None
        await small.close()
        assert (await Reply.of(large, asked)).text
    finally:
        await small.close()
        await large.close()


async def test_a_directory_must_hold_one_model(tmp_path: Path) -> None:
    class Models:
        def path(self, name: str) -> Path:
            return tmp_path

    for names in ((), ("a.gguf", "b.gguf")):
        for name in names:
            (tmp_path / name).touch()
        with pytest.raises(EngineError) as caught:
            await LlamaCppModel.load(EngineContext(Models(), 1, {"model": "some"}))
        assert caught.value.code == "invalid_option"
    (tmp_path / "b.gguf").unlink()
    (tmp_path / "a.gguf").unlink()
    (tmp_path / "a-00002-of-00002.gguf").touch()
    (tmp_path / "a-00001-of-00002.gguf").symlink_to(ModelStore.default().path(MODEL))
    engine = await LlamaCppModel.load(EngineContext(Models(), 1, {"model": "some", "slots": 1, "context": 256}))
    assert engine.context_tokens == 256
    await engine.close()
