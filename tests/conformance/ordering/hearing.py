"""User audio: speech that starts and stops, commits, and what was understood of it."""

from __future__ import annotations

from dataclasses import dataclass

from tests.conformance.ordering.violation import Event, require


@dataclass(slots=True)
class Transcription:
    """What was understood of one item. `expected` is None until the item is committed."""

    expected: bool | None = None
    text: str = ""
    ended: bool = False


class HearingOrder:
    """Follows `input_audio_buffer.*` and `conversation.item.input_audio_transcription.*`."""

    def __init__(self) -> None:
        self._speaking: str | None = None
        self._aborted = False
        self._stopped: str | None = None
        self._committed: str | None = None
        self._used: set[str] = set()
        self._start_ms = 0
        self._end_ms = 0
        self._transcriptions: dict[str, Transcription] = {}

    @property
    def speaking(self) -> bool:
        """Whether speech was started and neither stopped nor dropped."""
        return self._speaking is not None and not self._aborted

    @property
    def turn_closing(self) -> str | None:
        """The item that speech_stopped or timeout_triggered named and that is not committed yet."""
        return self._stopped

    @property
    def committed_item(self) -> str | None:
        """The item that was committed and is not in the conversation yet."""
        return self._committed

    def speech_started(self, event: Event, *, sent_ms: float | None, detects: bool) -> None:
        """Take `speech_started`; `sent_ms` is how much audio the client sent, None when that is unknown."""
        item_id, at = event["item_id"], event["audio_start_ms"]
        require(detects, "speech_started although turn_detection is null")
        require(not self.speaking, f"speech_started for {item_id!r} while {self._speaking!r} is still speaking")
        self._nothing_pending("speech_started")
        require(item_id not in self._used, f"speech_started with {item_id!r}, which was used before")
        require(
            at >= self._end_ms and at >= self._start_ms,
            f"audio_start_ms {at} is before the speech that came before ({self._start_ms}..{self._end_ms} ms)",
        )
        self._within(at, sent_ms, "audio_start_ms")
        self._speaking, self._aborted, self._start_ms = item_id, False, at
        self._used.add(item_id)
        self._transcriptions[item_id] = Transcription()

    def speech_stopped(self, event: Event, *, sent_ms: float | None) -> None:
        """Take `speech_stopped`."""
        item_id, at = event["item_id"], event["audio_end_ms"]
        require(self._speaking == item_id, f"speech_stopped for {item_id!r}, speaking is {self._speaking!r}")
        require(at >= self._start_ms, f"audio_end_ms {at} is before audio_start_ms {self._start_ms}")
        self._within(at, sent_ms, "audio_end_ms")
        self._speaking, self._stopped, self._end_ms = None, item_id, at

    def timeout_triggered(self, event: Event, *, sent_ms: float | None) -> None:
        """Take `timeout_triggered`."""
        start, end = event["audio_start_ms"], event["audio_end_ms"]
        require(not self.speaking, "timeout_triggered while the user speaks")
        self._nothing_pending("timeout_triggered")
        require(event["item_id"] not in self._used, "timeout_triggered with an item id that was used before")
        require(start <= end, f"timeout_triggered with audio_start_ms {start} after audio_end_ms {end}")
        self._within(end, sent_ms, "audio_end_ms")
        self._used.add(event["item_id"])
        self._stopped, self._end_ms = event["item_id"], max(self._end_ms, end)

    def committed(self, event: Event, *, transcribes: bool | None) -> None:
        """Take `committed`; `transcribes` says whether the session transcribes, None when that is unknown."""
        item_id = event["item_id"]
        if self._stopped is not None:
            require(item_id == self._stopped, f"committed {item_id!r}, the turn that ended is {self._stopped!r}")
            self._stopped = None
        elif self._speaking == item_id:
            self._aborted = True  # the client committed before the user had finished
        else:
            require(item_id not in self._used, f"committed {item_id!r}, which was used before")
        self._used.add(item_id)
        self._committed = item_id
        self._transcriptions.setdefault(item_id, Transcription()).expected = transcribes

    def added(self, item: Event) -> None:
        """Take the `conversation.item.added` of the committed item."""
        require(
            item["type"] == "message"
            and item["role"] == "user"
            and item["status"] == "completed"
            and item["content"] == [{"type": "input_audio", "transcript": None}],
            f"a committed item is a completed user message with one input_audio part, transcript null; got {item!r}",
        )
        self._committed = None

    def dropped(self) -> None:
        """Note that speech in progress may never stop: the buffer was cleared or turn detection changed."""
        self._aborted = self._speaking is not None

    def transcription_delta(self, event: Event) -> None:
        """Take a transcription delta: from speech_started on, append-only."""
        transcription = self._transcription(event)
        transcription.text += event["delta"]

    def transcription_ended(self, event: Event, *, item_done: bool) -> None:
        """Take `completed` or `failed`: once for each item, after the item is done."""
        transcription = self._transcription(event)
        kind = event["type"].rsplit(".", 1)[-1]
        require(item_done, f"transcription.{kind} for {event['item_id']!r} before its conversation.item.done")
        transcription.ended = True
        if kind == "completed" and transcription.text:
            require(
                transcription.text.strip() == event["transcript"].strip(),
                f"transcript {event['transcript']!r} is not what its deltas said: {transcription.text!r}",
            )

    def deleted(self, item_id: str) -> None:
        """Note that nobody waits for the transcript of a deleted item."""
        if item_id in self._transcriptions:
            self._transcriptions[item_id].expected = None

    def outstanding(self) -> list[str]:
        """Return turns that ended without a commit or item, and transcripts that are missing."""
        lines = [
            f"transcription of {item_id!r} neither completed nor failed"
            for item_id, transcription in self._transcriptions.items()
            if transcription.expected and not transcription.ended
        ]
        if self._stopped is not None:
            lines.append(f"committed of {self._stopped!r} missing")
        if self._committed is not None:
            lines.append(f"conversation.item.added of the committed {self._committed!r} missing")
        return lines

    def _transcription(self, event: Event) -> Transcription:
        item_id = event["item_id"]
        require(item_id in self._transcriptions, f"transcription of {item_id!r}, which nobody spoke")
        transcription = self._transcriptions[item_id]
        require(not transcription.ended, f"transcription of {item_id!r} after it had completed or failed")
        require(transcription.expected is not False, f"transcription of {item_id!r} although it is not configured")
        require(event["content_index"] == 0, "transcription with a content_index other than 0")
        return transcription

    def _nothing_pending(self, what: str) -> None:
        require(self._stopped is None, f"{what} before {self._stopped!r} was committed")
        require(self._committed is None, f"{what} before {self._committed!r} was added to the conversation")

    def _within(self, at: int, sent_ms: float | None, name: str) -> None:
        if sent_ms is not None:
            require(at <= sent_ms + 1, f"{name} {at} is after the end of the audio sent so far ({sent_ms:.0f} ms)")
