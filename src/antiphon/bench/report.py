"""What a measurement found, on which machine, and how it is shown."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

_PACKAGES = ("antiphon", "onnxruntime", "ctranslate2", "xllamacpp", "hibari-tts", "uvloop", "websockets")
_SECRET_OPTIONS = ("--api-key",)


@dataclass(frozen=True, slots=True)
class Figures:
    """A table of results: what each row is, and a text or number for each column. One without heading is a drawing."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """One measurement.

    Attributes:
        bench: its name.
        results: everything measured, for programs.
        tables: the same for people.
    """

    bench: str
    results: Mapping[str, Any]
    tables: Sequence[Figures] = field(default=())


def machine() -> dict[str, Any]:
    """Return processor, cores, memory in GiB, system, Python and the load that the machine was under."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": _memory_gib(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_average_1min": None if load is None else round(load, 2),
    }


def versions() -> dict[str, str]:
    """Return the versions of Antiphon and of the packages that decide its speed, as far as they are installed."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def command(arguments: Sequence[str] | None = None) -> str:
    """Return the command line of this process, without secrets."""
    arguments = sys.argv[1:] if arguments is None else arguments
    shown, hide = [], False
    for argument in arguments:
        name, given, _ = argument.partition("=")
        secret = name in _SECRET_OPTIONS
        shown.append("***" if hide else f"{name}=***" if secret and given else argument)
        hide = secret and not given
    return shlex.join(["antiphon", *shown])


def show(report: Report, under: Mapping[str, Any], *, as_json: bool) -> None:
    """Print a report on standard output.

    Args:
        report: what was measured.
        under: `machine()` from before the measurement.
        as_json: print one JSON object instead of tables.
    """
    if as_json:
        whole = {"bench": report.bench, "command": command(), "machine": under, "versions": versions()}
        typer.echo(json.dumps({**whole, "results": report.results}, indent=2, ensure_ascii=False))
        return
    console = Console()
    for figures in report.tables:
        table = Table(title=escape(figures.title), title_justify="left", title_style="bold")
        table.add_column(figures.columns[0], overflow="fold")
        for heading in figures.columns[1:]:
            table.add_column(heading, justify="right" if heading else "left")
        for row in figures.rows:
            table.add_row(*("-" if value is None else escape(str(value)) for value in row))
        console.print(table)
        for note in figures.notes:
            console.print(note, markup=False, highlight=False)
        console.print()
    console.print(
        f"{under['cpu']}, {under['cores']} cores, {under['memory_gib']} GiB, {under['system']}, "
        f"Python {under['python']}, load {under['load_average_1min']} at the start",
        style="dim",
        markup=False,
        highlight=False,
    )
    listed = ", ".join(f"{package} {version}" for package, version in versions().items())
    console.print(f"{listed}\n{command()}", style="dim", markup=False, highlight=False)


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine()


def _memory_gib() -> float | None:
    if not hasattr(os, "sysconf"):
        return None
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
