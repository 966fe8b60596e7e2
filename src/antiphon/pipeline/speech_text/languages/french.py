"""French."""

from __future__ import annotations

from antiphon.pipeline.speech_text.language import Language

FRENCH = Language(
    code="fr",
    decimal=",",
    point="virgule",
    cardinals=("spellout-numbering", "spellout-cardinal-masculine", "spellout-cardinal-feminine"),
    ordinals=("spellout-ordinal-masculine", "spellout-ordinal-feminine"),
    signs={
        "-": "moins", "+": "plus", "–": "à", ":": "à", "%": "pour cent", "‰": "pour mille", "&": "et", "=": "égale",
        "×": "fois", "÷": "divisé par", "±": "plus ou moins", "≈": "environ", "~": "environ", "<": "inférieur à",
        ">": "supérieur à", "≤": "au plus", "≥": "au moins", "≠": "différent de", "@": "arobase",
        "/": "barre oblique",
        ".": "point", "_": "tiret bas", "#": "hashtag", "№": "numéro", "°": "degrés", "§": "paragraphe", "→": "vers",
        "√": "racine de", "∞": "l'infini", "^": "puissance", "²": "au carré", "³": "au cube", "©": "copyright",
        "π": "pi", "over": "sur",
        "x": "par", "dash": "tiret", "of": "sur", "per": "par", "version": "version",
    },
    words={
        "24/7": "vingt-quatre heures sur vingt-quatre",
        "p. ex.": "par exemple", "p.ex.": "par exemple", "c.-à-d.": "c'est-à-dire", "etc.": "et cetera",
        "env.": "environ", "cf.": "voir", "av. J.-C.": "avant Jésus-Christ", "apr. J.-C.": "après Jésus-Christ",
        "et/ou": "et ou", "tél.": "téléphone", "max.": "maximum", "min.": "minimum",
    },
    titles={
        "St.": "Saint", "Ste.": "Sainte",
        "M.": "Monsieur", "MM.": "Messieurs", "Mme": "Madame", "Mmes": "Mesdames", "Mlle": "Mademoiselle",
        "Dr": "Docteur", "Dr.": "Docteur", "Pr": "Professeur", "Me": "Maître",
    },
    numbered={
        "n°": "numéro", "N°": "numéro", "no.": "numéro", "p.": "page", "art.": "article", "chap.": "chapitre",
        "fig.": "figure",
    },
    scales={
        "k": (3, ("mille", "mille")), "M": (6, ("million", "millions")), "million": (6, ("million", "millions")),
        "millions": (6, ("million", "millions")), "Md": (9, ("milliard", "milliards")),
        "Mds": (9, ("milliard", "milliards")),
        "milliard": (9, ("milliard", "milliards")), "milliards": (9, ("milliard", "milliards")),
    },
    currencies={
        "EUR": ("euro", "euros"), "USD": ("dollar", "dollars"), "GBP": ("livre", "livres"), "JPY": ("yen", "yens"),
        "CNY": ("yuan", "yuans"), "INR": ("roupie", "roupies"),
    },
    cents={
        "EUR": ("centime", "centimes"), "USD": ("cent", "cents"), "GBP": ("penny", "pence"),
        "CHF": ("centime", "centimes"),
    },
    money_with_cents="{money} {cents}",
    fractions={
        2: ("demi", "demis"), 3: ("tiers", "tiers"), 4: ("quart", "quarts"), 5: ("cinquième", "cinquièmes"),
        6: ("sixième", "sixièmes"), 8: ("huitième", "huitièmes"),
    },
    one_half="un demi",
    and_half="et demi",
    date="{day} {month}",
    date_year="{date} {year}",
    day="first",
    hour="{h} heures",
    hour_minutes="{h} heures {m}",
    ordinal_suffixes={"ers?": 0, "res?|ère": 1, "nde": 1, "nd": 0, "e|ème|es|èmes": 0},
    groups_by_space=True,
    digits_after_point=False,
    of=("de ", "d'"),
    feminine=frozenset({
        "mass-tonne", "mass-pound", "mass-ounce", "duration-hour", "duration-minute", "duration-second",
        "duration-millisecond", "energy-kilocalorie", "GBP", "INR", "SEK", "NOK", "DKK", "CZK",
    }),
    one_o_clock=("une heure", "une heure {m}"),
    hour_gender=2,
    hour_separators="h",
    many_times="fois",
    feminine_nouns=(
        r"(?:heures?|minutes?|secondes?|personnes?|fois|tasses?|cuill(?:è|e)res?|semaines?|années?|journées?|pages?|étapes?|"
        r"questions?|choses?|femmes?|filles?|villes?|voitures?|pièces?|chambres?|places?|options?|bouteilles?|tranches?|"
        r"\w+tions?)\b"
    ),
    half=("un demi", "une demi"),
    units={"decibel": ("décibel", "décibels")},
)  # fmt: skip
