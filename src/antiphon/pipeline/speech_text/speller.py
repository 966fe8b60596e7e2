"""Numbers as words, by the rules of Unicode's CLDR (package `unicode-rbnf`)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from unicode_rbnf import FormatPurpose, RbnfEngine

MOST = 10**15 - 1
"""The largest number that is read as one; longer ones are read digit by digit."""


class Speller:
    """Spells numbers in one language. Remembers the last few thousand.

    Args:
        code: ISO 639-1.
        cardinals: names of CLDR's rule sets: for counting, and before a masculine and a feminine noun.
        ordinals: the same for ordinals; the first for no noun.
        years: whether years are read in their own way.
    """

    def __init__(self, code: str, cardinals: Sequence[str], ordinals: Sequence[str], *, years: bool) -> None:
        self._engine = RbnfEngine.for_language(code)
        self._cardinals = cardinals
        self._ordinals = ordinals
        self._years = years
        self._spell = lru_cache(maxsize=4096)(self._uncached)

    def cardinal(self, number: int, gender: int = 0) -> str:
        """Return a number's name. `gender`: 0 for counting, 1 before a masculine noun, 2 before a feminine one."""
        return self._spell(number, self._cardinals[gender])

    def ordinal(self, number: int, form: int = 0) -> str:
        """Return an ordinal in one of the language's forms."""
        return self._spell(number, self._ordinals[min(form, len(self._ordinals) - 1)])

    def year(self, number: int) -> str:
        """Return the name of a year."""
        return self._spell(number, "spellout-numbering-year") if self._years else self.cardinal(number)

    def digits(self, digits: str) -> str:
        """Return the names of single digits."""
        return " ".join(self.cardinal(int(digit)) for digit in digits)

    def _uncached(self, number: int, rules: str) -> str:
        spelled = self._engine.format_number(number, FormatPurpose.CARDINAL, ruleset_names=[rules])
        return spelled.text.replace("\u00ad", "")
