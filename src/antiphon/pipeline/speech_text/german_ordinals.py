"""Reads German ordinals, "3.", with the ending that the word before asks for."""

from __future__ import annotations

import re

from antiphon.pipeline.speech_text.language import Language
from antiphon.pipeline.speech_text.numbers import Rule
from antiphon.pipeline.speech_text.speller import Speller

_ORDINAL = re.compile(r"(?<![\w.,])([0-9]{1,3})\.(?= ([^\W\d_]+))")
_MOST_BEFORE = 80
_OTHERS_BEFORE = re.compile(r"(?:[0-9]{1,3}\.(?: (?:und|oder|bis|sowie)|,) )+\Z", re.IGNORECASE)
_WORD_BEFORE = re.compile(r"\b([^\W\d_]+) \Z")
_BEFORE_DER = re.compile(
    r"\b(?:in|an|auf|bei|mit|von|aus|nach|zu|vor|unter|über|neben|zwischen|hinter|seit|ab|außer|während|wegen|trotz|"
    r"statt|innerhalb|außerhalb|laut|gegenüber|anlässlich|bezüglich|entlang) der \Z",
    re.IGNORECASE,
)
_WEAK = re.compile(
    r"(?:am|im|vom|zum|zur|beim|des|(?:d|dies|jed|jen|welch|ein|kein|mein|dein|sein|ihr|unser|eur)e[mn]|"
    r"(?:dies|jed|ein|kein|mein|dein|sein|ihr|unser|eur)es|(?:ein|kein|mein|dein|sein|ihr|unser|eur)er)",
    re.IGNORECASE,
)
_PLAIN = re.compile(
    r"(?:die|das|(?:dies|jed|jen|welch|ein|kein|mein|dein|sein|ihr|unser|eur)e|dieser|jeder|jener)", re.IGNORECASE
)
_STRONG = re.compile(r"(?:ein|kein|mein|dein|sein|ihr|unser|euer)", re.IGNORECASE)


def german_ordinals(speller: Speller, language: Language) -> list[Rule]:
    """Return the rules: "im neunzehnten Jahrhundert", "der erste Platz", "in der einundzwanzigsten Sitzung"."""

    def ordinal(match: re.Match[str]) -> str | None:
        before = words_before(match)
        word = _WORD_BEFORE.search(before)
        if word is None:
            return None
        if word[1].lower() == "der":
            # Nominative before a masculine noun; before a feminine one it is a dative or a genitive.
            noun = match[2] if match[2][0].isupper() else _noun_after(match)
            weak = _BEFORE_DER.search(before) is not None or language.is_feminine(noun)
            return speller.ordinal(int(match[1]), 1 if weak else 0)
        if _WEAK.fullmatch(word[1]):
            return speller.ordinal(int(match[1]), 1)
        if _PLAIN.fullmatch(word[1]):
            return speller.ordinal(int(match[1]))
        if _STRONG.fullmatch(word[1]):
            return speller.ordinal(int(match[1]), 2)
        return None

    return [(_ORDINAL, ordinal)]


def words_before(match: re.Match[str]) -> str:
    """Return what is before an ordinal, and before others that it is joined to: "am " for the 4 of "am 3. und 4."."""
    return _OTHERS_BEFORE.sub("", match.string[max(match.start() - _MOST_BEFORE, 0) : match.start()])


def _noun_after(match: re.Match[str]) -> str:
    """Return the first word after an ordinal that begins with a capital letter, within the next few."""
    found = re.match(r"\.(?: (?:[0-9]{1,3}\.|[a-zäöüß]+)){0,3} ([A-ZÄÖÜ]\w*)", match.string[match.end(1) :])
    return found[1] if found else ""
