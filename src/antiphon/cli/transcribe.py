"""`antiphon transcribe`: what is said in audio files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from antiphon.audio.files import AudioFile
    from antiphon.engines.base import Samples, Transcriber

_PIECE_S = (15.0, 28.0)
"""Shortest and longest piece, s, that a long file is cut into; Whisper hears at most 30 s at once."""

_SILENCE_DBFS = -60.0
"""Pieces quieter than this are not given to the engine, which would hear words in them."""


@dataclass(frozen=True, slots=True)
class Segment:
    """What is said from `start` to `end`, in s from the beginning of the file."""

    start: float
    end: float
    text: str


@dataclass(slots=True)
class FileTranscript:
    """The words of a file, or why there are none."""

    file: str
    text: str = ""
    language: str | None = None
    seconds: float = 0.0
    segments: list[Segment] = field(default_factory=list)
    error: str | None = None
    warning: str | None = None


def transcribe(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Audio or video files of any common format.")],
    language: Annotated[
        str | None, typer.Option("--language", "-l", metavar="CODE", help="Language spoken, e.g. en (ISO 639-1).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: texts with times, errors and all.")] = False,
) -> None:
    """Write down what is said in audio files, on this machine and offline.

    A file that cannot be read does not stop the others; the exit code is 1 when there was one.
    """
    import asyncio  # noqa: PLC0415 - keeps `antiphon --help` fast

    from antiphon.config import ConfigError  # noqa: PLC0415
    from antiphon.engines.base import EngineError  # noqa: PLC0415
    from antiphon.models import ModelError  # noqa: PLC0415

    try:
        transcripts = asyncio.run(_transcribe_all(files, language, print_each=not as_json))
    except (EngineError, ModelError) as error:
        typer.echo(f"antiphon transcribe: {error.message}", err=True)
        raise typer.Exit(1) from error
    except ConfigError as error:
        typer.echo(f"antiphon transcribe: {error}", err=True)
        raise typer.Exit(2) from error
    if as_json:
        typer.echo(json.dumps([asdict(transcript) for transcript in transcripts], indent=2, ensure_ascii=False))
    if any(transcript.error for transcript in transcripts):
        raise typer.Exit(1)


async def _transcribe_all(files: list[Path], language: str | None, *, print_each: bool) -> list[FileTranscript]:
    from rich.console import Console  # noqa: PLC0415
    from rich.markup import escape  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    console = Console(stderr=True)
    engine = await _load_engine()
    transcripts = []
    try:
        with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:
            for file in files:
                task = bars.add_task(escape(file.name), total=None)

                def show(done: float, total: float | None, task: object = task) -> None:
                    bars.update(task, completed=done, total=total)  # type: ignore[arg-type]

                transcript = await transcribe_file(engine, file, language, show)
                bars.remove_task(task)
                transcripts.append(transcript)
                if print_each:
                    _print(transcript, name_it=len(files) > 1)
    finally:
        await engine.close()
    return transcripts


async def transcribe_file(
    engine: Transcriber, file: Path, language: str | None, progress: Callable[[float, float | None], None]
) -> FileTranscript:
    """Transcribe one file piece by piece.

    `progress` is called with the seconds done and the seconds that the file claims to have, if it does. An error of
    the file or the engine is part of the result.
    """
    from antiphon.audio.files import AudioFile, AudioFileError  # noqa: PLC0415 - keeps `antiphon --help` fast
    from antiphon.audio.levels import rms_dbfs  # noqa: PLC0415
    from antiphon.audio.pauses import cut_at_pauses  # noqa: PLC0415
    from antiphon.engines.base import HEARING_RATE, EngineError  # noqa: PLC0415

    result = FileTranscript(str(file))
    try:
        with AudioFile(file, HEARING_RATE) as audio:
            progress(0.0, audio.seconds)
            for piece in cut_at_pauses(_readable(audio, result), HEARING_RATE, *_PIECE_S):
                end = result.seconds + len(piece) / HEARING_RATE
                if rms_dbfs(piece) > _SILENCE_DBFS:
                    heard = await engine.transcribe(piece, language=language)
                    result.language = result.language or heard.language
                    if heard.text:
                        result.segments.append(Segment(round(result.seconds, 2), round(end, 2), heard.text))
                result.seconds = end
                progress(end, audio.seconds)
            if not result.error and audio.seconds is not None and result.seconds < 0.98 * audio.seconds - 0.5:
                result.warning = f"only {result.seconds:.1f} of {audio.seconds:.1f} s could be read"
    except AudioFileError as error:
        result.error = str(error)
    except EngineError as error:
        result.error = f"{file}: {error.message}"
    result.text = " ".join(segment.text for segment in result.segments)
    result.seconds = round(result.seconds, 2)
    return result


def _readable(audio: AudioFile, result: FileTranscript) -> Iterator[Samples]:
    """Yield the audio up to the end or to where it is damaged, and note the damage."""
    from antiphon.audio.files import AudioFileError  # noqa: PLC0415

    try:
        yield from audio.blocks()
    except AudioFileError as error:
        result.error = str(error)


async def _load_engine() -> Transcriber:
    import os  # noqa: PLC0415

    from antiphon.cli.models import pull_with_progress  # noqa: PLC0415
    from antiphon.config import load_configuration  # noqa: PLC0415
    from antiphon.config.resolved import pipeline_plans  # noqa: PLC0415
    from antiphon.engines.base import EngineContext, EngineError, Transcriber  # noqa: PLC0415
    from antiphon.engines.registry import find_engine  # noqa: PLC0415
    from antiphon.models import ModelStore  # noqa: PLC0415

    plans = pipeline_plans(load_configuration().settings).values()
    spec = next((plan.engines["transcription"][0] for plan in plans if "transcription" in plan.engines), None)
    if spec is None:
        raise EngineError("no pipeline transcribes on this machine", code="unknown_engine")
    engine, store = find_engine(spec.name, Transcriber), ModelStore.default()
    if missing := store.missing(engine.required_models):
        pull_with_progress(store, missing)
    cores = spec.cores or os.cpu_count() or 1
    return await engine.load(EngineContext(models=store, cores=cores, options=spec.options))


def _print(transcript: FileTranscript, *, name_it: bool) -> None:
    if transcript.error:
        typer.echo(transcript.error, err=True)
    if transcript.warning:
        typer.echo(f"{transcript.file}: {transcript.warning}", err=True)
    if not transcript.error or transcript.text:
        typer.echo(f"{transcript.file}: {transcript.text}" if name_it else transcript.text)
