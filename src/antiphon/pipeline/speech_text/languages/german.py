"""German."""

from __future__ import annotations

from antiphon.pipeline.speech_text.language import Language

GERMAN = Language(
    code="de",
    decimal=",",
    point="Komma",
    cardinals=("spellout-numbering", "spellout-cardinal-masculine", "spellout-cardinal-feminine"),
    ordinals=("spellout-ordinal", "spellout-ordinal-n", "spellout-ordinal-r"),
    signs={
        "-": "minus", "+": "plus", "–": "bis", ":": "zu", "%": "Prozent", "‰": "Promille", "&": "und", "=": "gleich",
        "×": "mal", "÷": "geteilt durch", "±": "plus minus", "≈": "ungefähr", "~": "etwa", "<": "kleiner als",
        ">": "größer als", "≤": "höchstens", "≥": "mindestens", "≠": "ungleich", "@": "at", "/": "Schrägstrich",
        ".": "Punkt", "_": "Unterstrich", "#": "Hashtag", "№": "Nummer", "°": "Grad", "§": "Paragraf", "→": "nach",
        "√": "Wurzel aus", "∞": "unendlich", "^": "hoch", "²": "zum Quadrat", "³": "hoch drei", "©": "Copyright",
        "π": "Pi",
        "over": "durch", "x": "mal", "dash": "Strich", "of": "von", "per": "pro", "version": "Version",
    },
    words={
        "24/7": "vierundzwanzig sieben", "Dr. med.": "Doktor",
        "z. B.": "zum Beispiel", "z.B.": "zum Beispiel", "d. h.": "das heißt", "d.h.": "das heißt",
        "u. a.": "unter anderem", "u.a.": "unter anderem", "usw.": "und so weiter", "etc.": "et cetera",
        "bzw.": "beziehungsweise", "ca.": "zirka", "ggf.": "gegebenenfalls", "vgl.": "vergleiche",
        "evtl.": "eventuell",
        "inkl.": "inklusive", "zzgl.": "zuzüglich", "bspw.": "beispielsweise", "sog.": "sogenannt",
        "u. U.": "unter Umständen",
        "z. T.": "zum Teil", "z.T.": "zum Teil", "s. o.": "siehe oben", "max.": "maximal", "min.": "mindestens",
        "Str.": "Straße", "Tel.": "Telefon", "Std.": "Stunden", "und/oder": "und oder",
    },
    titles={"Dr.": "Doktor", "Prof.": "Professor", "Hr.": "Herr", "Fr.": "Frau", "St.": "Sankt", "Dipl.": "Diplom"},
    numbered={
        "Nr.": "Nummer", "S.": "Seite", "Abs.": "Absatz", "Art.": "Artikel", "Kap.": "Kapitel", "Bd.": "Band",
        "Abb.": "Abbildung", "#": "Nummer",
    },
    scales={
        "Tsd.": (3, ("tausend", "tausend")), "Mio.": (6, ("Million", "Millionen")),
        "Mio": (6, ("Million", "Millionen")),
        "Million": (6, ("Million", "Millionen")), "Millionen": (6, ("Million", "Millionen")),
        "Mrd.": (9, ("Milliarde", "Milliarden")), "Mrd": (9, ("Milliarde", "Milliarden")),
        "Milliarde": (9, ("Milliarde", "Milliarden")), "Milliarden": (9, ("Milliarde", "Milliarden")),
        "Billion": (12, ("Billion", "Billionen")), "Billionen": (12, ("Billion", "Billionen")),
    },
    currencies={
        "EUR": ("Euro", "Euro"), "USD": ("Dollar", "Dollar"), "GBP": ("Pfund", "Pfund"), "JPY": ("Yen", "Yen"),
        "CHF": ("Franken", "Franken"), "INR": ("Rupie", "Rupien"), "CNY": ("Yuan", "Yuan"),
    },
    cents={
        "EUR": ("Cent", "Cent"), "USD": ("Cent", "Cent"), "GBP": ("Penny", "Pence"), "CHF": ("Rappen", "Rappen"),
    },
    money_with_cents="{money} {cents}",
    fractions={
        2: ("Halb", "Halbe"), 3: ("Drittel", "Drittel"), 4: ("Viertel", "Viertel"), 5: ("Fünftel", "Fünftel"),
        6: ("Sechstel", "Sechstel"), 8: ("Achtel", "Achtel"),
    },
    one_half="ein halb",
    and_half="einhalb",
    date="{day} {month}",
    date_year="{date} {year}",
    day="ordinal",
    hour="{h} Uhr",
    hour_minutes="{h} Uhr {m}",
    ordinal_suffixes={},
    years=range(1100, 2000),
    feminine=frozenset({
        "mass-tonne", "length-mile", "mass-ounce", "duration-hour", "duration-minute", "duration-second",
        "energy-kilowatt-hour", "duration-millisecond", "power-horsepower", "energy-kilocalorie", "volume-gallon",
        "INR", "SEK", "NOK", "DKK", "CZK",
    }),
    hour_gender=1,
    hour_mark="Uhr|h",
    hour_separators=".",
    counted={
        "TL": ("Teelöffel", "Teelöffel"), "EL": ("Esslöffel", "Esslöffel"), "Std": ("Stunde", "Stunden"),
        "Std.": ("Stunde", "Stunden"), "Min.": ("Minute", "Minuten"), "Sek.": ("Sekunde", "Sekunden"),
    },
    many_times="mal",
    feminine_nouns=(
        r"(?!(?:Name|Käse|Kunde|Junge|Buchstabe|Gedanke|Kollege|Auge|Ende|Interesse|Gebäude|Jahre|Tage|Monate|Prozente|"
        r"Punkte|Teile|Plätze)\b)(?:[A-ZÄÖÜ][a-zäöüß]*(?:e|ung|heit|keit|schaft|tion|sion|tät|ik|ur|enz|anz|ie)|Nacht|Stadt|"
        r"Saison|(?:Bundes)?[Ll]iga|Form|Zahl|Art|Person|Hand|Frau|Mutter|Tochter|Million)\b"
    ),
    half=("ein halber", "eine halbe"),
    units={"decibel": ("Dezibel", "Dezibel")},
)  # fmt: skip
