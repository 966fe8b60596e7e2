"""Spanish."""

from __future__ import annotations

from antiphon.pipeline.speech_text.language import Language

SPANISH = Language(
    code="es",
    decimal=",",
    point="coma",
    cardinals=("spellout-numbering", "spellout-cardinal-masculine", "spellout-cardinal-feminine"),
    ordinals=("spellout-ordinal-masculine", "spellout-ordinal-feminine", "spellout-ordinal-masculine-adjective"),
    signs={
        "-": "menos", "+": "más", "–": "a", ":": "a", "%": "por ciento", "‰": "por mil", "&": "y", "=": "igual a",
        "×": "por", "÷": "dividido entre", "±": "más o menos", "≈": "aproximadamente", "~": "aproximadamente",
        "<": "menor que", ">": "mayor que", "≤": "como máximo", "≥": "como mínimo", "≠": "distinto de", "@": "arroba",
        "/": "barra", ".": "punto", "_": "guion bajo", "#": "almohadilla", "№": "número", "°": "grados", "§": "párrafo",
        "→": "a", "√": "raíz de", "∞": "infinito", "^": "elevado a", "²": "al cuadrado", "³": "al cubo",
        "©": "copyright", "π": "pi", "over": "sobre",
        "x": "por", "dash": "guion", "of": "de", "per": "por", "version": "versión",
    },
    words={
        "24/7": "veinticuatro siete",
        "p. ej.": "por ejemplo", "p.ej.": "por ejemplo", "etc.": "etcétera", "aprox.": "aproximadamente",
        "EE. UU.": "Estados Unidos", "EE.UU.": "Estados Unidos", "a. C.": "antes de Cristo",
        "d. C.": "después de Cristo",
        "y/o": "y o", "tel.": "teléfono", "máx.": "máximo", "mín.": "mínimo",
    },
    titles={
        "C/": "calle",
        "Sr.": "señor", "Sra.": "señora", "Sres.": "señores", "Srta.": "señorita", "Dr.": "doctor", "Dra.": "doctora",
        "D.": "don", "Dña.": "doña", "Ud.": "usted", "Uds.": "ustedes", "Prof.": "profesor", "Av.": "avenida",
        "Avda.": "avenida",
    },
    numbered={
        "n.º": "número", "nº": "número", "N.º": "número", "Nº": "número", "núm.": "número", "pág.": "página",
        "págs.": "páginas", "art.": "artículo", "cap.": "capítulo", "fig.": "figura",
    },
    scales={
        "mil": (3, ("mil", "mil")), "millón": (6, ("millón", "millones")), "millones": (6, ("millón", "millones")),
        "M": (6, ("millón", "millones")), "billón": (12, ("billón", "billones")),
        "billones": (12, ("billón", "billones")),
    },
    currencies={
        "EUR": ("euro", "euros"), "USD": ("dólar", "dólares"), "GBP": ("libra", "libras"), "JPY": ("yen", "yenes"),
        "CNY": ("yuan", "yuanes"), "INR": ("rupia", "rupias"),
    },
    cents={
        "EUR": ("céntimo", "céntimos"), "USD": ("centavo", "centavos"), "GBP": ("penique", "peniques"),
        "MXN": ("centavo", "centavos"),
    },
    money_with_cents="{money} con {cents}",
    fractions={
        2: ("medio", "medios"), 3: ("tercio", "tercios"), 4: ("cuarto", "cuartos"), 5: ("quinto", "quintos"),
        6: ("sexto", "sextos"), 8: ("octavo", "octavos"),
    },
    one_half="un medio",
    and_half="y medio",
    date="{day} de {month}",
    date_year="{date} de {year}",
    day="cardinal",
    hour="{h}",
    hour_minutes="{h} y {m}",
    ordinal_suffixes={r"\.?er": 2, r"\.?[ºo]": 0, r"\.?ª": 1},
    digits_after_point=False,
    of=("de ", "de "),
    feminine=frozenset({
        "mass-tonne", "length-mile", "mass-pound", "mass-ounce", "duration-hour", "length-inch", "length-yard",
        "energy-kilocalorie", "GBP", "INR", "SEK", "NOK", "DKK", "CZK",
    }),
    hour_gender=2,
    hour_mark="h|hs|hrs",
    hour_separators="h",
    many_times="veces",
    feminine_nouns=(
        r"(?!(?:días?|problemas?|temas?|sistemas?|programas?|mapas?|idiomas?|planetas?|para|hasta|contra|era|estaba)\b)"
        r"(?:[a-zñáéíóú]+(?:as?|ci(?:ón|ones)|si(?:ón|ones)|dad(?:es)?|tud(?:es)?)|ve(?:z|ces)|noches?|clases?|partes?|"
        r"calles?|mujer(?:es)?|llaves?)\b"
    ),
    half=("medio", "media"),
    units={"decibel": ("decibelio", "decibelios")},
)  # fmt: skip
