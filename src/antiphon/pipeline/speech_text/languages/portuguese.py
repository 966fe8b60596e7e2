"""Portuguese."""

from __future__ import annotations

from antiphon.pipeline.speech_text.language import Language

PORTUGUESE = Language(
    code="pt",
    decimal=",",
    point="vírgula",
    cardinals=("spellout-numbering", "spellout-cardinal-masculine", "spellout-cardinal-feminine"),
    ordinals=("spellout-ordinal-masculine", "spellout-ordinal-feminine"),
    signs={
        "-": "menos", "+": "mais", "–": "a", ":": "a", "%": "por cento", "‰": "por mil", "&": "e", "=": "é igual a",
        "×": "vezes", "÷": "dividido por", "±": "mais ou menos", "≈": "aproximadamente", "~": "cerca de",
        "<": "menor que",
        ">": "maior que", "≤": "no máximo", "≥": "no mínimo", "≠": "diferente de", "@": "arroba", "/": "barra",
        ".": "ponto", "_": "sublinhado", "#": "cardinal", "№": "número", "°": "graus", "§": "parágrafo", "→": "para",
        "√": "raiz de", "∞": "infinito", "^": "elevado a", "²": "ao quadrado", "³": "ao cubo", "©": "copyright",
        "π": "pi", "over": "sobre",
        "x": "por", "dash": "hífen", "of": "de", "per": "por", "version": "versão",
    },
    words={
        "24/7": "vinte e quatro horas por dia",
        "p. ex.": "por exemplo", "p.ex.": "por exemplo", "etc.": "et cetera", "aprox.": "aproximadamente",
        "a.C.": "antes de Cristo", "d.C.": "depois de Cristo", "e/ou": "e ou", "tel.": "telefone",
        "máx.": "máximo", "mín.": "mínimo",
    },
    titles={
        "Sr.": "senhor", "Sra.": "senhora", "Srta.": "senhorita", "Dr.": "doutor", "Dra.": "doutora",
        "Prof.": "professor", "Profa.": "professora", "Av.": "avenida",
    },
    numbered={
        "n.º": "número", "nº": "número", "Nº": "número", "pág.": "página", "p.": "página", "art.": "artigo",
        "cap.": "capítulo", "fig.": "figura",
    },
    scales={
        "mil": (3, ("mil", "mil")), "mi": (6, ("milhão", "milhões")), "milhão": (6, ("milhão", "milhões")),
        "milhões": (6, ("milhão", "milhões")), "bi": (9, ("bilhão", "bilhões")), "bilhão": (9, ("bilhão", "bilhões")),
        "bilhões": (9, ("bilhão", "bilhões")),
    },
    currencies={
        "EUR": ("euro", "euros"), "USD": ("dólar", "dólares"), "GBP": ("libra", "libras"), "JPY": ("iene", "ienes"),
        "BRL": ("real", "reais"), "CNY": ("yuan", "yuans"), "INR": ("rupia", "rupias"),
    },
    cents={
        "EUR": ("cêntimo", "cêntimos"), "USD": ("centavo", "centavos"), "BRL": ("centavo", "centavos"),
        "GBP": ("pêni", "pence"),
    },
    money_with_cents="{money} e {cents} {unit}",
    fractions={
        2: ("meio", "meios"), 3: ("terço", "terços"), 4: ("quarto", "quartos"), 5: ("quinto", "quintos"),
        6: ("sexto", "sextos"), 8: ("oitavo", "oitavos"),
    },
    one_half="um meio",
    and_half="e meio",
    date="{day} de {month}",
    date_year="{date} de {year}",
    day="first",
    hour="{h} horas",
    hour_minutes="{h} e {m}",
    ordinal_suffixes={r"\.?[ºo°]": 0, r"\.?ª": 1},
    digits_after_point=False,
    of=("de ", "de "),
    feminine=frozenset({
        "mass-tonne", "length-mile", "mass-pound", "mass-ounce", "duration-hour", "length-inch", "length-yard",
        "energy-kilocalorie", "GBP", "INR", "SEK", "NOK", "DKK", "CZK",
    }),
    one_o_clock=("uma hora", "uma e {m}"),
    hour_gender=2,
    hour_separators="h",
    hour_mark="h",
    many_times="vezes",
    feminine_nouns=(
        r"(?!(?:dias?|problemas?|temas?|sistemas?|programas?|mapas?|idiomas?|planetas?|para|da|na|era|estava)\b)"
        r"(?:[a-zçáéíóúâêôãõ]+(?:as?|(?:ç|s)(?:ão|ões)|dades?)|ve(?:z|zes)|noites?|classes?|partes?|mulher(?:es)?|chaves?)\b"
    ),
    half=("meio", "meia"),
    units={"decibel": ("decibel", "decibéis"), "temperature-generic": ("grau", "graus")},
)  # fmt: skip
