"""English."""

from __future__ import annotations

from antiphon.pipeline.speech_text.language import Language

ENGLISH = Language(
    code="en",
    decimal=".",
    point="point",
    cardinals=("spellout-numbering", "spellout-cardinal", "spellout-cardinal"),
    ordinals=("spellout-ordinal",),
    signs={
        "-": "minus", "+": "plus", "–": "to", ":": "to", "%": "percent", "‰": "per mille", "&": "and", "=": "equals",
        "×": "times", "x": "by", "÷": "divided by", "±": "plus or minus", "≈": "about", "~": "about", "<": "less than",
        ">": "greater than", "≤": "at most", "≥": "at least", "≠": "is not", "@": "at", "/": "slash", ".": "dot",
        "_": "underscore", "#": "hashtag", "№": "number", "°": "degrees", "§": "section", "→": "to",
        "√": "square root of", "∞": "infinity",
        "^": "to the power of", "²": "squared", "³": "cubed", "©": "copyright", "π": "pi", "over": "over",
        "dash": "dash", "of": "out of", "per": "per",
        "version": "version",
    },
    words={
        "24/7": "twenty-four seven", "9/11": "nine eleven", "20/20": "twenty twenty", "C#": "C sharp",
        "C++": "C plus plus",
        "e.g.": "for example", "i.e.": "that is", "etc.": "et cetera", "vs.": "versus", "vs": "versus",
        "approx.": "approximately", "cf.": "compare", "w/o": "without", "w/": "with", "and/or": "and or",
        "Jr.": "Junior", "Mr.": "Mister", "Mrs.": "Missus", "Ms.": "Miz",
        "Sr.": "Senior", "dept.": "department", "esp.": "especially", "incl.": "including", "est.": "established",
        "Ave.": "Avenue", "Blvd.": "Boulevard", "Rd.": "Road", "Inc.": "Incorporated", "Ltd.": "Limited",
        "Corp.": "Corporation",
    },
    titles={
        "Dr.": "Doctor", "Prof.": "Professor", "St.": "Saint",
        "Mt.": "Mount", "Gen.": "General", "Col.": "Colonel", "Capt.": "Captain", "Lt.": "Lieutenant",
        "Sgt.": "Sergeant", "Gov.": "Governor", "Sen.": "Senator", "Rep.": "Representative", "Rev.": "Reverend",
        "Hon.": "Honorable", "Pres.": "President",
    },
    numbered={
        "No.": "number", "no.": "number", "Nos.": "numbers", "Fig.": "figure", "fig.": "figure", "Vol.": "volume",
        "vol.": "volume", "Ch.": "chapter", "ch.": "chapter", "p.": "page", "pp.": "pages", "Sec.": "section",
        "sec.": "section", "Art.": "article", "Eq.": "equation", "eq.": "equation", "#": "number",
        "Apt.": "apartment",
    },
    scales={
        "k": (3, ("thousand", "thousand")), "K": (3, ("thousand", "thousand")),
        "thousand": (3, ("thousand", "thousand")),
        "m": (6, ("million", "million")), "M": (6, ("million", "million")), "mn": (6, ("million", "million")),
        "mio": (6, ("million", "million")), "million": (6, ("million", "million")),
        "b": (9, ("billion", "billion")), "B": (9, ("billion", "billion")), "bn": (9, ("billion", "billion")),
        "billion": (9, ("billion", "billion")), "tn": (12, ("trillion", "trillion")),
        "T": (12, ("trillion", "trillion")), "trillion": (12, ("trillion", "trillion")),
    },
    currencies={
        "USD": ("dollar", "dollars"), "EUR": ("euro", "euros"), "GBP": ("pound", "pounds"), "JPY": ("yen", "yen"),
        "INR": ("rupee", "rupees"), "KRW": ("won", "won"), "CNY": ("yuan", "yuan"),
    },
    cents={
        "USD": ("cent", "cents"), "EUR": ("cent", "cents"), "GBP": ("penny", "pence"), "CAD": ("cent", "cents"),
        "AUD": ("cent", "cents"), "INR": ("paisa", "paise"),
    },
    money_with_cents="{money} and {cents} {unit}",
    fractions={
        2: ("half", "halves"), 3: ("third", "thirds"), 4: ("quarter", "quarters"), 5: ("fifth", "fifths"),
        6: ("sixth", "sixths"), 7: ("seventh", "sevenths"), 8: ("eighth", "eighths"), 9: ("ninth", "ninths"),
        16: ("sixteenth", "sixteenths"), 32: ("thirty-second", "thirty-seconds"),
    },
    one_half="one half",
    and_half="and a half",
    date="{month} {day}",
    date_year="{date}, {year}",
    day="ordinal",
    hour="{h} o'clock",
    hour_minutes="{h} {m}",
    ordinal_suffixes={"st|nd|rd|th": 0},
    years=range(1100, 2100),
    month_first=True,
    counted={
        "tsp": ("teaspoon", "teaspoons"), "tbsp": ("tablespoon", "tablespoons"), "Tbsp": ("tablespoon", "tablespoons"),
        "mins": ("minute", "minutes"), "secs": ("second", "seconds"), "yrs": ("year", "years"),
        "fps": ("frame per second", "frames per second"), "sq ft": ("square foot", "square feet"),
        "sq. ft.": ("square foot", "square feet"), "in.": ("inch", "inches"),
    },
    periods={"mo": "month", "yr": "year", "wk": "week", "hr": "hour"},
    many_times="times",
    units={"decibel": ("decibel", "decibels")},
)  # fmt: skip
"""The order of numeric dates is that of the United States, unless the first number cannot be a month."""
