"""Takes tool calls and thoughts out of the text that a model writes. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Literal

from antiphon.engines.base import TextDelta, ToolCallDelta
from antiphon.engines.llamacpp.prompt import CALL_CLOSES, CALL_OPENS

_THOUGHT_OPENS = "<think>"
_THOUGHT_CLOSES = "</think>"
_LONGEST_HEADER = 400
"""Characters before a call's arguments: its name has 64 at most (OpenAI's limit), the rest is spaces."""
_HEADER = re.compile(r'\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"arguments"\s*:\s*(?=\{)')


class ReplyParser:
    """Splits what a model writes, in pieces of any size, into text and tool calls.

    A call is `<tool_call>{"name": "…", "arguments": {…}}</tool_call>`; its arguments are given out as they come. A call
    that has another form, or that names a function that is not in `tools`, is dropped to its end and counted in
    `dropped`. A `<think>` block is dropped. What comes out, taken together, does not depend on the pieces, and nothing
    of a call, a thought or their tags is ever given out as text.
    """

    def __init__(self, tools: Collection[str]) -> None:
        self.calls = 0
        self.dropped = 0
        self._tools = tools
        self._state: Literal["text", "thought", "header", "arguments", "skip"] = "text"
        self._held = ""
        self._begun = False  # text has been given out; spaces before the first of it are dropped
        self._depth = 0
        self._in_string = False
        self._escaped = False

    @property
    def inside_call(self) -> bool:
        """Whether a call has been begun and its arguments are not complete."""
        return self._state in ("header", "arguments")

    def feed(self, text: str) -> list[TextDelta | ToolCallDelta]:
        """Take more of what the model writes and return what is known of it now."""
        self._held += text
        found: list[TextDelta | ToolCallDelta] = []
        while self._held and self._step(found):
            pass
        return found

    def finish(self) -> list[TextDelta | ToolCallDelta]:
        """Return the text that was held back because a tag could have begun in it."""
        if self._state == "header":
            self.dropped += 1
        held = self._held if self._state == "text" else ""
        self._held = ""
        # Two characters of a tag, like "<t", may be text; more are a tag that was cut short.
        return [TextDelta(held.rstrip())] if 0 < len(held.strip()) <= 2 else []

    def _step(self, found: list[TextDelta | ToolCallDelta]) -> bool:
        """Handle the beginning of what is held; False when more has to come first."""
        match self._state:
            case "text":
                return self._read_text(found)
            case "thought":
                return self._skip_past(_THOUGHT_CLOSES)
            case "header":
                return self._read_header(found)
            case "arguments":
                return self._read_arguments(found)
            case "skip":
                return self._skip_past(CALL_CLOSES)

    def _read_text(self, found: list[TextDelta | ToolCallDelta]) -> bool:
        begins = {tag: self._held.find(tag) for tag in (CALL_OPENS, _THOUGHT_OPENS) if tag in self._held}
        tag = min(begins, key=lambda name: begins[name], default=None)
        end = begins[tag] if tag else len(self._held) - _tag_begun(self._held)
        text = self._held[:end] if self._begun else self._held[:end].lstrip()
        # Spaces wait for what comes next: before a call or at the end they are no part of what is said.
        kept = text if tag == _THOUGHT_OPENS else text.rstrip()
        if kept:
            self._begun = True
            found.append(TextDelta(kept))
        if tag is None:
            self._held = text[len(kept) :] + self._held[end:]
            return False
        self._held = self._held[end + len(tag) :]
        self._state = "header" if tag == CALL_OPENS else "thought"
        return True

    def _read_header(self, found: list[TextDelta | ToolCallDelta]) -> bool:
        header = _HEADER.match(self._held)
        if header is None and CALL_CLOSES not in self._held and len(self._held) <= _LONGEST_HEADER:
            return False
        name = _name(header[1]) if header is not None and header.end() <= _LONGEST_HEADER else None
        if header is None or name is None or name not in self._tools:
            self.dropped += 1
            self._state = "skip"
            return True
        found.append(ToolCallDelta(self.calls, name=name))
        self.calls += 1
        self._held = self._held[header.end() :]
        self._state = "arguments"
        return True

    def _read_arguments(self, found: list[TextDelta | ToolCallDelta]) -> bool:
        end = len(self._held)
        for position, character in enumerate(self._held):
            if self._in_string:
                if self._escaped:
                    self._escaped = False
                elif character == "\\":
                    self._escaped = True
                elif character == '"':
                    self._in_string = False
            elif character == '"':
                self._in_string = True
            elif character in "{[":
                self._depth += 1
            elif character in "}]":
                self._depth -= 1
                if self._depth == 0:
                    end = position + 1
                    self._state = "skip"
                    break
        found.append(ToolCallDelta(self.calls - 1, arguments=self._held[:end]))
        self._held = self._held[end:]
        return True

    def _skip_past(self, tag: str) -> bool:
        at = self._held.find(tag)
        if at < 0:
            self._held = self._held[-(len(tag) - 1) :]
            return False
        self._held = self._held[at + len(tag) :]
        self._state = "text"
        return True


def _name(literal: str) -> str | None:
    try:
        return str(json.loads(literal, strict=False))
    except ValueError:
        return None


def _tag_begun(text: str) -> int:
    """Return how many characters at the end of `text` may be the beginning of a tag."""
    for tag in (CALL_OPENS, _THOUGHT_OPENS):
        for length in range(min(len(tag) - 1, len(text)), 0, -1):
            if text.endswith(tag[:length]):
                return length
    return 0
