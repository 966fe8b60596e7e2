"""Reads amounts: money, percentages, units, fractions and large numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from babel.numbers import get_currency_name
from babel.units import format_compound_unit, format_unit

from antiphon.pipeline.speech_text.language import Forms, Language
from antiphon.pipeline.speech_text.numbers import Numbers, Rule

_SIGNS = {
    "US$": "USD", "C$": "CAD", "CA$": "CAD", "A$": "AUD", "R$": "BRL", "$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY",
    "₹": "INR", "₩": "KRW", "₽": "RUB", "₺": "TRY", "₴": "UAH", "₪": "ILS", "zł": "PLN",
}  # fmt: skip
_CODES = "USD EUR GBP JPY CHF CAD AUD NZD CNY INR BRL MXN SEK NOK DKK PLN CZK HUF TRY KRW ZAR"

_UNITS: Mapping[str, str] = {
    "km": "length-kilometer", "m": "length-meter", "cm": "length-centimeter", "mm": "length-millimeter",
    "µm": "length-micrometer", "nm": "length-nanometer", "mi": "length-mile", "ft": "length-foot", "yd": "length-yard",
    "km²": "area-square-kilometer", "m²": "area-square-meter", "cm²": "area-square-centimeter", "ha": "area-hectare",
    "m³": "volume-cubic-meter", "cm³": "volume-cubic-centimeter", "l": "volume-liter", "L": "volume-liter",
    "ml": "volume-milliliter", "mL": "volume-milliliter", "cl": "volume-centiliter", "dl": "volume-deciliter",
    "gal": "volume-gallon", "kg": "mass-kilogram", "g": "mass-gram", "mg": "mass-milligram", "µg": "mass-microgram",
    "t": "mass-tonne", "lb": "mass-pound", "lbs": "mass-pound", "oz": "mass-ounce", "km/h": "speed-kilometer-per-hour",
    "kph": "speed-kilometer-per-hour", "mph": "speed-mile-per-hour", "m/s": "speed-meter-per-second",
    "m/s²": "acceleration-meter-per-square-second",
    "°C": "temperature-celsius", "℃": "temperature-celsius", "°F": "temperature-fahrenheit",
    "℉": "temperature-fahrenheit", "°": "angle-degree", "kB": "digital-kilobyte", "KB": "digital-kilobyte",
    "MB": "digital-megabyte", "GB": "digital-gigabyte", "TB": "digital-terabyte", "PB": "digital-petabyte",
    "Mbit/s": "digital-megabit/duration-second", "Mbps": "digital-megabit/duration-second",
    "Gbit/s": "digital-gigabit/duration-second", "Gbps": "digital-gigabit/duration-second",
    "MB/s": "digital-megabyte/duration-second", "GB/s": "digital-gigabyte/duration-second", "Hz": "frequency-hertz",
    "kHz": "frequency-kilohertz", "MHz": "frequency-megahertz", "GHz": "frequency-gigahertz", "W": "power-watt",
    "kW": "power-kilowatt", "MW": "power-megawatt", "GW": "power-gigawatt", "kWh": "energy-kilowatt-hour",
    "kcal": "energy-kilocalorie", "kJ": "energy-kilojoule", "V": "electric-volt", "mA": "electric-milliampere",
    "Ω": "electric-ohm", "hPa": "pressure-hectopascal", "kPa": "pressure-kilopascal", "dB": "decibel",
    "ms": "duration-millisecond", "µs": "duration-microsecond", "s": "duration-second", "sec": "duration-second",
    "min": "duration-minute", "h": "duration-hour", "hr": "duration-hour", "hrs": "duration-hour",
    "MP": "graphics-megapixel", "px": "graphics-pixel",
}  # fmt: skip


class Measures:
    """The amounts of one language."""

    def __init__(self, language: Language, numbers: Numbers) -> None:
        self._language = language
        self._numbers = numbers
        self._currencies = {code: self._currency(code) for code in {*_CODES.split(), *_SIGNS.values()}}
        self._units = {written: self._unit(name) for written, name in _UNITS.items()}
        for written in [written for written in _UNITS if written[-1] in "²³"]:
            power = written.replace("²", "^2").replace("³", "^3")
            self._units[power] = self._units[written]
        self._units |= language.counted
        self._per = rf"(?P<per>/(?:{_any_of(self._units)}|[^\W\d_]+)(?![\w^]))?"

    def range_rules(self) -> list[Rule]:
        """Return the rules for "$2-3 million", which come before the dash is read."""
        written = self._numbers.written
        pattern = rf"(?<!\w)({_any_of(_SIGNS)})\s?({written})\s?[-–—]\s?(?={written})"
        to = self._language.signs["–"]
        return [(re.compile(pattern), lambda match: f"{self._numbers.read(match[2])} {to} {match[1]}")]

    def rules(self) -> list[Rule]:
        """Return the rules, in order."""
        language = self._language
        number = rf"(?<![\w.,/])(?P<number>{self._numbers.written})"
        codes = _CODES.replace(" ", "|")
        signs = _any_of(_SIGNS)
        # A single letter after a space is a word or a name more often than a million.
        letters, words = _any_of(language.scales, longest=1), _any_of(language.scales, shortest=2)
        scale = rf"(?:(?P<letter>{letters})|\s?(?P<word>{words}))(?!\w)" if letters else rf"\s?(?P<word>{words})(?!\w)"
        scale_of_money = rf"\s?(?:(?P<letter>{letters or words})|(?P<word>{words}))(?![^\W\d])"
        rules: list[Rule] = [
            (
                re.compile(
                    rf"(?<!\w)(?P<sign>{signs}|(?:{codes})(?=\s?[0-9]))\s?(?P<number>{self._numbers.written})(?:{scale})?"
                    rf"{self._per}"
                ),
                self._money,
            ),
            (
                re.compile(rf"{number}(?:{scale_of_money})?\s?(?P<sign>{signs}|(?:{codes})\b)(?!\w){self._per}"),
                self._money,
            ),
        ]
        if language.code == "en":
            rules += [
                (re.compile(rf"{number}\s?¢"), lambda match: self._with_noun(match["number"], ("cent", "cents"), 1)),
                (re.compile(r"(?<![\w.,])([0-9]{1,2})['′]\s?([0-9]{1,2})(?:[\"″]|'')"), self._height),
                (re.compile(rf"{number}[\"″](?!\w)"), self._inches),
            ]
        fraction = (
            r"(?<![\w.,/])(?:(?P<whole>[0-9]+) )?(?P<above>[0-9]{1,3})/(?P<below>[0-9]{1,3})(?![\w/]|[.,][0-9])"
            rf"(?:\s{{0,2}}(?P<unit>{_any_of(self._units)})(?![\w^]))?"
        )
        return [
            *rules,
            (
                re.compile(rf"{number}\s?(?P<sign>[%‰])"),
                lambda match: f"{self._numbers.read(match['number'])} {language.signs[match['sign']]}",
            ),
            (
                re.compile(rf"{number}\s?(?P<unit>{_any_of(self._units)})(?![\w^])(?:\.(?= [0-9a-z]))?{self._per}"),
                self._measure,
            ),
            (re.compile(fraction), self._fraction),
            (re.compile(rf"{number}{scale}"), self._large),
        ]

    def _currency(self, code: str) -> Forms:
        known = self._language.currencies.get(code)
        if known is not None:
            return known
        locale = self._language.code
        return get_currency_name(code, 1, locale=locale), get_currency_name(code, 2, locale=locale)

    def _unit(self, name: str) -> Forms:
        known = self._language.units.get(name)
        if known is not None:
            return known
        unit, _, per = name.partition("/")
        forms = []
        for count in (1, 2):
            if per:
                said = format_compound_unit(
                    count, unit, denominator_unit=per, length="long", locale=self._language.code
                )
            else:
                said = format_unit(count, unit, "long", locale=self._language.code)
            forms.append((said or "").replace(str(count), "").strip())
        return forms[0], forms[1]

    def _gender(self, name: str) -> int:
        return 2 if name in self._language.feminine else 1

    def _with_noun(self, written: str, forms: Forms, gender: int) -> str:
        one = self._numbers.is_one(written)
        said = self._numbers.read(written, gender)
        whole, fraction = self._numbers.parts(written)
        million = whole >= 10**6 and whole % 10**6 == 0 and not fraction
        return f"{said} {self._of(forms[1]) if million else ''}{forms[0] if one else forms[1]}"

    def _of(self, noun: str) -> str:
        return self._language.of[noun[0].lower() in "aeiouhéêâ"]

    def _money(self, match: re.Match[str]) -> str:
        return f"{self._amount(match)}{self._each(match['per'])}"

    def _each(self, per: str | None) -> str:
        """Return the words for what is after an amount: "/kg", "/month"."""
        if per is None:
            return ""
        noun = per[1:]
        said = self._units[noun][0] if noun in self._units else self._language.periods.get(noun, noun)
        return f" {self._language.signs['per']} {said}"

    def _amount(self, match: re.Match[str]) -> str:
        sign = match["sign"].strip()
        code = _SIGNS.get(sign, sign)
        forms, gender = self._currencies[code], self._gender(code)
        scale = _scale(match)
        if scale is not None:
            exponent, _ = self._language.scales[scale]
            said = self._scaled(match)
            return f"{said} {self._of(forms[1]) if exponent >= 6 else ''}{forms[1]}"
        whole, fraction = self._numbers.parts(match["number"])
        cents = self._language.cents.get(code)
        if len(fraction) != 2 or cents is None:
            return self._with_noun(match["number"], forms, gender)
        money = self._with_noun(str(whole), forms, gender)
        hundredths = int(fraction)
        if not hundredths:
            return money
        unit = cents[hundredths != 1]
        if not whole:
            return f"{self._numbers.cardinal(hundredths, 1)} {unit}"
        said = self._numbers.cardinal(hundredths, 1)
        return self._language.money_with_cents.format(money=money, cents=said, unit=unit)

    def _measure(self, match: re.Match[str]) -> str:
        unit = match["unit"]
        name = _UNITS.get(unit.replace("^2", "²").replace("^3", "³"), unit)
        said = self._with_noun(match["number"], self._units[unit], self._gender(name))
        return f"{said}{self._each(match['per'])}"

    def _large(self, match: re.Match[str]) -> str | None:
        # "3B" is a flat more often than three billion.
        if match.groupdict().get("letter") not in (None, "k", "M") and not self._numbers.parts(match["number"])[1]:
            return None
        return self._scaled(match)

    def _scaled(self, match: re.Match[str]) -> str:
        scale = _scale(match) or ""
        exponent, forms = self._language.scales[scale]
        one = self._numbers.is_one(match["number"])
        if one and exponent == 3 and self._language.code != "en":
            return forms[0]  # "mille", not "un mille"
        german_million = self._language.code == "de" and exponent > 3
        return f"{self._numbers.read(match['number'], 2 if german_million else 1)} {forms[0] if one else forms[1]}"

    def _fraction(self, match: re.Match[str]) -> str | None:
        language, numbers = self._language, self._numbers
        whole, above, below = match["whole"], int(match["above"]), int(match["below"])
        forms = language.fractions.get(below)
        if forms is None and whole is None and above + below == 100:
            return f"{numbers.cardinal(above)} {numbers.cardinal(below)}"  # "80/20"
        if not 0 < above <= below or (forms is None and whole is not None) or match.group() in language.words:
            return None
        if forms is None or above == below:
            return f"{numbers.cardinal(above)} {language.signs['of']} {numbers.cardinal(below)}"
        if (above, below) == (1, 2):
            after_digit = "" if language.code == "de" else " "  # "zweieinhalb"
            gender = 1 if language.code == "de" else 0
            said = f"{numbers.read(whole, gender)}{after_digit}{language.and_half}" if whole else self._half(match)
        else:
            said = f"{numbers.cardinal(above, 1)} {forms[above != 1]}"
            said = f"{numbers.read(whole)} {language.signs['&']} {said}" if whole else said
        return f"{said} {self._units[match['unit']][whole is not None]}" if match["unit"] else said

    def _half(self, match: re.Match[str]) -> str:
        """Return the words for a half, which some languages say as an adjective: "media taza"."""
        noun = re.match(r"\s+([^\W\d_]{3,})", match.string[match.end() :])
        if self._language.half is None or (noun is None and not match["unit"]):
            return self._language.one_half
        if match["unit"]:
            feminine = self._gender(_UNITS.get(match["unit"], "")) == 2
        else:
            feminine = noun is not None and self._language.is_feminine(noun[1])
        return self._language.half[feminine]

    def _inches(self, match: re.Match[str]) -> str | None:
        quote = match.string.rfind('"', 0, match.start())
        if quote >= 0 and not match.string[max(quote - 1, 0) : quote].strip("( "):
            return None  # the end of a quotation
        return f"{self._numbers.read(match['number'])} inch"  # what follows is measured: "a 6-inch screen"

    def _height(self, match: re.Match[str]) -> str:
        feet, inches = int(match[1]), int(match[2])
        said = f"{self._numbers.cardinal(feet)} {'foot' if feet == 1 else 'feet'}"
        return f"{said} {self._numbers.cardinal(inches)}" if inches else said


def _scale(match: re.Match[str]) -> str | None:
    groups = match.groupdict()
    return groups.get("letter") or groups.get("word")


def _any_of(words: Iterable[str], *, shortest: int = 1, longest: int = 99) -> str:
    """Return a regular expression for any of the words that are so long, the longest first."""
    found = (word for word in words if shortest <= len(word) <= longest)
    return "|".join(re.escape(word) for word in sorted(found, key=len, reverse=True))
