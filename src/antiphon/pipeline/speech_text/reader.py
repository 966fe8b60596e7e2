"""Writes out in words what a voice might not know how to read: numbers, dates, money, units, abbreviations, signs."""

from __future__ import annotations

import re
import unicodedata

from antiphon.pipeline.speech_text.codes import Codes
from antiphon.pipeline.speech_text.dates import Dates
from antiphon.pipeline.speech_text.german_ordinals import german_ordinals
from antiphon.pipeline.speech_text.language import Language
from antiphon.pipeline.speech_text.measures import Measures
from antiphon.pipeline.speech_text.numbers import Numbers, Rule
from antiphon.pipeline.speech_text.traced import Piece, Traced

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n")
_GREEK_LETTERS = "αβγδεζηθικλμνξοπρσςτυφχψω"
_GREEK_NAMES = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma sigma tau upsilon "
    "phi chi psi omega"
)
_GREEK = dict(zip(_GREEK_LETTERS, _GREEK_NAMES.split(), strict=True))
_GREEK_LETTER = re.compile(rf"(?<![\u0370-\u03ff])[{_GREEK_LETTERS}](?![\u0370-\u03ff])")
_STREET = re.compile(r"(?<![\w.])(St|Dr)\.(?!\w)")
_NUMBERED_STREET = re.compile(r"(?<![\w.,])[0-9]+[A-Za-z]?(?: (?:[A-Z][\w'’-]*\.?|[0-9]+(?:st|nd|rd|th))){1,4} \Z")
_NAME_BEFORE = re.compile(r"(?<![\w.])([A-Z][a-z'’]+) \Z")
_ORDINAL_BEFORE = re.compile(r"[0-9](?:st|nd|rd|th) \Z")
_NAME_AFTER = re.compile(
    r" (?!(?:The|Then|It|We|I|He|She|They|You|And|But|In|On|At|If|When|There|This|That|After|From)\b)[A-Z]"
)
_ALGEBRA = re.compile(r"=|\b[a-z]\b(?<![aeiou])|\^")
_NOUN_AFTER = re.compile(
    r"\s(?!(?:\w{1,2}|del|dei|und|oder|von|bis|por|per|pour|sur|van|tot|con|dan|que|and|mit|auf|aus|für|plus|"
    r"avec|sans|com|non|não)\b)([^\W\d_]+)"
)
_POWER = re.compile(r"(?<=[\w)\]])\s?(?:\^|\*\*)\s?([-+]?[0-9]+|[a-zA-Z]\b)")


class Reader:
    """Writes out text of one language. Making one loads the language's data: tens of milliseconds of blocking work."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._numbers = Numbers(language)
        measures = Measures(language, self._numbers)
        codes, dates = Codes(language, self._numbers), Dates(language, self._numbers)
        self._rules: list[Rule] = [
            *_characters(),
            *codes.address_rules(),
            (re.compile(r"§\s?(?=§)"), lambda _: ""),
            (re.compile(r"\A([0-9]{1,3})\)(?=\s)"), lambda _: [1, "."]),  # an item of a list
            *self._foreign_numbers(),
            *self._minus(),
            *self._about(),
            *self._zones(),
            *self._times_apart(),
            *dates.rules(),
            *codes.number_rules(),
            *measures.range_rules(),
            *self._ranges(),
            *measures.rules(),
            *self._abbreviations(),
            *self._ordinals(),
            *self._powers(),
            *codes.mixed_rules(),
            *dates.year_rules(),
            *self._signs(),
            (re.compile(r"(?<![\w.,])[.,](?=[0-9])"), lambda _: f"{language.point} "),
            (re.compile(rf"(?<![0-9]){self._numbers.written}"), lambda match: _apart(match, self._number(match))),
            (re.compile(r"[0-9]+"), lambda match: _apart(match, self._numbers.speller.digits(match.group()))),
            (re.compile(r"\s+(?=[,.;:!?…)])|(?<=\()\s+"), lambda _: ""),
            (re.compile(r"(\s)\s+"), lambda _: [1]),
        ]

    def read(self, text: Traced) -> Traced:
        """Return `text` with everything in words, and no digits left."""
        for pattern, replace in self._rules:
            text = text.sub(pattern, replace)
        return text.strip()

    def _number(self, match: re.Match[str]) -> str:
        # "un", not "uno", before a word; masculine, for want of anything better.
        noun = _NOUN_AFTER.match(match.string[match.end() : match.end() + 40])
        gender = 0
        if noun is not None and self.language.is_feminine(noun[1]):
            gender = 2
        elif noun is not None and match.group().endswith("1"):
            gender = 1
        return self._numbers.read(match.group(), gender)

    def _sign(self, sign: str) -> str:
        return self.language.signs[sign]

    def _minus(self) -> list[Rule]:
        minus = re.compile(r"(?:(?<=\s)|(?<=[(\[=<>≈~])|\A)[-−](?=[$€£¥]?\.?[0-9])")
        return [
            (minus, lambda _: f"{self._sign('-')} "),
            (re.compile(r"(?<=[0-9]) ?− ?(?=[0-9])"), lambda _: f" {self._sign('-')} "),
        ]

    def _foreign_numbers(self) -> list[Rule]:
        """Return the rules for numbers as another country writes them, "1,234.56" in German, and as computers do."""
        group, decimal = (",", ".") if self.language.decimal == "," else (".", ",")
        swapped = str.maketrans({group: "", decimal: self.language.decimal})
        foreign = rf"(?<![\w.,])[0-9]{{1,3}}(?:\{group}[0-9]{{3}})+\{decimal}[0-9]{{1,2}}(?![\w.,]?[0-9])"

        def power(match: re.Match[str]) -> list[Piece]:
            minus = f"{self._sign('-')} " if match[2].startswith("-") else ""
            return [1, f" {self._sign('×')} 10 {self._sign('^')} {minus}{int(match[2].lstrip('+-'))}"]

        cents = rf"(?<=[$€£])\{self.language.decimal}(?=[0-9]{{2}}(?![0-9]))"
        return [
            (re.compile(cents), lambda _: f"0{self.language.decimal}"),
            (re.compile(r"(?<=[0-9]),[-–—](?!\w)"), lambda _: ""),  # "€ 5,-"
            (re.compile(foreign), lambda match: match.group().translate(swapped)),
            (re.compile(r"(?<![\w.,])([0-9]+(?:\.[0-9]+)?)[eE]([-+]?[0-9]{1,3})(?!\w|[.,][0-9])"), power),
        ]

    def _about(self) -> list[Rule]:
        said = self._sign("~")
        again = rf"(?<=\b{said} )~\s?(?=[$€£¥]?\s?[0-9])"
        amount = rf"(?<![\w~])[~∼]\s?(?=(?:{self._sign('-')} )?(?:[A-Z]{{1,2}}\$|[$€£¥])?\s?\.?[0-9])"
        return [
            (re.compile(r"(?<=[0-9])(?<!\b0)x(?=[0-9])"), lambda _: f" {self._sign('x')} "),
            (re.compile(again), lambda _: ""),
            (re.compile(amount), lambda _: f"{said} "),
            (
                re.compile(r"(?<=[0-9])[x×](?=\s[^\W\d_]{2}|[,;!?)]|\Z)"),
                lambda match: None if _ALGEBRA.search(match.string) else f" {self.language.many_times}",
            ),
        ]

    def _zones(self) -> list[Rule]:
        """Return the rules for the zone of a time by ISO 8601."""

        def offset(match: re.Match[str]) -> list[Piece]:
            hours, minutes = int(match[3][1:3]), int(match[3][-2:])
            said = " UTC"
            if hours or minutes:
                said += f" {self._sign('+' if match[3][0] == '+' else '-')} {hours}" + (
                    f":{minutes}" if minutes else ""
                )
            return [1, said]

        time = r"([0-2]?[0-9]:[0-5][0-9])"
        return [
            (re.compile(rf"(?<=[0-9]T){time}(:[0-5][0-9](?:\.[0-9]+)?)?([+−-][0-9]{{2}}:?[0-9]{{2}})(?!\w)"), offset),
            (
                re.compile(rf"(?<![0-9:.,]){time}((?::[0-5][0-9])?)(?:\.[0-9]+)?Z(?!\w)"),
                lambda _: [1, 2, " UTC"],
            ),
        ]

    def _times_apart(self) -> list[Rule]:
        to = f" {self._sign('–')} "
        return [
            (re.compile(r"(?<=[0-9]:[0-5][0-9])\s?[-–—]\s?(?=[0-9])"), lambda _: to),
            (re.compile(r"(?:(?<=[0-9]h)|(?<=[0-9]h[0-5][0-9]))\s?[-–—]\s?(?=[0-9]{1,2}\s?h)"), lambda _: to),
            (re.compile(r"(?<=[0-9]0s)\s?[-–—]\s?(?=[0-9])"), lambda _: to),
            (
                re.compile(r"(?<![\w.,/:-])([0-9]{1,2})\s?[-–—]\s?(?=[0-9:.]{1,5}\s?(?:[ap]\.?m|Uhr|uur|h)\b)"),
                lambda _: [1, to],
            ),
        ]

    def _ranges(self) -> list[Rule]:
        to = f" {self._sign('–')} "
        hyphen = rf"(?<![\w.,/-])([$€£]?{self._numbers.written})\s?-\s?(?=([$€£]?[0-9]+))(?![0-9.,]*-)"
        return [
            (
                re.compile(
                    r"(?<=[0-9]) - (?=[0-9]+(?:[.,][0-9]+)? =)|(?<=\^[0-9]) ?- ?(?=[0-9a-z])"
                    r"|(?<=\b[a-z]) - (?=[0-9]|[a-z]\b)"
                ),
                lambda _: f" {self._sign('-')} ",
            ),
            (re.compile(r"(?<=[0-9%€$£°CFmg.])\s?[–—]\s?(?=[$€£]?[0-9])"), lambda _: to),
            (re.compile(hyphen), lambda match: [1, to if _is_range(match[1], match[2]) else " "]),
            (re.compile(r"(?<=\.M\.)\s?[–—-]\s?"), lambda _: to),
            (re.compile(r"(?<=[a-zà-ÿ])–(?=[$€£]?[0-9])"), lambda _: to),
            (re.compile(r"(?<![\w.,:])([0-9]+):(?=[0-9]+(?![0-9:]))"), lambda match: [1, f" {self._sign(':')} "]),
            (re.compile(r"(?<![\w.,/])((?:19|20)[0-9]{2})/(?=[0-9]{2}(?![\w/]|[.,][0-9]))"), lambda _: [1, " "]),
            (re.compile(r"(?:(?<=[\s(])|\A)\+(?=[$€£]?[0-9])"), lambda _: f"{self._sign('+')} "),
        ]

    def _abbreviations(self) -> list[Rule]:
        language = self.language

        def rule(said: dict[str, str], after: str) -> Rule:
            said = {word[0].upper() + word[1:]: words[0].upper() + words[1:] for word, words in said.items()} | said
            written = "|".join(
                re.escape(word).replace(r"\ ", r"[ \u00a0\u202f]?") for word in sorted(said, key=len, reverse=True)
            )
            compact = {word.replace(" ", ""): words for word, words in said.items()}

            def replace(match: re.Match[str]) -> list[Piece] | str:
                words = compact[re.sub(r"\s", "", match[1])]
                last = not match.string[match.end() :].strip(" \u00a0\"'”’)»")
                return f"{words}." if last and match[1].endswith(".") else words

            return re.compile(rf"(?<![\w.])({written}){after}"), replace

        streets: list[Rule] = []
        if language.code == "en":
            streets = [(_STREET, _street)]
        if language.code == "de":
            streets = [(re.compile(r"(?<=[a-zäöüß])str\.(?!\w)"), lambda _: "straße")]
        return [
            *streets,
            rule(dict(language.numbered), r"(?=\s?[0-9])"),
            (re.compile(r"№\s?(?=[0-9])"), lambda _: f"{self._sign('№')} "),
            rule(dict(language.titles), r"(?=\s(?:(?:and|und|et|ou|e|y|en|&)\s)?[^\W\d_a-zà-ÿ])"),
            rule(dict(language.words), r"(?![\w])"),
        ]

    def _ordinals(self) -> list[Rule]:
        speller = self._numbers.speller

        def rule(suffix: str, form: int) -> Rule:
            pattern = re.compile(rf"(?<![\w.,])([0-9]{{1,9}})(?:{suffix})(?!\w)")
            return pattern, lambda match: speller.ordinal(int(match[1]), form)

        rules = [rule(suffix, form) for suffix, form in self.language.ordinal_suffixes.items()]
        if self.language.code == "de":
            rules += german_ordinals(speller, self.language)
        return rules

    def _powers(self) -> list[Rule]:
        def power(match: re.Match[str]) -> str:
            known = {"2": "²", "3": "³"}.get(match[1])
            said = self._sign(known) if known else f"{self._sign('^')} {match[1].replace('-', self._sign('-') + ' ')}"
            return f" {said} "

        return [(_POWER, power)]

    def _signs(self) -> list[Rule]:
        said = self.language.signs

        def word(sign: str) -> Rule:
            return re.compile(rf"\s?{re.escape(sign)}\s?"), lambda _: f" {said[sign]} "

        def between(signs: str, words: str, left: str = r"[\w)\]]", right: str = r"[\w(\[]") -> Rule:
            return re.compile(rf"(?<={left})\s{{0,3}}{signs}\s{{0,3}}(?={right})"), lambda _: f" {words} "

        return [
            (re.compile(r"(?<=[.,][0-9])/(?=(?:5|10|20|100)(?![0-9]))"), lambda _: f" {said['of']} "),
            between("/", said["over"], r"[0-9)]", r"[0-9(]"),
            (re.compile(r"(?<=[A-Z])/(?=[A-Z](?![a-zà-ÿ]))"), lambda _: " "),
            between("/", said["/"], r"[^\W\d_]", r"[^\W\d_]"),
            (
                re.compile(r"(?<=[0-9)\]\w]) \* (?=[\w(\[])|(?<=[0-9)])\*(?=[\w(])|(?<=\w)\*(?=[0-9])"),
                lambda _: f" {said['×']} ",
            ),
            (re.compile(r"(?<=[0-9]) ?x ?(?=[0-9])"), lambda _: f" {said['×']} "),
            between(r"\+", said["+"]),
            (re.compile(r"(?<![\w+])\+(?=\s?[0-9])"), lambda _: f"{said['+']} "),
            (re.compile(r"(?<=[0-9])\+(?!\w)"), lambda _: f" {said['+']}"),
            between("[-=]>", said["→"], r"\S", r"\S"),
            between("==?", said["="], r"\S", r"\S"),
            between("<=", said["≤"]),
            between(">=", said["≥"]),
            between("!=", said["≠"]),
            between("<", said["<"], r"[\w)]", r"[\w(]"),
            between(">", said[">"], r"[\w)]", r"[\w(]"),
            (re.compile(r"(?<!\w)([<>~])\s?(?=[0-9])"), lambda match: f"{said[match[1]]} "),
            between("~", said["~"]),
            *(word(sign) for sign in "&%‰×÷±≈≤≥≠№°§→√∞²³©"),
            (re.compile(r"(?<=[\w.])@(?=\w)|(?<=\s)@(?=\s)"), lambda _: f" {said['@']} "),
            (_GREEK_LETTER, lambda match: f" {_GREEK[match.group()]} "),
        ]


def _apart(match: re.Match[str], words: str) -> str:
    """Return words with a space where they would run into others."""
    before = match.string[match.start() - 1 : match.start()].isalnum()
    after = match.string[match.end() : match.end() + 1].isalnum()
    return f"{' ' * before}{words}{' ' * after}"


def _street(match: re.Match[str]) -> str | None:
    """Return Street or Drive after a number and a name: "221B Baker St."; Street after a name that no name follows."""
    before, after = match.string[max(match.start() - 80, 0) : match.start()], match.string[match.end() :]
    numbered = _NUMBERED_STREET.search(before) is not None
    street = match[1] == "St" and (
        _ORDINAL_BEFORE.search(before) or (_NAME_BEFORE.search(before) and not _NAME_AFTER.match(after))
    )
    if not numbered and not street:
        return None
    last = not after.strip(" \u00a0\"'”’)»") or (re.match(r" [A-Z]", after) and not _NAME_AFTER.match(after))
    return f"{'Street' if match[1] == 'St' else 'Drive'}{'.' if last else ''}"


def _is_range(low: str, high: str) -> bool:
    """Whether what stands between two numbers is "from-to": "5-10", "3-2", "2024-25", but not "747-8"."""
    low, high = low.lstrip("$€£"), high.lstrip("$€£")
    if low == high:
        return False  # "50-50"
    whole = re.split("[.,]", low)[0]
    short = len(whole) <= 2 and len(high) <= 2
    return short or len(whole) < len(high) or (len(whole) == len(high) and whole <= high) or len(whole) == 4


def _characters() -> list[Rule]:
    """Return the rules that bring numbers of other scripts and of other shapes into the digits 0 to 9."""

    def plain(match: re.Match[str]) -> str | None:
        digit = unicodedata.digit(match.group(), None)
        if digit is not None:
            return str(digit)
        folded = unicodedata.normalize("NFKC", match.group())
        if folded != match.group() and any(map(str.isdigit, folded)):
            return " " + "".join(str(unicodedata.digit(each, each)) for each in folded).replace("⁄", "/") + " "
        return None

    return [
        (re.compile(r"(?<=\w)[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+"), lambda match: f"^{match.group().translate(_SUPERSCRIPTS)}"),
        (re.compile(r"[^\x00-\x7f]"), plain),
    ]
