"""Reads what is spelled rather than read: addresses, versions, telephone and other numbers that count nothing."""

from __future__ import annotations

import re

from antiphon.pipeline.speech_text.language import Language
from antiphon.pipeline.speech_text.numbers import Numbers, Rule

_DOMAINS = (
    "com|org|net|edu|gov|mil|int|io|ai|app|dev|co|info|biz|me|tv|eu|uk|us|ca|au|nz|ie|in|de|at|ch|li|fr|be|lu|es|mx|ar|cl|it|"
    "pt|br|nl|pl|cz|se|no|dk|fi|jp|kr|cn|local|cloud|online|site|shop|blog|tech|xyz"
)
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)*[^\W_]")
_DOMAIN = re.compile(
    rf"(?<![\w.@/-])(?:[A-Za-z0-9-]{{1,63}}\.){{1,8}}(?:{_DOMAINS})(?![\w-]|\.\w)(?::[0-9]+)?(?:/[\w%+-]+)*/?",
    re.IGNORECASE,
)
# "notes.txt", "node.js": a full stop that ends a sentence has a space after it.
_FILE_DOT = re.compile(
    r"(?<=[A-Za-z0-9_]{2})\.(?!(?:ra|na|ssa)\b)(?=[a-z]{2,5}[0-9]?\b(?!\.\w))|(?<![\w.])\.(?=[A-Za-z]{2,5}\b)"
)
_AT = re.compile(r"(?<![\w@])@(?=[A-Za-z_])")
_HASHTAG = re.compile(r"(?<![\w#&])#(?=[A-Za-z_])")
_UNDERSCORE = re.compile(r"(?<=[^\W\d])_+(?=\w)|(?<=\w)_+(?=[^\W\d])")
_TELEPHONES = (
    re.compile(r"(?<![\w.,])\+[0-9][0-9 ()./\u00a0-]{6,22}[0-9](?![\w-])"),
    re.compile(
        r"(?<![\w.,+-])(?:\([0-9]{2,5}\) ?|0[0-9]{1,5}[ /-]|(?:[0-9][-. ])?[0-9]{3}[-. ])[0-9]{2,5}"
        r"(?:[-. /][0-9]{2,5}){1,4}(?![\w-]|[.,][0-9])"
    ),
    re.compile(r"(?<![\w.,+-])0(?:[0-9]{2,5}[ /-][0-9]{4,9}|[0-9][ /-][0-9]{6,9})(?![\w-]|[.,][0-9])"),
    re.compile(r"(?<![\w.,+-])0[0-9](?:\.[0-9]{2}){4}(?![\w-]|[.,][0-9])"),
    re.compile(r"(?<![\w.,+-])[0-9]{3}-[0-9]{4}(?![\w-]|[.,][0-9])"),
    re.compile(r"(?<![\w.,+-])[0-9]{4}(?:[ -][0-9]{4}){2,4}(?![\w-]|[.,][0-9])"),  # a card
)
_VERSION_LETTER = re.compile(r"(?<![\w.,])[vV]\.? ?(?=[0-9]+\.[0-9])")
_LONG = re.compile(r"(?<![\w.,])(?<![0-9][ \u00a0\u202f])(?:[0-9]{6,}|0[0-9]+)(?!\w|[.,][0-9]|:[0-9])")
_MIXED = re.compile(
    r"(?<![\w.,-])(?=[A-Za-z0-9-]{0,40}[0-9])(?=[A-Za-z0-9.-]{0,40}[A-Za-z])(?:[A-Za-z0-9]|(?<=[0-9])\.(?=[0-9]))+"
    r"(?:-(?:[A-Za-z0-9]|(?<=[0-9])\.(?=[0-9]))+)*(?!\w)"
)
_LETTER_AND_DIGIT = re.compile(r"(?<=[^\W\d_])-?(?=[0-9])|(?<=[0-9])-?(?=[^\W\d_])")
# "/usr/bin", "~/notes", "./run": where a path begins.
_PATH_START = re.compile(r"(?<![^\s(\[\"'“„«,:=])(?:~|\.{1,2})?/(?=\w)")
_FLAG = re.compile(r"(?<!\S)--?(?=[A-Za-z](?:\b|[a-z-]))(?!-\Z)")
_STATE_AND_CODE = re.compile(r"(?<=\b[A-Z]{2} )[0-9]{5}(?:-[0-9]{4})?(?![\w-]|[.,][0-9])")
_PARTS = re.compile(r"[^\W\d_]+|[0-9]+|[.@_/+-]")
_GROUP = re.compile(r"[0-9]+")


class Codes:
    """The codes of one language."""

    def __init__(self, language: Language, numbers: Numbers) -> None:
        self._language = language
        self._numbers = numbers

    def address_rules(self) -> list[Rule]:
        """Return the rules for addresses and names of files, which have to be read before anything in them is."""
        return [
            (_EMAIL, self._address),
            (_DOMAIN, self._address),
            (_PATH_START, lambda _: f" {self._sign('/')} "),
            (_FLAG, lambda match: f"{self._sign('dash')} " * len(match.group())),
            (_FILE_DOT, lambda _: f" {self._sign('.')} "),
            (_AT, lambda _: f"{self._sign('@')} "),
            (re.compile(r"(?<![\w#&])#(?=[A-Z]{1,4}-?[0-9])"), lambda _: f"{self._sign('№')} "),
            (_HASHTAG, lambda _: f"{self._sign('#')} "),
            (_UNDERSCORE, lambda _: " "),
        ]

    def number_rules(self) -> list[Rule]:
        """Return the rules for digits that count nothing."""
        version = re.escape(self._sign("version"))
        rules: list[Rule] = []
        if self._language.code == "en":
            rules.append((_STATE_AND_CODE, lambda match: self._telephone_groups(match.group())))
        return [
            *rules,
            *((pattern, self._telephone) for pattern in _TELEPHONES),
            (_VERSION_LETTER, lambda _: f"{self._sign('version')} "),
            (
                re.compile(
                    rf"(?<={version} )[0-9]+(?:\.[0-9]+)+|(?<![\w.,])[0-9]+(?:\.[0-9]+){{2,}}(?::[0-9]{{1,5}})?(?!\w)"
                ),
                self._version,
            ),
            (_LONG, self._long),
        ]

    def mixed_rules(self) -> list[Rule]:
        """Return the rules for letters and digits in one word, which are read after units and ordinals."""
        return [
            (_MIXED, self._mixed),
            (re.compile(r"(?<=[^\W\d_])\.(?=[0-9])"), lambda _: f" {self._sign('.')} "),
            (re.compile(r"(?<=[^\W\d_]):(?=[0-9])"), lambda _: ": "),
            (_LETTER_AND_DIGIT, lambda _: " "),
        ]

    def _sign(self, sign: str) -> str:
        return self._language.signs[sign]

    def _address(self, match: re.Match[str]) -> str:
        said = []
        for part in _PARTS.findall(match.group().rstrip("/")):
            if part.isdigit():
                said.append(self._numbers.cardinal(int(part)) if len(part) <= 2 else self._numbers.speller.digits(part))
            elif part.isalpha():
                said.append(part)
            else:
                said.append(self._sign("dash" if part == "-" else part))
        return " ".join(said)

    def _telephone(self, match: re.Match[str]) -> str | None:
        written = match.group()
        groups = _GROUP.findall(written)
        if sum(map(len, groups)) < 7:
            return None
        if self._language.decimal == "," and re.fullmatch(r"[1-9][0-9]{0,2}(?:\.[0-9]{3})+", written):
            return None
        if self._language.groups_by_space and re.fullmatch(r"[1-9][0-9]{0,2}(?: [0-9]{3})+", written):
            return None
        plus = f"{self._sign('+')} " if written.startswith("+") else ""
        return plus + self._telephone_groups(written)

    def _telephone_groups(self, written: str) -> str:
        return ", ".join(self._numbers.speller.digits(group) for group in _GROUP.findall(written))

    def _version(self, match: re.Match[str]) -> str | None:
        written = match.group()
        if self._language.decimal == "," and re.fullmatch(r"[1-9][0-9]{0,2}(?:\.[0-9]{3})+", written):
            return None
        written, _, port = written.partition(":")
        parts = written.split(".")
        point = self._language.point if self._language.decimal == "." and len(parts) < 4 else self._sign(".")
        said = f" {point} ".join(self._numbers.cardinal(int(part)) for part in parts)
        return f"{said}, {self._numbers.cardinal(int(port))}" if port else said

    def _long(self, match: re.Match[str]) -> str | None:
        digits = match.group()
        if digits.endswith("000") and len(digits) <= 15 and digits[0] != "0":
            return None
        size = 4 if len(digits) % 4 == 0 and len(digits) > 4 else 3
        groups = [digits[start : start + size] for start in range(0, len(digits), size)]
        return ", ".join(self._numbers.speller.digits(group) for group in groups)

    def _mixed(self, match: re.Match[str]) -> str:
        said = []
        for part in re.findall(r"[A-Za-z]+|[0-9]+|\.", match.group()):
            if part == ".":
                said.append(self._language.point if self._language.decimal == "." else self._sign("."))
            elif not part.isdigit():
                said.append(part)
            elif len(part) <= 2 and part[0] != "0":
                said.append(self._numbers.cardinal(int(part)))
            elif len(part) == 4 and part[:2] in ("19", "20"):
                said.append(self._numbers.year(int(part)))
            else:
                said.append(self._numbers.speller.digits(part))
        return " ".join(said)
