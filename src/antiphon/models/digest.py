"""Checksums of a model's files, and the stamp that remembers them.

The stamp is `.antiphon.json` in a model's directory, written when the files are placed or verified: where they came
from and, per file, its size, modification time and SHA-256. A file whose size and modification time are still those
of the stamp is taken to be unchanged; any other is hashed again. So a start costs no reading of gigabytes, a copied
or edited file is noticed, and damage that leaves the times alone (a failing disk) is left to a deep check.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from antiphon.models.catalog import ModelFile

STAMP_NAME = ".antiphon.json"


@dataclass(frozen=True, slots=True)
class Stamp:
    """What was placed in a model's directory.

    Attributes:
        origin: the source, e.g. "pypi:silero-vad==6.2.3" or "hf:owner/repo@<commit>".
        files: the files with the checksums found then.
        modified: modification time of each file, nanoseconds since the epoch, in the order of `files`.
    """

    origin: str
    files: tuple[ModelFile, ...]
    modified: tuple[int, ...]


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_stamp(directory: Path, origin: str, files: Sequence[ModelFile]) -> None:
    """Remember that `directory` holds `files`, whose checksums have just been found right."""
    content = {
        "origin": origin,
        "files": [
            {
                "name": file.name,
                "size": file.size,
                "sha256": file.sha256,
                "modified": (directory / file.name).stat().st_mtime_ns,
            }
            for file in files
        ],
    }
    draft = directory / f"{STAMP_NAME}.{os.getpid()}"
    draft.write_text(json.dumps(content, indent=1), encoding="utf-8")
    draft.replace(directory / STAMP_NAME)


def read_stamp(directory: Path) -> Stamp | None:
    """Return the stamp of a model's directory, or None when it has none that can be read."""
    try:
        content = json.loads((directory / STAMP_NAME).read_text(encoding="utf-8"))
        return Stamp(
            origin=str(content["origin"]),
            files=tuple(ModelFile(entry["name"], int(entry["size"]), entry["sha256"]) for entry in content["files"]),
            modified=tuple(int(entry["modified"]) for entry in content["files"]),
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        # Without a stamp everything is hashed, or a reference counts as damaged: both are said by the caller.
        return None


def find_damage(directory: Path, files: Sequence[ModelFile], stamp: Stamp | None, *, deep: bool = False) -> str | None:
    """Say what is wrong with the files of a model, or return None when all are as they should be.

    Args:
        directory: where the model's files are.
        files: what should be there.
        stamp: what was remembered of the directory.
        deep: hash every file, whatever the stamp says.
    """
    trusted = {} if stamp is None or deep else dict(zip(stamp.files, stamp.modified, strict=True))
    for file in files:
        path = directory / file.name
        if not path.is_file():
            return f"{file.name} is missing"
        found = path.stat()
        if found.st_size != file.size:
            return f"{file.name} has {found.st_size:,} bytes instead of {file.size:,}"
        if trusted.get(file) != found.st_mtime_ns and sha256(path) != file.sha256:
            return f"{file.name} has the wrong checksum (SHA-256)"
    return None
