"""The code in the how-to pages, so that tests run what people copy."""

from __future__ import annotations

import re
from pathlib import Path

PAGES = Path(__file__).parents[2] / "docs" / "how-to"


def code(page: str, language: str) -> str:
    """Return the only block of code in `language` on a page."""
    (found,) = re.findall(
        rf"^```{language}\n(.*?)^```$", (PAGES / f"{page}.md").read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    return str(found)


def changed(text: str, changes: dict[str, str]) -> str:
    """Return `text` with each key, which must stand in it, replaced by its value."""
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text
