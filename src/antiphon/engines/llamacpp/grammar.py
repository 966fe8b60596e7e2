"""Grammars that keep a model's tool calls within their schemas. Pure.

They are written in llguidance's Lark dialect, the grammar engine that is built into xllamacpp: a JSON schema stands in
it as it is, and is compiled without a detour. llama.cpp's own grammars for tools are not enforced by such a build
(tried with xllamacpp 2026.10), so ours are used whatever the model's chat template knows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from antiphon.engines.base import Tool
from antiphon.engines.llamacpp.prompt import CALL_CLOSES, CALL_OPENS

MOST_CALLS = 8
"""Calls in one reply at most: a small model that has begun to call may not know when to stop."""

_MOST_CHARACTERS = 2000
_MOST_ITEMS = 16
_MOST_FREE_PROPERTIES = 8
_LARGEST_INTEGER = 2**53 - 1  # what every JSON reader takes (RFC 8259, 6)

_COMBINERS = ("allOf", "anyOf", "oneOf", "if", "$ref", "patternProperties", "unevaluatedProperties", "dependentSchemas")

# Compiled as the words stand, unknown keywords ignored, and written like `json.dumps` writes, which models know best.
_GUIDANCE = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
    "coerce_one_of": True,
    "lenient": True,
}


# Text has neither tags nor braces in it, so that what begins like a call can only be one.
_TEXT = "TEXT: /(?s:[^<{]+)/"


def text_grammar(end_token: int) -> str:
    """Return the grammar of a reply that is no call: a model that sees calls in the context may go on making them."""
    return f"%llguidance {{}}\nstart: TEXT {_end(end_token)}\n{_TEXT}"


def tool_grammar(tools: Sequence[Tool], *, must_call: bool, parallel: bool, end_token: int) -> str:
    """Return the grammar of a reply.

    Args:
        tools: the functions that may be called.
        must_call: the reply is one call; otherwise it may be text, calls, or text and then calls.
        parallel: there may be several calls, where the reply may be text too.
        end_token: the token that ends the model's turn.
    """
    end = _end(end_token)
    if must_call:
        rules = [f"start: call {end}"]
    else:
        more = f' ("\\n" call){{0,{MOST_CALLS - 1}}}' if parallel else ""
        rules = [f"start: TEXT? (call{more})? {end}", _TEXT]
    kinds = " | ".join(f"call_{number}" for number in range(len(tools)))
    rules.append(f"call: {json.dumps(CALL_OPENS + chr(10))} ({kinds}) {json.dumps(chr(10) + CALL_CLOSES)}")
    for number, tool in enumerate(tools):
        opening = json.dumps(f'{{"name": {json.dumps(tool.name)}, "arguments": ')
        schema = {**bounded_schema(tool.parameters), "x-guidance": _GUIDANCE}
        rules.append(f'call_{number}: {opening} arguments_{number} "}}"')
        rules.append(f"arguments_{number}: %json {json.dumps(schema)}")
    return "\n".join(["%llguidance {}", *rules])


def _end(token: int) -> str:
    # llguidance knows one itself, the wrong one where there are several: <|endoftext|> for SmolLM2's <|im_end|>.
    return f"<[{token}]>?"


def bounded_schema(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema of an object that allows less than `parameters`, so that a small model cannot run on in it.

    Where the schema sets no bound itself: no properties but the named ones, and bounds for strings, arrays, integers
    and objects without named properties. Whatever it allows, `parameters` allows.
    """
    schema = dict(parameters)
    if "$ref" not in schema:
        schema.setdefault("type", "object")
    if not schema.get("properties") and not any(key in schema for key in _COMBINERS):
        schema.setdefault("additionalProperties", False)
    bounded: dict[str, Any] = _bounded(schema, closed=True)
    return bounded


def _bounded(schema: Any, *, closed: bool) -> Any:  # a schema may be true or false
    """Bound one schema; `closed` is whether its objects may be kept to their named properties."""
    if not isinstance(schema, Mapping):
        return schema
    bounded: dict[str, Any] = {}
    for key, value in schema.items():
        if key in ("properties", "$defs", "definitions", "patternProperties") and isinstance(value, Mapping):
            bounded[key] = {name: _bounded(inner, closed=True) for name, inner in value.items()}
        elif key in ("anyOf", "oneOf") and isinstance(value, list):
            # A branch is the whole object only where the schema around it names no properties.
            bounded[key] = [_bounded(inner, closed="properties" not in schema) for inner in value]
        elif key == "allOf" and isinstance(value, list):
            bounded[key] = [_bounded(inner, closed=False) for inner in value]
        elif key in ("items", "additionalProperties"):
            bounded[key] = _bounded(value, closed=True)
        else:
            bounded[key] = value
    kind = schema.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    if "enum" in schema or "const" in schema:
        return bounded
    if "string" in kinds:
        bounded.setdefault("maxLength", max(_MOST_CHARACTERS, bounded.get("minLength", 0)))
    if "array" in kinds:
        bounded.setdefault("maxItems", max(_MOST_ITEMS, bounded.get("minItems", 0)))
    if "integer" in kinds and "number" not in kinds:
        if "exclusiveMinimum" not in bounded:
            bounded.setdefault("minimum", -_LARGEST_INTEGER)
        if "exclusiveMaximum" not in bounded:
            bounded.setdefault("maximum", _LARGEST_INTEGER)
    if "object" in kinds and closed and not any(key in schema for key in _COMBINERS):
        _close(bounded)
    return bounded


def _close(schema: dict[str, Any]) -> None:
    """Keep an object to its named properties; one that has none may have a few of plain values."""
    named = schema.get("properties", {})
    if schema.get("additionalProperties", True) is not True:
        return
    if named and schema.get("minProperties", 0) <= len(named) and set(schema.get("required", ())) <= named.keys():
        schema["additionalProperties"] = False
    else:
        schema["additionalProperties"] = _bounded({"type": ["string", "number", "boolean", "null"]}, closed=True)
        schema.setdefault("maxProperties", max(len(named) + _MOST_FREE_PROPERTIES, schema.get("minProperties", 0)))
