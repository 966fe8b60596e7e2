"""The kinds of pipelines that the protocol is tested on: a client must not notice which one it talks to.

As a program (`python -m tests.conformance.pipelines "engines elsewhere"`) it serves the embedded models in a pipeline
of that kind, whose drafts are full, prints the URL, and ends with its standard input.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, get_args

from tests.remote_servers import KEY, MODEL
from tests.serving import serving

Preset = Literal["stand-in", "embedded"]

Kind = Literal["engines here", "engines elsewhere", "a model that hears and speaks", "a server elsewhere"]

KINDS: tuple[Kind, ...] = get_args(Kind)

Options = Mapping[str, Any]

SLOW: Options = {"words": 400, "token_ms": 60.0}
"""Options of a stand-in model that takes 24 s to answer, so that there is time to interrupt it however long the machine
pauses. Who waits for an end asks for `SOME` tokens."""

SOME = 60
"""Tokens of `SLOW` that take seconds, and not more."""

SLOW_ENVIRONMENT = {"ANTIPHON_ENGINES__LLM__OPTIONS": json.dumps(SLOW)}


@contextmanager
def serving_pipeline(
    kind: Kind, llm: Options | None = None, tts: Options | None = None, preset: Preset = "stand-in"
) -> Iterator[str]:
    """Serve engines of a preset with these options, in a pipeline of this kind; yield the WebSocket URL."""
    llm, tts = llm or {}, tts or {}
    with ExitStack() as held:
        environment = {}
        if kind == "engines here":
            environment = {
                "ANTIPHON_ENGINES__LLM__OPTIONS": json.dumps(llm),
                "ANTIPHON_ENGINES__TTS__OPTIONS": json.dumps(tts),
            }
            yield held.enter_context(serving(preset, environment=environment)).ws_url
            return
        if kind == "a server elsewhere":
            elsewhere = held.enter_context(serving_pipeline("engines here", llm, tts, preset))
            upstream = {"base_url": elsewhere.removesuffix("/realtime")}
            yield held.enter_context(_configured({"upstream": upstream}, preset))
            return
        url = held.enter_context(_model_server({"llm": llm, "tts": tts, "preset": preset}))
        place = {"base_url": f"{url}/v1", "model": MODEL, "api_key": {"env": "REMOTE_KEY"}}
        pipeline: dict[str, Any] = (
            {
                "transcription": {"engine": "openai-transcription", **place},
                "llm": {"engine": "openai-chat", **place},
                "tts": {"engine": "openai-speech", **place},
            }
            if kind == "engines elsewhere"
            else {"speech": {"engine": "openai-audio-chat", **place, "voices": ["low", "high"]}}
        )
        if preset == "embedded":
            pipeline["drafts"] = "full"
            if "speech" in pipeline:
                pipeline["speech"]["voices"] = ["heart"]
        yield held.enter_context(_configured(pipeline, preset))


@contextmanager
def _configured(pipeline: Options, preset: Preset) -> Iterator[str]:
    """Serve a pipeline and yield the WebSocket URL."""
    with TemporaryDirectory() as directory:
        file = Path(directory) / "antiphon.yaml"
        file.write_text(json.dumps({"pipelines": {f"antiphon-{preset}": pipeline}}))  # JSON is YAML
        with serving(preset, ["--config", str(file)], {"REMOTE_KEY": KEY}) as server:
            yield server.ws_url


@contextmanager
def _model_server(options: Options) -> Iterator[str]:
    """Run a server for remote engines and yield its URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.remote_servers", json.dumps(options)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


if __name__ == "__main__":
    with serving_pipeline(sys.argv[1], preset="embedded") as served:  # type: ignore[arg-type]
        print(served.replace("ws:", "http:").removesuffix("/v1/realtime"), flush=True)
        sys.stdin.read()
