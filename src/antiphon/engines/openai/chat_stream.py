"""From the chunks of a streamed chat completion to the deltas of a reply. Pure.

Servers differ: some number their tool calls, some only name them; some repeat a call's name in every chunk; some put
reasoning into a field of its own (`reasoning_content`, `reasoning`), which is not part of the reply and is ignored.
"""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, Field

from antiphon.engines.base import Finish, TextDelta, ToolCallDelta, Usage

_REASONS: dict[str, Literal["stop", "length", "tool_calls", "content_filter"]] = {
    "length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "safety": "content_filter",
}
_FAILURES = frozenset({"error", "abort"})

_UNIQUE_ID = re.compile(r"call_[0-9A-Za-z]{16,}")
"""Ids as OpenAI makes them. Those of others are not passed on: some say "call_0" in every reply."""


class _Function(BaseModel):
    name: str | None = None
    arguments: str | None = None


class _Call(BaseModel):
    index: int | None = None
    id: str | None = None
    function: _Function = _Function()


class _Part(BaseModel):
    type: str
    text: str = ""


class _Delta(BaseModel):
    content: str | list[_Part] | None = None
    refusal: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(BaseModel):
    index: int = 0
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Details(BaseModel):
    cached_tokens: int | None = None
    audio_tokens: int | None = None


class _Usage(BaseModel):
    prompt_tokens: int = Field(default=0, ge=0)
    completion_tokens: int | None = Field(default=0, ge=0)
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None


class _Chunk(BaseModel):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None


class MalformedStreamError(ValueError):
    """The stream breaks the rules of chat completions, or ended before the reply did."""


class ChatStream:
    """Reads the chunks of one completion.

    Attributes:
        ended: the server has said why the reply ended; what comes after is at most its usage.
    """

    def __init__(self) -> None:
        self.ended = False
        self._usage: Usage | None = None
        self._reason: str | None = None
        self._call = -1  # the contract's index of the call that is being made
        self._place: int | None = None  # the server's index of it
        self._id: str | None = None
        self._named = False
        self._early = ""  # arguments that came before the name

    def feed(self, data: object) -> list[TextDelta | ToolCallDelta]:
        """Take a chunk (decoded JSON) and return what it adds to the reply; nothing for a sign of life.

        Raises:
            ValueError: it is no chunk of a chat completion. Pydantic's ValidationError is one.
        """
        chunk = _Chunk.model_validate(data)
        if chunk.usage is not None:
            read = chunk.usage.prompt_tokens_details or _Details()
            made_of = chunk.usage.completion_tokens_details or _Details()
            self._usage = Usage(
                chunk.usage.prompt_tokens,
                chunk.usage.completion_tokens or 0,
                read.cached_tokens or 0,
                read.audio_tokens,
                made_of.audio_tokens,
            )
        made: list[TextDelta | ToolCallDelta] = []
        for choice in chunk.choices or ():
            if choice.index:
                continue  # one was asked for
            if choice.delta is not None:
                made += self._read(choice.delta)
            if choice.finish_reason:
                self._reason = choice.finish_reason.lower()
                self.ended = True
        if self._reason in _FAILURES:
            raise MalformedStreamError(f"the server ended the reply with the reason {self._reason!r}")
        return made

    def finish(self) -> list[Usage | Finish]:
        """Return how the reply ended.

        Raises:
            MalformedStreamError: it did not; the stream broke off, or a call has no name.
        """
        if self._reason is None:
            raise MalformedStreamError("the stream ended before the reply did")
        if self._call >= 0 and not self._named:
            raise MalformedStreamError("a tool call has no name")
        reason = _REASONS.get(self._reason, "stop")
        if reason == "stop" and self._call >= 0:
            reason = "tool_calls"
        return [*([self._usage] if self._usage else []), Finish(reason)]

    def _read(self, delta: _Delta) -> list[TextDelta | ToolCallDelta]:
        content = delta.content
        if isinstance(content, list):
            content = "".join(part.text for part in content if part.type == "text")
        text = (content or "") + (delta.refusal or "")
        made: list[TextDelta | ToolCallDelta] = [TextDelta(text)] if text else []
        for call in delta.tool_calls or ():
            piece = self._read_call(call)
            if piece is not None:
                made.append(piece)
        return made

    def _read_call(self, call: _Call) -> ToolCallDelta | None:
        name, arguments = call.function.name or None, call.function.arguments or ""
        if self._begins(call, name):
            if self._call >= 0 and not self._named:
                raise MalformedStreamError("a tool call has no name")
            self._call += 1
            self._place, self._id, self._named, self._early = call.index, call.id or None, False, ""
        elif call.index is not None and call.index != self._place:
            raise MalformedStreamError("tool calls are mixed up")
        self._id = self._id or call.id or None
        if self._named:
            return ToolCallDelta(self._call, None, arguments) if arguments else None
        if name is None:
            self._early += arguments
            return None
        self._named = True
        own = self._id if self._id and _UNIQUE_ID.fullmatch(self._id) else None
        return ToolCallDelta(self._call, name, self._early + arguments, own)

    def _begins(self, call: _Call, name: str | None) -> bool:
        """Whether this is the first piece of another call."""
        if self._call < 0:
            return True
        if call.index is not None and self._place is not None and call.index != self._place:
            return call.index > self._place
        if call.id and self._id:
            return call.id != self._id
        return call.index is None and not call.id and name is not None and self._named
