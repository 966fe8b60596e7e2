"""What operators ask a server, and what it says."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx2 as httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect

import antiphon
from antiphon.config import EngineChoice, EngineSettings, Settings
from antiphon.server.served_model import UnavailableError
from antiphon.server.service import Service
from tests.engine_packages import install_engines
from tests.serving import ServerProcess, serving_here


def get(server: ServerProcess, path: str) -> httpx.Response:
    # Native libraries hold the interpreter for seconds while they load on a busy machine.
    return httpx.get(f"http://127.0.0.1:{server.port}{path}", timeout=60)


def test_alive(stand_in_server: ServerProcess) -> None:
    assert get(stand_in_server, "/healthz").json() == {"status": "ok", "version": antiphon.__version__}


def test_ready(stand_in_server: ServerProcess) -> None:
    answer = get(stand_in_server, "/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready", "models": ["antiphon-stand-in"]})


def test_models(stand_in_server: ServerProcess) -> None:
    listing = get(stand_in_server, "/v1/models").json()
    assert listing["object"] == "list"
    (model,) = listing["data"]
    assert (model["id"], model["object"], model["owned_by"]) == ("antiphon-stand-in", "model", "antiphon")
    assert [voice["name"] for voice in model["voices"]] == ["low", "high"]


def test_errors_have_the_shape_of_openai(stand_in_server: ServerProcess) -> None:
    answer = get(stand_in_server, "/v1/nothing")
    assert answer.status_code == 404
    assert answer.json()["error"]["message"] == "Invalid URL (GET /v1/nothing)"
    assert httpx.post(f"{stand_in_server.base_url}/models", timeout=60).status_code == 404
    assert answer.headers["x-request-id"] != get(stand_in_server, "/v1/nothing").headers["x-request-id"]


def samples(server: ServerProcess) -> dict[str, float]:
    return {
        sample.name + "".join(f",{value}" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(get(server, "/metrics").text)
        for sample in family.samples
    }


async def test_metrics(stand_in_server: ServerProcess) -> None:
    before = samples(stand_in_server)
    async with connect(stand_in_server.ws_url) as client:
        await client.recv()
        await client.send("{}")
        assert json.loads(await client.recv())["type"] == "error"
        async with asyncio.timeout(20):
            while True:
                during = samples(stand_in_server)
                # Both are counted a moment after they happen.
                out = during["antiphon_frames_total,out"] - before["antiphon_frames_total,out"]
                if out >= 2 and during["antiphon_event_loop_lag_seconds_count"] > 0:
                    break
                await asyncio.sleep(0.05)
    assert during["antiphon_sessions_open"] == before["antiphon_sessions_open"] + 1
    assert during["antiphon_frames_total,in"] == before["antiphon_frames_total,in"] + 1
    assert during["antiphon_frames_total,out"] == before["antiphon_frames_total,out"] + 2
    assert during["antiphon_errors_total,invalid_event"] == before.get("antiphon_errors_total,invalid_event", 0) + 1
    assert during["antiphon_event_loop_tasks"] > 0


async def test_two_servers_in_one_process_do_not_share_metrics() -> None:
    async with serving_here() as first, serving_here() as second, connect(first.ws_url) as client:
        await client.recv()
        assert first.service.metrics.registry.get_sample_value("antiphon_sessions_open") == 1
        assert second.service.metrics.registry.get_sample_value("antiphon_sessions_open") == 0


async def test_not_ready_until_everything_is_loaded() -> None:
    service = Service(Settings(engines=EngineSettings(preset="stand-in")))
    roles = ["vad", "transcription", "llm", "tts", "turn"]
    assert service.readiness() == {"status": "starting", "waiting_for": roles}
    with pytest.raises(UnavailableError, match="still loading"), service.slot():
        pass
    await service.load()
    assert service.readiness() == {"status": "ready", "models": ["antiphon-stand-in"]}
    await service.close()


async def test_what_cannot_be_loaded_is_told() -> None:
    wrong = EngineChoice(options={"nonsense": 1})
    service = Service(Settings(engines=EngineSettings(preset="stand-in", llm=wrong)))
    await service.load()
    assert service.state == "failed"
    assert "nonsense" in service.readiness()["reason"]
    with pytest.raises(UnavailableError, match="could not load"), service.slot():
        pass


WAITING = """\
import asyncio
import os
from pathlib import Path

from antiphon.engines.llamacpp.model import LlamaCppModel


class Waiting(LlamaCppModel):
    @classmethod
    async def load(cls, context):
        while not Path(os.environ["MAY_LOAD"]).exists():
            await asyncio.sleep(0.05)
        return await super().load(context)
"""


@pytest.mark.models
def test_real_models_are_waited_for(tmp_path: Path) -> None:
    install_engines(tmp_path, "waiting_engine", {"waiting": "waiting_engine:Waiting"}, WAITING)
    # It does not load before it was asked, however late that is on a busy machine.
    may_load = tmp_path / "may-load"
    environment = {"PYTHONPATH": str(tmp_path), "MAY_LOAD": str(may_load), "ANTIPHON_ENGINES__LLM__NAME": "waiting"}
    server = ServerProcess("embedded", environment=environment)
    try:
        early = get(server, "/readyz")
        assert early.status_code == 503
        assert early.json()["status"] == "starting"
        assert "llm" in early.json()["waiting_for"]
        assert get(server, "/healthz").status_code == 200
        may_load.touch()
        server.wait_ready()
        assert get(server, "/readyz").status_code == 200
    finally:
        assert server.stop() == 0
