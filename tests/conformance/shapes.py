"""A small language for the exact shape of JSON values: which keys must be there, which may, and which must not.

A check is called with a value and its path and yields one line for each thing that is wrong with it. Unlike the types
of the `openai` package, which allow any key to be missing and any key to be extra, a shape is exact.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping

Check = Callable[[object, str], Iterator[str]]
"""Takes a value and its path and yields a line for each mistake."""


def brief(value: object, limit: int = 60) -> str:
    """Return `value` as it is shown in messages, cut to `limit` characters."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"


def text(value: object, path: str) -> Iterator[str]:
    """Check a string, possibly empty."""
    if not isinstance(value, str):
        yield f"{path}: expected a string, got {brief(value)}"


def filled(value: object, path: str) -> Iterator[str]:
    """Check a string that is not empty."""
    if not isinstance(value, str) or not value:
        yield f"{path}: expected a string that is not empty, got {brief(value)}"


def boolean(value: object, path: str) -> Iterator[str]:
    """Check true or false."""
    if not isinstance(value, bool):
        yield f"{path}: expected true or false, got {brief(value)}"


def anything(value: object, path: str) -> Iterator[str]:
    """Check nothing: a value that the client chose freely."""
    yield from ()


def mapping(value: object, path: str) -> Iterator[str]:
    """Check an object with any keys."""
    if not isinstance(value, Mapping):
        yield f"{path}: expected an object, got {brief(value)}"


def integer(low: int = 0, high: int | None = None) -> Check:
    """Check a whole number, `low` to `high` inclusive."""

    def check(value: object, path: str) -> Iterator[str]:
        if not isinstance(value, int) or isinstance(value, bool) or value < low or (high is not None and value > high):
            yield f"{path}: expected an integer from {low} to {'any' if high is None else high}, got {brief(value)}"

    return check


def number(low: float, high: float | None = None) -> Check:
    """Check a number, `low` to `high` inclusive."""

    def check(value: object, path: str) -> Iterator[str]:
        if (
            not isinstance(value, int | float)
            or isinstance(value, bool)
            or value < low
            or (high is not None and value > high)
        ):
            yield f"{path}: expected a number from {low} to {'any' if high is None else high}, got {brief(value)}"

    return check


def literal(*values: object) -> Check:
    """Check that a value is one of `values`, of the same type."""

    def check(value: object, path: str) -> Iterator[str]:
        if not any(type(value) is type(allowed) and value == allowed for allowed in values):
            yield f"{path}: expected {' or '.join(map(repr, values))}, got {brief(value)}"

    return check


def matching(pattern: str) -> Check:
    """Check a string that matches the whole of `pattern`."""
    compiled = re.compile(pattern)

    def check(value: object, path: str) -> Iterator[str]:
        if not isinstance(value, str) or not compiled.fullmatch(value):
            yield f"{path}: expected {pattern}, got {brief(value)}"

    return check


def base64_audio(value: object, path: str) -> Iterator[str]:
    """Check strict base64 of at least one byte."""
    yield from filled(value, path)
    if isinstance(value, str) and value:
        try:
            base64.b64decode(value, validate=True)
        except binascii.Error as error:
            yield f"{path}: not base64: {error}"


def nullable(inner: Check) -> Check:
    """Check null or `inner`. The key itself must be there."""

    def check(value: object, path: str) -> Iterator[str]:
        if value is not None:
            yield from inner(value, path)

    return check


def either(*checks: Check) -> Check:
    """Check that at least one of `checks` finds nothing wrong."""

    def check(value: object, path: str) -> Iterator[str]:
        found = [list(inner(value, path)) for inner in checks]
        if all(found):
            yield " / or ".join(problems[0] for problems in found)

    return check


def array(inner: Check, *, low: int = 0, high: int | None = None) -> Check:
    """Check a list of `low` to `high` members, each against `inner`."""

    def check(value: object, path: str) -> Iterator[str]:
        if not isinstance(value, list):
            yield f"{path}: expected a list, got {brief(value)}"
            return
        if len(value) < low or (high is not None and len(value) > high):
            yield f"{path}: expected {low} to {'any' if high is None else high} members, got {len(value)}"
        for index, member in enumerate(value):
            yield from inner(member, f"{path}[{index}]")

    return check


def record(required: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> Check:
    """Check an object: every key of `required`, any key of `optional`, and no other."""
    allowed = {**required, **(optional or {})}

    def check(value: object, path: str) -> Iterator[str]:
        if not isinstance(value, Mapping):
            yield f"{path}: expected an object, got {brief(value)}"
            return
        for key in required:
            if key not in value:
                yield f"{path}.{key}: missing"
        for key, member in value.items():
            if key in allowed:
                yield from allowed[key](member, f"{path}.{key}")
            else:
                yield f"{path}.{key}: must not be there"

    return check


def tagged(key: str, variants: Mapping[str, Check]) -> Check:
    """Check an object against the variant that its `key` names."""

    def check(value: object, path: str) -> Iterator[str]:
        if not isinstance(value, Mapping):
            yield f"{path}: expected an object, got {brief(value)}"
            return
        tag = value.get(key)
        if not isinstance(tag, str) or tag not in variants:
            yield f"{path}.{key}: expected one of {', '.join(variants)}, got {brief(tag)}"
            return
        yield from variants[tag](value, path)

    return check
