"""Reads written numbers: "1,250.5" in English, "1.250,5" in German."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from antiphon.pipeline.speech_text.language import Language
from antiphon.pipeline.speech_text.speller import MOST, Speller
from antiphon.pipeline.speech_text.traced import Piece

Rule = tuple[re.Pattern[str], Callable[[re.Match[str]], str | Iterable[Piece] | None]]
"""What to look for in a text, and what to say in its place; see `Traced.sub`."""

_POINTED = re.compile(r"[0-9]+\.[0-9]{1,2}|[0-9]+\.[0-9]{4,}|[0-9]{4,}\.[0-9]+")
_SPACES = "\u00a0\u2009\u202f"


class Numbers:
    """The numbers of one language.

    Attributes:
        written: a regular expression, without groups, for a number without sign.
        speller: their names.
    """

    def __init__(self, language: Language) -> None:
        self.speller = Speller(language.code, language.cardinals, language.ordinals, years=bool(language.years))
        self._language = language
        mark = "." if language.decimal == "," else ","
        # A plain space groups thousands in some languages, and before three zeros in all.
        space = " " if language.groups_by_space else " (?=000(?![0-9]))"
        group, decimal = f"(?:[{mark}{_SPACES}]|{space})", re.escape(language.decimal)
        self._group = re.compile(f"[{mark}{_SPACES} ]")
        # In a language with decimal commas, "3.14" is what was copied from elsewhere: nothing is grouped by two.
        other = r"|[0-9]+\.[0-9]+(?![.,]?[0-9])" if language.decimal == "," else ""
        grouped = rf"[0-9]{{1,3}}(?:{group}[0-9]{{3}})+(?![0-9]|{group}[0-9])(?:{decimal}[0-9]+)?"
        self.written = rf"(?:{grouped}{other}|[0-9]+(?:{decimal}[0-9]+)?)"

    def parts(self, written: str) -> tuple[int, str]:
        """Return the whole part of a written number and the digits of its fraction."""
        whole, _, fraction = written.partition(self._language.decimal)
        if self._language.decimal == "," and re.fullmatch(
            r"[0-9]+\.[0-9]{1,2}|[0-9]+\.[0-9]{4,}|[0-9]{4,}\.[0-9]+", whole
        ):
            whole, _, fraction = whole.partition(".")
        return int(self._group.sub("", whole)[:_LONGEST]), fraction

    def is_one(self, written: str) -> bool:
        """Whether a noun after it is in the singular."""
        return self.parts(written) == (1, "")

    def read(self, written: str, gender: int = 0) -> str:
        """Return the words for a written number."""
        whole, fraction = self.parts(written)
        if fraction:
            return f"{self.cardinal(whole)} {self._language.point} {self._fraction(fraction)}"
        digits = self._group.sub("", written)
        if whole > MOST or (len(digits) > 1 and digits[0] == "0"):
            return self.speller.digits(digits)
        return self.cardinal(whole, gender)

    def cardinal(self, number: int, gender: int = 0) -> str:
        """Return a number's name, digit by digit where it is too long for one."""
        if number > MOST:
            return self.speller.digits(str(number))
        return self.speller.cardinal(number, gender)

    def year(self, number: int) -> str:
        """Return the name of a year."""
        return self.speller.year(number) if number in self._language.years else self.cardinal(number)

    def _fraction(self, digits: str) -> str:
        significant = digits.lstrip("0")
        if self._language.digits_after_point or len(digits) > 2 or not significant:
            return self.speller.digits(digits)
        zeros = [self.cardinal(0)] * (len(digits) - len(significant))
        return " ".join([*zeros, self.cardinal(int(significant))])


_LONGEST = 4_000
"""Digits that Python turns into a number at most (`sys.int_info.default_max_str_digits` is 4300)."""
