"""Numbers, money, dates, signs and abbreviations as words, in every language that is written out."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.engines.base import Voice
from antiphon.engines.stand_in import StandInSynthesizer
from antiphon.pipeline.reading import load_readers, reader_for, reading_language
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
    ("10:30-11:45 or 9-5pm", "ten thirty to eleven forty-five or nine to five P.M."),
    ("24/7, 9/11, 7/10", "twenty-four seven, nine eleven, seven out of ten"),
    ("flat 3B, 1.5B users, 7B", "flat three B, one point five billion users, seven B"),
    ("C# and C++", "C sharp and C plus plus"),
    ("250 kcal/serving", "two hundred fifty kilocalories per serving"),
    ("a 6.1\" screen, the \"Top 5\"", "a six point one inch screen, the \"Top five\""),
    ("1-800-555-0199", "one, eight zero zero, five five five, zero one nine nine"),
    ("747-8, 10 000, +5%", "seven hundred forty-seven eight, ten thousand, plus five percent"),
    ("$2-3 million, FY2024", "two to three million dollars, FY twenty twenty-four"),
    ("3.30pm, 80/20, 2024/25", "three thirty P.M., eighty twenty, twenty twenty-four twenty-five"),
    ("and/or, he/she", "and or, he slash she"),
    ("10/3 and 3:2", "ten over three and three to two"),
    ("007 and 0.5 and .5", "zero zero seven and zero point five and point five"),
    ("221B Baker St., 5th St. N.", "two two one B Baker Street, fifth Street N."),
    ("He lived at 221B Baker St. in London.", "He lived at two two one B Baker Street in London."),
    ("Go to 12 Elm Dr. Then call Dr. Elm.", "Go to twelve Elm Drive. Then call Doctor Elm."),
    ("on Baker St.", "on Baker Street."),
    ("Main St. near St. Paul's in St. Louis.", "Main Street near Saint Paul's in Saint Louis."),
    ("St. Mary was in St. Louis. St. Mary prays.", "Saint Mary was in Saint Louis. Saint Mary prays."),
    ("Mr. and Mrs. Jones, Springfield, IL 62704", "Mister and Missus Jones, Springfield, IL six two seven zero four"),
    ("at 10:00:00Z or 12:30:45", "at ten o'clock UTC or twelve thirty and forty-five seconds"),
    ("2026-11-21T14:30:00Z", "November twenty-first, twenty twenty-six, fourteen thirty UTC"),
    ("2026-11-21T14:30:00.5-05:00", "November twenty-first, twenty twenty-six, fourteen thirty UTC minus five"),
    ("~5 minutes, ~$20, (~-3 °C)", "about five minutes, about twenty dollars, (about minus three degrees Celsius)"),
    ("about ~100", "about one hundred"),
    (
        "$19.99/month, $5/mo, €10/kg, $10K",
        "nineteen dollars and ninety-nine cents per month, five dollars per month, ten euros per kilogram, "
        "ten thousand dollars",
    ),
    ("€1.5 million–€2 million", "one point five million euros to two million euros"),
    ("1/2 tsp, 2–3 tbsp, 45 mins", "one half teaspoon, two to three tablespoons, forty-five minutes"),
    ("2–3x faster", "two to three times faster"),
    ("3x² - 2x", "three x squared minus two x"),
    ("1920x1080, 2x4", "nineteen twenty by one thousand eighty, two by four"),
    ("Qwen2.5-7B, 2.0.1-beta.3", "Qwen two point five seven B, two point zero point one-beta dot three"),
    ("1.5e-3 and 1e6", "one point five times ten to the power of minus three and one times ten to the power of six"),
    ("March 3-5, 2024; Jan 2–4", "March third to fifth, twenty twenty-four; January second to fourth"),
    ("2024/12/25", "December twenty-fifth, twenty twenty-four"),
    ("on 25.12.2024", "on December twenty-fifth, twenty twenty-four"),
    ("the 1800s–1900s", "the eighteen hundreds to nineteen hundreds"),
    ("ls -l --help in ~/notes, ./run.sh", "ls dash l dash dash help in slash notes, slash run dot sh"),
    ("A/B tests, 4.5/5, A => B", "A B tests, four point five out of five, A to B"),
    ("192.168.1.1:8080, localhost:3000", "one hundred ninety-two dot one hundred sixty-eight dot one dot one, "
     "eight thousand eighty, localhost: three thousand"),
    ("3 hrs. 20 min.", "three hours twenty minutes."),
    (r"$\int_0^1 x dx$", "integral zero to one x dx"),
    ("1. One\n2) Two\n", "one. One. two. Two."),
    ("So it is.[1][2] Really[3].", "So it is. Really."),
    ("1.234,56 €", "one thousand two hundred thirty-four euros and fifty-six cents"),
    ("Mon–Fri 9–17, 50-50", "Monday to Friday nine to seventeen, fifty fifty"),
    ("3 ft. 5 in. wide, 12'6\", 9.8 m/s²", "three feet five inches wide, twelve feet six, nine point eight meters per "
     "second squared"),
    ("order #A12-3456, $.50 :)", "order number A twelve three four five six, fifty cents"),
    ("Step 1: **5–10 min** at 350°F 👍🏽", "Step one: five to ten minutes at three hundred fifty degrees Fahrenheit"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "spoken"), ENGLISH)
def test_english(text: str, spoken: str) -> None:
    assert read("en", text) == spoken


OTHERS = [
    (
        "de",
        "Das kostet 3,14 € oder 1.250 EUR.",
        "Das kostet drei Euro vierzehn oder eintausendzweihundertfünfzig Euro.",
    ),
    ("de", "2 Mio. € und 1 €", "zwei Millionen Euro und ein Euro"),
    ("de", "Um 14:05 Uhr, 7:30 und 1:00 Uhr.", "Um vierzehn Uhr fünf, sieben Uhr dreißig und ein Uhr."),
    ("de", "Am 3. Mai 2025, der 21. Oktober", "Am dritten Mai zweitausendfünfundzwanzig, der einundzwanzigste Oktober"),
    ("de", "vom 1.5.1999", "vom ersten Mai neunzehnhundertneunundneunzig"),
    ("de", "3 km, -5 °C, 1 t, 12,5 %", "drei Kilometer, minus fünf Grad Celsius, eine Tonne, zwölf Komma fünf Prozent"),
    ("de", "z. B. Nr. 5, d.h. ca. 10 usw.", "zum Beispiel Nummer fünf, das heißt zirka zehn und so weiter."),
    ("de", "Der 2. Platz im 19. Jahrhundert", "Der zweite Platz im neunzehnten Jahrhundert"),
    ("de", "1.000.000 Menschen, 3.14", "eine Million Menschen, drei Komma eins vier"),
    ("de", "2½ m² und 3/4", "zweieinhalb Quadratmeter und drei Viertel"),
    ("de", "Am 24.12. von 8-17 Uhr", "Am vierundzwanzigsten Dezember von acht bis siebzehn Uhr"),
    ("de", "Ca. 2,5-mal in den 1990er Jahren", "Zirka zwei Komma fünf mal in den neunzehnhundertneunziger Jahren"),
    ("de", "0171 1234567", "null eins sieben eins, eins zwei drei vier fünf sechs sieben"),
    ("fr", "Ça coûte 3,14 € ou 2 M€.", "Ça coûte trois euros quatorze ou deux millions d'euros."),
    ("fr", "À 14h05, 1h15 et 14 h.", "À quatorze heures cinq, une heure quinze et quatorze heures."),
    ("fr", "le 1er juin, le 3 mai 1999", "le premier juin, le trois mai mille neuf cent quatre-vingt-dix-neuf"),
    ("fr", "21/11/2026, la 2e fois", "vingt-et-un novembre deux mille vingt-six, la deuxième fois"),
    ("fr", "M. Dupont, n° 5, p. ex. 12,5 %", "Monsieur Dupont, numéro cinq, par exemple douze virgule cinq pour cent"),
    ("fr", "1 000 000 de gens, 120 km/h", "un million de gens, cent vingt kilomètres par heure"),
    ("es", "Cuesta 3,14 € o 1.000.000 €.", "Cuesta tres euros con catorce o un millón de euros."),
    ("es", "a la 1:15, a las 14:05 h", "a la una y quince, a las catorce y cinco"),
    ("es", "el 3 de mayo de 2025, la 2ª", "el tres de mayo de dos mil veinticinco, la segunda"),
    ("es", "El Sr. García, p. ej. 21 km", "El señor García, por ejemplo veintiún kilómetros"),
    ("it", "Costa 3,14 € o 2 milioni di euro.", "Costa tre euro e quattordici o due milioni di euro."),
    ("it", "alle 7:30, il 1 giugno 1999", "alle sette e trenta, il primo giugno millenovecentonovantanove"),
    ("it", "Il Sig. Rossi, ad es. 12,5%", "Il signor Rossi, ad esempio dodici virgola cinque per cento"),
    ("pt", "Custa R$ 3,14 ou 5 €.", "Custa três reais e catorze centavos ou cinco euros."),
    ("pt", "às 14h05, 1º de junho", "às catorze e cinco, primeiro de junho"),
    ("pt", "O Sr. Silva, 120 km/h", "O senhor Silva, cento e vinte quilômetros por hora"),
    ("nl", "Het kost € 3,14 of € 2 mln.", "Het kost drie euro veertien of twee miljoen euro"),
    ("nl", "om 14.05 uur, 21-11-2026", "om veertien uur vijf, eenentwintig november tweeduizendzesentwintig"),
    ("nl", "dhr. Jansen, bijv. 3 km", "de heer Jansen, bijvoorbeeld drie kilometer"),
    ("de", "in der 21. Sitzung, der 1. Platz", "in der einundzwanzigsten Sitzung, der erste Platz"),
    ("de", "das Protokoll der 21. Sitzung", "das Protokoll der einundzwanzigsten Sitzung"),
    ("de", "am 3. Mai, im 19. Jahrhundert, zum 1. Mal", "am dritten Mai, im neunzehnten Jahrhundert, zum ersten Mal"),
    (
        "de",
        "des 20. Jahrhunderts, seinem 18. Geburtstag",
        "des zwanzigsten Jahrhunderts, seinem achtzehnten Geburtstag",
    ),
    ("de", "ein 3. Versuch, eine 2. Chance", "ein dritter Versuch, eine zweite Chance"),
    ("de", "die 3. und 4. Stunde, am 3. und 4. Mai", "die dritte und vierte Stunde, am dritten und vierten Mai"),
    ("de", "Heute ist der 21.11.1999.", "Heute ist der einundzwanzigste November neunzehnhundertneunundneunzig."),
    ("de", "10:00:00Z, ~20 €, 5 €/Monat", "zehn Uhr UTC, etwa zwanzig Euro, fünf Euro pro Monat"),
    (
        "de",
        "1 Woche, 1 Mann, ½ Tasse, 1/2 TL, 1½ l",
        "eine Woche, ein Mann, eine halbe Tasse, ein halber Teelöffel, eineinhalb Liter",
    ),
    ("de", "5x täglich, 1,234.56 USD", "fünf mal täglich, eintausendzweihundertvierunddreißig Dollar sechsundfünfzig"),
    (
        "fr",
        "10:00:00Z, ~20 €, 5 €/mois, 9h-17h30",
        "dix heures UTC, environ vingt euros, cinq euros par mois, neuf heures à dix-sept heures trente",
    ),
    (
        "fr",
        "1 heure, 1 an, 2x plus, ½ tasse, 25.12.1999",
        "une heure, un an, deux fois plus, une demi tasse, vingt-cinq décembre mille neuf cent quatre-vingt-dix-neuf",
    ),
    ("es", "10:00:00Z, ~20 €, 5 €/h", "diez UTC, aproximadamente veinte euros, cinco euros por hora"),
    (
        "es",
        "1 hora, 21 personas, 200 veces, 1 día, ½ taza",
        "una hora, veintiuna personas, doscientas veces, un día, media taza",
    ),
    ("es", "el 1 de enero, $1,234.56", "el uno de enero, mil doscientos treinta y cuatro dólares con cincuenta y seis"),
    (
        "it",
        "10:00:00Z, ~20 €, alle 14.30, Sig.ra Bianchi",
        "dieci UTC, circa venti euro, alle quattordici e trenta, signora Bianchi",
    ),
    ("it", "1 ora, ½ tazza, 06 1234567", "una ora, mezza tazza, zero sei, uno due tre quattro cinque sei sette"),
    (
        "pt",
        "10:00:00Z, ~R$ 20, R$ 5/mês, 9h–17h",
        "dez horas UTC, cerca de vinte reais, cinco reais por mês, nove horas a dezessete horas",
    ),
    (
        "pt",
        "2 horas, 1 dia, (11) 91234-5678",
        "duas horas, um dia, um um, nove um dois três quatro, cinco seis sete oito",
    ),
    (
        "nl",
        "10:00:00Z, ~€ 20, € 5/u, 100 km/u",
        "tien uur UTC, ongeveer twintig euro, vijf euro per uur, honderd kilometer per uur",
    ),
    (
        "de",
        "Mo.–Fr. in der Hauptstr. 12a, §§ 3–5",
        "Montag bis Freitag in der Hauptstraße zwölf a, Paragraf drei bis fünf",
    ),
    (
        "fr",
        "M. et Mme Dupont, 06.12.34.56.78, 20 h 15 min",
        "Monsieur et Madame Dupont, zéro six, un deux, trois quatre, cinq six, sept huit, vingt heures quinze",
    ),
    ("es", "C/ Mayor, lun–vie 24/7", "calle Mayor, lunes a viernes veinticuatro siete"),
    ("nl", "€ 5,-", "vijf euro"),
    ("nl", "2x sneller, 06-12345678", "twee keer sneller, nul zes, een twee drie vier vijf zes zeven acht"),
]


@pytest.mark.parametrize(("language", "text", "spoken"), OTHERS)
def test_other_languages(language: str, text: str, spoken: str) -> None:
    assert read(language, text) == spoken


FRAGMENTS = (
    "Hello $3.14 5 € 1.250,50 7:30 14:05 2026-11-21 3. Mai 1/2 2½ x² 10-15 3.1.2 +1 555 123 4567 007 e.g. z. B. & "
    "% km/h -5 °C ~5 ~$3 10:00:00Z 2026-11-21T14:30:00+02:00 21. St. Dr. der und 2x 1920x1080 1e6 v1.2.3:80 [1] /a ./b "
    "5/kg $5/mo 3) A4 B2B 1st 2nd 1990s #5 a@b.c https://x.com/1 $x^2$ **7** `9` 😀 你好 3天 ٣ ① ⅷ 12345678901234567"
)
TEXTS = st.lists(st.sampled_from(FRAGMENTS.split(" ")) | st.text(max_size=4), max_size=12).map(" ".join) | st.text(
    "0123456789.,:/-–+^*$€£%°'\"()[]#@ \nkmhMaps²½٣¹", max_size=30
)


@given(TEXTS, st.sampled_from(sorted(LANGUAGES)))
def test_any_text_is_read_without_digits_and_keeps_the_way_back(text: str, language: str) -> None:
    spoken = spoken_text(text, reader(language))
    assert not any(map(str.isdigit, spoken.text))
    assert not spoken.text or any(map(str.isalnum, spoken.text))
    assert "http" not in spoken.text
    assert "\\" not in spoken.text
    assert "  " not in spoken.text
    assert spoken.text == spoken.text.strip()
    assert len(spoken.starts) == len(spoken.ends) == len(spoken.text)
    assert list(spoken.starts) == sorted(spoken.starts)
    assert list(spoken.ends) == sorted(spoken.ends)
    assert all(0 <= start <= end <= len(text) for start, end in zip(spoken.starts, spoken.ends, strict=True))


@pytest.mark.parametrize(
    "mark",
    [
        "1",
        "1,",
        "1.",
        "1 ",
        "1-",
        "1:",
        "a1",
        "$",
        "$1",
        "a.",
        "a@",
        "(",
        "^",
        "x^",
        "1/",
        "0 ",
        "St. ",
        "A St. ",
        "1. ",
        "und 1. ",
        "1x ",
        "1e",
        "~1",
        "./a",
        "--a ",
        "/1",
        "1 a ",
        "[1]",
        "1.1",
    ],
)
@pytest.mark.parametrize("language", ["en", "de", "fr"])
def test_long_runs_take_no_time(mark: str, language: str) -> None:
    read(language, mark * 2000)  # would run into the test's timeout


def test_digits_of_a_language_that_is_not_known_are_left() -> None:
    assert spoken_text("Dr. Smith paid $3.14.").text == "Dr. Smith paid $3.14."


class Polyglot(StandInSynthesizer):
    voices = (Voice("en", "", ("en",)), Voice("all", "", ("de", "pl", "en-GB")), Voice("pl", "", ("pl",)), Voice("any"))


class Literate(Polyglot):
    reads_numbers = True


@pytest.mark.parametrize(
    ("voice", "conversation", "language"),
    [
        (None, None, "en"),
        (None, "de", "en"),
        ("en", "de", "en"),
        ("all", "de", "de"),
        ("all", "en", "en"),
        ("all", "pl", None),
        ("all", "fr", None),
        ("all", None, None),
        ("pl", "en", None),
        ("any", "en", None),
        ("unknown", "en", None),
    ],
)
def test_the_language_is_the_voices(voice: str | None, conversation: str | None, language: str | None) -> None:
    assert reading_language(Polyglot(60.0), voice, conversation) == language
    assert reading_language(Literate(60.0), voice, conversation) is None


async def test_readers_are_made_once() -> None:
    await load_readers(Polyglot(60.0))
    english = await reader_for(Polyglot(60.0), "en", None)
    assert english is not None
    assert english is await reader_for(Polyglot(60.0), "all", "en")
    assert await reader_for(Polyglot(60.0), "any", "en") is None
