"""With what an upstream session is opened."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from antiphon.relay.opening import Opening, merged, upstream_headers, upstream_url
from antiphon.relay.settings import UpstreamSettings

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "put-antiphon-in-front-of-a-realtime-server.md"

PCM = {"type": "audio/pcm", "rate": 24_000}


@pytest.mark.parametrize(
    ("base_url", "model", "url"),
    [
        ("https://api.openai.com/v1", "gpt-realtime", "wss://api.openai.com/v1/realtime?model=gpt-realtime"),
        ("http://10.0.0.7:8080/v1/", None, "ws://10.0.0.7:8080/v1/realtime"),
        (
            "wss://r.openai.azure.com/openai/v1",
            "my voice",
            "wss://r.openai.azure.com/openai/v1/realtime?model=my+voice",
        ),
    ],
)
def test_the_url(base_url: str, model: str | None, url: str) -> None:
    assert upstream_url(UpstreamSettings(base_url=base_url, model=model), "realtime") == url


def test_transcription_sessions_name_no_model() -> None:
    settings = UpstreamSettings(base_url="https://api.openai.com/v1", model="gpt-realtime")
    assert upstream_url(settings, "transcription") == "wss://api.openai.com/v1/realtime?intent=transcription"


@pytest.mark.parametrize(
    ("more", "key", "headers"),
    [
        ({}, None, {}),
        ({}, "sk", {"Authorization": "Bearer sk"}),
        ({"azure": True}, "sk", {"api-key": "sk"}),
        (
            {"organization": "o", "project": "p", "headers": {"X-Tenant": "t"}},
            "sk",
            {
                "Authorization": "Bearer sk",
                "OpenAI-Organization": "o",
                "OpenAI-Project": "p",
                "X-Tenant": "t",
            },
        ),
    ],
)
def test_the_headers(more: dict[str, Any], key: str | None, headers: dict[str, str]) -> None:
    assert upstream_headers(UpstreamSettings(base_url="https://x/v1", **more), key) == headers


def test_nothing_that_was_set_is_nothing_that_is_sent() -> None:
    assert Opening("realtime", "ours").update is None
    assert Opening("transcription", "ours", instructions="of no use there").update is None
    assert Opening("realtime", "ours", asked={"type": "realtime", "model": "ours"}).update is None


def test_what_was_set_is_sent() -> None:
    opening = Opening("realtime", "ours", instructions="Sell.", voice="ash", turn_detection=None, plays=True)
    assert opening.update == {
        "type": "realtime",
        "instructions": "Sell.",
        "audio": {"input": {"format": PCM, "turn_detection": None}, "output": {"format": PCM, "voice": "ash"}},
    }


def test_what_the_client_asked_for_counts_more() -> None:
    asked = {
        "type": "realtime",
        "model": "ours",
        "tools": [],
        "audio": {"input": {"turn_detection": {"type": "server_vad"}, "format": {"type": "audio/pcmu"}}},
    }
    detection = {"type": "semantic_vad", "eagerness": "high"}
    opening = Opening("realtime", "ours", instructions="Sell.", turn_detection=detection, asked=asked, plays=True)
    assert opening.update == {
        "type": "realtime",
        "instructions": "Sell.",
        "tools": [],
        "audio": {
            "input": {"turn_detection": {"type": "server_vad"}, "format": {"type": "audio/pcmu"}},
            "output": {"format": PCM},
        },
    }


@pytest.mark.parametrize(
    ("under", "over", "result"),
    [
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}, {"a": {"b": 3, "c": 2}}),
        ({"a": {"type": "x", "b": 1}}, {"a": {"type": "y"}}, {"a": {"type": "y"}}),
        ({"a": {"type": "x", "b": 1}}, {"a": {"type": "x", "c": 2}}, {"a": {"type": "x", "b": 1, "c": 2}}),
        ({"a": {"b": 1}}, {"a": None}, {"a": None}),
        ({"a": [1]}, {"a": [2]}, {"a": [2]}),
    ],
)
def test_merging(under: dict[str, Any], over: dict[str, Any], result: dict[str, Any]) -> None:
    assert merged(under, over) == result


@pytest.mark.parametrize(
    ("model", "url", "key"),
    [
        ("gpt-realtime", "wss://api.openai.com/v1/realtime?model=gpt-realtime", ("Authorization", "Bearer sk")),
        (
            "my-deployment",
            "wss://my-resource.openai.azure.com/openai/v1/realtime?model=my-deployment",
            ("api-key", "sk"),
        ),
        ("large", "ws://10.0.0.7:8080/v1/realtime?model=large", None),
    ],
)
def test_the_examples_of_the_how_to_open_what_they_say(model: str, url: str, key: tuple[str, str] | None) -> None:
    examples = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", HOW_TO.read_text(), re.DOTALL)]
    pipelines = [pipeline for example in examples for pipeline in example["pipelines"].values()]
    found = next(one["upstream"] for one in pipelines if one.get("upstream", {}).get("model") == model)
    settings = UpstreamSettings.model_validate(found)
    assert upstream_url(settings, "realtime") == url
    assert list(upstream_headers(settings, "sk" if settings.api_key else None).items()) == [key] * (key is not None)
