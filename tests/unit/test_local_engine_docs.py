"""The pages of the local engines list every option with its default, and their examples, and those of the page on
choosing models, are right; also where an engine's packages are under the GPL and not in this environment."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from antiphon.config import ConfigError, load_configuration
from tests import wheel_models
from tests.engine_pages import PAGES, documented_options, options_in_force, options_type
from tests.unit.config_files import forget_settings

LOCAL = ["whisper", "sherpa", "llamacpp", "piper", "kokoro"]
CHOOSING = Path(__file__).parents[2] / "docs" / "explanation" / "choosing-models.md"


@pytest.fixture(scope="module", autouse=True)
def _packages() -> Iterator[None]:
    folder = str(wheel_models.gpl_packages())
    sys.path.append(folder)
    yield
    sys.path.remove(folder)


@pytest.mark.parametrize("name", LOCAL)
def test_every_option_is_listed_with_its_default(name: str) -> None:
    page = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    assert documented_options(page) == options_in_force(options_type(name))


@pytest.mark.parametrize("page", [*(PAGES / f"{name}.md" for name in LOCAL), CHOOSING], ids=lambda page: page.stem)
def test_the_examples_are_right(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget_settings(monkeypatch)
    monkeypatch.setenv("ELEVENLABS_API_KEY", "sk-test")
    examples = re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert examples
    for number, example in enumerate(examples):
        file = tmp_path / f"{number}.yaml"
        file.write_text(example)
        try:
            assert load_configuration(file).settings.pipelines
        except ConfigError as error:
            # Files of the reader's machine are not here.
            assert all("no such file or directory" in problem.message for problem in error.problems), error.problems
