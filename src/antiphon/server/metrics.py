"""Prometheus metrics, in a registry of the server's own."""

from __future__ import annotations

import asyncio
import threading
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from antiphon.server.thread_metrics import ThreadCpuCollector
from antiphon.session.timeline import Stage, TurnTimeline

_LAG_INTERVAL_S = 0.1
_STAGE_BUCKETS_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 30.0)
_LAG_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """What the server counts; also the observer of its sessions."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.sessions_open = Gauge("antiphon_sessions_open", "Sessions open now.", registry=registry)
        self.sessions = Counter(
            "antiphon_sessions", "Sessions that ended, by type and reason.", ["type", "reason"], registry=registry
        )
        self.refused = Counter(
            "antiphon_connections_refused", "Connections that became no session.", ["code"], registry=registry
        )
        frames = Counter("antiphon_frames", "WebSocket frames.", ["direction"], registry=registry)
        # Labels are looked up once, not for every frame.
        self._frames_in = frames.labels("in")
        self._frames_out = frames.labels("out")
        self._errors = Counter("antiphon_errors", "Errors told to clients, by code.", ["code"], registry=registry)
        self._internal_errors = Counter("antiphon_internal_errors", "Errors of the server's own.", registry=registry)
        self._responses = Counter("antiphon_responses", "Responses that ended.", ["status"], registry=registry)
        self._drafts = Counter("antiphon_drafts", "Drafts that ended.", ["outcome"], registry=registry)
        self._saved = Counter("antiphon_draft_saved_seconds", "Waiting that drafts saved, s.", registry=registry)
        ProcessCollector(registry=registry)
        registry.register(ThreadCpuCollector())
        tasks = Gauge("antiphon_event_loop_tasks", "Tasks of the event loop now.", registry=registry)
        tasks.set_function(lambda: len(asyncio.all_tasks()))
        threads = Gauge("antiphon_threads", "Threads of Python now.", registry=registry)
        threads.set_function(threading.active_count)
        stages = Histogram(
            "antiphon_turn_stage_seconds",
            "How long the stages of spoken turns took, s; `waiting` is from speech_stopped to the first audio sent.",
            ["stage"],
            buckets=_STAGE_BUCKETS_S,
            registry=registry,
        )
        self._stages = {stage: stages.labels(stage) for stage in get_args(Stage)}
        self._turns = Counter(
            "antiphon_turns", "Spoken turns, by what of a draft was taken over.", ["adopted"], registry=registry
        )
        self._lag = Histogram(
            "antiphon_event_loop_lag_seconds",
            "How late the event loop runs what is due, s.",
            buckets=_LAG_BUCKETS_S,
            registry=registry,
        )

    def received(self) -> None:
        """Count a client frame."""
        self._frames_in.inc()

    def sent(self) -> None:
        """Count a server event."""
        self._frames_out.inc()

    def turn_finished(self, timeline: TurnTimeline) -> None:
        """Take note of where the turn's time went."""
        self._turns.labels(timeline.adopted).inc()
        for stage, seconds in timeline.stages().items():
            self._stages[stage].observe(seconds)

    def draft_ended(self, outcome: Literal["adopted", "dropped"], seconds_saved: float) -> None:
        """Count a draft."""
        self._drafts.labels(outcome).inc()
        self._saved.inc(seconds_saved)

    def response_finished(self, status: str) -> None:
        """Count a response."""
        self._responses.labels(status).inc()

    def client_error(self, code: str | None) -> None:
        """Count a client's mistake."""
        self._errors.labels(code or "none").inc()

    def internal_error(self) -> None:
        """Count an error of our own."""
        self._internal_errors.inc()

    async def watch_loop(self) -> None:
        """Measure the event loop's lag until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _LAG_INTERVAL_S
            await asyncio.sleep(_LAG_INTERVAL_S)
            self._lag.observe(max(0.0, loop.time() - due))
