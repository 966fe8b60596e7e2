"""The conversation as the client sees it: which items there are, in which order, and what each says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.conformance.ordering.violation import Event, OrderViolation, require


@dataclass(slots=True)
class Entry:
    """An item of the conversation.

    Attributes:
        item: as the server sent it last.
        predecessor: what `conversation.item.added` named.
        done: whether `conversation.item.done` came.
        transcript: of a user's audio, once it is complete.
        truncated: whether what the user did not hear was cut off.
    """

    item: Event
    predecessor: str | None
    done: bool = False
    transcript: str | None = None
    truncated: bool = False


class ConversationOrder:
    """Keeps the list of items. `recorded` allows the real service's quirk of a null `previous_item_id` in done."""

    def __init__(self, *, recorded: bool) -> None:
        self._recorded = recorded
        self._order: list[str] = []
        self._entries: dict[str, Entry] = {}
        self._deleted: set[str] = set()

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._entries

    def entry(self, item_id: str) -> Entry:
        """Return the entry of an item.

        Raises:
            OrderViolation: the conversation has no such item.
        """
        if item_id not in self._entries:
            gone = " any more" if item_id in self._deleted else ""
            raise OrderViolation(f"the conversation has no item {item_id!r}{gone}")
        return self._entries[item_id]

    @property
    def last(self) -> str | None:
        """The id of the last item, None when there is none."""
        return self._order[-1] if self._order else None

    def was_deleted(self, item_id: str) -> bool:
        """Return whether an item of this id was there and was deleted."""
        return item_id in self._deleted

    def expect_last(self, previous_item_id: str | None, what: str) -> None:
        """Check that an item at the end names its true predecessor."""
        require(
            previous_item_id == self.last,
            f"{what}.previous_item_id is {previous_item_id!r}, the last item of the conversation is {self.last!r}",
        )

    def added(self, event: Event, after: str | None, *, append: bool) -> None:
        """Take `conversation.item.added`: at the end when `append`, else behind `after` (None for the front)."""
        item, previous = event["item"], event["previous_item_id"]
        item_id: str = item["id"]
        require(item_id not in self._entries, f"conversation.item.added: the conversation already has {item_id!r}")
        if append:
            self.expect_last(previous, "conversation.item.added")
            self._order.append(item_id)
        else:
            require(
                previous == after,
                f"conversation.item.added.previous_item_id is {previous!r}, the client asked for {after!r}",
            )
            self._order.insert(0 if after is None else self._order.index(after) + 1, item_id)
        self._entries[item_id] = Entry(item, previous)
        self._deleted.discard(item_id)

    def done(self, event: Event, *, same_as_added: bool) -> None:
        """Take `conversation.item.done`; `same_as_added` for items that were complete from the start."""
        item, previous = event["item"], event["previous_item_id"]
        entry = self.entry(item["id"])
        require(not entry.done, f"conversation.item.done came twice for {item['id']!r}")
        index = self._order.index(item["id"])
        predecessor = self._order[index - 1] if index else None
        allowed = {predecessor, entry.predecessor}
        if self._recorded and index == 1:
            allowed.add(None)
        require(
            previous in allowed,
            f"conversation.item.done.previous_item_id is {previous!r}, the item before {item['id']!r} is "
            f"{predecessor!r}",
        )
        if same_as_added:
            require(item == entry.item, f"conversation.item.done differs from .added: {item!r} / {entry.item!r}")
        require(item.get("status") != "in_progress", f"conversation.item.done with an item in progress: {item['id']!r}")
        entry.item, entry.done = item, True

    def deleted(self, item_id: str) -> None:
        """Take `conversation.item.deleted`."""
        self.entry(item_id)
        self._order.remove(item_id)
        del self._entries[item_id]
        self._deleted.add(item_id)

    def truncated(self, event: Event, spoken_ms: float | None) -> None:
        """Take `conversation.item.truncated`; `spoken_ms` is how much audio the item got, None when unknown."""
        entry = self.entry(event["item_id"])
        require(
            entry.item["type"] == "message" and entry.item["role"] == "assistant",
            "conversation.item.truncated for an item that is no message of the assistant",
        )
        if spoken_ms is not None:
            require(
                event["audio_end_ms"] <= spoken_ms + 1,
                f"truncated at {event['audio_end_ms']} ms, the item has {spoken_ms:.0f} ms of audio",
            )
        entry.truncated = True

    def transcribed(self, item_id: str, transcript: str) -> None:
        """Note the complete transcript of a user's audio; nothing when the item was deleted meanwhile."""
        if item_id in self._entries:
            self._entries[item_id].transcript = transcript

    def retrieved(self, item: Event) -> None:
        """Check an item that `conversation.item.retrieved` shows against what was said about it before."""
        entry = self.entry(item["id"])
        if not entry.done:
            for key in ("type", "role"):
                require(item.get(key) == entry.item.get(key), f"conversation.item.retrieved: {key} changed")
            return
        require(
            set(item) == set(entry.item) and all(item[key] == entry.item[key] for key in item if key != "content"),
            f"conversation.item.retrieved shows {item!r}, before it was {entry.item!r}",
        )
        for part, before in zip(item.get("content", ()), entry.item.get("content", ()), strict=True):
            self._same_part(entry, part, before)

    def outstanding(self) -> list[str]:
        """Return the items that were added and not done."""
        return [f"conversation.item.done of {key!r} missing" for key, entry in self._entries.items() if not entry.done]

    def _same_part(self, entry: Entry, part: dict[str, Any], before: dict[str, Any]) -> None:
        if part["type"] == "input_audio" and entry.transcript is not None:
            good = part["transcript"] == entry.transcript
        elif part["type"] == "input_audio":
            good = True  # a transcript that is not complete yet
        elif part["type"] == "output_audio" and entry.truncated:
            good = before["transcript"].startswith(part["transcript"].rstrip())
        else:
            good = {**part, "audio": None} == {**before, "audio": None}
        require(
            good and part["type"] == before["type"],
            f"conversation.item.retrieved shows {part!r}, before it was {before!r}, transcript {entry.transcript!r}",
        )
