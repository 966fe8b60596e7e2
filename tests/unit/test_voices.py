"""Voices by the names that clients ask for."""

from __future__ import annotations

import pytest

from antiphon.engines.base import EngineError, Voice
from antiphon.pipeline.voices import OPENAI_VOICES, resolve_voice

VOICES = (Voice("heart"), Voice("emma"), Voice("echo"))


def test_a_voice_by_its_own_name() -> None:
    assert [resolve_voice(name, VOICES) for name in ("heart", "emma", "echo")] == ["heart", "emma", "echo"]


def test_openai_names_are_spread_over_the_voices() -> None:
    found = {name: resolve_voice(name, VOICES) for name in OPENAI_VOICES}
    assert set(found.values()) == {"heart", "emma", "echo"}
    assert found["alloy"] == "heart"
    assert {resolve_voice(name, VOICES[:1]) for name in OPENAI_VOICES} == {"heart"}


def test_the_default_and_voices_that_nobody_listed() -> None:
    assert resolve_voice(None, VOICES) is None
    assert resolve_voice("anything", ()) == "anything"


def test_an_unknown_voice_names_those_there_are() -> None:
    with pytest.raises(EngineError, match="heart, emma, echo") as caught:
        resolve_voice("nobody", VOICES)
    assert caught.value.code == "unsupported"
