"""The schemas in a grammar of tool calls: bounded, and never wider than what the tool asks for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from antiphon.engines.base import Tool
from antiphon.engines.llamacpp.grammar import bounded_schema, text_grammar, tool_grammar

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(["", "a", "b", "x" * 9]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)

LEAVES = st.sampled_from(
    [
        {},
        True,
        {"type": "string"},
        {"type": "string", "minLength": 1},
        {"type": ["string", "null"]},
        {"type": "integer"},
        {"type": "integer", "minimum": -3},
        {"type": "number", "exclusiveMaximum": 5},
        {"type": "boolean"},
        {"enum": ["a", 1, None]},
        {"const": "b"},
        {"type": "object"},
        {"type": "array"},
    ]
)


def _wider(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    properties = st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    required = st.lists(st.sampled_from("abc"), unique=True, max_size=2)
    objects = st.fixed_dictionaries(
        {"type": st.just("object"), "properties": properties},
        optional={
            "required": required,
            "additionalProperties": inner,
            "minProperties": st.integers(0, 3),
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "allOf": st.lists(inner, min_size=1, max_size=2),
        },
    )
    arrays = st.fixed_dictionaries({"type": st.just("array"), "items": inner}, optional={"minItems": st.integers(0, 2)})
    choices = st.fixed_dictionaries({"oneOf": st.lists(inner, min_size=1, max_size=2)})
    return objects | arrays | choices


SCHEMAS = st.recursive(LEAVES, _wider, max_leaves=6).filter(lambda schema: isinstance(schema, dict))


@given(SCHEMAS, VALUES)
def test_what_the_grammar_allows_the_tool_allows(schema: dict[str, Any], value: Any) -> None:
    narrow = Draft202012Validator(bounded_schema(schema))
    if narrow.is_valid(value):
        assert isinstance(value, dict) or schema.get("type") not in (None, "object")
        assert Draft202012Validator(schema).is_valid(value)


@pytest.mark.parametrize(
    ("schema", "allowed", "refused"),
    [
        ({}, [{}], [{"a": 1}]),
        ({"type": "object"}, [{}], [{"a": 1}]),
        ({"type": "object", "properties": {"a": {"type": "integer"}}}, [{}, {"a": 1}], [{"b": 1}, {"a": 2**60}]),
        ({"properties": {"a": {"type": "string"}}}, [{"a": "x" * 2000}], [{"a": "x" * 2001}]),
        ({"properties": {"a": {"type": "string", "minLength": 3000}}}, [{"a": "x" * 3000}], [{"a": "x" * 3001}]),
        ({"properties": {"a": {"type": "array"}}}, [{"a": [1] * 16}], [{"a": [1] * 17}]),
        ({"properties": {"a": {"type": "object"}}}, [{"a": {"k": "v"}}], [{"a": {"k": {"deep": 1}}}]),
        ({"properties": {"a": {}}, "required": ["b"]}, [{"b": 1}], [{}]),
        (
            {"properties": {"a": {}}, "anyOf": [{"required": ["a"]}, {"properties": {"b": {}}, "required": ["b"]}]},
            [{"a": 1}, {"b": 1}],
            [{}],
        ),
        (
            {"anyOf": [{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}]},
            [{"a": 1}],
            [{"a": 1, "b": 1}, {}],
        ),
        (
            {"$defs": {"n": {"type": "object", "properties": {"v": {}}}}, "properties": {"n": {"$ref": "#/$defs/n"}}},
            [{"n": {"v": 1}}],
            [{"n": {"w": 1}}],
        ),
    ],
)
def test_bounds(schema: dict[str, Any], allowed: list[Any], refused: list[Any]) -> None:
    validator = Draft202012Validator(bounded_schema(schema))
    assert [value for value in allowed if not validator.is_valid(value)] == []
    assert [value for value in refused if validator.is_valid(value)] == []


def test_a_schema_is_not_changed_in_place() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "object"}}}
    before = json.dumps(schema)
    bounded_schema(schema)
    assert json.dumps(schema) == before


def test_grammars_name_each_function_once() -> None:
    tools = [Tool("lamp"), Tool('we"ird')]
    grammar = tool_grammar(tools, must_call=True, parallel=True, end_token=7)
    assert grammar.startswith("%llguidance {}\nstart: call <[7]>?\n")
    assert "TEXT" not in grammar
    assert grammar.count("%json") == 2
    free = tool_grammar(tools, must_call=False, parallel=False, end_token=7)
    assert "start: TEXT? (call)? <[7]>?" in free
    assert "call" not in text_grammar(7)
