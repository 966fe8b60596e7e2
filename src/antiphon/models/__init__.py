"""Models on disk: the catalog, where they come from, fetching, verifying, caching."""

from antiphon.models.catalog import CATALOG, Licence, Model, ModelFile, resolve
from antiphon.models.errors import ModelError
from antiphon.models.progress import Progress, PullProgress
from antiphon.models.store import ModelState, ModelStore

__all__ = [
    "CATALOG",
    "Licence",
    "Model",
    "ModelError",
    "ModelFile",
    "ModelState",
    "ModelStore",
    "Progress",
    "PullProgress",
    "resolve",
]
