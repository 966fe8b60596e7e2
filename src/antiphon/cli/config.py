"""`antiphon config`: check, show and describe the configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

config_app = typer.Typer(
    name="config",
    help=(
        "Check, show and describe the configuration.\n\n"
        "It is read from a file, the environment and the flags of `antiphon serve`; each wins over those before it."
    ),
    no_args_is_help=True,
)

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Configuration file; by default $ANTIPHON_CONFIG, or antiphon.yaml here or in the user's configuration "
        "directory.",
    ),
]


@config_app.command()
def check(config: ConfigFile = None) -> None:
    """Tell of everything that is wrong, a line each, without loading any model. Exits with 1 when something is."""
    from antiphon.config import ConfigError, load_configuration  # noqa: PLC0415 - keeps `antiphon --help` fast

    try:
        configuration = load_configuration(config)
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    file = "There is no configuration file" if configuration.file is None else str(configuration.file)
    typer.echo(f"{file}: nothing is wrong")


@config_app.command()
def show(config: ConfigFile = None) -> None:
    """Print the settings in force as YAML, and where each came from. Secrets are masked."""
    from antiphon.config import ConfigError, load_configuration  # noqa: PLC0415 - keeps `antiphon --help` fast
    from antiphon.config.show import show as shown  # noqa: PLC0415

    try:
        typer.echo(shown(load_configuration(config)), nl=False)
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error


@config_app.command()
def schema() -> None:
    """Print the JSON Schema of configuration files, with the options of all engines that are installed."""
    from antiphon.config.schema import config_schema  # noqa: PLC0415 - keeps `antiphon --help` fast

    typer.echo(json.dumps(config_schema(), indent=2, ensure_ascii=False))
