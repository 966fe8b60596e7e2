"""Finding engines among installed packages: real distributions, on a path of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from antiphon.engines.base import EngineError, Synthesizer, VoiceActivityDetector
from antiphon.engines.registry import engine_names, find_engine
from antiphon.engines.stand_in import StandInSynthesizer, StandInVad
from tests.engine_packages import install_engines

Site = Path


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def failure(name: str) -> EngineError:
    with pytest.raises(EngineError) as caught:
        find_engine(name, Synthesizer)
    return caught.value


def test_finds_our_own_engines() -> None:
    assert find_engine("stand-in-tts", Synthesizer) is StandInSynthesizer
    assert find_engine("stand-in-vad", VoiceActivityDetector) is StandInVad
    assert {"silero", "whisper", "llamacpp", "hibari", "stand-in-llm"} <= set(engine_names())


def test_finds_an_engine_of_another_package(site: Site) -> None:
    source = "from antiphon.engines.stand_in import StandInSynthesizer\nclass Whistle(StandInSynthesizer): pass\n"
    install_engines(site, "whistle_pkg", {"whistle": "whistle_pkg:Whistle"}, source)
    assert "whistle" in engine_names()
    assert find_engine("whistle", Synthesizer).__name__ == "Whistle"


def test_unknown_name_lists_what_there_is() -> None:
    error = failure("stand-in-tsst")
    assert error.code == "unknown_engine"
    assert "stand-in-tts" in error.message


def test_wrong_role(site: Site) -> None:
    error = failure("stand-in-vad")
    assert error.code == "wrong_role"
    assert "Synthesizer" in error.message
    install_engines(site, "number_pkg", {"number": "number_pkg:N"}, "N = 5")
    assert failure("number").code == "wrong_role"


def test_listing_imports_nothing_and_what_is_missing_is_named(site: Site) -> None:
    install_engines(site, "broken_pkg", {"broken": "broken_pkg:Engine"}, "import no_such_module_anywhere")
    assert "broken" in engine_names()
    error = failure("broken")
    assert error.code == "missing_package"
    assert "no_such_module_anywhere" in error.message
    assert "broken_pkg" in error.message


def test_our_own_missing_packages_are_in_the_extra(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "hibari", None)
    monkeypatch.delitem(__import__("sys").modules, "antiphon.engines.hibari", raising=False)
    error = failure("hibari")
    assert error.code == "missing_package"
    assert "antiphon[local]" in error.message


def test_a_name_without_its_class_and_a_name_twice(site: Site) -> None:
    install_engines(site, "hollow_pkg", {"hollow": "hollow_pkg:Engine", "twice": "hollow_pkg:A"}, source="")
    install_engines(site, "second_pkg", {"twice": "second_pkg:A"}, source="")
    assert "hollow_pkg" in failure("hollow").message
    assert "hollow_pkg and second_pkg" in failure("twice").message


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("raise RuntimeError('no GPU')", "RuntimeError: no GPU"),
        ("1 / 0", "ZeroDivisionError"),
        ("class Engine(", "SyntaxError"),
        ("import math; math.no_such_name", "AttributeError: module 'math' has no attribute 'no_such_name'"),
    ],
)
def test_an_engine_whose_module_fails_is_told_by_its_name(site: Site, source: str, told: str) -> None:
    install_engines(site, "failing_pkg", {"failing": "failing_pkg:Engine"}, source)
    error = failure("failing")
    assert error.code == "engine_failed"
    assert error.message.startswith(f"the engine 'failing' of failing_pkg cannot be imported: {told}")
