"""Event sequences as a server without a fault would send them, for tests of the checkers themselves.

A `Script` writes both sides of a connection: each method plays one thing that the protocol's tables describe.
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import Mapping
from typing import Any

from tests.conformance.order import Direction

Event = dict[str, Any]
Step = tuple[Direction, Event]

SESSION: Event = {
    "type": "realtime",
    "object": "realtime.session",
    "id": "sess_" + "0" * 21,
    "model": "gpt-realtime",
    "output_modalities": ["audio"],
    "instructions": "Be helpful.",
    "tools": [],
    "tool_choice": "auto",
    "max_output_tokens": "inf",
    "tracing": None,
    "truncation": "auto",
    "prompt": None,
    "expires_at": 1785217650,
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": 24000},
            "transcription": None,
            "noise_reduction": None,
            "turn_detection": {
                "type": "server_vad",
                "threshold": 0.5,
                "prefix_padding_ms": 300,
                "silence_duration_ms": 500,
                "idle_timeout_ms": None,
                "create_response": True,
                "interrupt_response": True,
            },
        },
        "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "alloy", "speed": 1.0},
    },
    "include": None,
}

TRANSCRIPTION_SESSION: Event = {
    "type": "transcription",
    "object": "realtime.transcription_session",
    "id": "sess_" + "0" * 21,
    "expires_at": 1785217650,
    "audio": {"input": SESSION["audio"]["input"]},
    "include": None,
}

USAGE: Event = {
    "total_tokens": 205,
    "input_tokens": 41,
    "output_tokens": 164,
    "input_token_details": {
        "text_tokens": 14,
        "audio_tokens": 27,
        "image_tokens": 0,
        "cached_tokens": 10,
        "cached_tokens_details": {"text_tokens": 10, "audio_tokens": 0, "image_tokens": 0},
    },
    "output_token_details": {"text_tokens": 28, "audio_tokens": 136},
}

AUDIO_100_MS = base64.b64encode(bytes(4800)).decode()


def merged(before: Event, change: Mapping[str, Any]) -> Event:
    """Return `before` with `change` merged in, as session.update does; another `type` replaces the whole object."""
    result = dict(before)
    for key, value in change.items():
        old = result.get(key)
        merges = (
            isinstance(value, Mapping)
            and isinstance(old, dict)
            and value.get("type", old.get("type")) == old.get("type")
        )
        result[key] = merged(old, value) if merges and isinstance(old, dict) else value
    return result


class Reply:
    """A response that a script is playing."""

    def __init__(self, script: Script, asked: Event) -> None:
        self._script = script
        self.response: Event = {
            "object": "realtime.response",
            "id": script.identity("resp"),
            "status": "in_progress",
            "status_details": None,
            "output": [],
            "conversation_id": None if asked.get("conversation") == "none" else "conv_" + "0" * 21,
            "output_modalities": asked.get("output_modalities", script.session["output_modalities"]),
            "max_output_tokens": "inf",
            "audio": {"output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "alloy"}},
            "usage": None,
            "metadata": asked.get("metadata"),
        }
        self._items: list[Event] = []
        self._previous: list[str | None] = []
        self._said: dict[int, str] = {}
        script.receive("response.created", response=self.response)

    @property
    def _in_band(self) -> bool:
        return self.response["conversation_id"] is not None

    def _ids(self, index: int) -> Event:
        return {"response_id": self.response["id"], "item_id": self._items[index]["id"], "output_index": index}

    def _add(self, item: Event) -> int:
        index = len(self._items)
        self._items.append(item)
        self._previous.append(self._script.last)
        self._script.receive(
            "response.output_item.added", response_id=self.response["id"], output_index=index, item=item
        )
        if self._in_band:
            self._script.receive("conversation.item.added", previous_item_id=self._script.last, item=item)
            self._script.last = item["id"]
        return index

    def message(self) -> int:
        """Open a message with one content part and return its output index."""
        item_id = self._script.identity("item")
        index = self._add(
            {"id": item_id, "type": "message", "status": "in_progress", "role": "assistant", "content": []}
        )
        empty = {"type": "audio", "transcript": ""} if self._speaks else {"type": "text", "text": ""}
        self._script.receive("response.content_part.added", **self._ids(index), content_index=0, part=empty)
        self._said[index] = ""
        return index

    @property
    def _speaks(self) -> bool:
        return bool(self.response["output_modalities"] == ["audio"])

    def say(self, *words: str, index: int = 0) -> None:
        """Stream words, each with its audio when the response speaks."""
        for word in words:
            ids = {**self._ids(index), "content_index": 0}
            kind = "output_audio_transcript" if self._speaks else "output_text"
            self._script.receive(f"response.{kind}.delta", **ids, delta=word, obfuscation="aB3")
            if self._speaks:
                self._script.receive("response.output_audio.delta", **ids, delta=AUDIO_100_MS)
            self._said[index] += word

    def end_message(self, *, index: int = 0, status: str = "completed") -> None:
        """Close the part and the message."""
        ids, said = {**self._ids(index), "content_index": 0}, self._said[index]
        if self._speaks:
            self._script.receive("response.output_audio.done", **ids)
            self._script.receive("response.output_audio_transcript.done", **ids, transcript=said)
            part, content = {"type": "audio", "transcript": said}, {"type": "output_audio", "transcript": said}
        else:
            self._script.receive("response.output_text.done", **ids, text=said)
            part, content = {"type": "text", "text": said}, {"type": "output_text", "text": said}
        self._script.receive("response.content_part.done", **ids, part=part)
        self._end(index, {**self._items[index], "status": status, "content": [content]})

    def call(self, name: str, *arguments: str) -> int:
        """Open a function call, stream its arguments and return its output index; it stays open."""
        call_id = "call_" + str(next(self._script.numbers)).zfill(16)
        item = {
            "id": self._script.identity("item"),
            "type": "function_call",
            "status": "in_progress",
            "name": name,
            "call_id": call_id,
            "arguments": "",
        }
        index = self._add(item)
        for piece in arguments:
            self._script.receive(
                "response.function_call_arguments.delta",
                **self._ids(index),
                call_id=call_id,
                delta=piece,
                obfuscation="aB3",
            )
        self._said[index] = "".join(arguments)
        return index

    def end_call(self, index: int) -> str:
        """Close a function call and return its call_id."""
        item = {**self._items[index], "status": "completed", "arguments": self._said[index]}
        self._script.receive(
            "response.function_call_arguments.done",
            **self._ids(index),
            call_id=item["call_id"],
            name=item["name"],
            arguments=item["arguments"],
        )
        self._end(index, item)
        return str(item["call_id"])

    def _end(self, index: int, item: Event) -> None:
        if self._in_band:
            self._script.receive("conversation.item.done", previous_item_id=self._previous[index], item=item)
        self._script.receive(
            "response.output_item.done", response_id=self.response["id"], output_index=index, item=item
        )
        self._items[index] = item

    def end(self, status: str = "completed", details: Event | None = None) -> None:
        """End the response."""
        usage = None if status == "failed" else USAGE
        done = {**self.response, "status": status, "status_details": details, "output": self._items, "usage": usage}
        self._script.receive("response.done", response=done)


class Script:
    """Both sides of one connection, as `steps`."""

    def __init__(self, session: Event = SESSION) -> None:
        self.steps: list[Step] = []
        self.numbers = itertools.count(1)
        self.session = session
        self.last: str | None = None
        self.audio_ms = 0
        self.receive("session.created", session=session)

    def identity(self, prefix: str) -> str:
        """Return a fresh id in the server's format."""
        return f"{prefix}_{next(self.numbers):021d}"

    def receive(self, kind: str, **fields: Any) -> None:
        """Add a server event."""
        self.steps.append(("received", {"type": kind, "event_id": self.identity("event"), **fields}))

    def send(self, kind: str, **fields: Any) -> Event:
        """Add a client event and return it."""
        event = {"type": kind, **fields}
        self.steps.append(("sent", event))
        return event

    def update(self, **change: Any) -> None:
        """Update the session."""
        self.send("session.update", session={"type": self.session["type"], **change})
        self.session = merged(self.session, change)
        self.receive("session.updated", session=self.session)

    def fail(self, code: str, event_id: str | None, param: str | None = None) -> None:
        """Answer with an error."""
        error = {"type": "invalid_request_error", "code": code, "message": "No.", "param": param, "event_id": event_id}
        self.receive("error", error=error)

    def audio(self, ms: int) -> None:
        """Append audio, 100 ms in one event."""
        for _ in range(ms // 100):
            self.send("input_audio_buffer.append", audio=AUDIO_100_MS)
        self.audio_ms += ms

    def start_speech(self) -> str:
        """Let the user begin to speak and return the item's id."""
        self.audio(600)
        item_id = self.identity("item")
        self.receive("input_audio_buffer.speech_started", audio_start_ms=self.audio_ms - 350, item_id=item_id)
        return item_id

    def stop_speech(self, item_id: str) -> None:
        """Let the user end; the turn is committed and becomes an item."""
        self.audio(900)
        self.receive("input_audio_buffer.speech_stopped", audio_end_ms=self.audio_ms, item_id=item_id)
        self.commit(item_id)

    def commit(self, item_id: str) -> None:
        """Commit the audio as an item."""
        self.receive("input_audio_buffer.committed", previous_item_id=self.last, item_id=item_id)
        content = [{"type": "input_audio", "transcript": None}]
        self.item({"id": item_id, "type": "message", "status": "completed", "role": "user", "content": content})

    def item(self, item: Event) -> None:
        """Add an item at the end of the conversation."""
        for end in ("added", "done"):
            self.receive(f"conversation.item.{end}", previous_item_id=self.last, item=item)
        self.last = item["id"]

    def create(self, role: str, text: str, *, item_id: str | None = None) -> None:
        """Create a message of text."""
        part = {"type": "output_text" if role == "assistant" else "input_text", "text": text}
        item: Event = {"type": "message", "role": role, "content": [part]}
        self.send("conversation.item.create", item={**item, "id": item_id} if item_id else item)
        self.item({"id": item_id or self.identity("item"), "status": "completed", **item})

    def transcribe(self, item_id: str, *deltas: str) -> None:
        """Transcribe an item's audio."""
        kind = "conversation.item.input_audio_transcription"
        for delta in deltas:
            self.receive(f"{kind}.delta", item_id=item_id, content_index=0, delta=delta, obfuscation="aB3")
        usage = {"type": "duration", "seconds": 1}
        self.receive(f"{kind}.completed", item_id=item_id, content_index=0, transcript="".join(deltas), usage=usage)

    def reply(self, **asked: Any) -> Reply:
        """Begin a response to the turn that has just ended."""
        return Reply(self, asked)

    def ask(self, **asked: Any) -> Reply:
        """Ask for a response and begin it."""
        self.send("response.create", **({"response": asked} if asked else {}))
        return Reply(self, asked)

    def spoken_reply(self, *words: str) -> None:
        """Answer with one spoken message."""
        reply = self.reply()
        reply.message()
        reply.say(*words)
        reply.end_message()
        reply.end()
        limit = {"name": "tokens", "limit": 40000, "remaining": 39000, "reset_seconds": 1.5}
        self.receive("rate_limits.updated", rate_limits=[limit])

    def turn(self, *words: str) -> None:
        """Play a whole spoken turn."""
        item_id = self.start_speech()
        self.stop_speech(item_id)
        self.spoken_reply(*words)
