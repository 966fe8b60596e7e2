"""What engines take in memory: once for all pipelines, told to operators, and given back when they are unloaded."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path

import httpx2 as httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from antiphon.cli import app
from antiphon.server.process_memory import resident_bytes
from tests.conformance.recorder import RealtimeClient
from tests.serving import ServerProcess, serving

pytestmark = pytest.mark.skipif(resident_bytes() is None, reason="this system does not tell")


def told(text: str) -> dict[tuple[str, str], float]:
    """Return the bytes of a server's metrics by engine and model."""
    return {
        (sample.labels["engine"], sample.labels["model"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "antiphon_engine_memory_bytes"
    }


def resident(server: ServerProcess) -> int:
    pages = int(Path(f"/proc/{server.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def rest(server: ServerProcess) -> int:
    """Return what a server takes, in bytes, once that stays the same for a second."""
    seen, since = resident(server), time.monotonic()
    async with asyncio.timeout(60):
        while time.monotonic() - since < 1:
            await asyncio.sleep(0.05)
            if abs(resident(server) - seen) > 1e6:
                seen, since = resident(server), time.monotonic()
    return resident(server)


def test_only_what_is_in_memory_is_told(tmp_path: Path) -> None:
    file = tmp_path / "antiphon.yaml"
    file.write_text("pipelines: {kept: {}, idle: {llm: {words: 2, idle_unload_s: 0.1}, tts: hibari}}")
    # In a process of its own: in one that had the engine before, its memory may be there already.
    with serving(arguments=["--config", str(file)]) as server:
        server.wait_for("engine unloaded")
        found = told(httpx.get(f"http://127.0.0.1:{server.port}/metrics", timeout=60).text)
    assert sorted(found) == [
        *(("hibari", ""), ("stand-in-llm", ""), ("stand-in-transcription", ""), ("stand-in-tts", "")),
        *(("stand-in-turn", ""), ("stand-in-vad", "")),
    ]
    assert found["hibari", ""] > 1e6


@pytest.mark.models
async def test_pipelines_share_models_and_unloading_gives_the_memory_back(tmp_path: Path) -> None:
    file = tmp_path / "antiphon.yaml"
    real = "{transcription: {engine: whisper}, llm: {engine: llamacpp}, idle_unload_s: 0.5}"
    file.write_text(f"pipelines: {{kept: {{}}, one: {real}, two: {real}}}")
    with serving(arguments=["--config", str(file)], environment={"ANTIPHON_API_KEYS": "sk-one"}) as server:
        url = f"http://127.0.0.1:{server.port}"

        async def unloaded(number: int) -> None:
            async with asyncio.timeout(60):
                while sum(line["event"] == "engine unloaded" for line in list(server.log)) < number:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)

        await unloaded(2)
        before = await rest(server)
        headers = {"Authorization": "Bearer sk-one"}
        async with RealtimeClient(f"{server.ws_url}?model=one", headers=headers) as client:
            await client.expect("session.created", within=60)  # it is loaded anew
            with_one = await rest(server)
            async with RealtimeClient(f"{server.ws_url}?model=two", headers=headers) as other:
                await other.expect("session.created")
                with_two = await rest(server)
                metrics = await asyncio.to_thread(httpx.get, f"{url}/metrics", headers=headers, timeout=60)
                shown = await asyncio.to_thread(
                    CliRunner().invoke, app, ["models", "--json", "--url", url], env={"OPENAI_API_KEY": "sk-one"}
                )
        await unloaded(4)
        async with asyncio.timeout(30):
            # Half of it at least; the system has it back a moment after the engines are told to be unloaded.
            while with_two - resident(server) <= (with_two - before) / 2:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.05)
        gone = await asyncio.to_thread(httpx.get, f"{url}/metrics", headers=headers, timeout=60)
    found = told(metrics.text)
    llm = found["llamacpp", "smollm2-135m-instruct"]
    assert llm > 100e6, "it is 98 MB on disk"
    assert with_one - before > llm / 2
    assert with_two - with_one < llm / 4, "the second pipeline has the same models"
    assert not {"llamacpp", "whisper"} & {engine for engine, _ in told(gone.text)}
    listed = {entry["name"]: entry for entry in json.loads(shown.stdout)}
    assert listed["smollm2-135m-instruct"]["memory"] == llm
    assert listed["smollm2-135m-instruct"]["state"] == "present"
    assert listed["gtcrn"]["memory"] is None


def test_the_table(stand_in_server: ServerProcess) -> None:
    shown = CliRunner().invoke(app, ["models", "list", "--url", stand_in_server.base_url], env={"COLUMNS": "120"})
    assert shown.exit_code == 0, shown.output
    assert "in memory" in shown.stdout
    assert "(stand-in-llm)" in shown.stdout
    assert "whisper-tiny.en" in shown.stdout
    plain = CliRunner().invoke(app, ["models"])
    assert plain.stdout == CliRunner().invoke(app, ["models", "list"]).stdout
    assert "in memory" not in plain.stdout


@pytest.mark.parametrize(
    ("url", "said"),
    [("http://127.0.0.1:9", "cannot be reached"), ("nonsense", "cannot be reached"), ("{}/nowhere", "HTTP 404")],
)
def test_a_server_that_does_not_tell(stand_in_server: ServerProcess, url: str, said: str) -> None:
    asked = CliRunner().invoke(app, ["models", "--url", url.format(stand_in_server.base_url)])
    assert asked.exit_code == 1
    assert said in asked.stderr
    misplaced = CliRunner().invoke(app, ["models", "--json", "verify"])
    assert misplaced.exit_code == 2
    assert "after the command" in misplaced.stderr


def test_the_key_is_asked_for() -> None:
    with serving(environment={"ANTIPHON_API_KEYS": "sk-one"}) as server:
        asked = CliRunner().invoke(app, ["models", "--url", server.base_url], env={"OPENAI_API_KEY": ""})
        assert asked.exit_code == 1
        assert "wants an API key" in asked.stderr
