"""`antiphon serve`: the server."""

from __future__ import annotations

import errno
import os
import socket
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from antiphon.config import Settings
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

    Everything can also be set in the environment (ANTIPHON_HOST, ANTIPHON_PORT, ANTIPHON_API_KEYS, …); flags win.
    Ctrl-C lets sessions end, a second Ctrl-C stops at once.
    """
    from antiphon.engines.base import EngineError  # noqa: PLC0415 - keeps `antiphon --help` fast
    from antiphon.models import ModelError  # noqa: PLC0415
    from antiphon.server.logs import configure_logs  # noqa: PLC0415

    _set("HOST", host)
    _set("PORT", port)
    _set("ENGINES__PRESET", engines)
    _set("LOG__LEVEL", log_level)
    _set("LOG__FORMAT", log_format)
    _set("ALLOW_ANONYMOUS", "true" if allow_anonymous else None)
    if llm is not None:
        file = Path(llm).expanduser()
        _set(
            "ENGINES__LLM__OPTIONS__MODEL",
            f"file:{file.resolve()}" if file.suffix == ".gguf" and ":" not in llm else llm,
        )
    settings = _read_settings()
    configure_logs(settings.log)
    sockets = _bind(settings)
    try:
        _pull_models(settings)
    except (EngineError, ModelError) as error:
        raise _cannot_serve(error.message) from error
    if reload:
        for bound in sockets:
            bound.close()
        _run_reloading(settings)
    else:
        from antiphon.server.run import run_server  # noqa: PLC0415 - needs what the checks above tell about

        address = sockets[0].getsockname()
        failure = run_server(settings, sockets, lambda service: _greet(settings, service, address[1]))
        if failure is not None:
            raise _cannot_serve(failure)


def _set(name: str, value: object) -> None:
    """Put a flag into the environment, where settings are read from, in the process that `--reload` starts too."""
    if value is not None:
        os.environ[f"ANTIPHON_{name}"] = str(value)


def _read_settings() -> Settings:
    from pydantic import ValidationError  # noqa: PLC0415 - keeps `antiphon --help` fast
    from pydantic_settings import SettingsError  # noqa: PLC0415

    from antiphon.config import Settings, explain  # noqa: PLC0415

    try:
        return Settings()
    except ValidationError as error:
        raise _cannot_serve(explain(error), code=2) from error
    except SettingsError as error:
        raise _cannot_serve(f"{error}: {error.__cause__}", code=2) from error


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
    missing = store.missing(required_models(settings.engines))
    if missing:
        pull_with_progress(store, missing)


def _run_reloading(settings: Settings) -> None:
    import uvicorn  # noqa: PLC0415 - keeps `antiphon --help` fast

    import antiphon  # noqa: PLC0415
    from antiphon.server.run import uvicorn_options  # noqa: PLC0415

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
    from antiphon.server.loading import engine_specs  # noqa: PLC0415
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
    table.add_row("Model", escape(f"{service.models.names[0]}, also as {' and '.join(DEFAULT_ALIASES)}"))
    table.add_row("Engines", escape(", ".join(engine.name for engine in engine_specs(settings.engines).values())))
    table.add_row("API keys", f"{len(settings.keys())} set" if settings.keys() else "none set: any key is accepted")
    console.print(f"\n[bold green]Antiphon {__version__} is ready.[/] Ctrl-C stops it.")
    console.print(table)
    if settings.engines.preset == "stand-in":
        console.print("[bold yellow]Stand-in engines: replies are a script and a tone. For development only.[/]")
    elif settings.engines.llm is None:
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
