"""Dutch."""

from __future__ import annotations

from antiphon.pipeline.speech_text.language import Language

DUTCH = Language(
    code="nl",
    decimal=",",
    point="komma",
    cardinals=("spellout-numbering", "spellout-cardinal", "spellout-cardinal"),
    ordinals=("spellout-ordinal",),
    signs={
        "-": "min", "+": "plus", "–": "tot", ":": "op", "%": "procent", "‰": "promille", "&": "en",
        "=": "is gelijk aan",
        "×": "keer", "÷": "gedeeld door", "±": "plus of min", "≈": "ongeveer", "~": "ongeveer", "<": "kleiner dan",
        ">": "groter dan", "≤": "hoogstens", "≥": "minstens", "≠": "ongelijk aan", "@": "apenstaartje",
        "/": "schuine streep",
        ".": "punt", "_": "laag streepje", "#": "hashtag", "№": "nummer", "°": "graden", "§": "paragraaf",
        "→": "naar",
        "√": "wortel van", "∞": "oneindig", "^": "tot de macht", "²": "kwadraat", "³": "tot de derde",
        "©": "copyright", "π": "pi",
        "over": "gedeeld door", "x": "bij", "dash": "streepje", "of": "van", "per": "per", "version": "versie",
    },
    words={
        "24/7": "vierentwintig zeven",
        "bijv.": "bijvoorbeeld", "bv.": "bijvoorbeeld", "d.w.z.": "dat wil zeggen", "enz.": "enzovoort",
        "etc.": "et cetera",
        "m.b.t.": "met betrekking tot", "o.a.": "onder andere", "t.o.v.": "ten opzichte van",
        "i.v.m.": "in verband met",
        "ca.": "circa", "incl.": "inclusief", "excl.": "exclusief", "en/of": "en of", "a.u.b.": "alstublieft",
        "max.": "maximaal", "min.": "minimaal",
    },
    titles={
        "dhr.": "de heer", "mevr.": "mevrouw", "mw.": "mevrouw", "dr.": "dokter", "Dr.": "dokter",
        "prof.": "professor", "Prof.": "professor", "St.": "Sint",
    },
    numbered={
        "nr.": "nummer", "Nr.": "nummer", "blz.": "bladzijde", "p.": "pagina", "art.": "artikel",
        "hfst.": "hoofdstuk", "fig.": "figuur",
    },
    scales={
        "duizend": (3, ("duizend", "duizend")), "mln.": (6, ("miljoen", "miljoen")),
        "mln": (6, ("miljoen", "miljoen")),
        "miljoen": (6, ("miljoen", "miljoen")), "mld.": (9, ("miljard", "miljard")),
        "mld": (9, ("miljard", "miljard")),
        "miljard": (9, ("miljard", "miljard")),
    },
    currencies={
        "EUR": ("euro", "euro"), "USD": ("dollar", "dollar"), "GBP": ("pond", "pond"), "JPY": ("yen", "yen"),
        "CNY": ("yuan", "yuan"), "INR": ("roepie", "roepie"),
    },
    cents={"EUR": ("cent", "cent"), "USD": ("cent", "cent"), "GBP": ("penny", "pence")},
    money_with_cents="{money} {cents}",
    fractions={
        2: ("half", "halve"), 3: ("derde", "derde"), 4: ("kwart", "kwart"), 5: ("vijfde", "vijfde"),
        6: ("zesde", "zesde"), 8: ("achtste", "achtste"),
    },
    one_half="een half",
    and_half="en een half",
    date="{day} {month}",
    date_year="{date} {year}",
    day="cardinal",
    hour="{h} uur",
    hour_minutes="{h} uur {m}",
    ordinal_suffixes={"e|de|ste": 0},
    years=range(1100, 2000),
    hour_mark="uur|u",
    hour_separators=".",
    counted={
        "u": ("uur", "uur"), "km/u": ("kilometer per uur", "kilometer per uur"), "el": ("eetlepel", "eetlepels"),
        "tl": ("theelepel", "theelepels"),
    },
    many_times="keer",
    units={"decibel": ("decibel", "decibel"), "temperature-generic": ("graad", "graden")},
)  # fmt: skip
