"""`antiphon bench latency`."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.cli.bench import options

if TYPE_CHECKING:
    from antiphon.bench.corpus import Recording
    from antiphon.bench.report import Report


def latency(
    *,
    url: options.Url = None,
    api_key: options.ApiKey = None,
    model: options.Model = None,
    engines: options.Preset = options.EnginePreset.embedded,
    recordings: options.Recordings = None,
    turn_detection: options.Modes = None,
    silence_ms: options.Silence = 500,
    eagerness: options.Eager = options.Eagerness.high,
    drafts: Annotated[
        options.Drafts, typer.Option(help="Answering ahead, of the server that is started.")
    ] = options.Drafts.on,
    transport: Annotated[
        options.Transports, typer.Option(help="How the client is connected; both one after the other.")
    ] = options.Transports.websocket,
    turns: Annotated[int, typer.Option(min=1, help="Turns of each session.")] = 10,
    sessions: Annotated[int, typer.Option(min=1, help="Sessions at once.")] = 1,
    reply_tokens: options.ReplyTokens = None,
    timeline: Annotated[
        bool, typer.Option("--timeline", help="Show where the time of a turn goes, in the server that is started.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Measure from the end of speech to the first sound of the answer."""
    from dataclasses import asdict  # noqa: PLC0415 - keeps `antiphon --help` fast

    from antiphon.bench.latency import as_figures, as_results, comparison, measure_latency  # noqa: PLC0415
    from antiphon.bench.report import Report  # noqa: PLC0415
    from antiphon.bench.waterfall import waterfall  # noqa: PLC0415
    from antiphon.cli.bench.running import drafting, label, run, serving, setup  # noqa: PLC0415

    if url is not None and timeline:
        raise typer.BadParameter("it is read from the log of the server: not with --url", param_hint="--timeline")
    if url is not None and drafts is not options.Drafts.on:
        raise typer.BadParameter("drafts are a setting of the server: not with --url", param_hint="--drafts")
    modes = turn_detection or [options.TurnDetection.server_vad]
    variants = [options.Drafts.on, options.Drafts.off] if drafts is options.Drafts.both else [drafts]
    ways = transport.each()

    async def measure(said: list[Recording], step: Callable[[], None]) -> Report:
        found, tables = [], []
        for variant in variants:
            async with serving(url, api_key, model, engines, settings=drafting(variant)) as (target, server):
                for number, (mode, way) in enumerate(itertools.product(modes, ways)):
                    seen = len(server.turns()) if server else 0
                    configured = setup(mode, silence_ms, eagerness, reply_tokens=reply_tokens, transport=way)
                    result = await measure_latency(
                        target,
                        configured,
                        said,
                        label=label(configured) + ("" if url else f", drafts {variant}"),
                        turns=turns,
                        sessions=sessions,
                        first=number == 0,
                        on_turn=step,
                    )
                    figures = as_results(result, said)
                    tables.append(as_figures(figures))
                    if server and timeline:
                        logged = server.turns()[seen + (number == 0) :]
                        figures["timelines"] = [asdict(turn) for turn in logged]
                        tables.append(waterfall(result.label, logged))
                    found.append(figures)
                    if way is not ways[0]:
                        tables.append(comparison("WebRTC: later than by WebSocket", found[-2], figures))
        return Report("latency", {"configurations": found}, tables)

    run(measure, recordings, len(variants) * (len(modes) * len(ways) * turns * sessions + 1), as_json=as_json)
