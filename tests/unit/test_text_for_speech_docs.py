"""That docs/explanation/text-for-speech.md tells what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from antiphon.pipeline.reasoning import ReasoningFilter
from antiphon.pipeline.speech_text.languages import LANGUAGES
from antiphon.pipeline.speech_text.reader import Reader
from antiphon.pipeline.spoken_text import spoken_text

PAGE = (Path(__file__).parents[2] / "docs" / "explanation" / "text-for-speech.md").read_text()
ROWS = re.findall(r"^\| ([a-z]{2}) \| (.+) \| (.+) \|$", PAGE, re.MULTILINE)


def test_there_is_a_row_for_every_language() -> None:
    assert {language for language, *_ in ROWS} == set(LANGUAGES)


@pytest.mark.parametrize(("language", "written", "spoken"), ROWS)
def test_every_row_is_what_is_said(language: str, written: str, spoken: str) -> None:
    assert spoken_text(written, Reader(LANGUAGES[language])).text == spoken


def test_every_tag_that_is_told_begins_thoughts() -> None:
    first_step = PAGE[PAGE.index("1. **") : PAGE.index("2. **")]
    tags = [tag.partition("…")[0] for tag in re.findall(r"`([<\[◁][^`]+)`", first_step) if "/" not in tag[:2]]
    assert len(tags) > 10
    for tag in tags:
        reasoning = ReasoningFilter()
        assert reasoning.feed(f"Yes. {tag} Secret.") + reasoning.flush() == "Yes. ", tag
