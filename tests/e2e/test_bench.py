"""The bench against a real server with stand-in engines: what it prints is measured, whatever the figures are."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from antiphon.bench.corpus import SHIPPED
from tests.conformance.pipelines import KINDS, Kind, serving_pipeline
from tests.serving import ServerProcess, serving

pytestmark = pytest.mark.realtime

KEY = "sk-of-the-bench"
ANTIPHON = [sys.executable, "-m", "antiphon"]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ANTIPHON_", "OPENAI_"))}
    environment.update({name: value for name, value in os.environ.items() if name == "ANTIPHON_HOME"})
    return subprocess.run(
        [*ANTIPHON, "bench", *arguments], capture_output=True, text=True, timeout=150, check=False, env=environment
    )


def results(*arguments: str) -> dict[str, Any]:
    done = bench(*arguments, "--engines", "stand-in", "--json")
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["bench"] == arguments[0]
    assert report["command"].startswith(f"antiphon bench {arguments[0]}")
    assert report["machine"]["cores"] >= 1
    assert report["versions"]["antiphon"]
    return dict(report["results"])


@pytest.fixture(scope="module")
def one_recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("recordings")
    name = "check-number-dial-again.flac"
    (directory / name).write_bytes((SHIPPED / name).read_bytes())
    (directory / "transcripts.tsv").write_text(f"file\ttext\n{name}\tPlease check the number and dial again.\n")
    return directory


def test_latency_with_and_without_drafts(one_recording: Path) -> None:
    found = results("latency", "--turns", "1", "--drafts", "both", "--recordings", str(one_recording))
    on, off = found["configurations"]
    assert "drafts on" in on["label"]
    assert "drafts off" in off["label"]
    for configuration in (on, off):
        assert configuration["first_turn"]["status"] == "completed"
        (turn,) = configuration["each"]
        assert turn["status"] == "completed"
        assert turn["cuts"] == 0
        assert 0 <= turn["stopped_to_audio"] < turn["end_to_audio"]
        assert configuration["end_to_audio_ms"]["count"] == 1


def test_latency_by_both_transports(one_recording: Path) -> None:
    found = results("latency", "--turns", "1", "--transport", "both", "--recordings", str(one_recording))
    websocket, webrtc = found["configurations"]
    assert "WebRTC" not in websocket["label"]
    assert "WebRTC" in webrtc["label"]
    assert webrtc["first_turn"] is None
    for configuration in (websocket, webrtc):
        (turn,) = configuration["each"]
        assert (turn["status"], turn["cuts"]) == ("completed", 0)
        assert 0 < turn["end_to_stopped"] < turn["end_to_audio"]


@pytest.mark.parametrize("kind", KINDS)
def test_latency_of_every_kind_of_pipeline(kind: Kind, one_recording: Path) -> None:
    with serving_pipeline(kind) as url:
        server = url.replace("ws:", "http:").removesuffix("/v1/realtime")
        found = results("latency", "--url", server, "--turns", "1", "--recordings", str(one_recording))
    (configuration,) = found["configurations"]
    (turn,) = configuration["each"]
    assert (turn["status"], turn["cuts"]) == ("completed", 0)
    assert 0 <= turn["stopped_to_audio"] < turn["end_to_audio"]


def test_a_call_that_is_refused_is_told_in_one_line(stand_in_server: ServerProcess) -> None:
    url = stand_in_server.base_url.removesuffix("/v1")
    done = bench("latency", "--url", url, "--transport", "webrtc", "--model", "no-such-model")
    assert done.returncode == 1
    assert "refused the call: 404" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_turns(one_recording: Path) -> None:
    found = results("turns", "--pause-ms", "0", "--turn-detection", "server_vad", "--recordings", str(one_recording))
    (configuration,) = found["configurations"]
    assert configuration["turns"] == 1
    assert configuration["cut_early_percent"] == 0.0


def test_bargein(one_recording: Path) -> None:
    found = results("bargein", "--times", "1", "--recordings", str(one_recording))
    spoken, hummed = found["each"]
    assert spoken["begin_to_started"] is not None
    assert hummed["recording"] != spoken["recording"]


@pytest.fixture(scope="module")
def locked() -> Iterator[str]:
    with serving(environment={"ANTIPHON_API_KEYS": KEY}) as server:
        yield server.base_url.removesuffix("/v1")


@pytest.mark.parametrize(
    "command",
    [("latency",), ("latency", "--transport", "webrtc"), ("accuracy",), ("turns",), ("bargein",), ("sessions",)],
    ids=" ".join,
)
def test_a_wrong_key_is_told_in_one_line(command: tuple[str, ...], locked: str, one_recording: Path) -> None:
    done = bench(*command, "--url", locked, "--api-key", "sk-wrong", "--recordings", str(one_recording))
    assert done.returncode == 1
    assert "401" in done.stderr
    assert "Incorrect API key provided." in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_sessions_of_a_server_with_keys(locked: str, one_recording: Path) -> None:
    options = (
        "--first",
        "1",
        "--most",
        "1",
        "--seconds",
        "6",
        "--target-ms",
        "5000",
        "--recordings",
        str(one_recording),
    )
    (step,) = results("sessions", "--url", locked, "--api-key", KEY, *options)["steps"]
    assert step["loop_lag_p99_ms"] is not None
    assert step["broken"] == []


@pytest.mark.models  # voice activity is detected for real
def test_sessions() -> None:
    found = results("sessions", "--first", "2", "--most", "2", "--seconds", "8", "--target-ms", "5000")
    (step,) = found["steps"]
    assert step["sessions"] == found["most_sessions"] == 2
    assert step["event_delay_p99_ms"] >= step["event_delay_p50_ms"] > 0
    assert step["loop_lag_p99_ms"] is not None
    assert step["cpu_cores"] > 0
    assert step["broken"] == []


def test_a_server_that_is_not_there_is_told_in_one_line() -> None:
    done = bench("latency", "--url", "http://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stderr.startswith("antiphon bench: cannot connect to ws://127.0.0.1:9/v1/realtime")
    assert len(done.stderr.strip().splitlines()) == 1
