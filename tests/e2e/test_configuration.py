"""A server with a configuration file: several pipelines, and a new file while sessions run."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from typer.testing import CliRunner
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from antiphon.cli import app
from tests.calling import calling
from tests.conformance.audio import tone
from tests.conformance.recorder import RealtimeClient
from tests.serving import START_TIMEOUT_S, ServerProcess, serving, serving_here

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP here")

TWO = """\
default_pipeline: shop
pipelines:
  clinic:
    aliases: [health-*, doctor]
    instructions: You help patients.
    voice: high
    turn_detection: {type: semantic_vad, eagerness: high}
    llm: {engine: stand-in-llm, reply: The clinic is open.}
    max_sessions: 1
  shop:
    instructions: You sell bicycles.
    turn_detection: off
    turn: off
    llm: {engine: stand-in-llm, reply: The shop is open.}
    limits: {max_items: 3}
"""


@contextlib.contextmanager
def configured(directory: Path, text: str) -> Iterator[tuple[ServerProcess, Path]]:
    file = directory / "antiphon.yaml"
    file.write_text(text)
    with serving(arguments=["--config", str(file)]) as server:
        yield server, file
    assert "Traceback" not in "\n".join(server.output)


@pytest.fixture(scope="module")
def two_pipelines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with configured(tmp_path_factory.mktemp("two"), TWO) as (server, _):
        yield server


@pytest.fixture
async def two(two_pipelines: ServerProcess) -> ServerProcess:
    """A server of `TWO`, on which no session of another test is left."""
    metrics = two_pipelines.base_url.replace("/v1", "/metrics")
    async with asyncio.timeout(30):
        while "antiphon_sessions_open 0.0" not in httpx.get(metrics, timeout=60).text:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.02)
    return two_pipelines


async def created(client: RealtimeClient) -> dict[str, Any]:
    session: dict[str, Any] = (await client.expect("session.created"))["session"]
    return session


async def answer(client: RealtimeClient) -> str:
    await client.send({"type": "response.create"})
    done = (await client.expect("response.done"))["response"]
    assert done["status"] == "completed"
    transcript: str = done["output"][0]["content"][0]["transcript"]
    return transcript


def test_the_models_are_listed(two: ServerProcess) -> None:
    listing = httpx.get(f"{two.base_url}/models", timeout=60).json()["data"]
    assert [model["id"] for model in listing] == ["shop", "clinic"]
    assert listing[0]["aliases"] == ["gpt-realtime*", "gpt-4o*-realtime*"]
    assert listing[1]["aliases"] == ["health-*", "doctor"]


@pytest.mark.parametrize(
    ("query", "pipeline"),
    [
        ("", "shop"),
        ("?model=gpt-realtime", "shop"),
        ("?model=shop", "shop"),
        ("?model=clinic", "clinic"),
        ("?model=health-line", "clinic"),
        ("?model=doctor", "clinic"),
    ],
)
async def test_a_session_on_each(two: ServerProcess, query: str, pipeline: str) -> None:
    async with RealtimeClient(two.ws_url + query) as client:
        session = await created(client)
        if pipeline == "shop":
            assert session["instructions"] == "You sell bicycles."
            assert session["audio"]["output"]["voice"] == "low"
            assert session["audio"]["input"]["turn_detection"] is None
        else:
            assert session["instructions"] == "You help patients."
            assert session["audio"]["output"]["voice"] == "high"
            assert session["audio"]["input"]["turn_detection"]["eagerness"] == "high"
        assert await answer(client) == f"The {pipeline} is open."


async def test_a_spoken_turn_with_the_turn_detection_of_the_file(two: ServerProcess) -> None:
    async with RealtimeClient(f"{two.ws_url}?model=clinic") as client:
        await client.speak(tone(800))
        assert (await client.expect("response.done"))["response"]["status"] == "completed"


async def test_limits_of_a_pipeline(two: ServerProcess) -> None:
    async with RealtimeClient(f"{two.ws_url}?model=shop") as client:
        await created(client)
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}
        for _ in range(3):
            await client.send({"type": "conversation.item.create", "item": item})
            await client.expect("conversation.item.done")
        await client.send({"type": "conversation.item.create", "item": item})
        assert "3 items" in (await client.expect("error"))["error"]["message"]


async def test_a_pipeline_that_is_full(two: ServerProcess) -> None:
    async with RealtimeClient(f"{two.ws_url}?model=clinic") as first:
        await created(first)
        with pytest.raises(InvalidStatus) as caught:
            async with connect(f"{two.ws_url}?model=doctor"):
                pass
        assert caught.value.response.status_code == 503
        assert b"session_limit_reached" in (caught.value.response.body or b"")
        async with RealtimeClient(f"{two.ws_url}?model=shop") as other:
            await created(other)


async def test_a_call_on_each(two: ServerProcess) -> None:
    for model, instructions in (("clinic", "You help patients."), ("shop", "You sell bicycles.")):
        async with calling(two.base_url, path=f"/realtime/calls?model={model}") as caller:
            session = (await caller.expect("session.created"))["session"]
            assert session["instructions"] == instructions


def test_a_client_secret_is_for_its_pipeline(two: ServerProcess) -> None:
    body = {"session": {"type": "realtime", "model": "clinic"}}
    secret = httpx.post(f"{two.base_url}/realtime/client_secrets", json=body, timeout=60).json()
    assert secret["session"]["instructions"] == "You help patients."


def test_a_wrong_file_is_told_at_the_start_as_by_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text("pipelines: {a: {tts: {engine: stand-in-tts, character: 1}, vioce: b}}")
    server = ServerProcess(arguments=["--config", str(file)])
    assert server.wait(START_TIMEOUT_S) == 2
    monkeypatch.setenv("ANTIPHON_ENGINES__PRESET", "stand-in")
    check = CliRunner().invoke(app, ["config", "check", "--config", str(file)])
    assert check.exit_code == 1
    assert len(check.stderr.splitlines()) == 2
    assert "\n".join(server.output) == f"antiphon serve: {check.stderr.strip()}"


# --- a new file ------------------------------------------------------------------------------------------------------


async def line(server: ServerProcess, event: str, number: int = 1) -> dict[str, Any]:
    """Return the log line `event` that comes as the `number`th of its kind, once it is there."""
    async with asyncio.timeout(60):
        while True:
            found = [one for one in list(server.log) if one["event"] == event]
            if len(found) >= number:
                return found[number - 1]
            await asyncio.sleep(0.02)


def hang_up(server: ServerProcess) -> None:
    os.kill(server.pid, signal.SIGHUP)


async def test_a_new_file_is_for_new_sessions(tmp_path: Path) -> None:
    with configured(tmp_path, TWO) as (server, file):
        async with RealtimeClient(f"{server.ws_url}?model=clinic") as old:
            assert (await created(old))["instructions"] == "You help patients."
            vet = TWO.replace("You help patients.", "You help animals.").replace("clinic is", "vet is")
            file.write_text(vet.replace("max_sessions: 1", "max_sessions: 2"))  # the old one keeps its place
            hang_up(server)
            assert (await line(server, "reloaded"))["models"] == ["shop", "clinic"]
            async with RealtimeClient(f"{server.ws_url}?model=doctor") as new:
                assert (await created(new))["instructions"] == "You help animals."
                assert await answer(new) == "The vet is open."
            # The old one goes on with the engine that only it still uses.
            assert await answer(old) == "The clinic is open."
            assert not [one for one in server.log if one["event"] == "engine unloaded"]
        assert (await line(server, "engine unloaded"))["engine"] == "stand-in-llm"
        file.write_text("pipelines: {only: {turn: off}}")
        hang_up(server)
        assert (await line(server, "reloaded", 2))["models"] == ["only"]
        # The language models of both pipelines and the classifier; the rest is used by the new one too.
        for number in (2, 3, 4):
            await line(server, "engine unloaded", number)
        unloaded = [one["engine"] for one in server.log if one["event"] == "engine unloaded"]
        assert sorted(unloaded) == ["stand-in-llm", "stand-in-llm", "stand-in-llm", "stand-in-turn"]


async def test_a_bad_file_changes_nothing(tmp_path: Path) -> None:
    with configured(tmp_path, TWO) as (server, file):
        async with RealtimeClient(server.ws_url) as client:
            await created(client)
            file.write_text(TWO.replace("voice:", "vioce:").replace("eagerness: high", "eagerness: hihg"))
            hang_up(server)
            await line(server, "not reloaded: the old configuration stays in force")
            refused = [one["problem"] for one in server.log if one["event"] == "configuration refused"]
            assert refused == [
                f"{file}:6:5: pipelines.clinic.vioce: there is no such setting; did you mean 'voice'?",
                f"{file}:7:53: pipelines.clinic.turn_detection.eagerness: Input should be 'low', 'medium', 'high' or "
                "'auto'; did you mean 'high'?",
            ]
            assert await answer(client) == "The shop is open."
        async with RealtimeClient(f"{server.ws_url}?model=clinic") as client:
            assert (await created(client))["audio"]["output"]["voice"] == "high"
        file.write_text(TWO.replace("default_pipeline: shop", "default_pipeline: clinic\nwebrtc: {interfaces: [lo]}"))
        hang_up(server)
        assert (await line(server, "reloaded"))["models"] == ["clinic", "shop"]
        told = await line(server, "these settings only change when the server starts anew")
        assert told["settings"] == ["webrtc"]


@pytest.mark.parametrize("text", ["", "# nothing\n"])
async def test_a_file_that_is_just_being_written_changes_nothing(tmp_path: Path, text: str) -> None:
    with configured(tmp_path, TWO) as (server, file):
        file.write_text(text)
        hang_up(server)
        await line(server, "not reloaded: the old configuration stays in force")
        (refused,) = [one["problem"] for one in server.log if one["event"] == "configuration refused"]
        assert refused == f"{file}: it says nothing; was it read while it was being written?"
        async with RealtimeClient(f"{server.ws_url}?model=clinic") as client:
            assert await answer(client) == "The clinic is open."


async def test_a_file_whose_engines_cannot_be_loaded_changes_nothing(tmp_path: Path) -> None:
    with configured(tmp_path, TWO) as (server, file):
        nobody = "{engine: openai-speech, model: x, voices: [a], retries: 0, base_url: 'http://127.0.0.1:9/v1'}"
        file.write_text(f"pipelines: {{broken: {{tts: {nobody}}}}}")
        hang_up(server)
        told = await line(server, "not reloaded: the old configuration stays in force")
        assert "cannot be reached" in told["reason"]
        async with RealtimeClient(server.ws_url) as client:
            assert await answer(client) == "The shop is open."


# --- sharing ---------------------------------------------------------------------------------------------------------


async def test_pipelines_share_engines() -> None:
    pipelines = {"a": {}, "b": {"voice": "high"}, "c": {"llm": {"words": 3}}}
    async with serving_here(pipelines=pipelines) as server:
        loaded = sorted(key.name for key in server.service.engines.loaded)
        assert loaded == [
            *("stand-in-llm", "stand-in-llm", "stand-in-transcription", "stand-in-tts", "stand-in-turn"),
            "stand-in-vad",
        ]


async def test_an_idle_pipeline_is_unloaded_and_comes_back() -> None:
    pipelines = {"kept": {}, "idle": {"llm": {"words": 2, "idle_unload_s": 0.2}}}
    async with serving_here(pipelines=pipelines) as server:
        pool = server.service.engines

        async def settled(count: int) -> None:
            async with asyncio.timeout(30):
                while sum(key.name == "stand-in-llm" for key in pool.loaded) != count:  # noqa: ASYNC110 - no event tells
                    await asyncio.sleep(0.02)

        await settled(1)
        async with RealtimeClient(f"{server.ws_url}?model=idle") as client:
            assert await answer(client) == "Hello, this"
            await asyncio.sleep(0.4)
            await settled(2)  # in use
        await settled(1)
        async with calling(server.base_url, path="/realtime/calls?model=idle") as caller:
            assert caller.events
            await settled(2)
        await settled(1)
        async with RealtimeClient(f"{server.ws_url}?model=kept") as client:
            assert (await answer(client)).startswith("Hello, this is")
