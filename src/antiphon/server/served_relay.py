"""A served model whose sessions another server has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from antiphon.audio.formats import PCM_16K, PCM_24K
from antiphon.config.resolved import PipelinePlan
from antiphon.engines.base import EngineError
from antiphon.relay.opening import Opening
from antiphon.relay.session import RelaySession
from antiphon.relay.settings import UpstreamSettings
from antiphon.relay.upstream import Upstream, UpstreamError
from antiphon.server.served_model import ServedModel, UnavailableError, Wiring
from antiphon.session.config import SessionConfig
from antiphon.session.limits import SessionLimits

_log = structlog.get_logger(__name__)


class ServedRelay(ServedModel):
    """One served model that is an upstream's. Its voices are known to the upstream alone.

    Args:
        plan: of the pipeline.
        upstream: where its sessions are.

    Raises:
        EngineError: the key is not there.
    """

    voices = None

    def __init__(self, plan: PipelinePlan, upstream: UpstreamSettings) -> None:
        super().__init__(plan)
        self._upstream = upstream
        self._key = None if upstream.api_key is None else upstream.api_key.read()

    @property
    def loaded(self) -> bool:
        """Always: there is nothing to load."""
        return True

    @property
    def decides_itself(self) -> bool:
        """The upstream does."""
        return True

    async def open(self, config: SessionConfig, asked: Mapping[str, Any] | None, *, plays: bool) -> _OpenRelay:
        """Open a session of the upstream; see there.

        Raises:
            UnavailableError: the upstream cannot be had.
            ProtocolError: it does not take the configuration.
        """
        detection = config.input.turn_detection
        chosen = detection.wire() if detection is not None else None
        opening = Opening(
            type=config.type,
            model=config.model,
            instructions=self.instructions,
            voice=self.voice,
            turn_detection=chosen if self.has_turn_detection else "upstream",
            asked=asked,
            plays=plays,
            pcm_rate=PCM_16K.rate if config.input.format == PCM_16K else PCM_24K.rate,
        )
        try:
            upstream = await Upstream.open(self._upstream, self._key, opening)
        except UpstreamError as error:
            _log.error("no upstream session", model=self.name, reason=error.error.message, detail=error.detail)
            raise UnavailableError(error.error, round(error.retry_after_s)) from error
        return _OpenRelay(upstream, opening, self.limits, self._upstream)


@dataclass(frozen=True, slots=True)
class _OpenRelay:
    upstream: Upstream
    opening: Opening
    limits: SessionLimits
    settings: UpstreamSettings

    def session(self, wiring: Wiring) -> RelaySession:
        """Return the session; see `OpenModel`. What it tells of turns' time is what its upstream tells."""
        return RelaySession(
            self.upstream,
            self.opening,
            limits=self.limits,
            emit=wiring.emit,
            same_model=wiring.same_model,
            observer=wiring.observer,
            player=wiring.player,
            recording=self.settings.recording,
        )

    def release(self) -> None:
        """Close the connection, unless the session has done so."""
        self.upstream.drop()


def served_relay(plan: PipelinePlan, upstream: UpstreamSettings) -> ServedRelay:
    """Return the relay; see `ServedRelay`.

    Raises:
        EngineError: the key is not there; the message names the pipeline.
    """
    try:
        return ServedRelay(plan, upstream)
    except EngineError as error:
        raise EngineError(f"pipelines.{plan.name}.upstream.api_key: {error.message}", code=error.code) from error
