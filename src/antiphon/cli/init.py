"""`antiphon init`: a configuration file to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def init(
    path: Annotated[Path, typer.Argument(metavar="[PATH]", help="File to write.")] = Path("antiphon.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if it exists.")] = False,
) -> None:
    """Write a configuration file with every setting in it, explained and commented out."""
    from antiphon.config.template import SCHEMA_FILE, template  # noqa: PLC0415 - keeps `antiphon --help` fast

    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(template())
    except FileExistsError as error:
        typer.echo(f"antiphon init: {path} exists; --force overwrites it", err=True)
        raise typer.Exit(1) from error
    except OSError as error:
        typer.echo(f"antiphon init: {path} cannot be written: {error.strerror or error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(f"Wrote {path}. For completion in editors: antiphon config schema > {path.parent / SCHEMA_FILE}")
