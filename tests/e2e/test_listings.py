"""What servers say they have: models and voices, by every way that clients ask."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from openai import AuthenticationError, InternalServerError, NotFoundError, OpenAI

from antiphon.engines.openai.speech import listed_voices
from tests.conformance.recorder import RealtimeClient
from tests.serving import ServerProcess, serving, serving_here

TWO = """\
default_pipeline: shop
pipelines:
  clinic: {aliases: [health-*, doctor], voice: high}
  shop: {llm: {words: 2, idle_unload_s: 0.1}, voice: marin}
"""


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, Path]]:
    file = tmp_path_factory.mktemp("two") / "antiphon.yaml"
    file.write_text(TWO)
    with serving(arguments=["--config", str(file)], environment={"ANTIPHON_API_KEYS": "sk-one"}) as server:
        yield server, file


def client(server: ServerProcess, key: str = "sk-one") -> OpenAI:
    return OpenAI(base_url=server.base_url, api_key=key, max_retries=0, timeout=60)


def voices(server: ServerProcess, query: str = "") -> Any:
    return httpx.get(
        f"{server.base_url}/audio/voices{query}", headers={"Authorization": "Bearer sk-one"}, timeout=60
    ).json()


def test_models_with_the_openai_package(two: tuple[ServerProcess, Path]) -> None:
    models = client(two[0]).models
    assert [(model.id, model.object, model.owned_by) for model in models.list()] == [
        ("shop", "model", "antiphon"),
        ("clinic", "model", "antiphon"),
    ]
    assert models.retrieve("clinic").id == "clinic"
    # A session with this name gets this model, so it is what there is to tell of.
    assert [models.retrieve(name).id for name in ("doctor", "health-line", "gpt-realtime")] == [
        "clinic",
        "clinic",
        "shop",
    ]
    with pytest.raises(NotFoundError, match="This server has: `shop`, `clinic`"):
        models.retrieve("meta/llama")


def test_voices_with_what_openais_names_stand_for(two: tuple[ServerProcess, Path]) -> None:
    told = voices(two[0])
    assert [(voice["id"], voice["name"], voice["languages"]) for voice in told["voices"]] == [
        ("low", "low", []),
        ("high", "high", []),
    ]
    assert list(told["models"]) == ["shop", "clinic"]
    assert told["models"]["clinic"]["default"] == "high"
    # "marin" is OpenAI's name for the first of two.
    assert told["models"]["shop"]["default"] == "low"
    assert told["models"]["shop"]["voices"] == ["low", "high"]
    names = told["models"]["shop"]["openai_names"]
    assert (names["alloy"], names["ash"], names["cedar"]) == ("low", "high", "high")
    assert list(voices(two[0], "?model=doctor")["models"]) == ["clinic"]
    assert voices(two[0], "?model=gpt-5")["error"]["code"] == "model_not_found"


def test_no_listing_without_the_key(two: tuple[ServerProcess, Path]) -> None:
    with pytest.raises(AuthenticationError):
        client(two[0], "sk-wrong").models.list()
    for path in ("models", "models/shop", "audio/voices"):
        assert httpx.get(f"{two[0].base_url}/{path}", timeout=60).status_code == 401


async def test_a_new_file_is_listed(tmp_path: Path) -> None:
    file = tmp_path / "antiphon.yaml"
    file.write_text("pipelines: {a: {}, b: {}}")
    with serving(arguments=["--config", str(file)], environment={"ANTIPHON_API_KEYS": "sk-one"}) as server:
        assert list(voices(server)["models"]) == ["a", "b"]
        file.write_text("pipelines: {c: {aliases: [d], voice: high}}")
        os.kill(server.pid, signal.SIGHUP)
        await asyncio.to_thread(server.wait_for, "reloaded")
        assert voices(server, "?model=d")["models"]["c"]["default"] == "high"
        assert [model.id for model in client(server).models.list()] == ["c"]
        with pytest.raises(NotFoundError):
            client(server).models.retrieve("a")


async def test_a_model_that_is_unloaded_is_listed_as_such() -> None:
    pipelines = {"kept": {}, "idle": {"llm": {"words": 2}, "tts": {"character_ms": 1}, "idle_unload_s": 0.1}}
    async with (
        serving_here(pipelines=pipelines) as server,
        httpx.AsyncClient(base_url=server.base_url, timeout=60) as http,
    ):

        async def loaded() -> dict[str, bool]:
            return {model["id"]: model["loaded"] for model in (await http.get("/models")).json()["data"]}

        async with asyncio.timeout(30):
            while await loaded() != {"kept": True, "idle": False}:  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0.02)
        told = (await http.get("/audio/voices?model=idle")).json()
        assert told["models"]["idle"]["voices"] == ["low", "high"]
        async with RealtimeClient(f"{server.ws_url}?model=idle") as caller:
            await caller.expect("session.created")
            assert await loaded() == {"kept": True, "idle": True}


def test_while_the_models_load_clients_are_told_to_come_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # lets clients in and never answers
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        environment = {
            "ANTIPHON_ENGINES__LLM__NAME": "openai-chat",
            "ANTIPHON_ENGINES__LLM__OPTIONS": f'{{"base_url": "{url}", "model": "slow"}}',
        }
        server = ServerProcess(environment=environment)
        try:
            for path in ("models", "models/slow", "audio/voices"):
                answer = httpx.get(f"{server.base_url}/{path}", timeout=60)
                assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
                assert answer.json()["error"]["code"] == "server_not_ready"
            with pytest.raises(InternalServerError, match="still loading"):
                client(server).models.list()
        finally:
            server.stop()


async def test_our_own_engines_read_the_list() -> None:
    async with serving_here() as server, httpx.AsyncClient(timeout=60) as http:
        answer = (await http.get(f"{server.base_url}/audio/voices")).json()
    assert [voice.name for voice in listed_voices(answer)] == ["low", "high"]
