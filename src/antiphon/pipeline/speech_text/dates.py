"""Reads dates, times and years."""

from __future__ import annotations

import re
from datetime import date

from babel.dates import get_day_names, get_month_names
from babel.units import format_unit

from antiphon.pipeline.speech_text.german_ordinals import words_before
from antiphon.pipeline.speech_text.language import Language
from antiphon.pipeline.speech_text.numbers import Numbers, Rule

_ISO = re.compile(r"(?<![\w./-])([0-9]{4})([-/.])([0-9]{2})\2([0-9]{2})(?![0-9/-])(?:T(?=[0-9]{2}:))?")
_DAY_FIRST = re.compile(r"(?<![\w./-])([0-9]{1,2})([.-])([0-9]{1,2})\2([0-9]{4})(?![\w/-])")
_DATIVE = re.compile(r"\b(?:am|vom|zum|dem|den|im|beim|bis|ab|seit)\s+\Z", re.IGNORECASE)
_ARTICLE = re.compile(r"\b(?:der|die|das)\s+\Z", re.IGNORECASE)


class Dates:
    """The dates and times of one language."""

    def __init__(self, language: Language, numbers: Numbers) -> None:
        self._language = language
        self._numbers = numbers
        names = get_month_names("wide", locale=language.code)
        short = get_month_names("abbreviated", locale=language.code)
        self._names: list[str] = [names[month] for month in range(1, 13)]
        self._months = {name.lower(): index for index, name in enumerate(self._names, 1)}
        self._months |= {short[month].rstrip(".").lower(): month for month in range(1, 13)}
        if language.code == "en":
            self._months["sept"] = 9
        one, more = (format_unit(count, "duration-second", "long", locale=language.code) for count in (1, 2))
        self._seconds = one.replace("1", "").strip(), more.replace("2", "").strip()

    def rules(self) -> list[Rule]:
        """Return the rules, in order."""
        slash = {"de": r"\. ?", "nl": "[-/]"}.get(self._language.code, "/")
        numeric = rf"(?<![\w./-])([0-9]{{1,2}}){slash}([0-9]{{1,2}}){slash}([0-9]{{4}}|[0-9]{{2}})(?![\w/-])"
        found: list[Rule] = [
            (_ISO, self._iso),
            (re.compile(numeric), self._numeric),
            (_DAY_FIRST, lambda match: self._date(int(match[4]), int(match[3]), int(match[1]), self._form(match))),
        ]
        if self._language.code == "en":
            decade = r"(?<![\w.,])['’]?((?:1[0-9]|20)[0-9]0|[2-9]0)['’]?s\b"
            found.append((re.compile(decade), self._decade))
        return [*found, *self._named(), *self._weekdays(), *self._times()]

    def year_rules(self) -> list[Rule]:
        """Return the rules for what is left when everything else that has numbers was read."""
        if not self._language.years:
            return []
        return [(re.compile(r"(?<![\w.,'’])([12][0-9]{3})(?![\w%]|[.,][0-9])"), self._year)]

    def _named(self) -> list[Rule]:
        """Return the rules for dates with the name of a month."""
        months = "|".join(sorted(map(re.escape, self._months), key=len, reverse=True))
        year = r"(?:,? ([0-9]{4})(?![0-9:]|[.,][0-9]))?"
        code = self._language.code
        day = r"(?<![\w.,:/-])([0-3]?[0-9])"
        first = r"(?<![\w.,:/-])1(?:er|º|°|o)?"
        if code == "en":
            until = r"(?:\s?[-–—]\s?([0-3]?[0-9])(?:st|nd|rd|th)?)?"
            month_day = rf"\b({months})\.? ([0-3]?[0-9])(?:st|nd|rd|th)?{until}(?![\w:%]|[.,/–-][0-9]){year}"
            day_month = rf"(?:\bthe )?{day}(?:st|nd|rd|th)? (?:of )?({months})\b\.?{year}"
            return [
                (re.compile(month_day, re.IGNORECASE), self._month_day),
                (re.compile(day_month, re.IGNORECASE), self._the_day_of_month),
            ]
        if code == "de":
            return [
                (re.compile(rf"{day}\. ?({months})\b{year}", re.IGNORECASE), self._german_day),
                (re.compile(rf"{day}\. ?(1[0-2]|0?[1-9])\.(?![0-9])"), self._german_day),
                (
                    re.compile(r"(?<![\w.,])([0-9]{2,4})er(?!\w)"),
                    lambda match: f"{self._numbers.year(int(match[1]))}er",
                ),
            ]
        if self._language.day == "first":
            pattern = re.compile(rf"{first}(?= (?:de )?(?:{months})\b)", re.IGNORECASE)
            return [(pattern, lambda _: self._numbers.speller.ordinal(1))]
        return []

    def _weekdays(self) -> list[Rule]:
        """Return the rule for "Mon–Fri"."""
        names = get_day_names("wide", locale=self._language.code)
        short = get_day_names("abbreviated", locale=self._language.code)
        days = {short[day].rstrip(".").lower(): names[day] for day in range(7)}
        any_day = rf"\b({'|'.join(days)})\b\.?"

        def said(match: re.Match[str]) -> str:
            return f"{days[match[1].lower()]} {self._language.signs['–']} {days[match[2].lower()]}"

        return [(re.compile(rf"{any_day}\s?[-–—]\s?{any_day}", re.IGNORECASE), said)]

    def _times(self) -> list[Rule]:
        language = self._language
        mark = rf"(?:\s?(?:{language.hour_mark})\b)" if language.hour_mark else ""
        hours, minutes = r"(?<![\w.,:/])(?P<h>[01]?[0-9]|2[0-4])", r"(?P<m>[0-5][0-9])"
        if language.code == "en":
            half = r"\s?(?P<half>[AaPp])(?:\.\s?[Mm]\.|[Mm]\b)"
            return [
                (re.compile(rf"{hours}(?:[:.]{minutes}(?::(?P<s>[0-5][0-9]))?)?{half}"), self._time),
                (re.compile(rf"{hours}:{minutes}(?::(?P<s>[0-5][0-9]))?(?![0-9:])(?:\s?h\b)?"), self._time),
            ]
        rules: list[Rule] = [
            (re.compile(rf"{hours}:{minutes}(?::(?P<s>[0-5][0-9]))?(?![0-9:]){mark}{'?' if mark else ''}"), self._time)
        ]
        if language.hour_separators == "h":
            rules.append((re.compile(rf"{hours}\s?h\s?{minutes}(?![0-9])(?:\s?min\b)?"), self._time))
        if language.code == "it":
            rules.append(
                (re.compile(rf"(?:(?<=\bore )|(?<=\balle )|(?<=\bdalle )){hours}\.{minutes}(?![0-9])"), self._time)
            )
        if language.hour_separators == ".":
            rules.append((re.compile(rf"{hours}\.{minutes}{mark}"), self._time))
        if "Uhr" in mark or "uur" in mark:
            rules.append((re.compile(rf"{hours}\s(?:Uhr|uur)\b(?:\s{minutes}(?![0-9]))?"), self._time))
        return rules

    def _iso(self, match: re.Match[str]) -> str | None:
        said = self._date(int(match[1]), int(match[3]), int(match[4]))
        return said and (f"{said}, " if match.group().endswith("T") else said)

    def _numeric(self, match: re.Match[str]) -> str | None:
        first, second, year = int(match[1]), int(match[2]), int(match[3])
        if len(match[3]) == 2:
            year += 2000 if year < 70 else 1900
        month, day = (first, second) if self._language.month_first and first <= 12 else (second, first)
        return self._date(year, month, day, self._form(match))

    def _form(self, match: re.Match[str]) -> int:
        """Return the form of a German ordinal: "dritten" after "am", "dritte" after "der", "dritter" alone."""
        before = words_before(match)
        return 1 if _DATIVE.search(before) else 0 if _ARTICLE.search(before) else 2

    def _date(self, year: int, month: int, day: int, form: int = 2) -> str | None:
        """Return the words for a date; None when there is no such day."""
        try:
            date(year, month, day)
        except ValueError:
            return None
        language = self._language
        spoken_day = self._day(day, form)
        said = language.date.format(day=spoken_day, month=self._names[month - 1])
        return language.date_year.format(date=said, year=self._numbers.year(year))

    def _day(self, day: int, form: int = 0) -> str:
        if self._language.day == "ordinal" or (self._language.day == "first" and day == 1):
            return self._numbers.speller.ordinal(day, form if self._language.code == "de" else 0)
        return self._numbers.cardinal(day)

    def _month_day(self, match: re.Match[str]) -> str | None:
        if not self._is_month(match[1]) or not 1 <= int(match[2]) <= 31:
            return None
        said = f"{self._name(match[1])} {self._day(int(match[2]))}"
        if match[3] is not None:
            said = f"{said} {self._language.signs['–']} {self._day(int(match[3]))}"
        return f"{said}, {self._numbers.year(int(match[4]))}" if match[4] else said

    def _the_day_of_month(self, match: re.Match[str]) -> str | None:
        if not self._is_month(match[2]) or not 1 <= int(match[1]) <= 31:
            return None
        said = f"the {self._day(int(match[1]))} of {self._name(match[2])}"
        return f"{said}, {self._numbers.year(int(match[3]))}" if match[3] else said

    def _german_day(self, match: re.Match[str]) -> str | None:
        if not 1 <= int(match[1]) <= 31:
            return None
        form = self._form(match)
        name = self._names[int(match[2]) - 1] if match[2].isdigit() else self._name(match[2])
        said = f"{self._day(int(match[1]), form)} {name}"
        year = match[3] if match.lastindex == 3 else None
        return f"{said} {self._numbers.year(int(year))}" if year else said

    def _is_month(self, written: str) -> bool:
        return written[0].isupper()  # "may" and "mar" are words too

    def _name(self, written: str) -> str:
        return self._names[self._months[written.lower()] - 1]

    def _year(self, match: re.Match[str]) -> str | None:
        number = int(match[1])
        return self._numbers.year(number) if number in self._language.years else None

    def _decade(self, match: re.Match[str]) -> str:
        decade = int(match[1])
        said = self._numbers.year(decade) if decade >= 1100 else self._numbers.cardinal(decade)
        return said[:-1] + "ies" if said.endswith("y") else said + "s"

    def _time(self, match: re.Match[str]) -> str:
        language, groups = self._language, match.groupdict()
        hours, minutes = int(groups["h"]), int(groups.get("m") or 0)
        h, m = self._numbers.cardinal(hours, language.hour_gender), self._numbers.cardinal(minutes)
        if language.code == "en" and 0 < minutes < 10:
            m = f"oh {m}"
        full, partly = language.hour, language.hour_minutes
        if hours == 1 and language.one_o_clock:
            full, partly = language.one_o_clock
        if language.code == "en" and (hours > 12 or hours == 0 or groups.get("half")):
            full = "{h}" if groups.get("half") else "{h} hundred"
        said = (partly if minutes else full).format(h=h, m=m)
        if seconds := int(groups.get("s") or 0):
            noun = self._seconds[seconds != 1]
            said = f"{said} {language.signs['&']} {self._numbers.cardinal(seconds, 2)} {noun}"
        if not groups.get("half"):
            return said
        stop = "" if match.string[match.end() : match.end() + 1] == "." else "."
        return f"{said} {groups['half'].upper()}.M{stop}"
