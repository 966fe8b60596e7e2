"""Running a measurement: the server, the recordings, progress, the report, and errors in plain words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from antiphon.audio.files import AudioFileError
from antiphon.bench.connection import BenchError, Target
from antiphon.bench.conversation import SessionSetup
from antiphon.bench.corpus import SHIPPED, Recording, load_recordings
from antiphon.bench.own_server import OwnServer, own_server
from antiphon.bench.report import Report, machine, show
from antiphon.cli.bench import options
from antiphon.models import ModelError

Measurement = Callable[[list[Recording], Callable[[], None]], Coroutine[Any, Any, Report]]
"""Measures with the recordings, and calls the second argument after each step."""

NO_DRAFTS = {"ANTIPHON_LIMITS__DRAFTS_PER_TURN": "0"}


def run(measure: Measurement, directory: Path | None, steps: int | None, *, as_json: bool) -> None:
    """Run a measurement of so many steps (None: not known before) and print its report.

    Raises:
        typer.Exit: it cannot be made; the reason was printed.
    """
    under, console = machine(), Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    failure: BaseException | None = None
    try:
        said = load_recordings(directory or SHIPPED)
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
            task = bars.add_task("measuring", total=steps)
            report = asyncio.run(measure(said, lambda: bars.advance(task)))
    except* (BenchError, AudioFileError, ModelError) as group:
        failure = _first(group)
    if failure is not None:
        typer.echo(f"antiphon bench: {failure}", err=True)
        raise typer.Exit(1)
    show(report, under, as_json=as_json)


@asynccontextmanager
async def serving(
    url: str | None,
    api_key: str | None,
    model: str | None,
    engines: options.EnginePreset,
    *,
    settings: Mapping[str, str] | None = None,
    cpus: set[int] | None = None,
) -> AsyncIterator[tuple[Target, OwnServer | None]]:
    """Give the server at `url`, or one that is started for the measurement and stopped after it.

    `settings` (environment variables) and `cpus` (where it may run) are for the one that is started.

    Raises:
        BenchError: no such URL, or the server does not start.
    """
    if url is not None:
        yield Target.parse(url, model=model, api_key=api_key), None
        return
    async with own_server(engines.value, settings or {}, cpus) as server:
        yield Target.parse(server.target.url, model=model), server


def setup(
    mode: options.TurnDetection,
    silence_ms: int,
    eagerness: options.Eagerness,
    *,
    reply_tokens: int | None = None,
    transport: options.Transport = options.Transport.websocket,
) -> SessionSetup:
    """Return a session's configuration from the options."""
    return SessionSetup(mode.value, silence_ms, eagerness.value, reply_tokens=reply_tokens, transport=transport.value)


def label(setup: SessionSetup) -> str:
    """Return the name of a configuration in a report."""
    over = "" if setup.transport == "websocket" else ", WebRTC"
    if setup.mode == "server_vad":
        return f"server_vad, {setup.silence_ms} ms of silence{over}"
    return f"semantic_vad, eagerness {setup.eagerness}{over}"


def drafting(drafts: options.Drafts) -> Mapping[str, str]:
    """Return the settings of a server that drafts or does not."""
    return NO_DRAFTS if drafts is options.Drafts.off else {}


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
