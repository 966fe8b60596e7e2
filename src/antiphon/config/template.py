"""The file that `antiphon init` writes: every setting, commented out.

A line that begins with "# " and a word is prose; any other "#" stands before a setting. Take it away, and the setting
is there.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import Any

from antiphon.config.tree import Setting, all_settings

SCHEMA_FILE = "antiphon.schema.json"

_HEAD = f"""\
# yaml-language-server: $schema=./{SCHEMA_FILE}
# The configuration of Antiphon. Editors complete and check it once the schema lies beside it:
# `antiphon config schema > {SCHEMA_FILE}`. Check it yourself with `antiphon config check`.
# Settings are commented out with their defaults, or with an example where there is no default.
# The environment wins over this file, e.g. ANTIPHON_LOG__LEVEL over log.level, and flags of `antiphon serve` over both.
# Secrets are never written here: they are {{env: NAME}} or {{file: PATH}}.
# A running server reads the file again on SIGHUP: new sessions get what is new, others go on as they began.
"""

_EXAMPLES: dict[tuple[str, ...], str] = {
    ("api_keys",): "[{env: MY_API_KEY}]",
    ("api_keys_file",): "keys.txt",
    ("allowed_origins",): "[https://app.example.com]",
    ("webrtc", "interfaces"): "[eth0]",
    ("webrtc", "udp_ports"): "50000-50100",
    ("webrtc", "public_addresses"): "[203.0.113.7]",
    ("webrtc", "stun_server"): "stun:stun.example.com:3478",
    ("webrtc", "turn_server"): "turn:turn.example.com:3478?transport=udp",
    ("webrtc", "turn_username"): "antiphon",
    ("webrtc", "turn_password"): "{env: TURN_PASSWORD}",
    ("default_pipeline",): "assistant",
}
"""What stands where there is no default."""

_PIPELINE_SETTINGS = (
    ("aliases", "[gpt-4o-voice, my-*]"),
    ("instructions", '"You help callers of a bicycle shop. Answer in one or two short sentences."'),
    ("voice", "marin"),
    ("turn_detection", "{type: semantic_vad, eagerness: high}"),
    ("drafts", "full"),
    ("max_sessions", "20"),
    ("limits", "{max_duration_s: 1800}"),
    ("idle_unload_s", "900"),
)

_ENGINES = """\
# An engine is a name, or a mapping with its options and the CPU threads (cores) that it may keep busy.
# Each role has its own: vad, turn, denoise, transcription, llm, tts.
#engines:
#  preset: embedded
#  transcription: {engine: whisper, model: whisper-tiny.en, cores: 2}
#  llm: {engine: llamacpp, model: smollm2-135m-instruct, context: 4096}
#  tts: hibari
"""

_PIPELINES = """\
# A pipeline has the engines of `engines` where it names none. A list is a chain: each engine stands in for those
# before it. turn and denoise may be off.
#pipelines:
# The language model of another server, and a voice with one in reserve.
#  assistant:
#    llm: {engine: openai-chat, base_url: "http://127.0.0.1:11434/v1", model: "qwen3:8b"}
#    tts:
#      - {engine: elevenlabs, api_key: {env: ELEVENLABS_API_KEY}}
#      - hibari
#    denoise: off
"""

_ELSEWHERE = (
    "upstream",
    '{base_url: "https://api.openai.com/v1", model: gpt-realtime, api_key: {env: OPENAI_API_KEY}}',
)
"""The setting that has no other beside it, and its example."""

_SPEECH = """\
# One model that hears and speaks; transcription is beside it, for the client.
#  audio:
#    speech: {engine: openai-audio-chat, model: gpt-audio, api_key: {env: OPENAI_API_KEY}}
"""


def template() -> str:
    """Return the file."""
    parts = [_HEAD]
    for setting in all_settings():
        if len(setting.path) > 1:
            continue
        prose = _prose(setting.description)
        match setting.path:
            case ("engines",):
                parts.append(prose + _ENGINES)
            case ("pipelines",):
                parts.append(prose + _PIPELINES + "".join(_of_pipeline()) + _SPEECH + _relayed())
            case _ if setting.group:
                inner = [one for one in all_settings() if one.path[:1] == setting.path and len(one.path) == 2]
                members = "".join(_prose(one.description) + _setting(one, "  ") for one in inner)
                parts.append(f"{prose}#{setting.path[0]}:\n{members}")
            case _:
                parts.append(prose + _setting(setting, ""))
    return "\n".join(parts)


def _of_pipeline() -> Iterator[str]:
    descriptions = {one.path: one.description for one in all_settings()}
    for name, example in _PIPELINE_SETTINGS:
        yield _prose(descriptions["pipelines", "*", name])
        yield f"#    {name}: {example}\n"


def _relayed() -> str:
    name, example = _ELSEWHERE
    description = next(one.description for one in all_settings() if one.path == ("pipelines", "*", name))
    return f"{_prose(description)}#  relayed:\n#    {name}: {example}\n"


def _prose(text: str) -> str:
    return "".join(f"# {line}\n" for line in textwrap.wrap(text, 108, break_long_words=False, break_on_hyphens=False))


def _setting(setting: Setting, indent: str) -> str:
    example = _EXAMPLES.get(setting.path)
    return f"#{indent}{setting.path[-1]}: {_value(setting.default) if example is None else example}\n"


def _value(default: Any) -> str:
    return json.dumps(default, ensure_ascii=False) if not isinstance(default, str) or ": " in default else default
