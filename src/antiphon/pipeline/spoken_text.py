"""What of a reply's clause is said aloud. Pure."""

from __future__ import annotations

import html
import re
import unicodedata
from urllib.parse import urlsplit

from antiphon.pipeline.speech_text.formulas import FORMULA, formula
from antiphon.pipeline.speech_text.reader import Reader
from antiphon.pipeline.speech_text.traced import Traced, join

_CODE_BLOCK = re.compile(
    r"^[ \t]*(?P<fence>`{3,}(?=[^`\n]*$)|~{3,})[^\n]*$.*?(?:^[ \t]*(?P=fence)[`~]*[ \t]*$|\Z)", re.MULTILINE | re.DOTALL
)
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_AUTOLINK = re.compile(r"<((?:https?://|mailto:)[^<>\s]+)>")
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_LINK = re.compile(r"!?\[([^\[\]]*)\](?:\([^()\s]*(?:\([^()\s]*\)[^()\s]*)*(?:\s+\"[^\"]*\")?\)|\[[^\[\]]*\])")
_FOOTNOTE = re.compile(r"\[\^[^\[\]]+\]:?")
# "text.[1][2]", "text[3].": what an answer refers to.
_CITATION = re.compile(
    r"(?<=[.,;!?\"”])\s?(?:\[[1-9][0-9]{0,2}\])+(?![\w(])|(?<=[a-zà-ÿ])(?:\[[1-9][0-9]{0,2}\])+(?=[.,;:!?](?:\s|\Z))"
)
_EMOTICON = re.compile(r"(?<!\S)(?:[:;=]['’]?-?[)(DP]|\^_\^)(?=[\s.,!?]|\Z)")
_URL = re.compile(r"(?:https?://|www\.)[^\s<>\"'`|]+", re.IGNORECASE)
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
_BACKSLASH = re.compile(r"\\+")
_LINE = re.compile(r"[^\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]*(\r\n|[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029])?")
_LINE_START = re.compile(r"\s*(?:>\s?)*\s*(?:(?P<heading>#{1,6})\s+|[-*+•◦▪‣–]\s+(?:\[[ xX]\]\s+)?)?")
_HEADING_END = re.compile(r"[\s#]+\Z")
_CELL_END = re.compile(r"\s*\|[\s|]*")
_ASTERISKS = re.compile(r"(?<![\d*])\*+(?=[^\s*])|(?<=[^\s*])\*+(?![\d*])")
_UNDERSCORES = re.compile(r"(?<![\w])_+(?=\S)|(?<=\S)_+(?!\w)")
_MARKERS = re.compile(r"`+|~~")
_UNSPEAKABLE = re.compile(r"[!-~]{65,}")  # a key, a hash, encoded data: no word is that long
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_SPACES = re.compile(r"\s+")
_SPACE_BEFORE = re.compile(r"\s+(?=[,.;:!?…](?!\w))")

_SPOKEN_SYMBOLS = frozenset("°©®™№℃℉")
_EMOJI_PARTS = re.compile("[\u200d\u20e3\ufe0e\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")


def spoken_text(text: str, reader: Reader | None = None) -> Traced:
    """Return the words to say for one clause of a reply: no markup, code blocks, emoji or addresses.

    A link is its text, a bare URL its host name. Each line is said as a sentence of its own. Empty when there is
    nothing to say.

    Args:
        text: the clause.
        reader: writes out numbers, abbreviations and signs; None leaves them to the synthesizer.
    """
    traced = Traced.of(text).sub(_CODE_BLOCK, lambda _: " ").sub(FORMULA, formula).sub(_COMMENT, lambda _: " ")
    traced = traced.sub(_AUTOLINK, lambda _: [" ", 1, " "]).sub(_TAG, lambda _: " ")
    traced = traced.sub(_ENTITY, lambda match: html.unescape(match.group()))
    traced = traced.sub(_CITATION, lambda _: "").sub(_LINK, lambda _: [1]).sub(_FOOTNOTE, lambda _: "").sub(_URL, _host)
    traced = traced.sub(_ESCAPED, lambda _: [1]).sub(_BACKSLASH, lambda _: " ")
    lines = []
    for match in _LINE.finditer(traced.text):
        words = _line(traced[match.start() : match.end()])
        if words.text and reader is not None:
            words = reader.read(words)
        if not any(map(str.isalnum, words.text)):
            continue
        ending = words.text[-1]
        if match[1] and ending.isalnum() and ending < "\u2e80":
            words = words.add(".", traced[match.start(1) : match.end(1)])
        lines.append(words)
    return join(lines)


def _line(line: Traced) -> Traced:
    """Return the words of one line."""
    if _is_rule(line.text):
        return line[:0]
    start = _LINE_START.match(line.text)
    if start is not None:
        line = line[start.end() :]
        if start["heading"]:
            line = line.sub(_HEADING_END, lambda _: "")
    line = line.strip()
    if line.text.startswith("|"):
        row = line.text.strip("| ")
        begin = line.text.find(row)
        line = line[begin : begin + len(row)].sub(_CELL_END, lambda _: ", ")
    line = line.sub(_EMOTICON, lambda _: " ")
    for marks in (_ASTERISKS, _UNDERSCORES, _MARKERS):
        line = line.sub(marks, lambda _: "")
    line = line.sub(_UNSPEAKABLE, lambda _: " ").sub(_EMOJI_PARTS, lambda _: "").sub(_NOT_ASCII, _picture)
    line = line.sub(_SPACES, lambda _: " ").strip().sub(_SPACE_BEFORE, lambda _: "")
    return line if any(map(str.isalnum, line.text)) else line[:0]


def _is_rule(line: str) -> bool:
    """Whether it is a horizontal rule, the underline of a heading, or what separates a table's head from its rows."""
    marks = "".join(line.split())
    return (len(marks) >= 3 and marks[0] in "-*_=" and len(set(marks)) == 1) or (
        "--" in marks and set("|:+-") >= set(marks)
    )


def _picture(match: re.Match[str]) -> str | None:
    """Drop an emoji or another pictograph (Unicode category So), but not a sign that has a spoken name."""
    character = match.group()
    return " " if unicodedata.category(character) == "So" and character not in _SPOKEN_SYMBOLS else None


def _host(match: re.Match[str]) -> str:
    """Return the host name of a URL, and the punctuation after it, which is the sentence's."""
    url = match.group()
    bare = url.rstrip(".,;:!?)]}*_~…。，")
    try:
        host = urlsplit(bare if "://" in bare else f"//{bare}").hostname or ""
    except ValueError:  # "http://[": not an address, but nothing to read out either
        host = ""
    name = host.removeprefix("www.") if any(map(str.isalpha, host)) else "link"
    return name + url[len(bare) :]
