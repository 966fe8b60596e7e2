"""`antiphon bench sessions`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.cli.bench import options

if TYPE_CHECKING:
    from antiphon.bench.corpus import Recording
    from antiphon.bench.report import Report

_REAL_VAD = {"ANTIPHON_ENGINES__VAD__NAME": "silero"}
"""What a session costs a server is its audio, so voice activity is detected for real beside other stand-in engines."""


def sessions(
    *,
    url: options.Url = None,
    api_key: options.ApiKey = None,
    model: options.Model = None,
    engines: options.Preset = options.EnginePreset.stand_in,
    recordings: options.Recordings = None,
    first: Annotated[int, typer.Option(min=1, help="Sessions to begin with.")] = 25,
    most: Annotated[int, typer.Option(min=1, help="Most sessions to try.")] = 800,
    target_ms: Annotated[float, typer.Option(min=1, help="Most p99 event delay and loop lag, ms.")] = 50.0,
    seconds: Annotated[float, typer.Option(min=6, help="Length of each try.")] = 15.0,
    chunk_ms: Annotated[int, typer.Option(min=10, max=1000, help="Length of the audio chunks sent, ms.")] = 100,
    all_cores: Annotated[
        bool, typer.Option("--all-cores", help="Let the server that is started use every core, not one.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Find how many sessions a server carries at once, and what each costs it.

    Sessions talk with pauses for thinking, 24 kHz audio both ways, from a process of their own. The stand-in engines,
    with real voice activity detection, show what the server itself costs.
    """
    from antiphon.bench.corpus import SHIPPED  # noqa: PLC0415 - keeps `antiphon --help` fast
    from antiphon.bench.report import Report  # noqa: PLC0415
    from antiphon.bench.sessions import SessionsPlan, as_figures, as_results, find_limit  # noqa: PLC0415
    from antiphon.cli.bench.running import run, serving  # noqa: PLC0415

    split = not all_cores and url is None and hasattr(os, "sched_setaffinity") and len(os.sched_getaffinity(0)) > 1
    cpus = sorted(os.sched_getaffinity(0)) if split else []
    server_cpus, client_cpus = (set(cpus[:1]), set(cpus[1:])) if split else (None, None)
    settings = _REAL_VAD if engines is options.EnginePreset.stand_in else {}

    async def measure(said: list[Recording], step: Callable[[], None]) -> Report:
        plan = SessionsPlan(seconds, chunk_ms, target_ms, str(recordings or SHIPPED), client_cpus)
        async with serving(url, api_key, model, engines, settings=settings, cpus=server_cpus) as (target, server):
            pid = server.pid if server else None
            steps = await find_limit(target, pid, plan, first=first, most=most, on_step=step)
        found = as_results(steps, target_ms)
        where = url or f"{engines} engines, server on {'one core' if split else 'all cores'}"
        return Report("sessions", found, [as_figures(found, f"{where}, chunks of {chunk_ms} ms")])

    run(measure, recordings, None, as_json=as_json)
