"""Speech that a server still knows by an id, so that it need not be told what it said. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

_MOST = 10_000
"""Replies remembered: a few MB, however many sessions there are."""

_MARGIN_S = 30.0
"""Before its end, an id is not used any more, in s: the call takes its time, and clocks differ."""


@dataclass(frozen=True, slots=True)
class _Known:
    id: str
    expires_at: float


class AudioMemory:
    """The ids of replies, by what was said and in which conversation.

    A reply that was cut short says something else afterwards, so that it is not found: its audio was not heard whole.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], _Known] = OrderedDict()

    def remember(self, conversation: str, said: str, id: str, expires_at: float) -> None:
        """Take the id of a reply; `expires_at` in s."""
        key = (conversation, said.strip())
        self._known[key] = _Known(id, expires_at)
        self._known.move_to_end(key)
        while len(self._known) > _MOST:
            self._known.popitem(last=False)

    def find(self, conversation: str, said: str, now: float) -> str | None:
        """Return the id of a reply that is not about to expire, or None; `now` on the clock of `expires_at`."""
        key = (conversation, said.strip())
        known = self._known.get(key)
        if known is None:
            return None
        if known.expires_at - _MARGIN_S <= now:
            del self._known[key]
            return None
        return known.id

    def forget(self, ids: Iterable[str]) -> None:
        """Forget ids that the server does not know."""
        gone = set(ids)
        for key in [key for key, known in self._known.items() if known.id in gone]:
            del self._known[key]
