"""Secrets by reference: options name the environment variable or the file that holds a key, never the key itself."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from antiphon.engines.base import EngineError

_MOST_BYTES = 64 * 1024


class Secret(BaseModel):
    """Where a secret is: `{env: NAME}` or `{file: PATH}`.

    A file holds the secret alone; white space around it does not count.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    env: str | None = None
    file: Path | None = None

    @model_validator(mode="before")
    @classmethod
    def _is_a_reference(cls, value: object) -> object:
        if isinstance(value, str):  # very likely the secret itself; it must not be repeated in the message
            raise ValueError("secrets are not written into settings: give {env: NAME} or {file: PATH}")
        return value

    @model_validator(mode="after")
    def _is_one(self) -> Secret:
        if (self.env is None) == (self.file is None):
            raise ValueError("give either {env: NAME} or {file: PATH}")
        return self

    def __str__(self) -> str:
        """Where it is, in words: "the environment variable NAME" or "the file PATH"."""
        return f"the environment variable {self.env}" if self.env is not None else f"the file {self.file}"

    def read(self) -> str:
        """Return the secret.

        Raises:
            EngineError: code "invalid_option" when it is not there, is empty, or cannot be an HTTP header's value.
        """
        if self.env is not None:
            value = os.environ.get(self.env)
            if value is None:
                raise EngineError(f"{self} is not set", code="invalid_option")
        else:
            assert self.file is not None  # noqa: S101 - the validator's promise
            try:
                with self.file.open("rb") as file:
                    value = file.read(_MOST_BYTES).decode("ascii", errors="replace")
            except OSError as error:
                raise EngineError(f"{self} cannot be read: {error.strerror}", code="invalid_option") from error
        value = value.strip()
        if not value:
            raise EngineError(f"{self} is empty", code="invalid_option")
        if not all("!" <= character <= "~" for character in value):
            raise EngineError(f"{self} does not hold a key: it is not one printable ASCII word", code="invalid_option")
        return value


def secrets_in(kind: type[BaseModel], given: Mapping[str, Any]) -> Iterator[tuple[str, Secret]]:
    """Return the references to secrets in what was given for settings of a `kind`, by name; not those that are none."""
    for name, field in kind.model_fields.items():
        if field.annotation in (Secret, Secret | None) and given.get(name) is not None:
            try:
                secret = Secret.model_validate(given[name])
            except ValidationError:
                continue  # told by whoever reads all settings
            yield name, secret
