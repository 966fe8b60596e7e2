"""What of a reply is said aloud. Pure.

Two steps: `ReasoningFilter` takes a reasoning model's thoughts out of the token stream, before anything else sees
them; `spoken_text` turns one clause into plain words. The transcript is what comes out of the first.
"""

from __future__ import annotations

import html
import re
import unicodedata
from urllib.parse import urlsplit

_REASONING = {
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<reasoning>": "</reasoning>",
    "[think]": "[/think]",
}


class ReasoningFilter:
    """Drops reasoning blocks (`<think>…</think>` and its like) from text that comes in pieces of any size.

    What comes out does not depend on the pieces. A block that is never closed is dropped to its end. A tag right after
    a backtick is only talked about, and stays.
    """

    def __init__(self) -> None:
        self._held = ""
        self._last = ""  # the last character given out
        self._closing: str | None = None  # the tag that ends the block that we are in
        self._trim = False  # a block has just ended: the space after it goes with it

    def feed(self, text: str) -> str:
        """Take more text and return what of it is the reply's."""
        self._held += text
        kept = ""
        while self._held:
            if self._closing is not None:
                if not self._skip_to(self._closing):
                    break
            elif self._trim:
                self._held = self._held.lstrip() if not self._last or self._last.isspace() else self._held
                self._trim = not self._held
            elif not self._last and self._held.isspace():
                break  # if a block follows, the space before it goes with it
            else:
                at, tag = self._find_tag()
                if self._last or not self._held[:at].isspace():
                    kept += self._keep(at)
                    at = 0
                if tag is None:
                    break
                self._held = self._held[at + len(tag) :]
                self._closing = _REASONING[tag]
        return kept

    def flush(self) -> str:
        """Return what was held back in case it began a tag: no more text is coming soon."""
        if self._closing is not None:
            self._held = ""
        return self._keep(len(self._held))

    def _keep(self, length: int) -> str:
        kept, self._held = self._held[:length], self._held[length:]
        self._last = kept[-1:] or self._last
        return kept

    def _find_tag(self) -> tuple[int, str | None]:
        """Return where the first opening tag is and which; with None, where one may begin that is not all here yet."""
        lowered = self._held.lower()
        for match in re.finditer(r"[<\[]", lowered):
            at = match.start()
            if (self._held[at - 1] if at else self._last) == "`":
                continue
            rest = lowered[at:]
            for tag in _REASONING:
                if rest.startswith(tag):
                    return at, tag
                if tag.startswith(rest):
                    return at, None
        return len(self._held), None

    def _skip_to(self, closing: str) -> bool:
        """Drop what is inside the block; return whether its end was there."""
        at = self._held.lower().find(closing)
        if at < 0:
            self._held = self._held[-(len(closing) - 1) :]
            return False
        self._held = self._held[at + len(closing) :]
        self._closing = None
        self._trim = True
        return True


_CODE_BLOCK = re.compile(
    r"^[ \t]*(?P<fence>`{3,}(?=[^`\n]*$)|~{3,})[^\n]*$.*?(?:^[ \t]*(?P=fence)[`~]*[ \t]*$|\Z)", re.MULTILINE | re.DOTALL
)
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_AUTOLINK = re.compile(r"<((?:https?://|mailto:)[^<>\s]+)>")
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_LINK = re.compile(r"!?\[([^\[\]]*)\](?:\([^()\s]*(?:\([^()\s]*\)[^()\s]*)*(?:\s+\"[^\"]*\")?\)|\[[^\[\]]*\])")
_FOOTNOTE = re.compile(r"\[\^[^\[\]]+\]:?")
_URL = re.compile(r"(?:https?://|www\.)[^\s<>\"'`|]+", re.IGNORECASE)
_LINE_START = re.compile(r"\s*(?:>\s?)*\s*(?:(?P<heading>#{1,6})\s+|[-*+•◦▪‣–]\s+(?:\[[ xX]\]\s+)?)?")
_ASTERISKS = re.compile(r"(?<![\d*])\*+(?=[^\s*])|(?<=[^\s*])\*+(?![\d*])")
_UNDERSCORES = re.compile(r"(?<![\w])_+(?=\S)|(?<=\S)_+(?!\w)")
_MARKERS = re.compile(r"`+|~~")
_UNSPEAKABLE = re.compile(r"[!-~]{65,}")  # a key, a hash, encoded data: no word is that long
_SPACE_BEFORE = re.compile(r"\s+([,.;:!?…])")

_SPOKEN_SYMBOLS = frozenset("°©®™№℃℉")
_EMOJI_PARTS = re.compile("[\u200d\u20e3\ufe0e\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")


def spoken_text(text: str) -> str:
    """Return the words to say for one clause of a reply: no markup, code blocks, emoji or addresses.

    A link is its text, a bare URL its host name. Each line is said as a sentence of its own. What only the language
    of the voice can tell (numbers, abbreviations, symbols) is left to the synthesizer. Empty when there is nothing
    to say.
    """
    text = _COMMENT.sub(" ", _CODE_BLOCK.sub(" ", text))
    text = _TAG.sub(" ", _AUTOLINK.sub(r" \1 ", text))
    text = _FOOTNOTE.sub("", _LINK.sub(r"\1", html.unescape(text)))
    text = _URL.sub(_host, text)
    lines = []
    for line in text.splitlines(keepends=True):
        words = _line(line)
        if words:
            lines.append(words + "." if line.endswith("\n") and words[-1].isalnum() and words[-1] < "\u2e80" else words)
    return " ".join(lines)


def _line(line: str) -> str:
    """Return the words of one line."""
    if _is_rule(line):
        return ""
    start = _LINE_START.match(line)
    if start is not None:
        line = line[start.end() :]
        if start["heading"]:
            line = line.rstrip().rstrip("#")
    if line.lstrip().startswith("|"):
        line = ", ".join(cell.strip() for cell in line.strip().strip("|").split("|") if cell.strip()) + "\n"
    line = _MARKERS.sub("", _UNDERSCORES.sub("", _ASTERISKS.sub("", line)))
    line = _UNSPEAKABLE.sub(" ", line)
    line = "".join(" " if _is_picture(character) else character for character in _EMOJI_PARTS.sub("", line))
    line = _SPACE_BEFORE.sub(r"\1", " ".join(line.split()))
    return line if any(map(str.isalnum, line)) else ""


def _is_rule(line: str) -> bool:
    """Whether it is a horizontal rule, the underline of a heading, or what separates a table's head from its rows."""
    marks = "".join(line.split())
    return (len(marks) >= 3 and marks[0] in "-*_=" and len(set(marks)) == 1) or (
        "--" in marks and set("|:+-") >= set(marks)
    )


def _is_picture(character: str) -> bool:
    """Whether it is an emoji or another pictograph (Unicode category So), but not a sign that has a spoken name."""
    return unicodedata.category(character) == "So" and character not in _SPOKEN_SYMBOLS


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
