"""How many sessions a server carries, and what each of them costs it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import psutil
from prometheus_client.parser import text_string_to_metric_families

from antiphon.bench.connection import BenchError, Event, Target
from antiphon.bench.conversation import SessionSetup, open_conversation
from antiphon.bench.figures import percentile
from antiphon.bench.load import LoadPlan
from antiphon.bench.own_server import fetch
from antiphon.bench.report import Figures
from antiphon.bench.search import largest, next_try

LAG_METRIC = "antiphon_event_loop_lag_seconds"

_PROBE_EVERY_S = 0.05
_PROBE_ANSWER_S = 10.0
_SETTLE_S = 1.0
"""Time, s, between the last session's opening and the first figure."""
_READY_S = 180.0
_END_S = 60.0

Histogram = Mapping[float, float]
"""Cumulative counts by upper bound, as Prometheus has them."""


@dataclass(frozen=True, slots=True)
class Step:
    """What so many sessions did to the server. Times in ms; None where the server's process or metrics are not known.

    Attributes:
        sessions: how many talked, beside one that only asks for the time.
        event_delay_p50_ms, event_delay_p99_ms: from an event sent to its answer, asked 20 times a second.
        loop_lag_p99_ms: the server's own figure: upper bound of the bucket.
        cpu_cores: cores that the server kept busy.
        memory_mib: of the server's process.
        memory_per_session_kib: what each session added to the server as it was before the first try.
        turns, unanswered, stopped_to_audio_p50_ms, stopped_to_audio_p99_ms: of all sessions.
        client_late_p99_ms: how late the client was with a chunk; where it is late itself, the client is the limit.
        broken: why sessions broke.
        holds: whether everything stayed within the target.
    """

    sessions: int
    event_delay_p50_ms: float | None
    event_delay_p99_ms: float | None
    loop_lag_p99_ms: float | None
    cpu_cores: float | None
    memory_mib: float | None
    memory_per_session_kib: float | None
    turns: int
    unanswered: int
    stopped_to_audio_p50_ms: float | None
    stopped_to_audio_p99_ms: float | None
    client_late_p99_ms: float
    broken: list[str]
    holds: bool


@dataclass(frozen=True, slots=True)
class SessionsPlan:
    """How to measure.

    Attributes:
        seconds: length of each step.
        chunk_ms: length of the chunks that sessions send.
        target_ms: most that the p99 of event delay and of loop lag may be.
        recordings: directory of what sessions say.
        client_cpus: CPUs for the client; None for all.
    """

    seconds: float
    chunk_ms: int
    target_ms: float
    recordings: str
    client_cpus: set[int] | None = None


async def find_limit(
    target: Target, pid: int | None, plan: SessionsPlan, *, first: int, most: int, on_step: Callable[[], None]
) -> list[Step]:
    """Try numbers of sessions, from `first` and up to `most`, until the largest that holds is known within a tenth.

    Raises:
        BenchError: the server cannot be reached.
    """
    process = psutil.Process(pid) if pid is not None else None
    empty_bytes = process.memory_info().rss if process else 0
    steps: list[Step] = []
    tried: dict[int, bool] = {}
    while (sessions := next_try(tried, first, most)) is not None:
        step = await measure_step(target, process, empty_bytes, plan, sessions)
        steps.append(step)
        tried[sessions] = step.holds
        on_step()
    return steps


async def measure_step(
    target: Target, process: psutil.Process | None, empty_bytes: int, plan: SessionsPlan, sessions: int
) -> Step:
    """Hold so many sessions and measure the server meanwhile.

    Args:
        target: the server.
        process: its process, if it is on this machine and known.
        empty_bytes: memory of the process without sessions.
        plan: how to measure.
        sessions: how many.

    Raises:
        BenchError: the server cannot be reached, or the client fails.
    """
    client = await _start_client(target, plan, sessions)
    try:
        await _expect_ready(client)
        await asyncio.sleep(_SETTLE_S)
        lag_before, cpu_before, began = await _lag(target), _cpu_s(process), time.perf_counter()
        delays = await _probe(target, plan.chunk_ms, plan.seconds - 2 * _SETTLE_S)
        elapsed = time.perf_counter() - began
        cpu_after, lag_after = _cpu_s(process), await _lag(target)
        full_bytes = process.memory_info().rss if process else 0
        load = await _result(client)
    finally:
        if client.returncode is None:
            client.kill()
            await client.wait()
    lag = lag_percentile_ms(lag_before, lag_after, 99)
    late = load["client_late_p99_ms"]
    delay = round(percentile(delays, 99), 1) if delays else None
    answers = load["stopped_to_audio_ms"]
    return Step(
        sessions=sessions,
        event_delay_p50_ms=round(percentile(delays, 50), 1) if delays else None,
        event_delay_p99_ms=delay,
        loop_lag_p99_ms=lag,
        cpu_cores=round((cpu_after - cpu_before) / elapsed, 2) if process else None,
        memory_mib=round(full_bytes / 2**20, 1) if process else None,
        memory_per_session_kib=round((full_bytes - empty_bytes) / sessions / 1024, 1) if process else None,
        turns=load["turns"],
        unanswered=load["unanswered"],
        stopped_to_audio_p50_ms=answers.get("p50"),
        stopped_to_audio_p99_ms=answers.get("p99"),
        client_late_p99_ms=late,
        broken=load["broken"],
        holds=not load["broken"]
        and delay is not None
        and delay <= plan.target_ms
        and (lag is None or lag <= plan.target_ms),
    )


def as_results(steps: Sequence[Step], target_ms: float) -> dict[str, Any]:
    """Return the largest number of sessions within the target and every step, for programs."""
    most = largest({step.sessions: step.holds for step in steps})
    return {"target_ms": target_ms, "most_sessions": most, "steps": [asdict(step) for step in steps]}


def as_figures(results: dict[str, Any], label: str) -> Figures:
    """Return the table of what `as_results` returned."""
    columns = ("sessions", "delay", "lag p99", "cores", "KiB each", "to audio", "client late", "holds")
    rows = [
        (
            step["sessions"],
            _pair(step["event_delay_p50_ms"], step["event_delay_p99_ms"]),
            step["loop_lag_p99_ms"],
            step["cpu_cores"],
            step["memory_per_session_kib"],
            _pair(step["stopped_to_audio_p50_ms"], step["stopped_to_audio_p99_ms"]),
            step["client_late_p99_ms"],
            "yes" if step["holds"] else "no",
        )
        for step in sorted(results["steps"], key=lambda step: int(step["sessions"]))
    ]
    notes = [
        f"at most {results['most_sessions']} sessions with p99 event delay and p99 loop lag within "
        f"{results['target_ms']:.0f} ms; times in ms, delay and speech_stopped to audio as p50/p99"
    ]
    notes += sorted({reason for step in results["steps"] for reason in step["broken"]})
    return Figures(label, columns, rows, notes)


def _pair(middle: float | None, tail: float | None) -> str | None:
    return None if middle is None or tail is None else "/".join(f"{ms:.{int(ms < 100)}f}" for ms in (middle, tail))


async def _start_client(target: Target, plan: SessionsPlan, sessions: int) -> asyncio.subprocess.Process:
    load = LoadPlan(target.url, sessions, plan.seconds, plan.chunk_ms, plan.recordings)
    environment = {**os.environ, **({"OPENAI_API_KEY": target.api_key} if target.api_key else {})}
    client = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "antiphon.bench.load",
        json.dumps(asdict(load)),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    if plan.client_cpus is not None:
        os.sched_setaffinity(client.pid, plan.client_cpus)
    return client


async def _expect_ready(client: asyncio.subprocess.Process) -> None:
    assert client.stdout is not None  # noqa: S101 - a pipe was asked for
    line = await asyncio.wait_for(client.stdout.readline(), _READY_S)
    if line.strip() != b"ready":
        await _fail(client)


async def _result(client: asyncio.subprocess.Process) -> dict[str, Any]:
    assert client.stdout is not None  # noqa: S101 - a pipe was asked for
    line = await asyncio.wait_for(client.stdout.readline(), _END_S)
    if not line:
        await _fail(client)
    await client.wait()
    result: dict[str, Any] = json.loads(line)
    return result


async def _fail(client: asyncio.subprocess.Process) -> None:
    _, errors = await client.communicate()
    lines = errors.decode("utf-8", "replace").strip().splitlines()
    raise BenchError(f"the client failed: {lines[-1] if lines else f'exit code {client.returncode}'}")


async def _probe(target: Target, chunk_ms: int, seconds: float) -> list[float]:
    """Ask a session for its configuration 20 times a second and return how long each answer took, in ms.

    An answer that does not come counts as 10 s, and ends the probing.
    """
    setup = SessionSetup(transcribe=False, chunk_ms=chunk_ms)
    question = {"type": "session.update", "session": {"type": "realtime"}}
    delays: list[float] = []
    async with open_conversation(target, setup) as conversation:
        answered = 0

        def count(event: Event) -> None:
            nonlocal answered
            answered += event.type == "session.updated"

        conversation.listeners.append(count)
        end = time.perf_counter() + seconds
        while (began := time.perf_counter()) < end:
            due = len(delays) + 1
            await conversation.connection.send_event(question)
            if not await conversation.connection.until(lambda due=due: answered >= due, _PROBE_ANSWER_S):  # type: ignore[misc]
                return [*delays, _PROBE_ANSWER_S * 1000]
            took = time.perf_counter() - began
            delays.append(took * 1000)
            await asyncio.sleep(max(_PROBE_EVERY_S - took, 0.0))
    return delays


def _cpu_s(process: psutil.Process | None) -> float:
    if process is None:
        return 0.0
    times = process.cpu_times()
    return float(times.user + times.system)


async def _lag(target: Target) -> Histogram:
    answer = await fetch(target, "/metrics")
    return parse_histogram(answer[1], LAG_METRIC) if answer is not None and answer[0] == 200 else {}


def parse_histogram(text: str, metric: str) -> Histogram:
    """Return a histogram of Prometheus's text format; empty when it is not there."""
    return {
        float(sample.labels["le"]): sample.value
        for family in text_string_to_metric_families(text)
        if family.name == metric
        for sample in family.samples
        if sample.name == f"{metric}_bucket"
    }


def lag_percentile_ms(before: Histogram, after: Histogram, percent: float) -> float | None:
    """Return the upper bound, ms, of the bucket that holds the percentile of what came between; None if nothing did."""
    counts = {bound: count - before.get(bound, 0.0) for bound, count in sorted(after.items())}
    total = max(counts.values(), default=0.0)
    if total == 0:
        return None
    bound = next(bound for bound, count in counts.items() if count >= total * percent / 100)
    return round(bound * 1000, 1)
