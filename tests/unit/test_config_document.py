"""YAML with the place of everything in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from antiphon.config.document import (
    MOST_BYTES,
    MOST_DEPTH,
    Document,
    DocumentError,
    Mark,
    parse_document,
    read_document,
)

FILE = Path("a.yaml")


def parse(text: str) -> Document:
    return parse_document(text.encode(), FILE)


def refused(text: str) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        parse(text)
    return caught.value


def test_words_are_words_and_only_true_is_true() -> None:
    data = parse(
        "a: off\nb: yes\nc: true\nd: 010\ne: 0x1f\nf: 1e3\ng: 12:30\nh: 2024-01-01\ni: ~\nj:\nk: '5'\nl: 1_000\nm: .5"
    ).data
    assert data == {
        **{"a": "off", "b": "yes", "c": True, "d": 10, "e": 31, "f": 1000.0, "g": "12:30", "h": "2024-01-01"},
        **{"i": None, "j": None, "k": "5", "l": "1_000", "m": 0.5},
    }


def test_nothing_is_an_empty_mapping() -> None:
    assert parse("").data == {}
    assert parse("# only a comment\n").data == {}


def test_places() -> None:
    document = parse("port: 1\npipelines:\n  a:\n    tts: [x, {engine: y}]\n")
    assert document.mark(("port",)) == Mark(1, 7)
    assert document.mark(("port",), key=True) == Mark(1, 1)
    assert document.mark(("pipelines", "a", "tts", 1, "engine")) == Mark(4, 23)
    assert document.mark(("pipelines", "a", "tts", 1, "missing")) == Mark(4, 5)
    assert document.mark(("nothing", "here")) is None


def test_keys_that_come_twice() -> None:
    document = parse("a:\n  b: 1\n  b: 2\n")
    assert document.data == {"a": {"b": 1}}
    assert document.repeated == ((("a", "b"), Mark(3, 3), Mark(2, 3)),)


@pytest.mark.parametrize(
    ("text", "what", "mark"),
    [
        ("a: [1", "does not end", Mark(1, 4)),
        ("a: 1\n b: 2", "': ' cannot stand here", Mark(2, 3)),
        ("a: &x 1\nb: *x", "anchors", Mark(1, 4)),
        ("a: *x", "anchors", Mark(1, 4)),
        ("a: !!python/object/apply:os.system [id]", "tags", Mark(1, 4)),
        ("a: !secret x", "tags", Mark(1, 4)),
        ("{a: 1}: 2", "a key must be a word", Mark(1, 1)),
        ("- a", "must be a mapping", Mark(1, 1)),
        ("just words", "must be a mapping", Mark(1, 1)),
        ("a: 1\n---\nb: 2", "expected a single document", Mark(2, 1)),
        ("a: " + "[" * 10_000, "levels deep", Mark(1, 3 + MOST_DEPTH)),
    ],
)
def test_what_is_refused(text: str, what: str, mark: Mark) -> None:
    error = refused(text)
    assert what in error.message
    assert error.mark == mark


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="No such file"):
        read_document(tmp_path / "absent.yaml")
    with pytest.raises(DocumentError, match="is not UTF-8"):
        parse_document(b"a: \xff", FILE)
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * (MOST_BYTES + 1))
    with pytest.raises(DocumentError, match="is larger than"):
        read_document(large)


# Line and paragraph separators, U+2028 and U+2029, end lines in the parser's YAML 1.1; they are in no configuration.
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(-1e6, 1e6, allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(WORDS, VALUES, max_size=4))
def test_json_is_read_as_json_means_it(data: dict[str, Any]) -> None:
    assert parse(json.dumps(data, ensure_ascii=False)).data == data


@given(st.binary(max_size=60) | WORDS.map(str.encode))
def test_nothing_breaks_it(source: bytes) -> None:
    try:
        document = parse_document(source, FILE)
    except DocumentError as error:
        assert error.message
    else:
        assert isinstance(document.data, dict)


@given(st.dictionaries(WORDS, VALUES, max_size=4))
def test_everything_has_its_place(data: dict[str, Any]) -> None:
    text = yaml.safe_dump(data, allow_unicode=True) if data else ""
    document = parse(text)
    lines = text.splitlines()
    for key in document.data:
        mark = document.mark((key,), key=True)
        assert mark is not None
        assert 1 <= mark.line <= len(lines)
