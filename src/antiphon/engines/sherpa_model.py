"""Streaming models of sherpa-onnx: which files of a directory they are made of, and loading them.

The library ends the process over a model that is not what it expects, e.g. one that cannot stream. So a model is first
loaded, and given silence, by a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import onnxruntime
from sherpa_onnx import OnlineRecognizer

from antiphon.engines.base import HEARING_RATE, EngineError

Kind = Literal["transducer", "paraformer", "zipformer2-ctc", "nemo-ctc", "wenet-ctc", "t-one-ctc"]

_STEP = HEARING_RATE // 100
_LONGEST_WINDOW = 5 * HEARING_RATE
_TRIAL_TIMEOUT_S = 120
_TRIAL = "import sys; from antiphon.engines.sherpa_model import try_model; try_model(*sys.argv[1:])"


@dataclass(frozen=True, slots=True)
class SherpaModel:
    """The files of a model.

    Attributes:
        kind: what it is.
        tokens: its vocabulary, `tokens.txt`.
        parts: encoder, decoder and joiner of a transducer; encoder and decoder of a Paraformer; else the one model.
    """

    kind: Kind
    tokens: Path
    parts: tuple[Path, ...]

    def open(self) -> OnlineRecognizer:
        """Load it. May end the process; see `try_in_another_process`."""
        parts = [str(part) for part in self.parts]
        # One thread for each: utterances are read side by side. Greedy search never takes a token back.
        how = {"tokens": str(self.tokens), "num_threads": 1, "decoding_method": "greedy_search"}
        if self.kind == "transducer":
            encoder, decoder, joiner = parts
            return OnlineRecognizer.from_transducer(encoder=encoder, decoder=decoder, joiner=joiner, **how)
        if self.kind == "paraformer":
            encoder, decoder = parts
            return OnlineRecognizer.from_paraformer(encoder=encoder, decoder=decoder, **how)
        opened = {
            "zipformer2-ctc": OnlineRecognizer.from_zipformer2_ctc,
            "nemo-ctc": OnlineRecognizer.from_nemo_ctc,
            "wenet-ctc": OnlineRecognizer.from_wenet_ctc,
            "t-one-ctc": OnlineRecognizer.from_t_one_ctc,
        }
        return opened[self.kind](model=parts[0], **how)

    def shouts(self) -> bool:
        """Tell whether it writes capital letters only."""
        lines = self.tokens.read_text(encoding="utf-8").splitlines()
        tokens = [line.partition(" ")[0] for line in lines if not line.startswith(("<", "#"))]
        letters = "".join(tokens)
        return any(map(str.isupper, letters)) and not any(map(str.islower, letters))


def find_sherpa_model(directory: Path, kind: Kind | Literal["auto"], *, int8: bool) -> SherpaModel:
    """Return the model in a directory as its makers lay it out.

    Args:
        directory: has `tokens.txt` and one or more `.onnx` files.
        kind: of model; "auto" to tell by the files' names and what they say of themselves.
        int8: take the smaller `.int8.onnx` files where there are both.

    Raises:
        EngineError: code "model_missing" when a file is missing, "invalid_option" when it has to be told what to take.
    """
    tokens = directory / "tokens.txt"
    if not tokens.is_file():
        raise EngineError(f"sherpa: {directory} has no tokens.txt", code="model_missing")
    files = sorted(directory.glob("*.onnx"))
    by_role = {
        role: [file for file in files if file.name.startswith(role)] for role in ("encoder", "decoder", "joiner")
    }
    if kind == "auto" and by_role["encoder"]:
        kind = "transducer" if by_role["joiner"] else "paraformer"
    if kind == "transducer":
        return SherpaModel(kind, tokens, tuple(_one(directory, role, by_role[role], int8=int8) for role in by_role))
    if kind == "paraformer":
        roles = ("encoder", "decoder")
        return SherpaModel(kind, tokens, tuple(_one(directory, role, by_role[role], int8=int8) for role in roles))
    model = _one(directory, "model", files, int8=int8)
    return SherpaModel(_ctc_kind(model) if kind == "auto" else kind, tokens, (model,))


def _one(directory: Path, role: str, files: Sequence[Path], *, int8: bool) -> Path:
    """Return the file of a role: the one that is there, or that of the wanted precision where there are both."""
    if len(files) > 1:
        files = [file for file in files if file.name.endswith(".int8.onnx") == int8]
    if len(files) != 1:
        names = ", ".join(file.name for file in files) or "none"
        raise EngineError(f"sherpa: {directory} must have one {role}; there are: {names}", code="model_missing")
    return files[0]


def _ctc_kind(model: Path) -> Kind:
    try:
        known: str = onnxruntime.InferenceSession(str(model)).get_modelmeta().custom_metadata_map.get("model_type", "")
    except Exception as error:  # ONNX Runtime's errors have no base of their own
        raise EngineError(f"sherpa: {model} is not an ONNX model: {error}", code="model_missing") from error
    if known == "zipformer2":
        return "zipformer2-ctc"
    if known.startswith("EncDec"):
        return "nemo-ctc"
    if "wenet" in known:
        return "wenet-ctc"
    raise EngineError(
        f"sherpa: option 'kind' is needed for {model}, which says of itself: {known or 'nothing'}",
        code="invalid_option",
    )


def try_in_another_process(model: SherpaModel) -> int:
    """Load a model in a process of its own, and return how much it hears at once, in samples of 16 kHz.

    Raises:
        EngineError: code "model_missing" when it cannot be loaded or does not stream; with what the library said.
    """
    command = [sys.executable, "-c", _TRIAL, model.kind, str(model.tokens), *map(str, model.parts)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        tried = subprocess.run(  # noqa: S603 - our own interpreter and files that were found
            command, env=environment, capture_output=True, text=True, timeout=_TRIAL_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise EngineError(f"sherpa: {model.parts[0]} took over {_TRIAL_TIMEOUT_S} s to load") from error
    if tried.returncode != 0:
        said = " ".join(tried.stderr.split())[-500:] or f"the process ended with {tried.returncode}"
        raise EngineError(
            f"sherpa: {model.parts[0].parent} cannot be loaded as a streaming {model.kind} model: {said}",
            code="model_missing",
        )
    return int(tried.stdout.split()[-1])


def try_model(kind: Kind, tokens: str, *parts: str) -> None:
    """Load a model, give it silence, and print how many samples it waits for: what the other process does."""
    recognizer = SherpaModel(kind, Path(tokens), tuple(map(Path, parts))).open()
    stream = recognizer.create_stream()
    window = 0
    while not recognizer.is_ready(stream):
        if window >= _LONGEST_WINDOW:
            raise SystemExit("it does not begin to read within 5 s")
        stream.accept_waveform(HEARING_RATE, np.zeros(_STEP, np.float32))
        window += _STEP
    while recognizer.is_ready(stream):
        recognizer.decode_stream(stream)
    sys.stdout.write(f"{window}\n")
