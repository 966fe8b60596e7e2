import base64
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.audio.files import AudioFileError
from antiphon.bench.connection import BenchError, Target
from antiphon.bench.conversation import SessionSetup
from antiphon.bench.corpus import RATE, SHIPPED, load_recordings, speech_bounds
from antiphon.bench.figures import percentile, summary
from antiphon.bench.microphone import append_frames
from antiphon.bench.report import Figures, Report, command, machine, show
from antiphon.bench.words import WordErrors, word_errors


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 100))
def test_a_percentile_is_a_measured_value_with_its_share_at_or_below(values: list[float], percent: float) -> None:
    found = percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) >= percent / 100 * len(values) - 1e-9
    assert sum(value < found for value in values) <= percent / 100 * len(values) + 1e-9


def test_percentiles_by_the_nearest_rank() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [percentile(values, percent) for percent in (50, 95, 99, 100)] == [50, 95, 99, 100]
    assert percentile([3.0], 50) == 3.0
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


def test_a_summary_leaves_out_what_is_unknown() -> None:
    found = summary([None, 1.0, 2.0, 3.0, None])
    assert found == {"count": 3, "p50": 2.0, "p90": 3.0, "p95": 3.0, "p99": 3.0, "min": 1.0, "max": 3.0}
    assert summary([None]) == {"count": 0}


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("http://127.0.0.1:8080", "ws://127.0.0.1:8080/v1/realtime"),
        ("127.0.0.1:8080", "ws://127.0.0.1:8080/v1/realtime"),
        ("https://api.example.com/v1/", "wss://api.example.com/v1/realtime"),
        ("ws://host/realtime", "ws://host/realtime"),
        ("wss://host/openai/v1/realtime?api-version=1", "wss://host/openai/v1/realtime?api-version=1"),
    ],
)
def test_targets(url: str, endpoint: str) -> None:
    assert Target.parse(url).url == endpoint


def test_a_target_takes_a_model_and_hides_its_key() -> None:
    target = Target.parse("http://h:1/v1?model=a&x=1", model="b c", api_key="sk-secret")
    assert target.url == "ws://h:1/v1/realtime?model=b+c&x=1"
    assert target.http_root == "http://h:1"
    assert "secret" not in repr(target)
    with pytest.raises(BenchError, match="is not the URL"):
        Target.parse("ftp://h")


@given(count=st.integers(0, 5_000), chunk=st.integers(1, 960))
def test_appended_frames_hold_the_recording_and_then_silence(count: int, chunk: int) -> None:
    pcm = np.random.default_rng(count).integers(-32768, 32767, count).astype(np.int16)
    frames = [json.loads(frame) for frame in append_frames(pcm, chunk)]
    assert {frame["type"] for frame in frames} <= {"input_audio_buffer.append"}
    sent = np.frombuffer(b"".join(base64.b64decode(frame["audio"]) for frame in frames), "<i2")
    assert len(sent) == -(-count // chunk) * chunk
    assert np.array_equal(sent[:count], pcm)
    assert not sent[count:].any()


def test_the_shipped_recordings() -> None:
    recordings = load_recordings(SHIPPED)
    assert 5 <= len(recordings) <= 10
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 1_000_000
    assert "CC-BY-SA-3.0" in (SHIPPED / "README.md").read_text()
    for recording in recordings:
        assert recording.text
        assert 0 <= recording.begin < recording.end <= len(recording.pcm)
        assert recording.end - recording.begin > 1.5 * RATE


def test_speech_bounds() -> None:
    samples = np.random.default_rng(0).normal(0, 1e-4, 16_000).astype(np.float32)
    samples[3_200:8_000] += np.sin(np.arange(4_800) / 3).astype(np.float32)
    assert speech_bounds(samples, 16_000) == (3_200, 8_000)
    assert speech_bounds(np.zeros(50, np.float32), 16_000) == (0, 50)
    assert speech_bounds(np.zeros(5_000, np.float32), 16_000) == (0, 5_000)


@pytest.mark.parametrize("listing", [None, "", "name\twords\na.wav\thello\n"])
def test_a_directory_without_a_proper_list_is_refused(tmp_path: Path, listing: str | None) -> None:
    if listing is not None:
        (tmp_path / "transcripts.tsv").write_text(listing)
    with pytest.raises(AudioFileError, match=r"transcripts\.tsv"):
        load_recordings(tmp_path)


def test_word_errors_after_normalisation() -> None:
    assert word_errors(["Press 1, please!"], ["press one please"]) == WordErrors(0, 3)
    assert word_errors(["the number you dialed"], ["a number dialed twice"]) == WordErrors(3, 4)
    assert word_errors(["hello there"], [""]).percent == 100.0
    assert word_errors([], []).percent == 0.0


def test_sessions_are_configured_as_the_protocol_says() -> None:
    session = SessionSetup("server_vad", silence_ms=300, reply_tokens=50).event()["session"]
    assert session["audio"]["input"]["turn_detection"] == {"type": "server_vad", "silence_duration_ms": 300}
    assert session["max_output_tokens"] == 50
    session = SessionSetup("semantic_vad", eagerness="high", transcribe=False).event()["session"]
    assert session["audio"]["input"]["turn_detection"] == {"type": "semantic_vad", "eagerness": "high"}
    assert "transcription" not in session["audio"]["input"]
    assert "max_output_tokens" not in session


def test_the_command_line_is_shown_without_keys() -> None:
    assert command(["bench", "latency", "--api-key", "sk-1", "--turns", "3"]) == (
        "antiphon bench latency --api-key '***' --turns 3"
    )
    assert "sk-1" not in command(["bench", "latency", "--api-key=sk-1"])


def test_reports_name_the_machine(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(
        "latency", {"x": 1}, [Figures("Title [a]", ("ms", "p50"), [("row", 1.5), ("none", None)], ["note"])]
    )
    show(report, machine(), as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["bench"] == "latency"
    assert told["results"] == {"x": 1}
    assert told["machine"]["cores"] >= 1
    assert told["versions"]["antiphon"]
    show(report, machine(), as_json=False)
    shown = capsys.readouterr().out
    assert "Title [a]" in shown
    assert "1.5" in shown
    assert "cores" in shown
