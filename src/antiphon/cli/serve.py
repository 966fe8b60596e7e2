"""`antiphon serve`: the server."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from antiphon.config import Settings
    from antiphon.config.loading import Flags
    from antiphon.server.service import Service


class Engines(StrEnum):
    """Engine presets."""

    embedded = "embedded"
    stand_in = "stand-in"


class LogLevel(StrEnum):
    """Log levels."""

    debug = "debug"
    info = "info"
    warning = "warning"
    error = "error"


class LogFormat(StrEnum):
    """Shapes of the log."""

    auto = "auto"
    console = "console"
    json = "json"


def serve(
    *,
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.", show_default="8080")
    ] = None,
    engines: Annotated[
        Engines | None,
        typer.Option(
            help="`embedded`: real models on this machine. `stand-in`: a script without models, for development.",
            show_default="embedded",
        ),
    ] = None,
    llm: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Another language model: a .gguf file, or `hf:owner/repo/file.gguf` on the Hugging Face Hub.",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Configuration file; by default $ANTIPHON_CONFIG, or antiphon.yaml here or in the user's "
            "configuration directory.",
        ),
    ] = None,
    allow_anonymous: Annotated[
        bool, typer.Option("--allow-anonymous", help="Listen beyond this machine without any API key.")
    ] = False,
    log_level: Annotated[LogLevel | None, typer.Option(help="Least severe level to log.", show_default="info")] = None,
    log_format: Annotated[
        LogFormat | None, typer.Option(help="`auto` is `console` on a terminal and `json` otherwise.")
    ] = None,
    reload: Annotated[
        bool, typer.Option("--reload", help="Start again when the code changes, for development.")
    ] = False,
) -> None:
    """Serve the OpenAI Realtime protocol. Pulls missing models first.

    Everything can be set in a file (`antiphon init`) and in the environment (ANTIPHON_HOST, ANTIPHON_API_KEYS, …);
    the environment wins over the file, flags over both. Ctrl-C lets sessions end, a second Ctrl-C stops at once.
    SIGHUP reads the configuration again, for new sessions.
    """
    from antiphon.config import reload_configuration  # noqa: PLC0415 - keeps `antiphon --help` fast
    from antiphon.engines.base import EngineError  # noqa: PLC0415
    from antiphon.models import ModelError  # noqa: PLC0415
    from antiphon.server.logs import configure_logs  # noqa: PLC0415

    flags = _flags(
        {
            "--host": ("host", host),
            "--port": ("port", port),
            "--engines": ("engines.preset", engines and engines.value),
            "--llm": ("engines.llm.options.model", llm and _model(llm)),
            "--log-level": ("log.level", log_level and log_level.value),
            "--log-format": ("log.format", log_format and log_format.value),
            "--allow-anonymous": ("allow_anonymous", allow_anonymous or None),
        }
    )
    settings = _read_settings(config, flags)
    configure_logs(settings.log)
    sockets = _bind(settings)
    try:
        _pull_models(settings)
    except (EngineError, ModelError) as error:
        raise _cannot_serve(error.message) from error
    if reload:
        for bound in sockets:
            bound.close()
        _run_reloading(settings, config, flags)
    else:
        from antiphon.server.run import run_server  # noqa: PLC0415 - needs what the checks above tell about

        address = sockets[0].getsockname()
        failure = run_server(
            settings,
            sockets,
            on_ready=lambda service: _greet(settings, service, address[1]),
            reread=lambda: reload_configuration(config, flags).settings,
        )
        if failure is not None:
            raise _cannot_serve(failure)


def _flags(given: Mapping[str, tuple[str, object]]) -> Flags:
    return {flag: (tuple(path.split(".")), value) for flag, (path, value) in given.items() if value is not None}


def _model(llm: str) -> str:
    file = Path(llm).expanduser()
    return f"file:{file.resolve()}" if file.suffix == ".gguf" and ":" not in llm else llm


def _read_settings(config: Path | None, flags: Flags) -> Settings:
    from antiphon.config import ConfigError, load_configuration  # noqa: PLC0415 - keeps `antiphon --help` fast

    try:
        return load_configuration(config, flags).settings
    except ConfigError as error:
        raise _cannot_serve(str(error), code=2) from error


def _bind(settings: Settings) -> list[socket.socket]:
    from antiphon.server.run import bind  # noqa: PLC0415 - keeps `antiphon --help` fast

    try:
        return bind(settings.host, settings.port)
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        if error.errno == errno.EADDRINUSE:
            message = (
                f"{where} is in use by another program. Stop it, or choose another port: antiphon serve --port 8081"
            )
        else:
            message = f"cannot listen on {where}: {error.strerror or error}"
        raise _cannot_serve(message) from error


def _pull_models(settings: Settings) -> None:
    from antiphon.cli.models import pull_with_progress  # noqa: PLC0415 - keeps `antiphon --help` fast
    from antiphon.models import ModelStore  # noqa: PLC0415
    from antiphon.server.loading import required_models  # noqa: PLC0415

    store = ModelStore.default()
    missing = store.missing(required_models(settings))
    if missing:
        pull_with_progress(store, missing)


def _run_reloading(settings: Settings, config: Path | None, flags: Flags) -> None:
    import uvicorn  # noqa: PLC0415 - keeps `antiphon --help` fast

    import antiphon  # noqa: PLC0415
    from antiphon.server.run import uvicorn_options  # noqa: PLC0415

    # The process that is started again and again has the environment only.
    os.environ.update({"ANTIPHON_" + "__".join(path).upper(): str(value) for path, value in flags.values()})
    if config is not None:
        os.environ["ANTIPHON_CONFIG"] = str(config.resolve())
    options: dict[str, Any] = {**uvicorn_options(), "host": settings.host, "port": settings.port}
    package = Path(antiphon.__file__).parent
    uvicorn.run(
        "antiphon.server.app:app_from_environment", factory=True, reload=True, reload_dirs=[str(package)], **options
    )


def _greet(settings: Settings, service: Service, port: int) -> None:
    from rich.console import Console  # noqa: PLC0415 - keeps `antiphon --help` fast
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from antiphon import __version__  # noqa: PLC0415
    from antiphon.server.loading import engines_of  # noqa: PLC0415
    from antiphon.server.served_models import DEFAULT_ALIASES  # noqa: PLC0415

    console = Console(stderr=True)
    if not console.is_terminal or service.models is None:
        return  # the log has said that it is ready
    host = socket.gethostname() if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104 - compared only
    url = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    table = Table(box=None, show_header=False, pad_edge=True)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("Connect", escape(f"ws://{url}/v1/realtime"))
    table.add_row("", escape(f'OpenAI(base_url="http://{url}/v1", api_key="…").realtime.connect(model="gpt-realtime")'))
    first, *others = service.models.names
    table.add_row("Model", escape(f"{first}, also as {' and '.join(DEFAULT_ALIASES)}"))
    if others:
        table.add_row("Others", escape(", ".join(others)))
    engines = dict.fromkeys(engine.name for engine in engines_of(settings).values())
    if engines:
        table.add_row("Engines", escape(", ".join(engines)))
    for name, pipeline in settings.pipelines.items():
        if pipeline.upstream is not None:
            table.add_row("Upstream", escape(f"{name}: {pipeline.upstream.base_url}"))
    table.add_row("API keys", f"{len(settings.keys())} set" if settings.keys() else "none set: any key is accepted")
    console.print(f"\n[bold green]Antiphon {__version__} is ready.[/] Ctrl-C stops it.")
    console.print(table)
    if any(name.startswith("stand-in-") for name in engines):
        console.print("[bold yellow]Stand-in engines: replies are a script and a tone. For development only.[/]")
    elif "llamacpp" in engines and settings.engines.llm is None and not settings.pipelines:
        console.print(
            "The embedded language model, SmolLM2-135M, is small talk, not sense. For a better one:\n"
            "  antiphon serve --llm FILE.gguf    (or hf:owner/repo/file.gguf; in the environment, "
            "ANTIPHON_ENGINES__LLM__OPTIONS__MODEL)",
            highlight=False,
        )
    console.print()


def _cannot_serve(message: str, code: int = 1) -> typer.Exit:
    typer.echo(f"antiphon serve: {message}", err=True)
    return typer.Exit(code)
