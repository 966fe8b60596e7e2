"""The playout clock: which frame of speech is due, whose it is, and how much of it was played. Pure.

`next` is called once every FRAME_MS; nothing else makes time pass.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from antiphon.protocol.frames import ServerEvent, server_event
from antiphon.session.player import Cut

FRAME_MS = 20
"""Length of a frame, ms: the packet time that WebRTC clients expect (RFC 7587, RFC 3551)."""


@dataclass(slots=True)
class _Speech:
    """The speech of one item, counted in frames."""

    item_id: str
    played: int = 0
    waiting: int = 0
    left_out: int = 0


@dataclass(slots=True)
class _Output:
    """What a response says.

    Attributes:
        done: whether the response has ended, so that no more speech comes.
        cleared: whether what it still says is not to be heard.
    """

    response_id: str
    speeches: list[_Speech] = field(default_factory=list)
    frames: deque[tuple[_Speech, bytes]] = field(default_factory=deque)
    started: bool = False
    done: bool = False
    cleared: bool = False

    @property
    def played_out(self) -> bool:
        return self.done and not self.frames


class Playout:
    """Encoded speech that waits to be played, in frames of FRAME_MS. Responses are played one after the other."""

    def __init__(self) -> None:
        self._outputs: dict[str, _Output] = {}
        self._held = False

    @property
    def waiting_ms(self) -> int:
        """Milliseconds of speech that wait."""
        return sum(len(output.frames) for output in self._outputs.values()) * FRAME_MS

    def add(self, response_id: str, item_id: str, frames: Sequence[bytes], *, left_out: int = 0) -> None:
        """Add speech at the end of a response's; that of a response that was cleared is dropped.

        Args:
            response_id: of the response.
            item_id: whose speech it is.
            frames: to be played.
            left_out: frames of silence before them that are not; they count as played with the first that is.
        """
        if not frames:
            return
        output = self._outputs.setdefault(response_id, _Output(response_id))
        if output.cleared:
            return
        if not output.speeches or output.speeches[-1].item_id != item_id:
            output.speeches.append(_Speech(item_id))
        speech = output.speeches[-1]
        speech.waiting += len(frames)
        speech.left_out += left_out
        output.frames.extend((speech, frame) for frame in frames)

    def end(self, response_id: str) -> None:
        """Take note that a response has ended: nothing is added to it any more."""
        output = self._outputs.get(response_id)
        if output is None:
            return
        output.done = True
        if output.cleared:
            del self._outputs[response_id]

    def next(self) -> tuple[bytes | None, list[ServerEvent]]:
        """Return the frame that is due now, None for silence, and the events that follow from the passing of time.

        A response has stopped when its last frame is over, not when that frame begins. While it is held, time passes
        for nobody.
        """
        events: list[ServerEvent] = []
        if self._held:
            return None, events
        while (output := self._current()) is not None and output.played_out:
            del self._outputs[output.response_id]
            events.append(server_event("output_audio_buffer.stopped", response_id=output.response_id))
        if output is None or not output.frames:
            return None, events
        if not output.started:
            output.started = True
            events.append(server_event("output_audio_buffer.started", response_id=output.response_id))
        speech, frame = output.frames.popleft()
        speech.waiting -= 1
        speech.played += 1 + speech.left_out
        speech.left_out = 0
        return frame, events

    def hold(self) -> bool:
        """Play nothing until `release` or `clear`. Returns whether there is anything to be played."""
        current = self._current()
        self._held = current is not None and not current.played_out
        return self._held

    def release(self) -> None:
        """Play on where it was held."""
        self._held = False

    def clear(self) -> list[Cut]:
        """Play nothing that waits any more, and return what was cut off, in the order in which it was to be played."""
        cuts: list[Cut] = []
        self._held = False
        for output in list(self._outputs.values()):
            if output.cleared or output.played_out:
                continue
            last = output.speeches[-1]
            cuts.extend(
                Cut(output.response_id, speech.item_id, speech.played * FRAME_MS, started=output.started)
                for speech in output.speeches
                if speech.waiting or speech is last
            )
            output.cleared = True
            output.frames.clear()
            if output.done:
                del self._outputs[output.response_id]
        return cuts

    def _current(self) -> _Output | None:
        """Return the response whose turn it is."""
        return next((output for output in self._outputs.values() if not output.cleared), None)
