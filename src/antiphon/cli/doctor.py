"""`antiphon doctor`: what is installed, which models are here, what the machine can do, and what to fix."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from antiphon.config import Settings

_PACKAGES = ("openai", "fastapi", "uvicorn", "uvloop", "websockets", "numpy", "av")
_LOCAL_PACKAGES = ("onnxruntime", "ctranslate2", "faster-whisper", "xllamacpp", "hibari-tts", "scipy")
_SIMD = ("sse4_2", "avx", "avx2", "avx512f", "avx512_vnni", "amx_int8", "asimd", "asimddp", "sve")
_MIN_MEMORY_GB = 2.0


@dataclass(frozen=True, slots=True)
class Check:
    """One finding.

    Attributes:
        status: "ok"; "note" for what does not stop `antiphon serve`; "fail" for what does.
        fix: what to do about it.
    """

    group: Literal["Python", "Engines", "Models", "Machine", "Server"]
    name: str
    status: Literal["ok", "note", "fail"]
    detail: str
    fix: str = ""


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show what is installed, which models are here and what this machine can do, and say what to fix.

    Reads the same settings as `antiphon serve`. Exits with 1 when `antiphon serve` would fail.
    """
    checks = list(examine())
    if as_json:
        typer.echo(json.dumps([asdict(check) for check in checks], indent=2))
    else:
        _print(checks)
    if any(check.status == "fail" for check in checks):
        raise typer.Exit(1)


def examine() -> Iterator[Check]:
    """Look at everything."""
    from antiphon.config import ConfigError, load_configuration  # noqa: PLC0415 - keeps `antiphon --help` fast

    yield from _python()
    yield from _machine()
    try:
        settings = load_configuration().settings
    except ConfigError as error:
        yield Check("Server", "settings", "fail", str(error), "Correct what is named here.")
        return
    yield from _engines(settings)
    yield from _models(settings)
    yield from _server(settings)


def _python() -> Iterator[Check]:
    yield Check("Python", "Python", "ok", f"{platform.python_version()} ({sys.executable})")
    yield Check("Python", "antiphon", "ok", importlib.metadata.version("antiphon"))
    for package in _PACKAGES:
        version = _version(package)
        if version is not None:
            yield Check("Python", package, "ok", version)
        elif package == "uvloop":
            yield Check(
                "Python", package, "note", "not installed", "pip install uvloop, for less time in the event loop"
            )
        else:
            yield Check("Python", package, "fail", "not installed", "pip install --force-reinstall antiphon")


def _engines(settings: Settings) -> Iterator[Check]:
    from antiphon.engines.base import Engine, EngineError  # noqa: PLC0415 - keeps `antiphon --help` fast
    from antiphon.engines.registry import find_engine  # noqa: PLC0415
    from antiphon.server.loading import engines_of  # noqa: PLC0415

    if settings.engines.preset == "embedded":
        for package in _LOCAL_PACKAGES:
            version = _version(package)
            if version is None:
                yield Check("Engines", package, "note", "not installed", "pip install 'antiphon[local]'")
            else:
                yield Check("Engines", package, "ok", version)
    for role, engine in engines_of(settings).items():
        name = f"{role}: {engine.name}"
        try:
            find_engine(engine.name, Engine)
        except EngineError as error:
            yield Check("Engines", name, "fail", error.message)
        else:
            yield Check("Engines", name, "ok", "can be loaded")
    for name, pipeline in settings.pipelines.items():
        if pipeline.upstream is not None:
            detail = f"its sessions are those of {pipeline.upstream.base_url}, which is not asked here"
            yield Check("Engines", f"{name}: upstream", "ok", detail)


def _models(settings: Settings) -> Iterator[Check]:
    from antiphon.models import ModelError, ModelStore  # noqa: PLC0415 - keeps `antiphon --help` fast

    store = ModelStore.default()
    wanting = False
    for name in _model_names(settings):
        try:
            state = store.state(name)
        except ModelError as error:
            yield Check("Models", name, "fail", error.message)
            continue
        pull = f"antiphon models pull {name} (antiphon serve does it too)"
        if state.status == "present":
            yield Check("Models", name, "ok", f"{state.model.size / 1e6:.0f} MB, in {state.directory}")
        else:
            wanting = True
            yield Check("Models", name, "note", state.detail or "not pulled yet", pull)
    existing = next(parent for parent in (store.root, *store.root.parents) if parent.exists())
    if existing.is_dir() and os.access(existing, os.W_OK):
        free = shutil.disk_usage(existing).free / 1e9
        yield Check("Models", "cache", "ok", f"{store.root}, {free:.1f} GB free")
    else:
        fix = "Make it writable, or set ANTIPHON_HOME to a directory that is."
        yield Check("Models", "cache", "fail" if wanting else "note", f"{store.root} cannot be written", fix)


def _model_names(settings: Settings) -> list[str]:
    """Return the models of all engines that can be found; `_engines` tells of the others."""
    from antiphon.engines.base import EngineError  # noqa: PLC0415 - keeps `antiphon --help` fast
    from antiphon.server.loading import engines_of, models_of  # noqa: PLC0415

    names: dict[str, None] = {}
    for engine in engines_of(settings).values():
        with contextlib.suppress(EngineError):
            names.update(dict.fromkeys(models_of(engine)))
    return list(names)


def _machine() -> Iterator[Check]:
    yield Check("Machine", "system", "ok", f"{platform.system()} {platform.release()} on {platform.machine()}")
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    note = "the embedded engines share two cores or more" if usable < 2 else ""
    yield Check("Machine", "cores", "note" if note else "ok", f"{usable} usable", note)
    memory = _memory_gb()
    if memory is not None:
        small = memory < _MIN_MEMORY_GB
        fix = f"The embedded models want about {_MIN_MEMORY_GB:.0f} GB." if small else ""
        yield Check("Machine", "memory", "note" if small else "ok", f"{memory:.1f} GB available", fix)
    flags = _cpu_flags()
    if flags:
        simd = [name for name in _SIMD if name in flags]
        slow = not {"avx2", "asimd"} & set(simd)
        fix = "Without AVX2 or NEON the models are several times slower." if slow else ""
        yield Check("Machine", "SIMD", "note" if slow else "ok", ", ".join(simd) or "none", fix)
    yield Check("Machine", "GPU", "ok", _gpu() or "none (the embedded engines need none)")


def _server(settings: Settings) -> Iterator[Check]:
    from antiphon.server.run import bind  # noqa: PLC0415 - keeps `antiphon --help` fast

    address = f"{settings.host}:{settings.port}"
    try:
        for bound in bind(settings.host, settings.port):
            bound.close()
    except OSError as error:
        yield Check("Server", address, "fail", error.strerror or str(error), "Set ANTIPHON_PORT, or stop what uses it.")
    else:
        yield Check("Server", address, "ok", "free")
    count = len(settings.keys())
    yield Check("Server", "API keys", "ok", f"{count} set" if count else "none: everyone who can connect may use it")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _memory_gb() -> float | None:
    """Memory that can be had now, in GB; None where the system does not tell in /proc."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    available = next((line for line in lines if line.startswith("MemAvailable:")), None)
    return int(available.split()[1]) * 1024 / 1e9 if available else None


def _cpu_flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return set()
    return next((set(line.split(":", 1)[1].split()) for line in lines if line.startswith(("flags", "Features"))), set())


def _gpu() -> str | None:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    query = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True)  # noqa: S603
    except (subprocess.SubprocessError, OSError) as error:
        return f"nvidia-smi does not answer: {error}"
    return "; ".join(answer.stdout.split("\n")).strip("; ")


def _print(checks: list[Check]) -> None:
    from rich.console import Console  # noqa: PLC0415 - keeps `antiphon --help` fast
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    marks = {"ok": "[green]ok[/]", "note": "[yellow]note[/]", "fail": "[red]fail[/]"}
    console = Console()
    table = Table(box=None, pad_edge=False)
    for heading in ("", "", "", ""):
        table.add_column(heading, overflow="fold")
    group = ""
    for check in checks:
        title = f"[bold]{check.group}[/]" if check.group != group else ""
        group = check.group
        detail = escape(check.detail) + (f"\n[dim]→ {escape(check.fix)}[/]" if check.fix else "")
        table.add_row(title, marks[check.status], escape(check.name), detail)
    console.print(table)
    failed = sum(check.status == "fail" for check in checks)
    if failed:
        console.print(f"\n[red]{failed} to fix before `antiphon serve` can work.[/]")
    else:
        console.print("\n[green]`antiphon serve` can work here.[/]")
