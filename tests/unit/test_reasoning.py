"""That a model's thoughts are dropped, in whatever pieces they come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.pipeline.reasoning import ReasoningFilter


def said(*pieces: str) -> str:
    reasoning = ReasoningFilter()
    return "".join(map(reasoning.feed, pieces)) + reasoning.flush()


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("<think>Hm, what?</think>\n\nHello.", "Hello."),
        ("\n<think>\nHm\n</think>\nHello.", "Hello."),
        ("Hello <think>no</think> world", "Hello world"),
        ("Hello<think>no</think> world", "Hello world"),
        ("<thinking>a</thinking><reasoning>b</reasoning><thought>c</thought>Yes", "Yes"),
        ("[THINK]a[/THINK]Yes [x] [THE]", "Yes [x] [THE]"),
        ("<Think>a < b and </thin but</think>Yes", "Yes"),
        ("Say `<think>` twice.", "Say `<think>` twice."),
        ("Never <think>closed", "Never "),
        ("<think>only", ""),
        ("a < b <thi", "a < b <thi"),
        ("[THINK]a[/THINK] <reflection>b</reflection> ◁think▷c◁/think▷ <seed:think>d</seed:think>Yes", "Yes"),
        ("<|START_THINKING|>a<|END_THINKING|><|START_RESPONSE|>Yes<|END_RESPONSE|>", "Yes"),
        ("<|begin_of_thought|>a<|end_of_thought|>\n\n<|begin_of_solution|>Yes<|end_of_solution|>", "Yes"),
        ("<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes.<|return|>", "Yes."),
        ("<|channel|>analysis<|message|>Hm.<|channel|>final<|message|>Yes.", "Yes."),
        ("<|channel|>commentary<|message|>Let me look.<|end|>", "Let me look."),
        ("<|channel>thought\nHm.<channel|>Yes.", "Yes."),
        ("\n\n</think>\n\nYes", "Yes"),
        ("Already said.</think> Yes", "Already said. Yes"),
        ("  two spaces first", "  two spaces first"),
        (" ", " "),
    ],
)
def test_reasoning_is_dropped_however_it_comes(text: str, kept: str) -> None:
    assert said(text) == kept
    assert said(*text) == kept


TAGS = "<think> </think> [THINK] [/THINK] <|channel|> analysis final<|message|> <|end|> < [ ` th Hi ◁think▷ ◁/think▷"
PARTS = [*TAGS.split(" "), " ", "\n"]


@given(st.lists(st.sampled_from(PARTS), max_size=20), st.lists(st.integers(1, 9), min_size=1))
def test_reasoning_does_not_depend_on_the_pieces(parts: list[str], sizes: list[int]) -> None:
    text = "".join(parts)
    pieces: list[str] = []
    position = 0
    while position < len(text):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(text[position : position + size])
        position += size
    assert said(*pieces) == said(text)


def test_text_that_cannot_be_a_tag_is_not_held_back() -> None:
    reasoning = ReasoningFilter()
    assert reasoning.feed("Is a <t") == "Is a "
    assert reasoning.feed("o b?") == "<to b?"
