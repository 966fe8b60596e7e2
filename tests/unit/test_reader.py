"""Numbers, money, dates, signs and abbreviations as words, in every language that is written out."""

from __future__ import annotations

from functools import cache

import pytest

from antiphon.pipeline.speech_text.languages import LANGUAGES
from antiphon.pipeline.speech_text.reader import Reader
from antiphon.pipeline.spoken_text import spoken_text


@cache
def reader(language: str) -> Reader:
    return Reader(LANGUAGES[language])


def read(language: str, text: str) -> str:
    return spoken_text(text, reader(language)).text


ENGLISH = [
    ("That is $3.14 in total.", "That is three dollars and fourteen cents in total."),
    (
        "5 €, £2m, 1,250.50 USD",
        "five euros, two million pounds, one thousand two hundred fifty dollars and fifty cents",
    ),
    ("-$5, $0.05, £1.01, ¥5,000", "minus five dollars, five cents, one pound and one penny, five thousand yen"),
    ("$1,000,000 and $1.5 billion", "one million dollars and one point five billion dollars"),
    ("Between $5 and $10.", "Between five dollars and ten dollars."),
    ("at 7:30, 14:05 or 10:30 a.m. today", "at seven thirty, fourteen oh five or ten thirty A.M. today"),
    ("12:00, 9am–5pm", "twelve o'clock, nine A.M. to five P.M."),
    ("on 2026-11-21", "on November twenty-first, twenty twenty-six"),
    ("on Jan. 3, 2025 or 03/04/1999", "on January third, twenty twenty-five or March fourth, nineteen ninety-nine"),
    ("on 5 May or the 4th of July", "on the fifth of May or the fourth of July"),
    (
        "120 km/h for 3 km at -5 °C",
        "one hundred twenty kilometers per hour for three kilometers at minus five degrees Celsius",
    ),
    (
        "1 kg, 2.5 kg, 16 GB, 70°F, 5 m²",
        "one kilogram, two point five kilograms, sixteen gigabytes, seventy degrees Fahrenheit, five square meters",
    ),
    ("+1 555 123 4567", "plus one, five five five, one two three, four five six seven"),
    (
        "555-0199 or (415) 555-2671",
        "five five five, zero one nine nine or four one five, five five five, two six seven one",
    ),
    ("The code is 847291.", "The code is eight four seven, two nine one."),
    ("Python 3.11.2 or v2.0", "Python three point eleven point two or version two point zero"),
    ("john.doe@example.com or example.com/docs", "john dot doe at example dot com or example dot com slash docs"),
    ("https://www.example.com/a?b=1", "example dot com"),
    ("the 21st of 1,000,000 in 1999", "the twenty-first of one million in nineteen ninety-nine"),
    ("i.e. 3/4 or 12.5%, 2½", "that is three quarters or twelve point five percent, two and a half"),
    ("pages 10-15, e.g. No. 5, etc.", "pages ten to fifteen, for example number five, et cetera."),
    (
        "1990–1995, 5–10 km, the 1990s",
        "nineteen ninety to nineteen ninety-five, five to ten kilometers, the nineteen nineties",
    ),
    ("Dr. Smith vs. Mr. Jones & co.", "Doctor Smith versus Mister Jones and co."),
    ("2 + 2 = 4 and 5 - 3 = 2", "two plus two equals four and five minus three equals two"),
    ("x² ≈ 3 × 4", "x squared about three times four"),
    (r"Energy is $E = mc^2$.", "Energy is E equals mc squared."),
    (r"So \(\frac{1}{2} \times \pi\).", "So one half times pi."),
    ("A4, COVID-19, GPT-4, 3D", "A four, COVID nineteen, GPT four, three D"),
    ("1.2M users, 3k stars", "one point two million users, three thousand stars"),
    ("6'2\" tall", "six feet two tall"),
    ("1. First\n", "one. First."),
    ("| Item | Price |\n|---|---|\n| Tea | $3 |\n", "Item, Price. Tea, three dollars."),
    ("The U.S. Army and NASA", "The U.S. Army and NASA"),
    ("don't", "don't"),
    ("007 and 0.5 and .5", "zero zero seven and zero point five and point five"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "spoken"), ENGLISH)
def test_english(text: str, spoken: str) -> None:
    assert read("en", text) == spoken
