"""`antiphon bench bargein`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.cli.bench import options

if TYPE_CHECKING:
    from antiphon.bench.corpus import Recording
    from antiphon.bench.report import Report


def bargein(
    *,
    url: options.Url = None,
    api_key: options.ApiKey = None,
    model: options.Model = None,
    engines: options.Preset = options.EnginePreset.embedded,
    recordings: options.Recordings = None,
    turn_detection: options.Mode = options.TurnDetection.server_vad,
    silence_ms: options.Silence = 500,
    eagerness: options.Eager = options.Eagerness.high,
    times: Annotated[int, typer.Option(min=1, help="Interruptions, and as many sounds that are none.")] = 9,
    as_json: options.AsJson = False,
) -> None:
    """Speak over answers: how fast they stop, and whether a mere "mm-hm" stops them."""
    from dataclasses import replace  # noqa: PLC0415 - keeps `antiphon --help` fast

    from antiphon.bench.bargein import as_figures, as_results, measure_interruptions  # noqa: PLC0415
    from antiphon.bench.corpus import BACKCHANNELS, load_recordings  # noqa: PLC0415
    from antiphon.bench.report import Report  # noqa: PLC0415
    from antiphon.cli.bench.running import label, run, serving, setup  # noqa: PLC0415

    async def measure(said: list[Recording], step: Callable[[], None]) -> Report:
        sounds = load_recordings(BACKCHANNELS)
        configured = replace(setup(turn_detection, silence_ms, eagerness), transcribe=False)
        speech = [said[index % len(said)] for index in range(times)]
        humming = [sounds[index % len(sounds)] for index in range(times)]
        async with serving(url, api_key, model, engines) as (target, _):
            spoken = await measure_interruptions(target, configured, speech, step)
            hummed = await measure_interruptions(target, configured, humming, step)
        found = as_results(label(configured), spoken, hummed)
        return Report("bargein", found, [as_figures(found)])

    run(measure, recordings, 2 * times, as_json=as_json)
