"""Checks of decoded JSON values, one class per kind of value, with the errors of the real service.

A check is called with a value and its dotted path and raises a ProtocolError for the first mistake: at each level
first a required key that is missing, then an unknown key, then the values in the order of the schema.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Any

from antiphon.protocol.errors import (
    ProtocolError,
    invalid_type,
    invalid_value,
    listed,
    missing_parameter,
    shown,
    unknown_parameter,
)

FREE_JSON_MAX_DEPTH = 100
"""Deepest nesting of JSON that the schema leaves open (a tool's parameters): what is echoed must be encodable."""

METADATA_MAX_PAIRS = 16
METADATA_KEY_MAX_LENGTH = 64
METADATA_VALUE_MAX_LENGTH = 512

_IMAGE_PREFIXES = ("data:image/png;base64,", "data:image/jpeg;base64,", "data:image/jpg;base64,")
_PLURALS = {"a string": "strings", "an object": "objects"}


class Check:
    """Checks one value: its type here, the rest in subclasses.

    Attributes:
        expected: what the value should be, in the words of an error: "a string".
        types: the types of decoded JSON that it may have.
    """

    def __init__(self, expected: str, *types: type) -> None:
        self.expected = expected
        self.types = types

    def __call__(self, value: Any, param: str) -> None:
        """Raise ProtocolError if `value`, found at the dotted path `param`, is wrong."""
        if type(value) not in self.types:
            raise invalid_type(param, self.expected, value)
        self._verify(value, param)

    def _verify(self, value: Any, param: str) -> None:
        """Raise ProtocolError if `value`, which has the right type, is wrong."""


class Boolean(Check):
    """true or false."""

    def __init__(self) -> None:
        super().__init__("a boolean", bool)


class String(Check):
    """A string of at most `max_length` characters, all of it matching `pattern`."""

    def __init__(self, max_length: int | None = None, pattern: str | None = None) -> None:
        super().__init__("a string", str)
        self.max_length = max_length
        self.pattern = pattern

    def _verify(self, value: str, param: str) -> None:
        if self.max_length is not None and len(value) > self.max_length:
            raise _string_too_long(param, self.max_length, len(value))
        if self.pattern is not None and not re.fullmatch(self.pattern, value, re.ASCII):
            raise ProtocolError(
                f"Invalid '{param}': string does not match pattern. "
                f"Expected a string that matches the pattern '^{self.pattern}$'.",
                code="invalid_value",
                param=param,
            )


class Choice(Check):
    """One of a few strings."""

    def __init__(self, values: Sequence[str]) -> None:
        super().__init__(listed(values) if len(values) == 1 else f"one of {listed(values, 'or')}", str)
        self.values = tuple(values)

    def _verify(self, value: str, param: str) -> None:
        if value not in self.values:
            raise invalid_value(param, value, self.values)


class Number(Check):
    """An integer, or any number when `decimal`, within `minimum` and `maximum`, both included."""

    def __init__(self, minimum: float | None = None, maximum: float | None = None, *, decimal: bool = False) -> None:
        super().__init__("a decimal" if decimal else "an integer", *((int, float) if decimal else (int,)))
        self.minimum = minimum
        self.maximum = maximum
        self.kind = "decimal" if decimal else "integer"

    def _verify(self, value: float, param: str) -> None:
        if self.minimum is not None and value < self.minimum:
            raise ProtocolError(
                f"Invalid '{param}': {self.kind} below minimum value. "
                f"Expected a value >= {self.minimum}, but got {value} instead.",
                code=f"{self.kind}_below_min_value",
                param=param,
            )
        if self.maximum is not None and value > self.maximum:
            raise ProtocolError(
                f"Invalid '{param}': {self.kind} above maximum value. "
                f"Expected a value <= {self.maximum}, but got {value} instead.",
                code=f"{self.kind}_above_max_value",
                param=param,
            )


class Array(Check):
    """An array of at most `max_length` values."""

    def __init__(self, item: Check, max_length: int | None = None) -> None:
        super().__init__(f"an array of {_PLURALS.get(item.expected, item.expected)}", list)
        self.item = item
        self.max_length = max_length

    def _verify(self, value: list[Any], param: str) -> None:
        if self.max_length is not None and len(value) > self.max_length:
            raise ProtocolError(
                f"Invalid '{param}': array too long. Expected an array with maximum length {self.max_length}, "
                f"but got an array with length {len(value)} instead.",
                code="array_above_max_length",
                param=param,
            )
        for index, item in enumerate(value):
            self.item(item, f"{param}[{index}]")


class Object(Check):
    """An object with the known `fields`; null stands for absent where a field is not `required`."""

    def __init__(self, fields: Mapping[str, Check], required: Sequence[str] = ()) -> None:
        super().__init__("an object", dict)
        self.fields = fields
        self.required = tuple(required)

    def _verify(self, value: dict[str, Any], param: str) -> None:
        for name in self.required:
            if name not in value:
                raise missing_parameter(_child(param, name))
        for name in value:
            if name not in self.fields:
                raise unknown_parameter(_child(param, name))
        for name, check in self.fields.items():
            if name in value and (value[name] is not None or name in self.required):
                check(value[name], _child(param, name))


class Variants(Check):
    """An object whose key `tag` says which of several objects it is."""

    def __init__(self, tag: str, choices: Mapping[str, Check]) -> None:
        super().__init__("an object", dict)
        self.tag = tag
        self.choices = choices
        self.names = Choice(tuple(choices))

    def _verify(self, value: dict[str, Any], param: str) -> None:
        tag = _child(param, self.tag)
        if self.tag not in value:
            raise missing_parameter(tag)
        self.names(value[self.tag], tag)
        self.choices[value[self.tag]](value, param)


class ByType(Check):
    """A value of one of several JSON types, each with a check of its own."""

    def __init__(self, arms: Sequence[Check]) -> None:
        super().__init__(
            f"one of {' or '.join(arm.expected.removeprefix('one of ') for arm in arms)}",
            *(accepted for arm in arms for accepted in arm.types),
        )
        self.arms = {accepted: arm for arm in arms for accepted in arm.types}

    def _verify(self, value: Any, param: str) -> None:
        self.arms[type(value)](value, param)


class Map(Check):
    """An object with free keys, all of whose values pass one check."""

    def __init__(self, value: Check) -> None:
        super().__init__("an object", dict)
        self.value = value

    def _verify(self, value: dict[str, Any], param: str) -> None:
        for name, item in value.items():
            self.value(item, _child(param, name))


class Metadata(Check):
    """At most 16 pairs of strings, keys up to 64 and values up to 512 characters (OpenAPI specification 2.3.0)."""

    def __init__(self) -> None:
        super().__init__("a metadata object", dict)
        self.value = String(METADATA_VALUE_MAX_LENGTH)

    def _verify(self, value: dict[str, Any], param: str) -> None:
        if len(value) > METADATA_MAX_PAIRS:
            raise ProtocolError(
                f"Invalid '{param}': too many properties. Expected an object with at most {METADATA_MAX_PAIRS} "
                f"properties, but got an object with {len(value)} properties instead.",
                code="object_above_max_properties",
                param=param,
            )
        for name, item in value.items():
            if len(name) > METADATA_KEY_MAX_LENGTH:
                raise _string_too_long(_child(param, name), METADATA_KEY_MAX_LENGTH, len(name))
            self.value(item, _child(param, name))


class FreeObject(Check):
    """Any JSON object that is not nested too deep."""

    def __init__(self) -> None:
        super().__init__("an object", dict)

    def _verify(self, value: dict[str, Any], param: str) -> None:
        level: list[Any] = [value]
        for _ in range(FREE_JSON_MAX_DEPTH):
            level = [
                child
                for parent in level
                for child in (parent.values() if type(parent) is dict else parent)
                if type(child) in (dict, list)
            ]
            if not level:
                return
        raise ProtocolError(
            f"Invalid '{param}': nested too deep. Expected at most {FREE_JSON_MAX_DEPTH} levels.",
            code="invalid_value",
            param=param,
        )


class ImageUrl(Check):
    """A PNG or JPEG image as a base64 data URI. The server fetches nothing from elsewhere on a client's behalf."""

    def __init__(self) -> None:
        super().__init__("a string", str)

    def _verify(self, value: str, param: str) -> None:
        if not value.startswith(_IMAGE_PREFIXES) or not decode_base64(value.partition(",")[2]):
            raise ProtocolError(
                f"Invalid '{param}'. Expected a base64-encoded data URI with a PNG or JPEG image "
                "(e.g. 'data:image/png;base64,…').",
                code="invalid_value",
                param=param,
            )


def decode_base64(text: str) -> bytes | None:
    """Return the bytes of strictly written base64, padding included, or None when `text` is not that."""
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return None


def _string_too_long(param: str, maximum: int, length: int) -> ProtocolError:
    return ProtocolError(
        f"Invalid '{param}': string too long. Expected a string with maximum length {maximum}, "
        f"but got a string with length {length} instead.",
        code="string_above_max_length",
        param=param,
    )


def _child(param: str, name: str) -> str:
    return f"{param}.{shown(name)}" if param else shown(name)
