"""`antiphon serve` with remote engines in its settings."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.conformance.audio import tone
from tests.conformance.recorder import RealtimeClient
from tests.remote_servers import KEY, MODEL
from tests.serving import START_TIMEOUT_S, ServerProcess, serving

ENGINES = {"LLM": "openai-chat", "TRANSCRIPTION": "openai-transcription", "TTS": "openai-speech"}


@pytest.fixture(scope="module")
def remote_url() -> Iterator[str]:
    """The URL of a server in a process of its own."""
    command = [sys.executable, "-m", "tests.remote_servers"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.stdin.close()


def environment(url: str, key: str) -> dict[str, str]:
    options = json.dumps({"base_url": f"{url}/v1", "model": MODEL, "api_key": {"env": "REMOTE_KEY"}})
    chosen = {f"ANTIPHON_ENGINES__{role}__NAME": name for role, name in ENGINES.items()}
    return {"REMOTE_KEY": key, **chosen, **{f"ANTIPHON_ENGINES__{role}__OPTIONS": options for role in ENGINES}}


async def test_a_turn(remote_url: str) -> None:
    with serving("stand-in", environment=environment(remote_url, KEY)) as server:
        async with RealtimeClient(server.ws_url) as client:
            await client.speak(tone(800))
            response = (await client.expect("response.done"))["response"]
            assert response["status"] == "completed"
            assert len(client.recording.speech(response["id"])) > 24_000
    assert KEY not in "\n".join(server.output)


def test_a_wrong_key_is_told_at_the_start(remote_url: str) -> None:
    server = ServerProcess("stand-in", environment=environment(remote_url, "sk-wrong-secret"))
    assert server.wait(START_TIMEOUT_S) != 0
    told = "\n".join(server.output)
    for engine in ENGINES.values():
        assert f"{engine} ({MODEL}): {remote_url}/v1 refuses the key in the environment variable REMOTE_KEY" in told
    assert "sk-wrong-secret" not in told
