"""Turns LaTeX formulas into plain signs, which can be read aloud."""

from __future__ import annotations

import re

_SIGNS = {
    "times": "×", "cdot": "×", "ast": "×", "div": "÷", "pm": "±", "le": "≤", "leq": "≤", "leqslant": "≤", "ge": "≥",
    "geq": "≥", "geqslant": "≥", "ne": "≠", "neq": "≠", "approx": "≈", "sim": "≈", "infty": "∞", "to": "→",
    "rightarrow": "→", "Rightarrow": "→", "longrightarrow": "→", "lt": "<", "gt": ">", "circ": "°", "degree": "°",
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "Delta": "δ", "epsilon": "ε", "varepsilon": "ε",
    "theta": "θ", "lambda": "λ", "mu": "μ", "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "φ",
    "varphi": "φ", "omega": "ω", "Omega": "ω",
    "int": "integral", "oint": "integral", "limits": "",
    "left": "", "right": "", "big": "", "Big": "", "displaystyle": "", "text": "", "mathrm": "", "mathbf": "",
    "mathit": "", "operatorname": "", "boxed": "", "begin": "", "end": "", "quad": "", "qquad": "", "ldots": "…",
    "cdots": "…", "dots": "…",
}  # fmt: skip

_FRACTION = re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
_ROOT = re.compile(r"\\sqrt\s*\{([^{}]*)\}")
_ENVIRONMENT = re.compile(r"\\(?:begin|end)\s*\{[^{}]*\}")
_LIMITS = re.compile(r"(\\(?:int|sum|prod|oint)(?:\\limits)?)\s*_\s*(\{[^{}]*\}|\w)\s*\^\s*(\{[^{}]*\}|\w|\\[A-Za-z]+)")
_POWER = re.compile(r"\^\s*\{([^{}]*)\}")
_COMMAND = re.compile(r"\\([A-Za-z]+)")
_LEFTOVER = re.compile(r"\\.?|[{}&]|_(?=\w)|\$")
_MOST_NESTED = 5
_READ_AS_FRACTION = ("2", "3", "4", "5", "6", "8")

FORMULA = re.compile(
    r"\$\$(?P<display>[^$]{1,600})\$\$"
    r"|\\\[(?P<bracket>.{1,600}?)\\\]"
    r"|\\\((?P<paren>.{1,600}?)\\\)"
    r"|(?<![\\$\w])\$(?P<inline>(?=[^\s$])[^$\n]{0,200}?(?<=[^\s$]))\$(?![$\w])",
    re.DOTALL,
)
"""A formula between dollar signs, or in `\\(…\\)` or `\\[…\\]`; see `formula`."""
_LOOKS_LIKE_A_FORMULA = re.compile(r"[\\^_{}=]|\A[A-Za-z]\Z|\A[A-Za-z] ?[-+*/<>] ?\w|\A\w ?[-+*/<>] ?[A-Za-z]")


def formula(match: re.Match[str]) -> str | None:
    """Return a formula found by `FORMULA` in plain signs, or None when it is none: two prices, for example."""
    inline = match["inline"]
    if inline is not None and not _LOOKS_LIKE_A_FORMULA.search(inline):
        return None
    return f" {plain_formula(match['display'] or match['bracket'] or match['paren'] or inline)} "


def plain_formula(latex: str) -> str:
    """Return LaTeX without commands: `\\frac{1}{2}` is 1/2, `x^{2}` is x^2."""
    latex = _LIMITS.sub(r"\1 \2 → \3 ", _ENVIRONMENT.sub(" ", latex))
    for _ in range(_MOST_NESTED):
        before = latex
        latex = _FRACTION.sub(_over, _ROOT.sub(r" √\1 ", _POWER.sub(r"^\1 ", latex)))
        if latex == before:
            break
    latex = _COMMAND.sub(lambda match: f" {_SIGNS.get(match[1], match[1])} ", latex)
    return " ".join(_LEFTOVER.sub(" ", latex).split())


def _over(match: re.Match[str]) -> str:
    above, below = match[1].strip(), match[2].strip()
    return f" {above}/{below} " if above.isdigit() and below in _READ_AS_FRACTION else f" {above} ÷ {below} "
