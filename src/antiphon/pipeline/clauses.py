"""Cuts a reply into clauses for synthesis while its text is still coming in.

The first clause is short, so that audio starts early; later ones grow up to whole sentences, whose prosody is better.
A cut is judged when the next word begins (its first letter tells "e.g. rome" from "Rome. Then"), at the end of a line,
and after the punctuation of scripts that write no spaces. So nothing is ever cut inside a word, a number, a time or
an address.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

# How long, in words, a clause must be before it may end at a pause (a comma), before it may end ahead of a linking
# word, and where it ends at the latest: for the first clause of a reply, the second, and all others.
_PAUSE_WORDS = (3, 8, 20)
_LINK_WORDS = (6, 16, 32)
_MOST_WORDS = (12, 24, 48)


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_LINKS = _set(
    "and but or because so that which who where when while if than as with without for to in on at from into about "
    "like through until before after"
)
# Titles and abbreviations that have more of the sentence after them.
_OPEN_ABBREVIATIONS = _set(
    "mr mrs ms mx dr drs prof st rev hon gen col maj capt cmdr lt sgt cpl pvt sen rep gov pres supt messrs mme mlle "
    "mt ft vs cf ca approx al resp incl excl esp hr fr sr sra sres srta dra dña bzw ggf vgl sog evtl inkl zzgl bspw "
    "dipl sig dott ing avv dhr mevr mw bijv bv aprox env ee ej tel tél mio mrd tsd"
)
# Abbreviations that go on only when a number follows: "No. 5", "Fig. 2", "Jan. 3".
_NUMBERED_ABBREVIATIONS = _set(
    "no nos nr fig figs vol vols ch sec art p pp par ref eq jan feb mar apr jun jul aug sep sept oct nov dec "
    "núm pág págs cap kap abb abs bd pag pagg blz hfst chap"
)
# Abbreviations of two words, "z. B.", "p. ex.": first words that stand for nothing else, and pairs.
_FIRST_OF_TWO = frozenset({"z", "u"})
_IN_TWO_WORDS = frozenset(
    {("p.", "ex"), ("p.", "es"), ("ad", "es"), ("d.", "h"), ("u.", "a"), ("s.", "o"), ("s.", "u")}
)
# Words after which a number with a full stop is a German ordinal: "im 19. Jahrhundert".
_BEFORE_ORDINALS = _set("der die das dem den des am im vom zum zur beim ab seit jeden jede jeder")
_GERMAN_MONTHS = _set(
    "Januar Jänner Jan Februar Feb März April Apr Mai Juni Jun Juli Jul August Aug September Sept Sep Oktober Okt "
    "November Nov Dezember Dez"
)
_AFTER_DAY = re.compile(r"(?<![\w.,])[0-9]{1,2}\. ([JFMASOND][a-zä]*)\Z")

_CLOSERS = "\"'”’»›)]}>*_`~」』）】》〉"
_OPENERS = "\"'“‘«‹([{<*_`~「『（【《〈-•"
_SENTENCE_ENDS = "!?！？。．｡؟۔।"
_WIDE_ENDS = tuple("。．｡！？、，；：…")
_PAUSES = ",;:—–、，；：،؛"

# Scripts that write no spaces between words: Chinese and Japanese; Thai, Lao, Myanmar and Khmer, which put a space
# where a phrase ends.
_CJK = re.compile(
    r"[\u3005\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U000323af]"
)
_PHRASED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")
_NEVER_FIRST = frozenset("々ーぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶｰｧｨｩｪｫｯｬｭｮ")

_FENCE = re.compile(r"[ \t]*(?:`{3,}[^`\n]*|~{3,}[^\n]*)\n\Z")
_UNCLOSED = re.compile(
    r"\[[^\[\]\n]{0,300}\Z|<[A-Za-z/!][^<>\n]{0,300}\Z"
    r"|(?<![\w$\\)}`])\$(?![\s\d$])[^$\n]{0,100}\Z|\\\((?:(?!\\\)).){0,200}\Z"
)
_OPEN_BRACKET_FORMULA = re.compile(r"\\\[(?:(?!\\\]).){0,600}\Z", re.DOTALL)
_OPEN_DOLLAR_FORMULA = re.compile(r"^[ \t]*\$\$(?:(?!\$\$).){0,600}\Z", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Clause:
    """A piece of a reply: characters [start, end) of its whole text."""

    text: str
    start: int
    end: int


class _Boundary(enum.Enum):
    NONE = enum.auto()
    PAUSE = enum.auto()
    SENTENCE = enum.auto()


class ClauseSplitter:
    """Takes the text of one reply in pieces of any size and gives its clauses, each as soon as it is sure.

    The clauses, in order, are the text: nothing is left out, and where they are cut does not depend on the pieces.
    """

    def __init__(self) -> None:
        self._pending = ""
        self._start = 0
        self._cuts = 0
        self._fenced = False

    def feed(self, text: str) -> list[Clause]:
        """Take more text and return the clauses that it completes."""
        clauses = []
        for character in text:
            end = self._cut_before(character)
            if end:
                clauses.append(self._take(end))
            self._pending += character
            if character == "\n" and self._line_ends_clause():
                clauses.append(self._take(len(self._pending)))
        return clauses

    def flush(self) -> list[Clause]:
        """Return what is left, as one clause or none: no more text is coming soon."""
        self._fenced = False
        return [self._take(len(self._pending))] if self._pending else []

    def _take(self, end: int) -> Clause:
        text, self._pending = self._pending[:end], self._pending[end:]
        clause = Clause(text, self._start, self._start + end)
        self._start += end
        self._cuts += 1
        return clause

    def _line_ends_clause(self) -> bool:
        """Whether the line just completed ends a clause. A fenced code block is one clause, however long."""
        line = self._pending[self._pending.rfind("\n", 0, -1) + 1 :]
        if _FENCE.match(line):
            self._fenced = not self._fenced
            return not self._fenced
        return not self._fenced and _words(self._pending) > 0 and not _in_formula(self._pending)

    def _cut_before(self, following: str) -> int:
        """Return how much of what is pending is a clause, given the character that comes next; 0 for none."""
        before = self._pending
        if self._fenced or not before:
            return 0
        start = before.rfind(" ") + 1
        day = _AFTER_DAY.search(before) if before[max(start - 2, 0) : start] == ". " else None
        if day is not None:
            return day.start(1) if _was_no_date(before, day, following) else 0
        if following.isspace():
            return 0
        spaced = before[-1].isspace()
        if not spaced and not _may_cut_unspaced(before, following):
            return 0
        words = _words(before)
        if not words or _UNCLOSED.search(before) or _in_formula(before):
            return 0
        stage = min(self._cuts, len(_MOST_WORDS) - 1)
        boundary = _boundary(before, following)
        if boundary is _Boundary.SENTENCE and _AFTER_DAY.search(before + following):
            return 0  # "3. M": the next letters tell May from a new sentence
        if boundary is _Boundary.SENTENCE or (boundary is _Boundary.PAUSE and words >= _PAUSE_WORDS[stage]):
            return len(before)
        if spaced and words > _LINK_WORDS[stage]:
            body = before.rstrip()
            start = max(body.rfind(" "), body.rfind("\n")) + 1
            if body[start:].lower() in _LINKS and not _UNCLOSED.search(before[:start]):
                return start
        return len(before) if words >= _MOST_WORDS[stage] else 0


def _in_formula(text: str) -> bool:
    """Whether a formula of lines of its own began and has not ended."""
    if "\\[" in text and _OPEN_BRACKET_FORMULA.search(text):
        return True
    return text.count("$$") % 2 == 1 and _OPEN_DOLLAR_FORMULA.search(text) is not None


def _was_no_date(before: str, day: re.Match[str], following: str) -> bool:
    """Whether what came after a number and a full stop cannot become the name of a month, so that a sentence ended."""
    word = day[1] + following if following.isalpha() else day[1]
    if any(month.startswith(word) if following.isalpha() else month == word for month in _GERMAN_MONTHS):
        return False
    before = before[: day.start(1)]
    return not _UNCLOSED.search(before) and _boundary(before, day[1][0]) is _Boundary.SENTENCE


def _may_cut_unspaced(before: str, following: str) -> bool:
    """Whether a clause may end between two characters with no space between them."""
    if following.isascii() and before[-1].isascii():
        return False
    if following in _CLOSERS or following in _WIDE_ENDS or following in _NEVER_FIRST:
        return False
    return before.rstrip(_CLOSERS).endswith(_WIDE_ENDS) or bool(_CJK.match(following))


def _words(text: str) -> float:
    """Return how many words are in `text`: runs of letters and digits between spaces; about two Chinese or Japanese
    and four Thai characters count as one."""
    cjk, phrased = _CJK.findall(text), _PHRASED.findall(text)
    if cjk or phrased:
        text = _PHRASED.sub(" ", _CJK.sub(" ", text))
    return sum(any(map(str.isalnum, word)) for word in text.split()) + len(cjk) / 2 + len(phrased) / 4


def _boundary(before: str, following: str) -> _Boundary:
    """Return what separates `before` from the word that begins with `following`."""
    body = before.rstrip().rstrip(_CLOSERS)
    if not body:
        return _Boundary.NONE
    last = body[-1]
    if last == "…" or body.endswith(".."):
        return _Boundary.PAUSE
    if last in _SENTENCE_ENDS:
        return _Boundary.PAUSE if following.islower() else _Boundary.SENTENCE
    if last == ".":
        return _Boundary.SENTENCE if _ends_sentence(body, following) else _Boundary.NONE
    spaced_dash = last == "-" and body[-2:-1].isspace()
    if last in _PAUSES or spaced_dash or (_PHRASED.match(last) and before[-1].isspace()):
        return _Boundary.PAUSE
    return _Boundary.NONE


def _ends_sentence(body: str, following: str) -> bool:
    """Whether the full stop at the end of `body` ends a sentence."""
    if following.islower():
        return False
    words = body[body.rfind("\n") + 1 :].split()
    word = words[-1][:-1].lstrip(_OPENERS)
    if not word:
        return True
    if following.isdigit() and word.lower() in _NUMBERED_ABBREVIATIONS:
        return False
    if word.isdigit() or (len(word) == 1 and word.islower()):
        marks_item = len(words) == 1 or (len(word) <= 2 and words[-2][-1] in ":;")
        if marks_item or (word.isdigit() and _is_ordinal(words[:-1])):
            return False
    if word in _FIRST_OF_TWO or (len(words) > 1 and (words[-2].lower(), word.lower()) in _IN_TWO_WORDS):
        return False
    if len(word) == 1 and not word.islower():
        return word == "I" or not word.isalpha()
    if "." in word and all(len(part) <= 2 and part.isalpha() for part in word.split(".")):
        return word.lower() in ("a.m", "p.m")
    return word.lower() not in _OPEN_ABBREVIATIONS


def _is_ordinal(before: list[str]) -> bool:
    """Whether a number with a full stop, after these words, is a German ordinal; "I am 30." is none."""
    word = before[-1].lower()
    return word in _BEFORE_ORDINALS and not (word == "am" and len(before) > 1 and before[-2] == "I")
