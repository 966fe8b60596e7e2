"""Options of engines: checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from antiphon.engines.base import EngineError

O = TypeVar("O", bound=BaseModel)  # noqa: E741 - options


class NoOptions(BaseModel):
    """The options of an engine that has none."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def read_options(engine: str, kind: type[O], options: Mapping[str, Any]) -> O:
    """Return an engine's options, checked.

    Raises:
        EngineError: code "invalid_option"; the message tells of every mistake and repeats no value.
    """
    try:
        return kind.model_validate(dict(options))
    except ValidationError as error:
        mistakes = []
        for mistake in error.errors(include_url=False, include_input=False, include_context=False):
            name = ".".join(str(part) for part in mistake["loc"])
            if mistake["type"] == "extra_forbidden":
                known = ", ".join(kind.model_fields)
                mistakes.append(f"there is no option {name!r}; there are: {known or 'none'}")
            elif mistake["type"] == "missing":
                mistakes.append(f"option {name!r} is missing")
            else:
                mistakes.append(f"option {name!r}: {mistake['msg'].removeprefix('Value error, ')}")
        # Without a cause: pydantic's error keeps the values.
        raise EngineError(f"{engine}: {'; '.join(mistakes)}", code="invalid_option") from None
