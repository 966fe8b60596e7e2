"""What every served model has: its names, what its sessions start with, and so many places for them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from antiphon.config.resolved import PipelinePlan
from antiphon.engines.base import Voice
from antiphon.protocol.errors import ProtocolError
from antiphon.protocol.frames import ServerEvent
from antiphon.session.config import SemanticVad, ServerVad, SessionConfig
from antiphon.session.contract import RunningSession
from antiphon.session.limits import SessionLimits
from antiphon.session.observer import SessionObserver
from antiphon.session.player import Player


class UnavailableError(Exception):
    """No session can be opened now. `error` says why."""

    def __init__(self, error: ProtocolError, retry_after_s: int) -> None:
        super().__init__(error.message)
        self.error = error
        self.retry_after_s = retry_after_s


def unavailable(message: str, code: str, retry_after_s: int) -> UnavailableError:
    """Return the refusal of a session that another time may be let in."""
    return UnavailableError(ProtocolError(message, code=code, type="server_error"), retry_after_s)


@dataclass(frozen=True, slots=True)
class Wiring:
    """How a session is connected.

    Attributes:
        emit: sends an event to the client; waits while the client is slow.
        same_model: tells whether a name that the client gives means the session's model.
        observer: who keeps the metrics.
        player: what plays the session's speech, where the transport does that.
        tells_timeline: whether the client wants to be told where each turn's time went.
    """

    emit: Callable[[ServerEvent], Awaitable[None]]
    same_model: Callable[[str], bool]
    observer: SessionObserver
    player: Player | None = None
    tells_timeline: bool = False


class OpenModel(Protocol):
    """A served model while it is held for one session."""

    def session(self, wiring: Wiring) -> RunningSession:
        """Return the session."""
        ...

    def release(self) -> None:
        """Let go of it: the session is over, or never began."""
        ...


@dataclass
class _Places:
    taken: int = 0


class ServedModel(ABC):
    """One served model. Lives on the event loop.

    Attributes:
        name, aliases: what it is called.
        voices: that it has; None where that is not known here.
        instructions, voice, limits: of its sessions; `instructions` and `voice` None for its own.
    """

    voices: Sequence[Voice] | None

    def __init__(self, plan: PipelinePlan) -> None:
        self.name = plan.name
        self.aliases = plan.settings.aliases
        self.instructions = plan.instructions
        self.voice = plan.settings.voice
        self.limits: SessionLimits = plan.limits
        self._settings = plan.settings
        self._places = _Places()

    @property
    def sessions(self) -> int:
        """Sessions that are open now, those that began before a reload with them."""
        return self._places.taken

    def follow(self, before: ServedModel) -> None:
        """Take over the places of the model that had its name before; sessions of that one still have theirs."""
        self._places = before._places

    @property
    def has_turn_detection(self) -> bool:
        """Whether `turn_detection` was set."""
        return self._settings.turn_detection is not None

    @property
    def turn_detection(self) -> ServerVad | SemanticVad | None:
        """Turn detection of its sessions where it was set; None for off."""
        chosen = self._settings.turn_detection
        if chosen is None or chosen == "off":
            return None
        kind = ServerVad if chosen.type == "server_vad" else SemanticVad
        return kind(**chosen.model_dump(exclude={"type"}))

    @contextmanager
    def place(self) -> Iterator[None]:
        """Take one of its places for sessions.

        Raises:
            UnavailableError: it is full.
        """
        most = self._settings.max_sessions
        places = self._places
        if most is not None and places.taken >= most:
            message = f"All {most} sessions of the model '{self.name}' are in use."
            raise unavailable(message, "session_limit_reached", 5)
        places.taken += 1
        try:
            yield
        finally:
            places.taken -= 1

    @property
    @abstractmethod
    def loaded(self) -> bool:
        """Whether its next session need not wait for engines."""

    @property
    @abstractmethod
    def decides_itself(self) -> bool:
        """Whether what a client asks of a session is for it to judge, so that only it knows what comes of it."""

    @abstractmethod
    async def open(self, config: SessionConfig, asked: Mapping[str, Any] | None, *, plays: bool) -> OpenModel:
        """Hold it for a session, until `release`.

        Args:
            config: what the session starts with.
            asked: what the client asked for beforehand and `config` does not tell; see `decides_itself`.
            plays: whether the transport plays the session's speech.

        Raises:
            UnavailableError: it cannot be had now.
            ProtocolError: it cannot be what the client asks for.
        """
