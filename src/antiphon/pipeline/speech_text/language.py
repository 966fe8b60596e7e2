"""What has to be known of a language to read its numbers and signs aloud."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Forms = tuple[str, str]
"""A noun after one and after any other number."""


@dataclass(frozen=True, slots=True)
class Language:
    """How one language is read. Names of months, units and currencies that are not here are CLDR's.

    Attributes:
        code: ISO 639-1.
        decimal: what separates the fraction of a written number; the other of "." and "," groups its thousands.
        point: the word for `decimal`.
        cardinals: CLDR's rules for counting, and for a number before a masculine and before a feminine noun.
        ordinals: CLDR's rules for ordinals, the most common form first.
        signs: words for signs: "-" is less than zero, "–" from-to, ":" the ratio of two numbers,
            "x" what stands between the sides of "1920x1080".
        words: what is read for words and abbreviations that are not said as written; with their full stops.
        titles: the same, but only before a capital letter.
        numbered: the same, but only before a number.
        scales: words and letters for powers of ten that stand after a number: the exponent and the nouns.
        currencies: nouns by ISO 4217 code.
        cents: nouns of the hundredth part by ISO 4217 code.
        money_with_cents: with {money}, {cents} and {unit}, the noun of the cents.
        fractions: nouns by denominator.
        one_half: what 1/2 is; `and_half`: what ½ is after a whole number.
        date: with {day} and {month}; `date_year`: with {date} and {year}.
        day: how the day is read: "cardinal", "ordinal", or "first" for an ordinal on the first only.
        hour: a full hour, with {h}; `hour_minutes`: with {h} and {m}.
        ordinal_suffixes: what makes a number an ordinal, a regular expression, and the form of it.
        years: the years that are read in a way of their own.
        groups_by_space: whether a space groups thousands too.
        digits_after_point: whether a fraction is read digit by digit, or as one number.
        of: what joins a million and a noun; the second before a vowel.
        feminine: CLDR's units, and currencies, that are feminine.
        month_first: whether 3/4/2025 is a day in March.
        one_o_clock: one full hour, and one hour with {m} minutes, where that is irregular.
        hour_gender: of the number of hours: 0 for counting, 1 masculine, 2 feminine.
        hour_mark: a regular expression for what may follow a time, and is part of it.
        hour_separators: what stands between hours and minutes besides a colon; a full stop only before `hour_mark`.
        units: nouns by CLDR's name of the unit, where CLDR has none or another.
        counted: nouns by the abbreviation of them that follows a number, where it is no unit of all languages.
        periods: words for abbreviations after a stroke, as in "$5/mo".
        many_times: what "3x" is before a word.
        feminine_nouns: a regular expression for nouns before which a number is feminine.
        half: what ½ is before a masculine and before a feminine noun.
    """

    code: str
    decimal: Literal[".", ","]
    point: str
    cardinals: tuple[str, str, str]
    ordinals: tuple[str, ...]
    signs: Mapping[str, str]
    words: Mapping[str, str]
    titles: Mapping[str, str]
    numbered: Mapping[str, str]
    scales: Mapping[str, tuple[int, Forms]]
    currencies: Mapping[str, Forms]
    cents: Mapping[str, Forms]
    money_with_cents: str
    fractions: Mapping[int, Forms]
    one_half: str
    and_half: str
    date: str
    date_year: str
    day: Literal["cardinal", "ordinal", "first"]
    hour: str
    hour_minutes: str
    ordinal_suffixes: Mapping[str, int]
    years: range = range(0)
    groups_by_space: bool = False
    digits_after_point: bool = True
    of: tuple[str, str] = ("", "")
    feminine: frozenset[str] = frozenset()
    month_first: bool = False
    one_o_clock: tuple[str, str] | None = None
    hour_gender: int = 0
    hour_mark: str = ""
    hour_separators: str = ""
    units: Mapping[str, Forms] = field(default_factory=dict)
    counted: Mapping[str, Forms] = field(default_factory=dict)
    periods: Mapping[str, str] = field(default_factory=dict)
    many_times: str = ""
    feminine_nouns: str = r"(?!)"
    half: tuple[str, str] | None = None

    def is_feminine(self, noun: str) -> bool:
        """Tell whether a number before `noun` is feminine."""
        return re.match(self.feminine_nouns, noun) is not None
