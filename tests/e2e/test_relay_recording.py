"""Recordings of relayed sessions."""

from __future__ import annotations

import json
import stat
import threading
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from antiphon.audio.formats import PCM_16K, PCM_24K, PCMU
from antiphon.protocol.frames import AudioDelta
from antiphon.relay import recording
from antiphon.relay.recording import Recorder
from antiphon.relay.settings import RecordingSettings
from tests.calling import calling, loud
from tests.conformance.audio import tone
from tests.conformance.recorder import RealtimeClient
from tests.e2e.relaying import in_front_of
from tests.remote_servers import eventually
from tests.serving import ServerProcess


def samples(path: Path) -> NDArray[np.int16]:
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 24_000)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)


def only_folder(directory: Path) -> Path:
    (folder,) = directory.iterdir()
    return folder


async def written() -> None:
    """Wait until the recorder of a session, for which nobody else waits, has written everything."""
    await eventually(lambda: not any(thread.name == "recorder" for thread in threading.enumerate()))


def lines(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "events.jsonl").read_text().splitlines()]


def ended(recorder: Recorder) -> None:
    recorder.close()
    recorder._thread.join(10)
    assert not recorder._thread.is_alive()


async def test_a_session_is_recorded(stand_in_server: ServerProcess, tmp_path: Path) -> None:
    kept = {"recording": {"directory": str(tmp_path / "kept")}}
    async with in_front_of(stand_in_server.base_url, upstream=kept) as server:
        async with RealtimeClient(server.ws_url) as client:
            session_id = (await client.expect("session.created"))["session"]["id"]
            await client.speak(tone(800))
            done = (await client.expect("response.done"))["response"]
            spoken = client.recording.speech(done["id"])
            await client.settle()
            audio = "AAAA" * 4800
            item = {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": audio}]}
            await client.send({"type": "conversation.item.create", "item": item})
            await client.expect("conversation.item.done")
        directory = only_folder(tmp_path / "kept")
        await eventually(lambda: server.service.models is not None and not server.service.models.default.sessions)
        await written()
    assert directory.name.endswith(session_id)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (directory.parent, directory)] == [0o700, 0o700]
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {
        "events.jsonl": 0o600,
        "user.wav": 0o600,
        "assistant.wav": 0o600,
    }
    assert np.array_equal(samples(directory / "assistant.wav"), spoken)
    assert np.array_equal(samples(directory / "user.wav")[: 24 * 800], tone(800))
    events = lines(directory)
    assert [line["at_ms"] for line in events] == sorted(line["at_ms"] for line in events)
    told = [line["event"]["type"] for line in events if line["direction"] == "down"]
    assert told == client.recording.types()
    heard = [line for line in events if line["event"]["type"] == "input_audio_buffer.append"]
    assert heard[1]["audio"] == {"file": "user.wav", "begin_ms": 20.0, "end_ms": 40.0}
    text = (directory / "events.jsonl").read_text()
    assert audio not in text
    assert "19200 characters, left out" in text
    assert '"delta":"AAAA' not in text


async def test_a_call_is_recorded(stand_in_server: ServerProcess, tmp_path: Path) -> None:
    kept = {"recording": {"directory": str(tmp_path)}}
    async with in_front_of(stand_in_server.base_url, upstream=kept) as server:
        async with calling(server.base_url) as caller:
            caller.microphone.say(loud(0.6))
            await caller.expect("output_audio_buffer.stopped")
        await eventually(lambda: server.service.models is not None and not server.service.models.default.sessions)
    directory = only_folder(tmp_path)
    await written()
    assert (np.abs(samples(directory / "user.wav").astype(np.int32)) > 1000).sum() > 5_000
    assert (np.abs(samples(directory / "assistant.wav").astype(np.int32)) > 1000).sum() > 12_000


async def test_without_a_disk_the_session_goes_on(
    stand_in_server: ServerProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("no directory")
    kept = {"recording": {"directory": str(tmp_path / "file" / "inside")}}
    async with in_front_of(stand_in_server.base_url, upstream=kept) as server, RealtimeClient(server.ws_url) as client:
        await client.send({"type": "response.create"})
        assert (await client.expect("response.done"))["response"]["status"] == "completed"
    await written()
    assert "the recording ends here: it cannot be written" in capsys.readouterr().out


def test_every_format_becomes_24_khz(tmp_path: Path) -> None:
    recorder = Recorder(RecordingSettings(directory=tmp_path), "sess_1")
    pcm = np.full(1600, 1000, np.int16)
    recorder.down(AudioDelta("r", "i", 0, 0, PCM_16K.encode(pcm)), PCM_16K)
    recorder.down(AudioDelta("r", "i", 0, 0, PCMU.encode(pcm[:800])), PCMU)
    recorder.down(AudioDelta("r", "i", 0, 0, PCM_24K.encode(pcm)), PCM_24K)
    ended(recorder)
    length = len(samples(recorder.directory / "assistant.wav"))
    assert length == pytest.approx(2400 + 2400 + 1600, abs=200)


def test_it_ends_when_it_is_as_large_as_it_may_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorder = Recorder(RecordingSettings(directory=tmp_path, max_mb=0.1), "sess_1")
    for _ in range(100):
        recorder.down(AudioDelta("r", "i", 0, 0, bytes(4800)), PCM_24K)
    recorder._thread.join(10)
    assert not recorder._thread.is_alive()
    assert "as large as it may be" in capsys.readouterr().out
    size = sum(path.stat().st_size for path in recorder.directory.iterdir())
    assert 100_000 < size < 120_000
    recorder.down({"type": "response.done"}, PCM_24K)
    recorder.close()


def test_a_disk_that_is_full_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no /dev/full here")
    monkeypatch.setattr(recording, "_opened", lambda path: full.open("wb", buffering=0))
    recorder = Recorder(RecordingSettings(directory=tmp_path), "sess_1")
    for _ in range(10):
        recorder.down(AudioDelta("r", "i", 0, 0, bytes(4800)), PCM_24K)
    ended(recorder)
    assert "No space left on device" in capsys.readouterr().out


def test_a_disk_that_is_too_slow_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(recording, "MAX_WAITING_BYTES", 100_000)
    recorder = Recorder(RecordingSettings(directory=tmp_path), "sess_1")
    for _ in range(1000):
        recorder.down(AudioDelta("r", "i", 0, 0, bytes(50_000)), PCM_24K)
    ended(recorder)
    assert "its disk is too slow" in capsys.readouterr().out
