"""Clause splitting: where cuts fall, and that nothing depends on how the text comes in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.pipeline.clauses import Clause, ClauseSplitter


def clauses_of(*pieces: str) -> list[Clause]:
    splitter = ClauseSplitter()
    return [clause for piece in pieces for clause in splitter.feed(piece)] + splitter.flush()


def texts(text: str) -> list[str]:
    return [clause.text for clause in clauses_of(text)]


@pytest.mark.parametrize(
    ("expected"),
    [
        ["Hello! ", "How are you today? ", "I am fine."],
        ["Of course I can, ", "that is no trouble at all, and there is nothing to pay. ", "Bye."],
        ["Well, yes. ", "No."],
        ["It was I. ", "Then it ended."],
        ["He said: \"Stop!\" ", "Then he left."],
        ["(It is true.) ", "**Really!** ", "Yes."],
        ["\"Really?\" he asked. ", "\"Yes.\""],
        ["Wait... what? ", "I think so… Maybe."],
        ["What?! ", "No!!! ", "Why?"],
        ["First line\n", "second line\n", "\nnew paragraph"],
    ],
)  # fmt: skip
def test_cuts_at_sentences_and_first_pauses(expected: list[str]) -> None:
    assert texts("".join(expected)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Dr. Smith is in.",
        "Ask Mr. and Mrs. Jones.",
        "J. K. Rowling wrote it.",
        "Pi is 3.14 or 3,14 or 3.",
        "It cost 1,000.50 dollars.",
        "Come at 7:30 p.m. on Monday.",
        "Fruit, e.g. Apples.",
        "That is, i.e. Rome.",
        "He has a Ph.D. From Yale.",
        "The U.S. Army came.",
        "See Fig. 3 in vol. 2.",
        "On Jan. 5 at No. 10.",
        "Cats vs. Dogs again.",
        "Go to https://example.com/a.b?c=1,2;d now.",
        "Mail j.doe@example.com now.",
        "Well...and so on.",
        "Read [Dr. No. The end](http://a.b) now.",
        'A <a title="Hi. You, there">link</a> here.',
        "1. Apples",
        "- Pears",
        "a. Plums",
        "Come at 10:30 a.m. tomorrow.",
        "Fragen Sie z. B. Dr. Müller.",
        "Das ist d. h. Obst.",
        "Es sind 1.000.000 Leute.",
        "Am 3. Mai kommt er.",
        "Montag, 3. Mai.",
        "Im 19. Jahrhundert.",
        "Der 2. Platz ist frei.",
        "Nr. 5 lebt.",
        "M. Dupont et p. ex. Mme. Curie.",
        "El Sr. García y la Dra. López.",
        "EE. UU. es grande.",
        "Il Sig. Rossi ad es. Mario.",
        "Hij is bijv. dhr. Jansen.",
        r"So \(x = 1. Y, z\) holds.",
        "So $x = 1, y = 2$ holds.",
    ],
)
def test_never_cuts_here(text: str) -> None:
    assert len(texts(text)) == 1, texts(text)


def test_numbers_that_end_a_sentence_do() -> None:
    assert texts("It was 1999. Then I have 3. You have 4.") == ["It was 1999. ", "Then I have 3. ", "You have 4."]


def test_a_month_is_told_from_a_new_sentence_by_its_letters() -> None:
    assert texts("Ich habe 3. Marta hat 4. A cat has 9. Mailand 12. Jan geht.") == [
        "Ich habe 3. ",
        "Marta hat 4. ",
        "A cat has 9. ",
        "Mailand 12. Jan geht.",
    ]
    assert texts("I am 30. Then I left.") == ["I am 30. ", "Then I left."]
    splitter = ClauseSplitter()
    assert splitter.feed("It is 3. M") == []
    assert [clause.text for clause in splitter.feed("e")] == ["It is 3. "]


def test_a_formula_of_several_lines_is_not_cut() -> None:
    for formula in ("\\[\nx = 1.\n\nY = 2\n\\]", "$$\nx = 1.\nY = 2\n$$"):
        assert texts(f"See:\n{formula} and so on.\nBye.") == ["See:\n", f"{formula} and so on.\n", "Bye."]
    assert texts("It costs $$ a lot.\nBye.") == ["It costs $$ a lot.\n", "Bye."]


def test_list_items_are_clauses_with_their_markers() -> None:
    assert texts("1. Apples\n2. Pears\n- Plums\n") == ["1. Apples\n", "2. Pears\n", "- Plums\n"]
    assert texts("Take one: 1. Apples or 2. Pears") == ["Take one: 1. Apples or 2. ", "Pears"]


def test_abbreviation_at_the_end_of_a_sentence() -> None:
    assert texts("It opens at 5 p.m. Then we go. Apples, pears, etc. Then more.") == [
        "It opens at 5 p.m. ",
        "Then we go. ",
        "Apples, pears, etc. ",
        "Then more.",
    ]


@pytest.mark.parametrize(
    "expected",
    [
        ["你好，世界。", "今天天气很好，我们去公园散步吧！", "好。"],
        ["「本当ですか？」", "と彼は言った。", "はい。"],
        ["今天是很好的，", "明天也是。"],
    ],
)
def test_scripts_without_spaces_are_cut_after_punctuation(expected: list[str]) -> None:
    assert texts("".join(expected)) == expected


def test_long_text_without_punctuation_is_cut_between_characters_or_phrases() -> None:
    chinese = texts("我们" * 40)
    assert len(chinese[0]) == 24
    assert all(len(text) <= 96 for text in chinese)
    assert texts("สวัสดีครับวันนี้อากาศดีมาก เราไปเดินเล่นกัน")[0] == "สวัสดีครับวันนี้อากาศดีมาก "
    assert not any(text.startswith("ー") for text in texts("ラーーーーーーーー" * 12))


def test_first_clause_is_short_and_later_ones_grow() -> None:
    lengths = [len(text.split()) for text in texts("word " * 200)]
    assert lengths[:3] == [12, 24, 48]
    assert max(lengths) == 48


def test_a_long_clause_ends_before_a_linking_word() -> None:
    text = "I would love to help you with the garden and all of the flowers in it today"
    assert texts(text)[0] == "I would love to help you "


def test_a_clause_comes_as_soon_as_the_next_word_begins() -> None:
    splitter = ClauseSplitter()
    assert splitter.feed("Yes, I do know.") == []
    assert splitter.feed(" ") == []
    assert [clause.text for clause in splitter.feed("H")] == ["Yes, I do know. "]


def test_a_line_ends_a_clause_at_once() -> None:
    assert [clause.text for clause in ClauseSplitter().feed("Shopping list\n")] == ["Shopping list\n"]


def test_a_code_block_is_one_clause() -> None:
    block = "```python\nprint('Hello. World')\n\nx = 1\n```\n"
    assert texts(f"Here it is:\n{block}Done. Bye.") == ["Here it is:\n", block, "Done. ", "Bye."]
    assert texts("~~~\nA. B\n") == ["~~~\nA. B\n"]


def test_flush_goes_on_from_where_it_was() -> None:
    splitter = ClauseSplitter()
    splitter.feed("Let me see")
    assert splitter.flush() == [Clause("Let me see", 0, 10)]
    assert splitter.flush() == []
    splitter.feed(" there")
    assert splitter.flush() == [Clause(" there", 10, 16)]


FRAGMENTS = (
    "Hello Dr . , ! ? … ... 3.14 7:30 e.g. ``` ` * ** _ [ ]( ) < > http://a.b/c 你好 。 、 「 」 ー ありがとう สวัสดี I "
    "a 1. 3. Mai Ma and to word $ $$ \\[ \\( 😀 | - — : ; \" ' é \u200d"
)
TEXTS = st.lists(st.sampled_from([*FRAGMENTS.split(" "), "\n", "\n\n"]) | st.text(max_size=3), max_size=60).map(
    " ".join
)


@given(TEXTS, st.lists(st.integers(1, 7), min_size=1))
def test_clauses_are_the_text_however_it_comes(text: str, sizes: list[int]) -> None:
    whole = clauses_of(text)
    assert "".join(clause.text for clause in whole) == text
    position = 0
    for clause in whole:
        assert (clause.start, clause.end) == (position, position + len(clause.text))
        assert clause.start < clause.end
        position = clause.end
    pieces: list[str] = []
    position = 0
    while position < len(text):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(text[position : position + size])
        position += size
    assert clauses_of(*pieces) == whole


@given(st.text(st.characters(codec="ascii"), max_size=400))
def test_ascii_is_cut_at_white_space_only(text: str) -> None:
    for clause in clauses_of(text)[:-1]:
        assert clause.text[-1].isspace()


@given(st.lists(st.sampled_from(["word", "red,", "Dr.", "and"]), max_size=300))
def test_no_clause_of_prose_is_longer_than_48_words(words: list[str]) -> None:
    assert all(len(clause.text.split()) <= 48 for clause in clauses_of(" ".join(words)))
