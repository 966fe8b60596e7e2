"""How a server starts and stops, seen from outside."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from antiphon.cli import app
from tests.engine_packages import install_engines
from tests.serving import START_TIMEOUT_S, ServerProcess, serving


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_an_idle_server(number: int) -> None:
    server = ServerProcess()
    server.wait_ready()
    assert server.stop(number) == 0
    assert server.log[-1]["event"] == "stopped"


async def test_sessions_are_closed_with_1001_after_the_drain() -> None:
    with serving(environment={"ANTIPHON_DRAIN_S": "0.5"}) as server:
        async with connect(server.ws_url) as client:
            await client.recv()
            os.kill(server.pid, signal.SIGTERM)
            await asyncio.to_thread(server.wait_for, "waiting for sessions to end")
            with pytest.raises(OSError, match="Connect call failed"):
                await connect(server.ws_url)
            with pytest.raises(ConnectionClosed) as caught:
                await client.recv()
        assert caught.value.rcvd is not None
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (1001, "the server is shutting down")
        assert await asyncio.to_thread(server.wait) == 0
    assert any(line["event"] == "session closed" and line["reason"] == "shutdown" for line in server.log)


async def test_a_session_may_end_by_itself_during_the_drain() -> None:
    with serving(environment={"ANTIPHON_DRAIN_S": "60"}) as server:
        async with connect(server.ws_url) as client:
            await client.recv()
            os.kill(server.pid, signal.SIGTERM)
            await asyncio.to_thread(server.wait_for, "waiting for sessions to end")
            await client.send("{}")
            assert '"error"' in str(await client.recv())
        assert await asyncio.to_thread(server.wait) == 0


async def test_a_second_signal_stops_at_once() -> None:
    with serving(environment={"ANTIPHON_DRAIN_S": "60"}) as server:
        async with connect(server.ws_url) as client:
            await client.recv()
            os.kill(server.pid, signal.SIGINT)
            await asyncio.to_thread(server.wait_for, "waiting for sessions to end")
            os.kill(server.pid, signal.SIGINT)
            assert await asyncio.to_thread(server.wait) == 130


STUCK = """\
import asyncio, time

from antiphon.engines.stand_in import StandInTurnClassifier


class Stuck(StandInTurnClassifier):
    async def close(self):
        asyncio.get_running_loop().run_in_executor(None, time.sleep, 600)
"""


def test_a_thread_of_an_engine_that_does_not_end_does_not_keep_the_server_from_stopping(tmp_path: Path) -> None:
    install_engines(tmp_path, "stuck_engine", {"stuck": "stuck_engine:Stuck"}, STUCK)
    environment = {"PYTHONPATH": str(tmp_path), "ANTIPHON_ENGINES__TURN__NAME": "stuck"}
    with serving(environment=environment) as server:
        os.kill(server.pid, signal.SIGTERM)
        server.wait_for("stopped")
        assert server.wait() == 0
        assert server.log[-1]["event"] == "threads of engines do not end: the process ends without them"


# --- what keeps a server from starting -------------------------------------------------------------------------------


def fails(arguments: list[str], environment: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Run `antiphon serve`, which must fail, and return its exit code and what it said."""
    server = ServerProcess(arguments=arguments, environment=environment)
    code = server.wait(START_TIMEOUT_S)
    said = "\n".join(server.output)
    assert "Traceback" not in said
    assert len(server.output) < 10
    return code, said


def test_a_port_in_use() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, said = fails(["--port", str(port)])
    assert code == 1
    assert f"127.0.0.1:{port} is in use" in said


def test_beyond_this_machine_without_keys() -> None:
    code, said = fails(["--host", "0.0.0.0"])
    assert code == 2
    assert "ANTIPHON_API_KEYS" in said
    assert "--allow-anonymous" in said


def test_a_setting_that_is_wrong() -> None:
    code, said = fails([], {"ANTIPHON_MAX_SESSIONS": "many", "ANTIPHON_LIMITS": "{"})
    assert code == 2
    assert "limits" in said.lower()
    code, said = fails([], {"ANTIPHON_MAX_SESSIONS": "many"})
    assert code == 2
    assert "ANTIPHON_MAX_SESSIONS: " in said


def test_an_engine_that_is_not_there() -> None:
    code, said = fails([], {"ANTIPHON_ENGINES__TTS__NAME": "nonsense"})
    assert code == 2
    assert "there is no engine 'nonsense'" in said


def test_an_option_that_an_engine_does_not_have() -> None:
    code, said = fails([], {"ANTIPHON_ENGINES__TTS__OPTIONS": '{"nonsense": 1}'})
    assert code == 2
    assert "nonsense" in said


def test_a_language_model_that_is_not_there(tmp_path: Path) -> None:
    code, said = fails(
        ["--engines", "embedded", "--llm", str(tmp_path / "absent.gguf")], {"ANTIPHON_HOME": str(tmp_path)}
    )
    assert code == 2
    assert "absent.gguf" in said


def test_a_model_file_that_is_truncated_and_cannot_be_had_anew(tmp_path: Path) -> None:
    truncated = tmp_path / "models" / "silero-vad" / "silero_vad.onnx"
    truncated.parent.mkdir(parents=True)
    truncated.write_bytes(b"too short")
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull, "HF_HUB_OFFLINE": "1"}
    code, said = fails(["--engines", "embedded"], {"ANTIPHON_HOME": str(tmp_path), **offline})
    assert code == 1
    assert "antiphon serve: model silero-vad could not be fetched" in said
    assert "antiphon models pull silero-vad" in said


def test_all_commands_have_help() -> None:
    told = CliRunner().invoke(app, ["--help"])
    assert told.exit_code == 0
    for command in ("serve", "transcribe", "bench", "doctor", "models"):
        assert command in told.output
        assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0
