"""What `antiphon config check` tells: every mistake at once, with its place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner

from antiphon.cli import app
from antiphon.config import ConfigError, load_configuration
from antiphon.config.problems import path_text
from tests.engine_packages import install_engines
from tests.unit.config_files import forget_settings, loaded, problems


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_settings(monkeypatch)


EVERYTHING = """\
port: 99999
lgo: {level: info}
log:
  level: loud
api_keys: [sk-secret]
default_pipeline: my-voic
default_pipeline: x
pipelines:
  my-voice:
    tts:
      - {engine: openai-speech, modle: x, voicee: b, api_key: {env: NOPE}}
      - hibarri
    llm: {engine: openai-chat, model: a, api_key: {env: NOPE}}
    vad: off
    turn: [smart-turn, smart-turn]
    transcription: hibari
    turn_detection: {type: server_vad, threshold: 3}
    limits: {max_item: 5}
  two:
    tts: {engine: stand-in-tts, cores: 0}
    turn_detection: {type: semantic}
  three:
    tts: stand-in-tts
    voice: hgh
    drafts: ful
  bad name: {}
"""


def test_everything_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_PROT", "1")
    monkeypatch.setenv("ANTIPHON_DRAIN_S", "soon")
    monkeypatch.setenv("ANTIPHON_LIMITS__MAX_ITEMS", "many")
    monkeypatch.setenv("ANTIPHON_WEBRTC", "{")
    told = problems(tmp_path, EVERYTHING, {"--host": (("host",), "192.168.0.1"), "--port": (("port",), 70000)})
    expected = [
        ("antiphon.yaml:2:1: lgo: there is no such setting", "did you mean 'log'?"),
        ("antiphon.yaml:4:10: log.level: ", "'debug'"),
        ("antiphon.yaml:5:12: api_keys[0]: secrets are not written into the file", "{env: NAME}"),
        ("antiphon.yaml:6:19: default_pipeline: there is no pipeline 'my-voic'", "did you mean 'my-voice'?"),
        ("antiphon.yaml:7:1: default_pipeline: stands here again", "line 6"),
        ("antiphon.yaml:11:9: pipelines.my-voice.tts[0].model: openai-speech needs this option", ""),
        ("antiphon.yaml:11:33: pipelines.my-voice.tts[0].modle: openai-speech has no option 'modle'", "mean 'model'?"),
        (
            "antiphon.yaml:11:43: pipelines.my-voice.tts[0].voicee: openai-speech has no option 'voicee'",
            "mean 'voices'?",
        ),
        ("antiphon.yaml:11:63: pipelines.my-voice.tts[0].api_key: the environment variable NOPE is not set", ""),
        ("antiphon.yaml:12:9: pipelines.my-voice.tts[1]: there is no engine 'hibarri'", "did you mean 'hibari'?"),
        ("antiphon.yaml:13:51: pipelines.my-voice.llm.api_key: the environment variable NOPE is not set", ""),
        ("antiphon.yaml:14:10: pipelines.my-voice.vad: cannot be off", ""),
        ("antiphon.yaml:15:11: pipelines.my-voice.turn: takes one engine", ""),
        ("antiphon.yaml:16:20: pipelines.my-voice.transcription: the engine 'hibari' is not a Transcriber", ""),
        ("antiphon.yaml:17:51: pipelines.my-voice.turn_detection.threshold: ", "less than or equal to 1"),
        ("antiphon.yaml:18:14: pipelines.my-voice.limits.max_item: there is no such setting", "mean 'max_items'?"),
        ("antiphon.yaml:20:40: pipelines.two.tts.cores: ", "greater than or equal to 1"),
        ("antiphon.yaml:21:21: pipelines.two.turn_detection: ", "type: semantic_vad"),
        ("antiphon.yaml:24:12: pipelines.three.voice: stand-in-tts has no voice 'hgh'", "did you mean 'high'?"),
        ("antiphon.yaml:25:13: pipelines.three.drafts: ", "did you mean 'full'?"),
        ("antiphon.yaml:26:3: pipelines.bad name: is no name for a pipeline", ""),
        ("ANTIPHON_PROT: there is no such setting", "did you mean 'ANTIPHON_PORT'?"),
        ("ANTIPHON_WEBRTC: ", "JSON"),
        ("--port: port: ", "65535"),
        ("ANTIPHON_DRAIN_S: ", "number"),
        ("ANTIPHON_LIMITS__MAX_ITEMS: ", "integer"),
    ]
    for line, (start, part) in zip(told, expected, strict=True):
        assert line.startswith(start), (line, start)
        assert part in line
    assert "sk-secret" not in "\n".join(told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [", ":1:5: "),
        ("- a", ":1:1: must be a mapping"),
        ("host: 0.0.0.0", "ANTIPHON_ALLOW_ANONYMOUS: listening on 0.0.0.0 lets others on the network in"),
        ("host: 0.0.0.0\nallow_anonymous: false", ":2:18: allow_anonymous: listening on 0.0.0.0"),
        ("api_keys_file: /no/such/file", "the file of API keys, /no/such/file, cannot be read"),
        (
            "api_keys: [{env: NOPE_KEY}]",
            ":1:12: api_keys[0]: the environment variable NOPE_KEY is not set",
        ),
        ("api_keys: [{file: /no/such/file}]", ":1:12: api_keys[0]: the file /no/such/file cannot be read"),
        ("api_keys: [{evn: X}]", ":1:13: api_keys[0].evn: "),
        ("webrtc: {turn_password: hunter2}", ":1:25: webrtc.turn_password: secrets are not written"),
        ("default_pipeline: x", ":1:19: default_pipeline: there is no pipeline 'x'; there are: none"),
        (
            "pipelines: {a: {aliases: [b]}, b: {}}",
            ":1:12: pipelines: the alias 'b' of 'a' is taken by 'b'",
        ),
        ("pipelines: {a: {denoise: []}}", ":1:26: pipelines.a.denoise: is an empty list; write off"),
        ("pipelines: {a: {llm: {words: x}}}", ":1:30: pipelines.a.llm.words: "),
        (
            "pipelines: {a: {llm: {options: {wrds: 1}}}}",
            ":1:33: pipelines.a.llm.options.wrds: stand-in-llm",
        ),
        ("pipelines: {a: {llm: {engine: x, name: y}}}", ":1:22: pipelines.a.llm: give `engine` or `name`"),
        ("pipelines: {a: {llm: 5}}", ":1:22: pipelines.a.llm: "),
        (
            "pipelines: {a: {speech: stand-in-llm}}",
            "pipelines.a.speech: the engine 'stand-in-llm' is not a SpeechModel",
        ),
        ("pipelines: {a: {speech: x, llm: stand-in-llm}}", "pipelines.a.speech: a pipeline with speech has no llm"),
        (
            "pipelines: {a: {upstream: {base_url: http://x/v1}, tts: stand-in-tts, drafts: off}}",
            ":1:27: pipelines.a.upstream: a pipeline with upstream has no tts and no drafts: the other server does it",
        ),
        ("pipelines: {a: {upstream: {}}}", ":1:17: pipelines.a.upstream.base_url: is missing"),
        ("pipelines: {a: {upstream: {base_url: x}}}", ":1:38: pipelines.a.upstream.base_url: write it like https:"),
        (
            "pipelines: {a: {upstream: {base_url: 'http://:hunter2@x'}}}",
            "base_url: it has no query, no fragment and no",
        ),
        (
            "pipelines: {a: {upstream: {base_url: 'http://x:80000'}}}",
            ":1:38: pipelines.a.upstream.base_url: Port out of",
        ),
        (
            "pipelines: {a: {llm: {engine: openai-chat, model: m, base_url: 'http://x:80000'}}}",
            "llm.base_url: Port out",
        ),
        (
            "pipelines: {a: {llm: {engine: openai-chat, model: m, base_url: 'http://x:abc'}}}",
            "llm.base_url: Port could",
        ),
        (
            "pipelines: {a: {llm: {engine: openai-chat, model: m, base_url: 'http://x/v1?key=hunter2'}}}",
            "pipelines.a.llm.base_url: it has no query and no fragment",
        ),
        (f"port: {'1' * 5000}", ":1:7: the number is too long"),
        ("pipelines: {a: {upstream: {base_url: http://x, modle: y}}}", "did you mean 'model'?"),
        (
            "pipelines: {a: {upstream: {base_url: http://x, api_key: hunter2}}}",
            ":1:57: pipelines.a.upstream.api_key: secrets are not written into settings",
        ),
        (
            "pipelines: {a: {upstream: {base_url: http://x, api_key: {env: NOPE_KEY}}}}",
            ":1:57: pipelines.a.upstream.api_key: the environment variable NOPE_KEY is not set",
        ),
        (
            "pipelines: {a: {upstream: {base_url: http://x, headers: {Authorization: hunter2}}}}",
            "pipelines.a.upstream.headers: Authorization: these headers are the server's own affair",
        ),
        (
            "pipelines: {a: {upstream: {base_url: http://x, recording: {}}}}",
            "pipelines.a.upstream.recording.directory: is missing",
        ),
        ("pipelines: {a: {transcription: off}}", ":1:16: pipelines.a: transcription cannot be off"),
        ("pipelines: {a: {denoise: {cores: 2}}}", ":1:26: pipelines.a.denoise: the preset has no engine"),
        (
            "engines: {tts: {character_s: 1}}",
            ":1:17: engines.tts.character_s: stand-in-tts has no option 'character_s'",
        ),
        ("engines: {preset: standin}", ":1:19: engines.preset: "),
    ],
)
def test_each_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, told: str) -> None:
    if "engines:" not in text:
        monkeypatch.setenv("ANTIPHON_ENGINES__PRESET", "stand-in")
    elif "preset" not in text:
        text = text.replace("{tts", "{preset: stand-in, tts")
        told = told.replace("1:17", "1:35")
    lines = problems(tmp_path, text)
    assert any(told in line for line in lines), lines
    assert "hunter2" not in "\n".join(lines)


def test_the_preset_that_lacks_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "hibari", None)
    monkeypatch.delitem(__import__("sys").modules, "antiphon.engines.hibari", raising=False)
    (told,) = problems(tmp_path, "port: 1")
    assert "the engine 'hibari' cannot be imported" in told
    assert "antiphon[local]" in told


GOOD: Mapping[str, str] = {
    "an engine by name": "pipelines: {a: {llm: stand-in-llm}}",
    "other options of the preset's engine": "pipelines: {a: {llm: {words: 3}}}",
    "options that stand apart": "pipelines: {a: {llm: {engine: stand-in-llm, options: {words: 3}}}}",
    "a chain": "pipelines: {a: {tts: [stand-in-tts, {engine: stand-in-tts, character_ms: 1}]}}",
    "off": "pipelines: {a: {turn: off, denoise: off, turn_detection: off, drafts: off}}",
    "an OpenAI voice": "pipelines: {a: {voice: marin}}",
    "an upstream": "pipelines: {a: {upstream: {base_url: http://x/v1}, voice: any, turn_detection: off}}",
    "a voice of its own": "pipelines: {a: {voice: high}}",
    "a key elsewhere": "api_keys: [{env: A_KEY}]\nhost: 0.0.0.0",
    "other people's variables": "port: 1",
}


@pytest.mark.parametrize("name", GOOD)
def test_what_is_right(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_ENGINES__PRESET", "stand-in")
    monkeypatch.setenv("A_KEY", "sk-one")
    monkeypatch.setenv("ANTIPHON_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("ANTIPHON_PORT_80_TCP_ADDR", "10.0.0.1")
    loaded(tmp_path, GOOD[name])


def test_paths_as_they_are_told() -> None:
    assert path_text(("pipelines", "a-b", "tts", 0, "voice")) == "pipelines.a-b.tts[0].voice"
    assert path_text(()) == ""


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_ENGINES__PRESET", "stand-in")
    file = tmp_path / "a.yaml"
    file.write_text("port: 1\n")
    good = CliRunner().invoke(app, ["config", "check", "--config", str(file)])
    assert (good.exit_code, good.stdout) == (0, f"{file}: nothing is wrong\n")
    file.write_text("prt: 1\nprot: 2\n")
    bad = CliRunner().invoke(app, ["config", "check", "--config", str(file)])
    assert bad.exit_code == 1
    assert bad.stderr.splitlines() == [
        f"{file}:1:1: prt: there is no such setting; did you mean 'port'?",
        f"{file}:2:1: prot: there is no such setting; did you mean 'port'?",
    ]
    none = CliRunner().invoke(app, ["config", "check"])
    assert none.stdout == "There is no configuration file: nothing is wrong\n"


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml: cannot be read: No such file"):
        load_configuration(Path("absent.yaml"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("log: debug", "1:6: log: must be a mapping, like log: {level: …}"),
        ("pipelines: [a]", "1:12: pipelines: must be a mapping"),
        ("pipelines: {a: b}", "1:16: pipelines.a: must be a mapping, like a: {vad: …}"),
        ("webrtc: {udp_ports: 50000}", '1:21: webrtc.udp_ports: must be text: write it in quotes, "50000"'),
        (
            "pipelines: {a: {turn_detection: {type: server_vad, eagerness: high}}}",
            "1:52: pipelines.a.turn_detection.eagerness: there is no such setting with type: server_vad",
        ),
        (
            "pipelines: {a: {turn_detection: {type: semantic_vad, treshold: 0.5}}}",
            "1:54: pipelines.a.turn_detection.treshold: there is no such setting; did you mean 'threshold'?",
        ),
        ("pipelines:\n\ta: {}", "2:1: a tab stands here; YAML is indented with spaces"),
        (
            "instructions: You know this: bicycles.",
            "1:28: ': ' cannot stand here; quote the text that has it, or mend the indentation",
        ),
        ("port: 80\nlog: {level: debug", "2:6: what begins here does not end: a bracket or a quote is missing"),
        ("api_keys: [", "1:12: what begins here does not end: a bracket or a quote is missing"),
        ('instructions: "Hello\n', "1:15: what begins here does not end: a bracket or a quote is missing"),
        (
            "pipelines: {a: {llm: {model: file:/no/such.gguf}}}",
            "1:30: pipelines.a.llm.model: /no/such.gguf: no such file or directory",
        ),
        (
            "pipelines: {a: {llm: {engine: llamacpp, options: {model: ./no.gguf}}}}",
            "1:58: pipelines.a.llm.options.model: no.gguf: no such file or directory",
        ),
        (
            "pipelines: {a: {llm: {model: 'hf:nowhere'}}}",
            "1:30: pipelines.a.llm.model: 'hf:nowhere' is not of the form hf:owner/repo[@revision][/path]",
        ),
    ],
)
def test_mistakes_of_beginners_are_told_in_words_for_them(tmp_path: Path, text: str, said: str) -> None:
    assert problems(tmp_path, text) == [f"antiphon.yaml:{said}"]


def test_a_wrong_option_hides_no_other_mistake(tmp_path: Path) -> None:
    llm = "llm: {model: ./no.gguf, slotz: 3}"
    tts = "tts: {engine: openai-speech, model: x, api_key: {env: NOPE_KEY}, vioces: [a]}"
    upstream = "upstream: {base_url: http://x, api_key: {env: NOPE_KEY}, modle: y}"
    told = problems(tmp_path, f"pipelines: {{a: {{{llm}, {tts}}}, b: {{{upstream}}}}}")
    for part in ("no.gguf: no such file", "option 'slotz'", "option 'vioces'", "upstream.modle: there is no such"):
        assert any(part in line for line in told), told
    assert sum("the environment variable NOPE_KEY is not set" in line for line in told) == 2
    assert len(told) == 6


def test_an_unknown_model_is_told_with_the_one_that_was_meant(tmp_path: Path) -> None:
    (told,) = problems(tmp_path, "pipelines: {a: {transcription: {model: whisper-tinyen}}}")
    assert told.startswith("antiphon.yaml:1:40: pipelines.a.transcription.model: unknown model 'whisper-tinyen'")
    assert told.endswith("did you mean 'whisper-tiny.en'?")
    (tmp_path / "a.gguf").write_bytes(b"")
    loaded(tmp_path, f"pipelines: {{a: {{llm: {{model: 'file:{tmp_path}/a.gguf'}}}}}}")
    loaded(tmp_path, "pipelines: {a: {llm: {model: hf:owner/repo/a.gguf}, transcription: {model: hf:owner/repo}}}")
    loaded(tmp_path, "pipelines: {a: {llm: {engine: openai-chat, model: whatever}}}")


def test_an_engine_that_cannot_be_imported_is_told_like_other_mistakes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_engines(tmp_path, "burning_pkg", {"burning": "burning_pkg:Engine"}, "raise OSError('no such driver')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    told = problems(tmp_path, "prt: 1\npipelines: {a: {tts: burning, voice: x}}")
    assert told[-1].startswith("antiphon.yaml:2:22: pipelines.a.tts: the engine 'burning' of burning_pkg cannot be ")
    assert told[-1].endswith("OSError: no such driver")
    assert len(told) == 2


def test_every_model_of_every_piper_voice_is_looked_for(tmp_path: Path) -> None:
    pytest.importorskip("piper")
    voices = "{ada: /no/a.onnx, bob: {model: ./b.onnx, length_scale: 1.1}, cyd: 'hf:nowhere', dee: 'hf:o/r/d.onnx'}"
    assert problems(tmp_path, f"pipelines: {{a: {{tts: {{engine: piper, voices: {voices}}}}}}}") == [
        "antiphon.yaml:1:52: pipelines.a.tts.voices.ada: /no/a.onnx: no such file or directory",
        "antiphon.yaml:1:77: pipelines.a.tts.voices.bob.model: b.onnx: no such file or directory",
        "antiphon.yaml:1:112: pipelines.a.tts.voices.cyd: 'hf:nowhere' is not of the form "
        "hf:owner/repo[@revision][/path]",
    ]
    (nested,) = problems(
        tmp_path, "pipelines: {a: {tts: {engine: piper, options: {voices: {ada: {model: /no/a.onnx}}}}}}"
    )
    assert "pipelines.a.tts.options.voices.ada.model: /no/a.onnx: no such file" in nested
