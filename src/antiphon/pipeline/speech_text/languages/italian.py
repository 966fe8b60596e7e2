"""Italian."""

from __future__ import annotations

from antiphon.pipeline.speech_text.language import Language

ITALIAN = Language(
    code="it",
    decimal=",",
    point="virgola",
    cardinals=("spellout-numbering", "spellout-cardinal-masculine", "spellout-cardinal-feminine"),
    ordinals=("spellout-ordinal-masculine", "spellout-ordinal-feminine"),
    signs={
        "-": "meno", "+": "più", "–": "a", ":": "a", "%": "per cento", "‰": "per mille", "&": "e", "=": "uguale a",
        "×": "per", "÷": "diviso", "±": "più o meno", "≈": "circa", "~": "circa", "<": "minore di",
        ">": "maggiore di", "≤": "al massimo", "≥": "almeno", "≠": "diverso da", "@": "chiocciola", "/": "barra",
        ".": "punto", "_": "trattino basso", "#": "cancelletto", "№": "numero", "°": "gradi", "§": "paragrafo",
        "→": "a", "√": "radice di", "∞": "infinito", "^": "alla", "²": "al quadrato", "³": "al cubo",
        "©": "copyright", "π": "pi greco", "over": "su",
        "x": "per", "dash": "trattino", "of": "su", "per": "per", "version": "versione",
    },
    words={
        "24/7": "ventiquattro ore su ventiquattro",
        "ad es.": "ad esempio", "p. es.": "per esempio", "p.es.": "per esempio", "ecc.": "eccetera",
        "etc.": "eccetera",
        "a.C.": "avanti Cristo", "d.C.": "dopo Cristo", "c.d.": "cosiddetto", "e/o": "e o", "tel.": "telefono",
        "ca.": "circa", "max.": "massimo", "min.": "minimo",
    },
    titles={
        "Sig.": "signor", "Sig.ra": "signora", "Sig.na": "signorina", "Dott.": "dottor", "Dott.ssa": "dottoressa",
        "Dr.": "dottor", "Prof.": "professor", "Ing.": "ingegner", "Avv.": "avvocato",
    },
    numbered={
        "n.": "numero", "N.": "numero", "p.": "pagina", "pag.": "pagina", "pagg.": "pagine", "art.": "articolo",
        "cap.": "capitolo", "fig.": "figura",
    },
    scales={
        "mila": (3, ("mila", "mila")), "mln": (6, ("milione", "milioni")), "milione": (6, ("milione", "milioni")),
        "milioni": (6, ("milione", "milioni")), "mld": (9, ("miliardo", "miliardi")),
        "miliardo": (9, ("miliardo", "miliardi")), "miliardi": (9, ("miliardo", "miliardi")),
    },
    currencies={
        "EUR": ("euro", "euro"), "USD": ("dollaro", "dollari"), "GBP": ("sterlina", "sterline"),
        "JPY": ("yen", "yen"),
        "CNY": ("yuan", "yuan"), "INR": ("rupia", "rupie"),
    },
    cents={
        "EUR": ("centesimo", "centesimi"), "USD": ("centesimo", "centesimi"), "GBP": ("penny", "pence"),
        "CHF": ("centesimo", "centesimi"),
    },
    money_with_cents="{money} e {cents}",
    fractions={
        2: ("mezzo", "mezzi"), 3: ("terzo", "terzi"), 4: ("quarto", "quarti"), 5: ("quinto", "quinti"),
        6: ("sesto", "sesti"), 8: ("ottavo", "ottavi"),
    },
    one_half="un mezzo",
    and_half="e mezzo",
    date="{day} {month}",
    date_year="{date} {year}",
    day="first",
    hour="{h}",
    hour_minutes="{h} e {m}",
    ordinal_suffixes={"[º°]": 0, "ª": 1},
    digits_after_point=False,
    of=("di ", "di "),
    feminine=frozenset({
        "mass-tonne", "mass-pound", "mass-ounce", "duration-hour", "length-yard", "energy-kilocalorie",
        "energy-kilowatt-hour", "GBP", "INR", "SEK", "NOK", "DKK", "CZK",
    }),
    one_o_clock=("una", "una e {m}"),
    many_times="volte",
    feminine_nouns=(
        r"(?!(?:problema|tema|sistema|programma|clima|da|era|ma|alla|dalla|nella|sulla|della)\b)(?:[a-zàèéìòù]+(?:a|zione|sione|tà)|"
        r"notte|parte|classe|chiave|volte)\b"
    ),
    half=("mezzo", "mezza"),
    units={"decibel": ("decibel", "decibel")},
)  # fmt: skip
