"""What the server is doing: loading its models, serving sessions, draining, stopped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import structlog
from prometheus_client import CollectorRegistry

from antiphon.config import Settings
from antiphon.engines.base import EngineError
from antiphon.models import ModelError
from antiphon.pipeline.cascade import Cascade
from antiphon.protocol.errors import ProtocolError
from antiphon.server.loading import engine_specs, load_pipeline
from antiphon.server.metrics import Metrics
from antiphon.server.served_models import ServedModels
from antiphon.session.session import Session

_CLOSE_S = 5.0
"""How long sessions that were told to end may take."""

State = Literal["starting", "ready", "failed", "draining"]

_log = structlog.get_logger(__name__)


class UnavailableError(Exception):
    """No session can be opened now. `error` says why."""

    def __init__(self, error: ProtocolError, retry_after_s: int) -> None:
        super().__init__(error.message)
        self.error = error
        self.retry_after_s = retry_after_s


class Service:
    """One server's engines and sessions. Lives on the event loop.

    Attributes:
        state: where it stands; sessions are only opened when "ready".
        failure: why loading failed.
        loaded: set when loading is over, well or not.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.metrics = Metrics(CollectorRegistry())
        self.state: State = "starting"
        self.failure: str | None = None
        self.loaded = asyncio.Event()
        self._waiting_for = list(engine_specs(settings.engines))
        self._pipeline: Cascade | None = None
        self._models: ServedModels | None = None
        self._sessions: set[Session] = set()
        self._reserved = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def models(self) -> ServedModels | None:
        """The served models, once they are ready."""
        return self._models

    async def load(self) -> None:
        """Load and warm up the engines."""
        started = time.monotonic()
        try:
            self._pipeline = await load_pipeline(self.settings.engines, self._waiting_for.remove)
        except (EngineError, ModelError) as error:
            self._fail(error.message)
        except Exception as error:  # noqa: BLE001 - a broken engine of a third party must not leave the server waiting
            _log.exception("loading failed")
            self._fail(f"{type(error).__name__}: {error}")
        else:
            self._models = ServedModels({self._pipeline.name: self._pipeline}, created=int(time.time()))
            if self.state == "starting":
                self.state = "ready"
            if self.settings.engines.preset == "stand-in":
                _log.warning("stand-in engines: replies are a script and a tone, there are no models")
            _log.info("ready", models=self._models.names, seconds=round(time.monotonic() - started, 2))
        finally:
            self.loaded.set()

    def _fail(self, message: str) -> None:
        self.state = "failed"
        self.failure = message

    def readiness(self) -> dict[str, Any]:
        """Return what `/readyz` tells."""
        body: dict[str, Any] = {"status": self.state}
        if self.state == "starting":
            body["waiting_for"] = list(self._waiting_for)
        if self.failure is not None:
            body["reason"] = self.failure
        if self._models is not None:
            body["models"] = self._models.names
        return body

    def ready_models(self) -> ServedModels:
        """Return the served models.

        Raises:
            UnavailableError: not ready, or stopping.
        """
        if self._models is None or self.state != "ready":
            message = {
                "starting": "The server is still loading its models.",
                "failed": "The server could not load its models.",
            }.get(self.state, "The server is shutting down.")
            raise UnavailableError(_unavailable(message, "server_not_ready"), retry_after_s=2)
        return self._models

    @contextmanager
    def slot(self) -> Iterator[ServedModels]:
        """Take one of the places for sessions.

        Raises:
            UnavailableError: not ready, stopping, or full.
        """
        models = self.ready_models()
        if self._reserved >= self.settings.max_sessions:
            message = f"All {self.settings.max_sessions} sessions of this server are in use."
            raise UnavailableError(_unavailable(message, "session_limit_reached"), retry_after_s=5)
        self._reserved += 1
        self._idle.clear()
        self.metrics.sessions_open.inc()
        try:
            yield models
        finally:
            self._reserved -= 1
            self.metrics.sessions_open.dec()
            if not self._reserved:
                self._idle.set()

    @contextmanager
    def running(self, session: Session) -> Iterator[None]:
        """Know `session` while it runs, so that it can be told to end."""
        self._sessions.add(session)
        try:
            yield
        finally:
            self._sessions.discard(session)

    async def drain(self) -> None:
        """Open no more sessions, give those that run `drain_s` to end, then end them."""
        self.state = "draining"
        if self._reserved:
            _log.info("waiting for sessions to end", sessions=self._reserved, seconds=self.settings.drain_s)
            await self._wait_until_idle(self.settings.drain_s)
        if self._sessions:
            _log.info("ending sessions", sessions=len(self._sessions))
            for session in list(self._sessions):
                session.end("shutdown")
            await self._wait_until_idle(_CLOSE_S)

    async def _wait_until_idle(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            _log.debug("sessions still open", sessions=self._reserved)

    async def close(self) -> None:
        """Close the engines."""
        if self._pipeline is not None:
            await self._pipeline.close()


def _unavailable(message: str, code: str) -> ProtocolError:
    return ProtocolError(message, code=code, type="server_error")
