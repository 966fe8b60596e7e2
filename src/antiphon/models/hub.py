"""Fetching model files from the Hugging Face Hub with its own client.

Everything that the client honours counts: HF_ENDPOINT, HF_HUB_OFFLINE, HF_TOKEN, HF_HOME, proxies. Files land in the
client's own cache, where other programs may have put them already and where an interrupted download is resumed, and
are linked from there, or copied when the cache is on another file system.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import io
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from antiphon.models.catalog import HubSource, ModelFile
from antiphon.models.digest import sha256
from antiphon.models.errors import ModelError
from antiphon.models.progress import Report

_SHA256_ETAG = re.compile(r"[0-9a-f]{64}")


def fetch_from_hub(
    source: HubSource, files: Sequence[ModelFile], into: Path, report: Report
) -> tuple[str, tuple[ModelFile, ...]]:
    """Fetch files of a repository into the directory `into`, checked.

    Args:
        source: the repository and its files; none for all of them.
        files: what the files have to be; empty when that is not known, then the hub's own checksums count.
        into: an empty directory.
        report: told how many bytes have come, and of how many if that is known.

    Returns:
        The source with the commit in place of a branch or tag, and the files.

    Raises:
        ModelError: the hub cannot be reached, refuses, or gives the wrong bytes.
        OSError: the disk is full or cannot be written.
    """
    with _translated(f"{source} could not be downloaded"):
        snapshot, paths = _download(source, sum(file.size for file in files) or None, report)
    if files:
        names = [file.name for file in files]
        checksums: list[str | None] = [file.sha256 for file in files]
    else:
        # One file stands alone in its model's directory; a repository, or a folder of one, keeps the folders below it.
        below = f"{source.folder}/" if source.folder else ""
        names = [Path(path).name for path in source.files] or [path.removeprefix(below) for path in paths]
        checksums = [_checksum_of_hub(snapshot / path) for path in paths]
    placed = []
    for path, name, checksum in zip(paths, names, checksums, strict=True):
        entry = _take(snapshot / path, into, name)
        if checksum not in (None, entry.sha256):
            # The client does not look into its cache: fetch the file anew.
            with _translated(f"{path} of {source} is damaged in the hub's cache and could not be downloaded again"):
                _download_file(source.repo, path, snapshot.name, report, force=True)
            entry = _take(snapshot / path, into, name)
        if checksum not in (None, entry.sha256):
            raise ModelError(f"{path} of {source} has the wrong checksum (SHA-256)", code="fetch_failed")
        placed.append(entry)
    return str(replace(source, revision=snapshot.name)), tuple(placed)


def _download(source: HubSource, total: int | None, report: Report) -> tuple[Path, list[str]]:
    """Bring the files into the client's cache; return the commit's directory there and the paths below it."""
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - slow to import, and needed for a download only

    if not source.files:
        wanted = [f"{glob.escape(source.folder)}/*"] if source.folder else None
        bar = _bar_class(report)
        snapshot = Path(snapshot_download(source.repo, revision=source.revision, allow_patterns=wanted, tqdm_class=bar))
        found = (snapshot / source.folder).rglob("*")
        paths = sorted(path.relative_to(snapshot).as_posix() for path in found if path.is_file())
        if not paths:
            raise FileNotFoundError(f"the repository has no folder {source.folder}" if wanted else "it has no files")
        return snapshot, paths
    came = 0
    for file in source.files:
        cached = _download_file(source.repo, file, source.revision, _after(came, total, report))
        came += cached.stat().st_size
        snapshot = cached.parents[file.count("/")]
    return snapshot, list(source.files)


def _after(came: int, total: int | None, report: Report) -> Report:
    """Return a report for the next of several files, when `came` bytes of `total` have come with those before."""
    return lambda done, size: report(came + done, total or size)


def _download_file(repo: str, file: str, revision: str, report: Report, *, force: bool = False) -> Path:
    from huggingface_hub import hf_hub_download  # noqa: PLC0415 - slow to import, and needed for a download only

    bar = _bar_class(report)
    return Path(hf_hub_download(repo, file, revision=revision, force_download=force, tqdm_class=bar))


@contextlib.contextmanager
def _translated(failure: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # What the client raises depends on its transport library, which differs between its versions.
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        # "Not in the local cache" says less than why it was not looked for elsewhere.
        reason = error.__cause__ if isinstance(error, FileNotFoundError) and error.__cause__ else error
        raise ModelError(f"{failure}: {' '.join(str(reason).split())[:500]}", code="fetch_failed") from error


def _checksum_of_hub(cached: Path) -> str | None:
    """Return the SHA-256 that the hub gives for a file of the cache; small files outside LFS have none."""
    # The cache links each file to a blob named after its ETag, which for LFS files is their SHA-256.
    etag = cached.readlink().name if cached.is_symlink() else ""
    return etag if _SHA256_ETAG.fullmatch(etag) else None


def _take(cached: Path, into: Path, name: str) -> ModelFile:
    target = into / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    blob = cached.resolve()
    try:
        os.link(blob, target)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOTSUP):
            raise
        shutil.copyfile(blob, target)
    return ModelFile(name, target.stat().st_size, sha256(target))


def _bar_class(report: Report) -> type:
    """Return a progress bar for the client that shows nothing and reports the bytes of all files together."""
    # tqdm comes with huggingface_hub.
    from tqdm import tqdm  # type: ignore[import-untyped]  # noqa: PLC0415 - needed for a download only

    bars: list[Any] = []

    class Bar(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("name", None)
            super().__init__(*args, **kwargs | {"disable": False, "file": io.StringIO()})
            if kwargs.get("unit") == "B":
                bars.append(self)

        def update(self, n: float | None = 1) -> bool | None:
            updated = super().update(n)
            # A whole repository is counted twice, as bytes received and as bytes written: the one ahead counts.
            ahead = max(bars, key=lambda bar: bar.n, default=None)
            if ahead is not None:
                report(int(ahead.n), int(ahead.total) if ahead.total else None)
            return bool(updated)

        def display(self, *args: Any, **kwargs: Any) -> None:
            return

    return Bar
