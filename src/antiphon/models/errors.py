"""What can go wrong with models."""

from __future__ import annotations

from typing import Literal

ModelErrorCode = Literal[
    "unknown_model", "model_missing", "model_damaged", "fetch_failed", "no_space", "cache_unusable"
]


class ModelError(Exception):
    """A model cannot be used or fetched.

    Attributes:
        code: what is wrong, for programs.
        message: what is wrong and what to do about it, for people. Never contains a secret.
    """

    def __init__(self, message: str, *, code: ModelErrorCode) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
