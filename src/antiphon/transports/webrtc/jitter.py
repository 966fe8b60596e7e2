"""From RTP packets as they arrive to a gapless stream of frames. Pure.

A player has to delay everything by its worst jitter. A listener does not: what arrives in order is passed on at once,
and only a gap in the sequence numbers makes what follows wait for the missing packets. Time is that of the RTP
timestamps: what was lost is concealed, what was never sent (discontinuous transmission, mute) is silence, and when a
sender stops sending altogether, silence is passed on as time passes, so that the end of a turn is noticed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

MIN_WAIT_S = 0.04
MAX_WAIT_S = 0.2
"""How long packets wait for one that is missing: three times the jitter, within these bounds."""

STOPPED_S = 1.0
"""Without a packet for this long, the sender has stopped sending (mute); shorter pauses are stalls of the network."""

PAUSED_S = 0.1
"""The same, after a packet that announced a pause (Opus DTX)."""

OVERSLEPT_S = 0.1
"""A poll that comes this late after its deadline says that we were stopped ourselves, and perhaps not the sender."""

CATCH_UP_S = 0.2
"""How long the packets that came meanwhile may take to get through to us then."""

MAX_CONCEALED_S = 0.12
"""Most of a loss that is concealed; the rest is silence, as it is in any speech decoder."""

MAX_GAP_S = 10.0
"""A larger step in the timestamps is a sender that has started anew."""

_MAX_STEP = 1000
"""A larger step in the sequence numbers, either way, is a sender that has started anew (RFC 3550 appendix A.1)."""

_MAX_WAITING = 64
"""Packets that wait for a missing one at most: more than MAX_WAIT_S of them, at any sensible packet time."""


@dataclass(frozen=True, slots=True)
class Packet:
    """An RTP packet: `sequence` of 16 bits, `timestamp` of 32 bits in units of the codec's clock."""

    sequence: int
    timestamp: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Frame:
    """The payload of a packet, in its turn."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Lost:
    """So many samples, in units of the codec's clock, that were sent and did not arrive."""

    samples: int


@dataclass(frozen=True, slots=True)
class Silence:
    """So many samples, in units of the codec's clock, in which nothing was sent."""

    samples: int


Piece = Frame | Lost | Silence


class JitterBuffer:
    """One RTP stream.

    Args:
        clock_rate: of the timestamps, Hz.
        duration: returns how many samples, in units of the clock, a payload holds.
        pauses: tells whether a payload announces that nothing will be sent for a while.
    """

    def __init__(
        self, clock_rate: int, duration: Callable[[bytes], int], pauses: Callable[[bytes], bool] = lambda _: False
    ) -> None:
        self._rate = clock_rate
        self._duration = duration
        self._pauses = pauses
        self._waiting: dict[int, tuple[Packet, float]] = {}
        self._started = False
        self._next_sequence = 0
        self._next_timestamp = 0
        self._frame = 0
        self._jitter = 0.0
        self._last: tuple[float, int] | None = None
        self._patience = STOPPED_S
        self._filled_at: float | None = None
        self._catching_up_until: float | None = None
        self.received = 0
        """Packets that came in time."""
        self.lost = 0
        """Packets that did not."""

    @property
    def wait_s(self) -> float:
        """How long packets wait for a missing one now, in s."""
        return min(max(3 * self._jitter / self._rate, MIN_WAIT_S), MAX_WAIT_S)

    def push(self, packet: Packet, now: float) -> list[Piece]:
        """Take a packet that arrived at `now`, in s of any steady clock, and return what follows."""
        step = _signed(packet.sequence - self._next_sequence, 16)
        if not self._started or abs(step) > _MAX_STEP:
            self._restart(packet)
            step = 0
        if step < 0:
            return []  # a duplicate, or so late that it was given up
        self._note_arrival(packet, now)
        self._waiting.setdefault(packet.sequence, (packet, now))
        return self._release(now)

    def poll(self, now: float) -> list[Piece]:
        """Return what follows from the passing of time alone."""
        pieces = self._release(now)
        if self._waiting or self._last is None:
            return pieces
        since = self._filled_at
        if since is None:
            since = self._last[0]
            if now > self._stopped_at(since) + OVERSLEPT_S and self._catching_up_until is None:
                self._catching_up_until = now + CATCH_UP_S
            if now < self._stopped_at(since):
                return pieces
        samples = round((now - since) * self._rate)
        if samples > 0:
            self._filled_at = now
            self._next_timestamp = (self._next_timestamp + samples) & 0xFFFFFFFF
            pieces.append(Silence(samples))
        return pieces

    def deadline(self) -> float | None:
        """Return when `poll` will have something to do; None when only a packet can bring anything."""
        if self._waiting:
            return self._first_arrival() + self.wait_s
        if self._filled_at is not None:
            return self._filled_at + 0.02
        return self._stopped_at(self._last[0]) if self._last is not None else None

    def _release(self, now: float) -> list[Piece]:
        pieces: list[Piece] = []
        while self._waiting:
            if self._next_sequence in self._waiting:
                packet, _ = self._waiting.pop(self._next_sequence)
                pieces += self._pass_on(packet, 0)
            elif len(self._waiting) > _MAX_WAITING or now >= self._first_arrival() + self.wait_s:
                missing = min(_signed(sequence - self._next_sequence, 16) for sequence in self._waiting)
                packet, _ = self._waiting.pop((self._next_sequence + missing) & 0xFFFF)
                pieces += self._pass_on(packet, missing)
            else:
                break
        return pieces

    def _pass_on(self, packet: Packet, missing: int) -> list[Piece]:
        """Return the pieces up to the end of `packet`, before which `missing` packets did not arrive."""
        pieces: list[Piece] = []
        gap = _signed(packet.timestamp - self._next_timestamp, 32)
        if 0 < gap <= MAX_GAP_S * self._rate:
            concealed = min(gap, missing * self._frame, round(MAX_CONCEALED_S * self._rate))
            if concealed:
                pieces.append(Lost(concealed))
            if gap > concealed:
                pieces.append(Silence(gap - concealed))
        samples = self._duration(packet.payload)
        if samples:
            pieces.append(Frame(packet.payload))
            self._frame = samples
        self._patience = PAUSED_S if self._pauses(packet.payload) else STOPPED_S
        self._filled_at = None
        self._next_sequence = (packet.sequence + 1) & 0xFFFF
        self._next_timestamp = (packet.timestamp + samples) & 0xFFFFFFFF
        self.received += 1
        self.lost += missing
        return pieces

    def _restart(self, packet: Packet) -> None:
        self._started = True
        self._waiting.clear()
        self._next_sequence = packet.sequence
        self._next_timestamp = packet.timestamp
        self._last = None

    def _note_arrival(self, packet: Packet, now: float) -> None:
        """Follow the interarrival jitter (RFC 3550 section 6.4.1), in units of the clock."""
        if self._last is not None:
            at, timestamp = self._last
            transit = (now - at) * self._rate - _signed(packet.timestamp - timestamp, 32)
            if abs(transit) < self._rate:  # a longer pause is no jitter
                self._jitter += (abs(transit) - self._jitter) / 16
        self._last = (now, packet.timestamp)
        self._catching_up_until = None

    def _stopped_at(self, last: float) -> float:
        """Return from when on a sender whose last packet came at `last` has stopped sending."""
        return self._catching_up_until or last + self._patience

    def _first_arrival(self) -> float:
        return min(arrival for _, arrival in self._waiting.values())


def _signed(difference: int, bits: int) -> int:
    """Return the difference of two counters of so many bits, as the shorter way round."""
    half = 1 << (bits - 1)
    return ((difference + half) & ((1 << bits) - 1)) - half
