"""What a user means by the name of a model: a path of this machine, a name of the catalog, or a reference."""

from __future__ import annotations

from pathlib import Path

from antiphon.engines.base import EngineError, ModelPaths

_PATH_STARTS = ("/", "./", "../", "~")


def is_path(name: str) -> bool:
    """Tell whether `name` is a path: absolute, or one that begins with `./`, `../` or `~`."""
    return name.startswith(_PATH_STARTS) or Path(name).is_absolute()


def find_model(name: str, models: ModelPaths) -> Path:
    """Return the file or directory that `name` means.

    Raises:
        EngineError: code "model_missing" for a path where nothing is.
        antiphon.models.ModelError: see `ModelPaths.path`.
    """
    if not is_path(name):
        return models.path(name)
    path = Path(name).expanduser()
    if not path.exists():
        raise EngineError(f"{path}: no such file or directory", code="model_missing")
    return path
