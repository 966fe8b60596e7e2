"""What is said of a reply's text, and what never is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.pipeline.clauses import ClauseSplitter
from antiphon.pipeline.reasoning import ReasoningFilter
from antiphon.pipeline.speech_text.languages import LANGUAGES
from antiphon.pipeline.speech_text.reader import Reader
from antiphon.pipeline.spoken_text import spoken_text


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Hello there. ", "Hello there."),
        ("**Bold**, *italic*, ***both***, __under__.", "Bold, italic, both, under."),
        ("_Score_ and ~~struck~~.", "Score and struck."),
        ("an unclosed **bold", "an unclosed bold"),
        ("closed** here", "closed here"),
        ("3 * 4 = 12 and 3*4 and 2**8", "3 * 4 = 12 and 3*4 and 2**8"),
        ("**5**", "5"),
        ("Use snake_case and __init__ here.", "Use snake_case and init here."),
        ("# Heading\n", "Heading."),
        ("### Closed heading ###\n", "Closed heading."),
        ("- Apples\n", "Apples."),
        ("* Pears\n", "Pears."),
        ("• Plums\n", "Plums."),
        ("- [x] Done\n", "Done."),
        ("1. First\n", "1. First."),
        ("-5 degrees", "-5 degrees"),
        ("> A quote\n", "A quote."),
        ("---\n", ""),
        ("* * *\n", ""),
        ("Title\n=====\n", "Title."),
        ("| a | b |\n|---|:-:|\n| 1 | 2 |\n", "a, b. 1, 2."),
        ("Run `pip install` now.", "Run pip install now."),
        ("```python\nprint('hi')\n```\n", ""),
        ("Look:\n```\nx = 1\n```\nDone.", "Look: Done."),
        ("~~~\nnever closed", ""),
        ("```inline``` code", "inline code"),
        ("See [the docs](https://a.example/x_(y) \"Title\").", "See the docs."),
        ("See [the docs][1] and ![a cat](cat.png).", "See the docs and a cat."),
        ("As known[^1].", "As known."),
        ("Go to https://www.example.com/a?b=c#d, please.", "Go to example.com, please."),
        ("Go to <https://example.com/a>.", "Go to example.com."),
        ("Or www.example.org!", "Or example.org!"),
        ("At http://127.0.0.1:8080/x.", "At link."),
        ("At http://[ too.", "At link too."),
        ("Great 😀👍🏽! ☀️ 👩‍👩‍👧 🇫🇷", "Great!"),
        ("🎉", ""),
        ("It is 20 °C ©.", "It is 20 °C ©."),
        ("<b>Bold</b><br/>and &amp; &lt;this&gt;<!-- not this -->", "Bold and & <this>"),
        ("I <3 you, a < b", "I <3 you, a < b"),
        ("Key " + "a1B2" * 20 + " is it.", "Key is it."),
        ("你好，世界。", "你好，世界。"),
        ("列表\n", "列表"),
        ("Dr. Smith paid $3.14, e.g. at 7:30.", "Dr. Smith paid $3.14, e.g. at 7:30."),
        (r"Escaped \*stars\* and C:\Users\me", "Escaped stars and C: Users me"),
        (r"So \(x^{2} \leq \frac{a}{b}\).", "So x^2 ≤ a ÷ b."),
        (r"\[ \sqrt{x} \times \alpha \]", "√x × α"),
        ("$$\\sum x$$", "sum x"),
        ("Between $5 and $10, US$5-$6.", "Between $5 and $10, US$5-$6."),
        ("**Nested _and `code`_** end", "Nested and code end"),
        ("...", ""),
        ("  \n", ""),
    ],
)  # fmt: skip
def test_spoken_text(text: str, spoken: str) -> None:
    assert spoken_text(text).text == spoken


@given(st.text() | st.text("-*_=|:+ `~#>[]()<!&.\nab1😀", max_size=300))
def test_any_text_is_words_or_nothing(text: str) -> None:
    spoken = spoken_text(text).text
    assert not spoken or any(map(str.isalnum, spoken))
    assert "```" not in spoken
    assert "\n" not in spoken


@pytest.mark.parametrize(
    "mark", ["-", "*", "_", "`", "[", "<", "~", "(", "![", "- ", "| ", " ", "\n", "https://", "<!--", "[a]("]
)
def test_long_runs_of_marks_take_no_time(mark: str) -> None:
    spoken_text(mark * 5000 + "x")  # would run into the test's timeout


def test_code_over_many_clauses_is_never_spoken() -> None:
    splitter = ClauseSplitter()
    text = "Try this.\n```js\nlet secret = 'never. Said';\n// A comment. And more\n```\nThat is all."
    clauses = splitter.feed(text) + splitter.flush()
    assert " ".join(filter(None, (spoken_text(clause.text).text for clause in clauses))) == "Try this. That is all."


WRITTEN = (
    "Hello there, Dr. Smith paid $3.14 at 7:30, e.g. on 2026-11-21. <think>Hm. 5</think> See "
    "**[the docs](http://a.b/c)**. Then:\n1. One\n| 1 | 2 |\n|---|---|\n```py\nx = 1. Y\n```\n"
    "So $x^2 = 9$, and \\[ a\nb \\] end… z. B. 3. Mai 😀 你好，世界。3天"
)


ANSWERS = {
    "en": "Meet at 221B Baker St. in ~5 min. (10:00:00Z)! Dr. No lives on 12 Elm Dr. Then **$19.99/month**, 3–5x.[1] "
    "Run `ls -l ./a`:\n\n| A | 1/2 |\n|---|---|\n- 4.5/5\n  1. x² - 2x\nSee https://a.b/c, St. Louis 👍🏽 2024/12/25.",
    "de": "In der 21. Sitzung, am 3. und 4. Mai um 10:00:00Z. Das kostet ~5 €/Monat, z. B. 1.234,56 €. Der 1. Platz!",
    "fr": "M. Dupont paie ~5 €/mois de 9h à 17h30. 1 heure, n° 5, c.-à-d. 1 234,56 €. Le 1er mai…",
    "es": "El Sr. García paga ~5 €/mes a las 14:30. ¿1 hora? ½ taza, EE. UU., 200 personas: 3–5 €.",
    "it": "La Sig.ra Bianchi arriva alle 14.30 con ~5 €. 1 ora, ad es. ½ tazza; 21 km.",
    "pt": "O Sr. Silva paga ~R$ 5/mês às 14h30. 2 horas, p. ex. ½ xícara; (11) 91234-5678.",
    "nl": "Dhr. Jansen betaalt ~€ 5/u om 14.30 uur. 2x sneller, bijv. 06-12345678; 5 min. later.",
}
READERS = {code: Reader(LANGUAGES[code]) for code in ANSWERS}


@given(
    st.sampled_from(sorted(ANSWERS)).flatmap(
        lambda code: st.tuples(st.just(code), st.sampled_from([ANSWERS[code], WRITTEN]))
    ),
    st.lists(st.integers(1, 12), min_size=1),
    st.integers(0, 300),
)
def test_what_is_said_does_not_depend_on_the_pieces(answer: tuple[str, str], sizes: list[int], start: int) -> None:
    code, written = answer

    def said(pieces: list[str]) -> list[tuple[str, str]]:
        reasoning, splitter = ReasoningFilter(), ClauseSplitter()
        clauses = [clause for piece in pieces for clause in splitter.feed(reasoning.feed(piece))]
        clauses += [*splitter.feed(reasoning.flush()), *splitter.flush()]
        if written is not WRITTEN:  # the transcript is what was written
            assert "".join(clause.text for clause in clauses) == text
        return [(clause.text, spoken_text(clause.text, READERS[code]).text) for clause in clauses]

    text, pieces, position = written[start % len(written) :], list[str](), 0
    while position < len(text):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(text[position : position + size])
        position += size
    assert said(pieces) == said([text])
