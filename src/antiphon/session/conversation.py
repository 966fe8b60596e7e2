"""The conversation: its items in order, and what the client may do with them. Pure."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from antiphon.protocol.errors import ProtocolError

Pcm = NDArray[np.int16]
Samples = NDArray[np.float32]

APPEND = object()
"""`previous_item_id` of an event that did not name one: the item goes to the end."""


@dataclass(slots=True)
class ItemAudio:
    """The audio of one content part.

    Attributes:
        pcm: int16 chunks at `rate` Hz.
        rate: Hz.
        heard: the same as float32 at 16 kHz, denoised, for user audio; None once it was forgotten.
    """

    rate: int
    pcm: list[Pcm] = field(default_factory=list)
    heard: Samples | None = None
    samples: int = 0
    """How many samples were ever added, also those forgotten since."""

    def append(self, pcm: Pcm) -> None:
        """Add samples at the end."""
        self.pcm.append(pcm)
        self.samples += len(pcm)

    @property
    def duration_ms(self) -> int:
        """Milliseconds of audio, rounded down."""
        return self.samples * 1000 // self.rate

    def joined(self) -> Pcm:
        """Return all samples in one array."""
        return np.concatenate(self.pcm) if self.pcm else np.zeros(0, np.int16)

    def cut(self, end_ms: int) -> None:
        """Keep the first `end_ms` milliseconds."""
        keep = min(end_ms * self.rate // 1000, self.samples)
        whole = self.joined()[:keep].copy()
        self.pcm = [whole]
        self.samples = keep

    def forget(self) -> None:
        """Free the samples; the duration stays known."""
        self.pcm = []
        self.heard = None


@dataclass(slots=True)
class Item:
    """An item of the conversation.

    Attributes:
        wire: the item as the protocol shows it, without audio.
        audio: the audio of its content parts, by content index.
        transcript_state: of a user's audio: whether it is known what was said.
        tells_transcript: whether the client is told what the user said: as it was configured when the item was made.
        told: how many characters of the transcript the client was told while the user was speaking.
        transcript: what the user said, whether or not the client asked to be told.
        truncated: whether the client cut the item; nothing is added to its audio and text afterwards.
        marks: of an assistant's audio: (milliseconds of audio, characters of transcript) pairs, both rising: when so
            much audio has been played, so many characters have been spoken.
        spoken_end: characters of the transcript that have audio; None when there is no audio to compare with.
        silence_s: of an item that an idle timeout made: seconds in which nobody spoke.
    """

    wire: dict[str, Any]
    audio: dict[int, ItemAudio] = field(default_factory=dict)
    transcript_state: Literal["none", "pending", "known", "failed"] = "none"
    tells_transcript: bool = False
    told: int = 0
    transcript: str = ""
    marks: list[tuple[int, int]] = field(default_factory=list)
    spoken_end: int | None = None
    silence_s: float | None = None
    truncated: bool = False

    @property
    def id(self) -> str:
        """The item's id."""
        return str(self.wire["id"])

    @property
    def heard_index(self) -> int:
        """The content index of its audio, 0 when it has none."""
        return next(iter(self.audio), 0)

    @property
    def type(self) -> str:
        """The item's type, e.g. "message"."""
        return str(self.wire["type"])


class Conversation:
    """The default conversation of a session.

    Args:
        id: the conversation's id.
        max_items: most items; adding another raises ProtocolError.
        max_audio_samples: most samples of audio kept; the oldest items' audio is forgotten first.
    """

    def __init__(self, id: str, *, max_items: int, max_audio_s: float) -> None:
        self.id = id
        self._max_items = max_items
        self._max_audio_s = max_audio_s
        self._items: list[Item] = []
        self._by_id: dict[str, Item] = {}
        self.version = 0
        """Grows with every change that a reply could depend on."""

    @property
    def items(self) -> list[Item]:
        """The items, oldest first. Not to be changed by the caller."""
        return self._items

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._by_id

    def __len__(self) -> int:
        return len(self._items)

    def find(self, item_id: str) -> Item | None:
        """Return the item, or None."""
        return self._by_id.get(item_id)

    def previous_id(self, item_id: str) -> str | None:
        """Return the id of the item before `item_id`, or None for the first."""
        index = self._items.index(self._by_id[item_id])
        return self._items[index - 1].id if index else None

    @property
    def last_id(self) -> str | None:
        """The id of the newest item, or None when there is none."""
        return self._items[-1].id if self._items else None

    def changed(self) -> None:
        """Note that an item's content changed in a way that a reply could depend on."""
        self.version += 1

    def add(self, item: Item, previous_item_id: object = APPEND) -> str | None:
        """Insert `item` and return the id of its predecessor.

        Args:
            item: the item, whose id must be new.
            previous_item_id: `APPEND` for the end, "root" for the front, or the id of the item to insert it after.

        Raises:
            ProtocolError: the id is taken, the predecessor is unknown, or there are too many items.
        """
        self.check_new(item.id)
        if previous_item_id is APPEND:
            index = len(self._items)
        elif previous_item_id == "root":
            index = 0
        else:
            previous = self._by_id.get(str(previous_item_id))
            if previous is None:
                raise ProtocolError(
                    f"Error adding item: the previous item with id '{previous_item_id}' does not exist.",
                    code="item_create_invalid_previous_item_id",
                    param="previous_item_id",
                )
            index = self._items.index(previous) + 1
        self._items.insert(index, item)
        self._by_id[item.id] = item
        self.version += 1
        self.forget_old_audio()
        return self._items[index - 1].id if index else None

    def check_new(self, item_id: str) -> None:
        """Raise ProtocolError if an item with this id cannot be added."""
        if item_id in self._by_id:
            raise ProtocolError(
                f"Error adding item: an item with id '{item_id}' already exists.",
                code="item_create_duplicate_item_id",
                param="item.id",
            )
        if len(self._items) >= self._max_items:
            raise ProtocolError(
                f"Error adding item: the conversation already has {self._max_items} items, the most that it can hold.",
                code="conversation_full",
            )

    def require(self, item_id: str, doing: Literal["deleting", "retrieving", "truncating"]) -> Item:
        """Return the item or raise the ProtocolError of the client event that named it."""
        item = self._by_id.get(item_id)
        if item is None:
            verb = {"deleting": "delete", "retrieving": "retrieve", "truncating": "truncate"}[doing]
            raise ProtocolError(
                f"Error {doing} item: the item with id '{item_id}' does not exist.",
                code=f"item_{verb}_invalid_item_id",
                param="item_id",
            )
        return item

    def delete(self, item_id: str) -> Item:
        """Take an item out and return it. Raises ProtocolError when there is none of that id."""
        item = self.require(item_id, "deleting")
        self._items.remove(item)
        del self._by_id[item_id]
        self.version += 1
        return item

    def truncate(self, item_id: str, content_index: int, audio_end_ms: int) -> None:
        """Cut an assistant's audio at `audio_end_ms`, and its transcript after the last word heard by then.

        Raises:
            ProtocolError: no such item, not an assistant's audio, or it is shorter than that.
        """
        item = self.require(item_id, "truncating")
        audio = item.audio.get(content_index)
        if item.type != "message" or item.wire.get("role") != "assistant" or audio is None:
            raise ProtocolError(
                "Only model output audio messages can be truncated", code="unsupported_content_type", param=None
            )
        if audio_end_ms > audio.duration_ms:
            raise ProtocolError(
                f"Audio content of {audio.duration_ms}ms is already shorter than {audio_end_ms}ms",
                code="invalid_value",
                param="audio_end_ms",
            )
        part = item.wire["content"][content_index]
        part["transcript"] = words_heard(part["transcript"], item.marks, audio_end_ms)
        item.spoken_end = len(part["transcript"])
        item.marks = [mark for mark in item.marks if mark[0] <= audio_end_ms]
        item.truncated = True
        audio.cut(audio_end_ms)
        self.version += 1

    def forget_old_audio(self) -> None:
        """Free the audio of the oldest items beyond the bound; a retrieve then shows them without it."""
        kept_s = 0.0
        for item in reversed(self._items):
            for audio in item.audio.values():
                if not audio.pcm and audio.heard is None:
                    continue
                kept_s += audio.samples / audio.rate
                if kept_s > self._max_audio_s and item.transcript_state != "pending":
                    audio.forget()


def words_heard(transcript: str, marks: list[tuple[int, int]], audio_end_ms: int) -> str:
    """Return the words of `transcript` that were spoken whole when `audio_end_ms` of its audio had been played.

    Between two marks the text is taken to be spoken at an even pace; the word in the middle of which the cut falls
    was not heard.
    """
    if not marks or audio_end_ms >= marks[-1][0]:
        return transcript if marks and marks[-1][1] >= len(transcript) else transcript[: marks[-1][1] if marks else 0]
    index = bisect.bisect_right(marks, (audio_end_ms, len(transcript)))
    before_ms, before_chars = marks[index - 1] if index else (0, 0)
    after_ms, after_chars = marks[index]
    share = (audio_end_ms - before_ms) / max(after_ms - before_ms, 1)
    end = before_chars + int((after_chars - before_chars) * share)
    while 0 < end < len(transcript) and not _is_word_boundary(transcript, end):
        end -= 1
    return transcript[:end].rstrip()


_FIRST_CJK = 0x2E80
"""Scripts from here on (Unicode's CJK Radicals Supplement) are written without spaces between words."""


def _is_word_boundary(text: str, index: int) -> bool:
    around = text[index - 1 : index + 1]
    return any(character.isspace() or ord(character) >= _FIRST_CJK for character in around)
