"""YAML with the place of everything in it.

The YAML of configuration files is a subset: the types of YAML 1.2's core schema (so `off` and `yes` are words, and
only `true` and `false` are truth values), without tags, anchors and aliases. Keys are words, and none comes twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import yaml

MOST_BYTES = 1024 * 1024
MOST_DEPTH = 32

KeyPath = tuple[str | int, ...]
"""Where something stands: keys of mappings, and indices of lists."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file, counted from 1."""

    line: int
    column: int


class DocumentError(Exception):
    """A file that cannot be read as one of our documents.

    Attributes:
        message: what is wrong.
        mark: where; None for the file as a whole.
    """

    def __init__(self, message: str, mark: Mark | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.mark = mark


@dataclass(frozen=True)
class Document:
    """What a file says, and where.

    Attributes:
        file: as it was named.
        data: mappings, lists, words, numbers, truth values and None.
    """

    file: Path
    data: dict[str, Any]
    _keys: dict[KeyPath, Mark] = field(default_factory=dict)
    _values: dict[KeyPath, Mark] = field(default_factory=dict)
    repeated: tuple[tuple[KeyPath, Mark, Mark], ...] = ()
    """Keys that stand twice in one mapping: where, and where they stood first. The first one counts."""

    def mark(self, path: KeyPath, *, key: bool = False) -> Mark | None:
        """Return where `path` stands, or else the nearest mapping or list around it; None for nowhere in the file.

        Args:
            path: of a setting.
            key: ask for its key rather than its value.
        """
        if key and path in self._keys:
            return self._keys[path]
        for length in range(len(path), 0, -1):
            found = self._values.get(path[:length]) if length == len(path) else self._keys.get(path[:length])
            if found is not None:
                return found
        return None


def read_document(file: Path) -> Document:
    """Read a YAML file.

    Raises:
        DocumentError: it cannot be read, is too large or too deep, or is none of our documents.
    """
    try:
        with file.open("rb") as opened:
            source = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise DocumentError(f"cannot be read: {error.strerror or error}") from error
    if len(source) > MOST_BYTES:
        raise DocumentError(f"is larger than {MOST_BYTES // 1024} KiB")
    return parse_document(source, file)


def parse_document(source: bytes, file: Path) -> Document:
    """Read the bytes of a YAML file (UTF-8).

    Raises:
        DocumentError: as `read_document`.
    """
    try:
        text = source.decode("utf-8-sig")
        root = _Loader(text).get_single_node()
    except UnicodeDecodeError as error:
        raise DocumentError("is not UTF-8 text") from error
    except yaml.MarkedYAMLError as error:
        raise DocumentError(*_told(error)) from error
    except yaml.YAMLError as error:
        raise DocumentError(str(error)) from error
    reading = _Reading()
    data = {} if root is None else reading.value(root, ())
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise DocumentError("must be a mapping of settings, like `port: 8080`", reading.values[()])
    return Document(file, data, reading.keys, reading.values, tuple(reading.repeated))


class _Loader(yaml.SafeLoader):
    """Makes nodes, no objects."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Make a node; see above for what is refused."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        mark = event.start_mark
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise DocumentError("anchors and aliases are not read; quote the word if & or * is text", _mark(mark))
        if getattr(event, "tag", None) is not None:
            raise DocumentError("tags are not read; quote the word if ! is text", _mark(mark))
        if self._depth >= MOST_DEPTH:
            raise DocumentError(f"is nested more than {MOST_DEPTH} levels deep", _mark(mark))
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


# YAML 1.2.2, section 10.3.2.
_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"null|Null|NULL|~|", ["n", "N", "~", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)


_IN_PLAIN_WORDS = (
    (r"\t", "a tab stands here; YAML is indented with spaces"),
    (
        "mapping values are not allowed",
        "': ' cannot stand here; quote the text that has it, or mend the indentation",
    ),
    ("<stream end>", "what begins here does not end: a bracket or a quote is missing"),
    ("found unexpected end of stream", "what begins here does not end: a bracket or a quote is missing"),
)
"""What mistakes that are easily made are called by the parser, and what they are."""


def _told(error: yaml.MarkedYAMLError) -> tuple[str, Mark | None]:
    """Return what is wrong, and where."""
    what = " ".join(part for part in (error.context, error.problem) if part)
    for sign, words in _IN_PLAIN_WORDS:
        if sign in what:
            begun = error.context_mark if words.startswith("what begins") else None
            return words, _mark(begun or error.problem_mark)
    return what, _mark(error.problem_mark)


class _Reading:
    def __init__(self) -> None:
        self.keys: dict[KeyPath, Mark] = {}
        self.values: dict[KeyPath, Mark] = {}
        self.repeated: list[tuple[KeyPath, Mark, Mark]] = []

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        self.values[path] = _mark(node.start_mark) or Mark(1, 1)
        if isinstance(node, yaml.MappingNode):
            return dict(self._items(node, path))
        if isinstance(node, yaml.SequenceNode):
            return [self.value(child, (*path, index)) for index, child in enumerate(node.value)]
        return _scalar(node)

    def _items(self, node: yaml.MappingNode, path: KeyPath) -> Iterator[tuple[str, Any]]:
        for key_node, value_node in node.value:
            mark = _mark(key_node.start_mark)
            if not isinstance(key_node, yaml.ScalarNode):
                _refuse_key(mark)
            key = str(key_node.value)
            place = (*path, key)
            if mark is not None and place in self.keys:
                self.repeated.append((place, mark, self.keys[place]))
                continue
            if mark is not None:
                self.keys[place] = mark
            yield key, self.value(value_node, place)


def _refuse_key(mark: Mark | None) -> NoReturn:
    raise DocumentError("a key must be a word; quote braces and brackets if they are text", mark)


def _scalar(node: yaml.Node) -> str | int | float | bool | None:
    text = str(node.value)
    match node.tag.rpartition(":")[2]:
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int":
            try:
                return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
            except ValueError as error:  # Python reads no more than 4300 digits
                raise DocumentError("the number is too long", _mark(node.start_mark)) from error
        case "float":
            return float(text)
        case _:
            return text


def _mark(mark: yaml.Mark | None) -> Mark | None:
    return None if mark is None else Mark(mark.line + 1, mark.column + 1)
