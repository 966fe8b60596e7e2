"""`antiphon models`: see, fetch, find and check models."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.progress import TaskID

    from antiphon.cli.engine_memory import EngineMemory
    from antiphon.models import ModelError, ModelState, ModelStore, PullProgress

models_app = typer.Typer(
    name="models",
    invoke_without_command=True,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        help="A running server, e.g. http://127.0.0.1:8080: show what its engines take in memory, too.",
    ),
]
ApiKey = Annotated[
    str | None,
    typer.Option(envvar="OPENAI_API_KEY", show_default=False, help="Key for the server at --url."),
]


@models_app.callback()
def models(context: typer.Context, as_json: AsJson = False, url: Url = None, api_key: ApiKey = None) -> None:
    """See, fetch, find and check models.

    A model is named by the catalog (see `list`), as `hf:owner/repo[@revision][/path]` on the Hugging Face Hub, or as
    `file:/path`. They are kept in the platform's cache directory, or in `$ANTIPHON_HOME/models`.
    """
    if context.invoked_subcommand is None:
        list_models(as_json, url, api_key)
    elif as_json or url is not None:
        raise typer.BadParameter(f"options stand after the command: antiphon models {context.invoked_subcommand} …")


@models_app.command("list")
def list_models(as_json: AsJson = False, url: Url = None, api_key: ApiKey = None) -> None:
    """Show the known models: state, licence, size, and with --url the memory in use. The same as without a command."""
    from antiphon.cli.engine_memory import ServerError, engine_memory  # noqa: PLC0415
    from antiphon.models import ModelError, ModelStore  # noqa: PLC0415 - keeps `antiphon --help` fast

    memory: list[EngineMemory] | None = None
    try:
        states = ModelStore.default().states()
        if url is not None:
            memory = engine_memory(url, api_key)
    except ModelError as error:
        raise _failed(error) from error
    except ServerError as error:
        typer.echo(f"antiphon models: {error}", err=True)
        raise typer.Exit(1) from error
    if as_json:
        typer.echo(json.dumps(_listed(states, memory), indent=2))
    else:
        _print_table(states, memory)


@models_app.command()
def pull(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Models to fetch; all of the catalog if none.")
    ] = None,
) -> None:
    """Fetch models that are missing or damaged."""
    from antiphon.models import CATALOG, ModelError, ModelStore  # noqa: PLC0415 - keeps `antiphon --help` fast

    try:
        pull_with_progress(ModelStore.default(), names or list(CATALOG))
    except ModelError as error:
        raise _failed(error) from error


@models_app.command()
def path(name: Annotated[str, typer.Argument(metavar="NAME", help="A model that was pulled.")]) -> None:
    """Print where a model is, after checking it."""
    from antiphon.models import ModelError, ModelStore  # noqa: PLC0415 - keeps `antiphon --help` fast

    try:
        typer.echo(ModelStore.default().path(name))
    except ModelError as error:
        raise _failed(error) from error


@models_app.command()
def verify() -> None:
    """Read every file of every model here and compare its checksum. Exits with 1 when one is damaged."""
    from antiphon.models import ModelError, ModelStore  # noqa: PLC0415 - keeps `antiphon --help` fast

    try:
        states = ModelStore.default().verify()
    except ModelError as error:
        raise _failed(error) from error
    _print_table(states)
    damaged = [state for state in states if state.status == "damaged"]
    for state in damaged:
        typer.echo(f"{state.model.name}: {state.detail}", err=True)
    if damaged:
        names = " ".join(state.model.name for state in damaged)
        typer.echo(f"Run `antiphon models pull {names}` to fetch anew what is damaged.", err=True)
        raise typer.Exit(1)


def pull_with_progress(store: ModelStore, names: Sequence[str]) -> None:
    """Pull models and show how it goes on standard error, with bars on a terminal.

    Raises:
        ModelError: as `ModelStore.pull`.
    """
    from rich.console import Console  # noqa: PLC0415 - keeps `antiphon --help` fast
    from rich.markup import escape  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    console = Console(stderr=True)
    columns = [
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    ]
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def show(step: PullProgress) -> None:
            if step.step in ("ready", "failed"):
                task = tasks.pop(step.model, None)
                if task is not None:
                    bars.remove_task(task)
            if step.step == "ready":
                say(f"{step.model}: ready")
            elif step.step == "failed":
                say(f"{step.model}: {step.reason}")
            else:
                what = "waiting for another process" if step.step == "waiting" else f"from {step.source}"
                if step.model not in tasks:
                    tasks[step.model] = bars.add_task(step.model, total=None)
                    if not console.is_terminal:
                        say(f"{step.model}: {what}")
                description = f"{escape(step.model)} [dim]{escape(what)}[/dim]"
                bars.update(tasks[step.model], description=description, completed=step.done, total=step.total)

        def say(text: str) -> None:
            bars.console.print(text, highlight=False, markup=False, soft_wrap=True)

        store.pull(names, show)


def _listed(states: Sequence[ModelState], memory: Sequence[EngineMemory] | None) -> list[dict[str, object]]:
    listed = [_as_json(state) for state in states]
    if memory is not None:
        for entry in listed:
            entry["memory"] = sum(one.bytes for one in memory if one.of(str(entry["name"]))) or None
        others = _others(states, memory)
        listed += [{"name": one.model, "engine": one.engine, "memory": one.bytes} for one in others]
    return listed


def _others(states: Sequence[ModelState], memory: Sequence[EngineMemory]) -> list[EngineMemory]:
    """Return what is in memory and not among the models that are listed."""
    return [one for one in memory if not any(one.of(state.model.name) for state in states)]


def _as_json(state: ModelState) -> dict[str, object]:
    model = state.model
    return {
        "name": model.name,
        "role": model.role,
        "licence": model.licence.spdx if model.licence else None,
        "licence_note": model.licence.note if model.licence else None,
        "size": model.size,
        "state": state.status,
        "detail": state.detail,
        "directory": str(state.directory),
        "files": [{"name": file.name, "size": file.size, "sha256": file.sha256} for file in model.files],
        "sources": [str(source) for source in model.sources],
    }


def _print_table(states: Sequence[ModelState], memory: Sequence[EngineMemory] | None = None) -> None:
    from rich.console import Console  # noqa: PLC0415 - keeps `antiphon --help` fast
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    colours = {"present": "green", "missing": "yellow", "damaged": "red"}
    table = Table()
    for heading in ("name", "role", "state", "licence"):
        table.add_column(heading, overflow="fold")
    table.add_column("MB", justify="right")
    if memory is not None:
        table.add_column("in memory, MB", justify="right")
    for state in states:
        model = state.model
        used = sum(one.bytes for one in memory or () if one.of(model.name))
        row = [
            escape(model.name),
            model.role or "-",
            f"[{colours[state.status]}]{state.status}[/]",
            model.licence.spdx if model.licence else "see its page",
            f"{model.size / 1e6:.1f}",
        ]
        table.add_row(*row, *([] if memory is None else [f"{used / 1e6:.0f}" if used else "-"]))
    for one in _others(states, memory or ()):
        name = escape(one.model or f"({one.engine})")
        table.add_row(name, "-", "in use", "see its page", "-", f"{one.bytes / 1e6:.0f}")
    Console().print(table)


def _failed(error: ModelError) -> typer.Exit:
    typer.echo(error.message, err=True)
    return typer.Exit(2 if error.code == "unknown_model" else 1)
