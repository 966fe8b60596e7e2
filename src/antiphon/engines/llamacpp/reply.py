"""One reply of llama.cpp: what to ask for, and what its stream of chunks says. Pure."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from antiphon.engines.base import (
    EngineError,
    Finish,
    GenerationRequest,
    NamedTool,
    TextDelta,
    Tool,
    ToolCallDelta,
    Usage,
)
from antiphon.engines.llamacpp.grammar import text_grammar, tool_grammar
from antiphon.engines.llamacpp.parser import ReplyParser
from antiphon.engines.llamacpp.prompt import Template, chat_messages, chat_tools

_log = logging.getLogger(__name__)

ReplyEvent = TextDelta | ToolCallDelta | Usage | Finish


@dataclass(frozen=True, slots=True)
class ReplyPlan:
    """What to ask llama.cpp for.

    Attributes:
        prompt: the body fields that make the prompt: `messages`, and `tools` where the template lists them.
        sampling: the body fields that say how the reply is generated.
        names: the functions that may be called.
        must_call: the reply is a function call.
        from_text: the prompt has to be rendered first and be continued as text: llama.cpp takes a grammar together
            with tools in no other way.
    """

    prompt: dict[str, Any]
    sampling: dict[str, Any]
    names: frozenset[str]
    must_call: bool
    from_text: bool


def plan_reply(request: GenerationRequest, template: Template) -> ReplyPlan:
    """Return what to ask for.

    Raises:
        EngineError: code "unsupported" for an image, or for a tool choice that no tool answers to.
    """
    tools = () if request.tool_choice == "none" else request.tools
    callable_tools = tools
    if isinstance(request.tool_choice, NamedTool):
        name = request.tool_choice.name
        callable_tools = tuple(tool for tool in tools if tool.name == name)
    must_call = isinstance(request.tool_choice, NamedTool) or request.tool_choice == "required"
    if must_call and not callable_tools:
        raise EngineError("a function has to be called, but there is none to call", code="unsupported")
    prompt: dict[str, Any] = {"messages": chat_messages(request.messages, tools, template)}
    sampling: dict[str, Any] = {}
    if tools and template.tools:
        prompt["tools"] = chat_tools(tools)
        prompt["parallel_tool_calls"] = request.parallel_tool_calls
    if must_call or (tools and not template.tools):
        sampling["grammar"] = tool_grammar(
            callable_tools,
            must_call=must_call,
            parallel=request.parallel_tool_calls,
            end_token=template.end_token,
        )
    elif not tools and any(message.tool_calls for message in request.messages):
        sampling["grammar"] = text_grammar(template.end_token)
    if must_call:
        sampling["repeat_penalty"] = 1.0  # JSON repeats itself
    return ReplyPlan(prompt, sampling, _names(callable_tools), must_call, must_call and "tools" in prompt)


def _names(tools: Iterable[Tool]) -> frozenset[str]:
    return frozenset(tool.name for tool in tools)


class ReplyReader:
    """Reads the chunks of one reply.

    Args:
        names: the functions that may be called; calls of others are dropped.
        must_call: the reply has to be a function call.
    """

    def __init__(self, names: Collection[str], *, must_call: bool) -> None:
        self._names = names
        self._must_call = must_call
        self._parser = ReplyParser(names)
        self._calls = 0
        self._native: int | None = None  # llama.cpp's index of the call that it parsed last, if we pass it on
        self._reason: str | None = None
        self._usage: Usage | None = None

    def read(self, chunk: Mapping[str, Any]) -> list[ReplyEvent]:
        """Take one chunk of a stream of chat or text completions and return what it tells."""
        events: list[ReplyEvent] = []
        if usage := chunk.get("usage"):
            cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
            self._usage = Usage(usage["prompt_tokens"], usage["completion_tokens"], cached)
        for choice in chunk.get("choices", ()):
            delta = choice.get("delta") or {}
            if text := choice.get("text") or delta.get("content"):
                events += self._numbered(self._parser.feed(text))
            for call in delta.get("tool_calls") or ():
                events += self._read_call(call)
            self._reason = choice.get("finish_reason") or self._reason
        return events

    def finish(self) -> list[ReplyEvent]:
        """Return the events that end the reply.

        Raises:
            EngineError: llama.cpp did not end the stream, or there is no call where one had to be.
        """
        if self._reason is None:
            raise EngineError("llama.cpp ended a reply without saying why")
        events: list[ReplyEvent] = [*self._numbered(self._parser.finish())]
        cut = self._reason == "length" or self._parser.inside_call
        if self._must_call and not self._calls and not cut:
            raise EngineError("no grammar can be made of the function's parameters", code="unsupported")
        if self._parser.dropped:
            _log.warning("dropped %d function call(s) that no function fits", self._parser.dropped)
        if self._usage is not None:
            events.append(self._usage)
        reason: Literal["length", "tool_calls", "stop"] = "tool_calls" if self._calls else "stop"
        events.append(Finish("length" if cut else reason))
        return events

    def _numbered(self, found: Iterable[TextDelta | ToolCallDelta]) -> list[ReplyEvent]:
        """Number calls in the order of the whole reply, whoever parsed them."""
        events: list[ReplyEvent] = []
        for event in found:
            if isinstance(event, TextDelta):
                if not self._must_call:
                    events.append(event)
                continue
            if event.name is not None:
                self._calls += 1
            events.append(replace(event, index=self._calls - 1))
        return events

    def _read_call(self, call: Mapping[str, Any]) -> list[ReplyEvent]:
        """Return a piece of a call that llama.cpp parsed itself."""
        function = call.get("function") or {}
        name = function.get("name")
        if name:
            known = name in self._names
            self._native = call.get("index", 0) if known else None
            if not known:
                self._parser.dropped += 1
        if self._native is None or self._native != call.get("index", 0):
            return []
        delta = ToolCallDelta(0, name or None, function.get("arguments") or "", call.get("id") if name else None)
        return self._numbered([delta])
