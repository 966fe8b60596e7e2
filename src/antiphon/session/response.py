"""The lifecycle of a response: from what a pipeline makes to the protocol's events, in the documented order. Pure."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from antiphon.audio.formats import AudioFormat
from antiphon.audio.resampling import StreamResampler
from antiphon.protocol.frames import AudioDelta, ServerEvent, obfuscation, server_event
from antiphon.protocol.ids import new_id
from antiphon.session.config import ResponseConfig
from antiphon.session.conversation import Conversation, Item, ItemAudio

Pcm = NDArray[np.int16]

SPEECH_RATE = 24_000
"""Sample rate, Hz, of the speech that a response is given."""

Status = Literal["completed", "cancelled", "failed", "incomplete"]


class AudioEncoder:
    """Turns PCM16 at 24 kHz into the client's format, across chunks without seams."""

    def __init__(self, audio_format: AudioFormat) -> None:
        self._format = audio_format
        self._resampler = StreamResampler(SPEECH_RATE, audio_format.rate)

    def encode(self, pcm: Pcm) -> bytes:
        """Return the wire bytes that are ready after `pcm`."""
        return self._format.encode(self._resampler.push(pcm))

    def flush(self) -> bytes:
        """Return the wire bytes still held back."""
        return self._format.encode(self._resampler.flush())


@dataclass(slots=True)
class _Output:
    """An output item that is being made."""

    index: int
    item: Item
    call: int | None = None
    text: list[str] = field(default_factory=list)
    done: bool = False


class Response:
    """One response in the making.

    Args:
        id: the response's id.
        config: what it was asked for.
        conversation: where its items go; None for an out-of-band response, whose items go nowhere.
    """

    def __init__(self, id: str, config: ResponseConfig, conversation: Conversation | None) -> None:
        self.id = id
        self.config = config
        self.status: Status | Literal["in_progress"] = "in_progress"
        self._conversation = conversation
        self._outputs: list[_Output] = []
        self._message: _Output | None = None
        self._encoder = AudioEncoder(config.format)
        self._samples = 0

    @property
    def audio_ms(self) -> int:
        """Milliseconds of speech sent, rounded down."""
        return self._samples * 1000 // SPEECH_RATE

    @property
    def out_of_band(self) -> bool:
        """Whether its items stay out of the conversation."""
        return self._conversation is None

    @property
    def written(self) -> str:
        """What the model has written, function calls included."""
        return "".join(piece for output in self._outputs for piece in output.text)

    @property
    def has_speech(self) -> bool:
        """Whether it has sent audio."""
        return self._samples > 0

    def created(self) -> list[ServerEvent]:
        """Return the event that opens the response."""
        return [server_event("response.created", response=self._wire(None, None))]

    def text(self, delta: str) -> list[ServerEvent]:
        """Take more text of the reply."""
        if not delta:
            return []
        events, message = self._open_message()
        message.text.append(delta)
        if not message.item.truncated:
            message.item.wire["content"][0]["transcript" if self._speaks else "text"] += delta
        kind = "response.output_audio_transcript.delta" if self._speaks else "response.output_text.delta"
        events.append(
            server_event(kind, response_id=self.id, **_part_ids(message), delta=delta, obfuscation=obfuscation(delta))
        )
        return events

    def speech(self, pcm: Pcm, text_end: int) -> list[ServerEvent]:
        """Take more speech: int16 at 24 kHz, after which `text_end` characters of the text have been spoken."""
        events, message = self._open_message()
        self._samples += len(pcm)
        self._record(message.item, pcm, text_end)
        events.extend(self._audio_delta(message, self._encoder.encode(pcm)))
        return events

    def tool_call(self, call: int, name: str | None, arguments: str, call_id: str | None) -> list[ServerEvent]:
        """Take more of the function call number `call`; its first piece has the `name`."""
        events: list[ServerEvent] = []
        output = next((output for output in self._outputs if output.call == call), None)
        if output is None:
            events.extend(self._close_finished_calls())
            wire = {
                "id": new_id("item"),
                "type": "function_call",
                "status": "in_progress",
                "name": name or "",
                "call_id": call_id or new_id("call"),
                "arguments": "",
            }
            output = self._add(Item(wire), call)
            events.extend(self._added(output))
        if arguments:
            output.text.append(arguments)
            output.item.wire["arguments"] += arguments
            events.append(
                server_event(
                    "response.function_call_arguments.delta",
                    response_id=self.id,
                    **_call_ids(output),
                    delta=arguments,
                    obfuscation=obfuscation(arguments),
                )
            )
        return events

    def finish(
        self, status: Status, details: dict[str, Any] | None = None, usage: dict[str, Any] | None = None
    ) -> list[ServerEvent]:
        """Close every open item and the response; nothing may be added afterwards.

        Args:
            status: how it ended.
            details: `status_details` as the protocol has it, None when completed.
            usage: token counts, None when unknown.
        """
        item_status = "completed" if status == "completed" else "incomplete"
        events: list[ServerEvent] = []
        if self._message is not None and self.has_speech and status != "cancelled":
            events.extend(self._audio_delta(self._message, self._encoder.flush()))
        for output in self._outputs:
            if not output.done:
                events.extend(self._done(output, item_status))
        if status == "completed":
            self._all_is_said()
        self.status = status
        events.append(server_event("response.done", response=self._wire(details, usage)))
        return events

    @property
    def _speaks(self) -> bool:
        return self.config.modality == "audio"

    def _open_message(self) -> tuple[list[ServerEvent], _Output]:
        if self._message is not None:
            return [], self._message
        wire = {"id": new_id("item"), "type": "message", "status": "in_progress", "role": "assistant", "content": []}
        message = self._message = self._add(Item(wire), None)
        events = self._added(message)
        if self._speaks:
            part, content = {"type": "audio", "transcript": ""}, {"type": "output_audio", "transcript": ""}
        else:
            part, content = {"type": "text", "text": ""}, {"type": "output_text", "text": ""}
        message.item.wire["content"] = [content]
        events.append(server_event("response.content_part.added", response_id=self.id, **_part_ids(message), part=part))
        return events, message

    def _record(self, item: Item, pcm: Pcm, text_end: int) -> None:
        """Keep what was said with the item, to be cut by a truncation; what comes after one was not heard."""
        if item.truncated:
            return
        audio = item.audio.setdefault(0, ItemAudio(SPEECH_RATE))
        audio.append(pcm)
        item.marks.append((audio.duration_ms, text_end))
        item.spoken_end = text_end

    def _all_is_said(self) -> None:
        """Count the whole text as spoken: what has no sound of its own at the end, like an emoji, belongs to it."""
        item = self._message.item if self._message is not None else None
        if item is not None and item.spoken_end is not None and not item.truncated:
            item.spoken_end = len(item.wire["content"][0]["transcript"])
            item.marks.append((item.audio[0].duration_ms, item.spoken_end))

    def _add(self, item: Item, call: int | None) -> _Output:
        output = _Output(len(self._outputs), item, call)
        self._outputs.append(output)
        return output

    def _added(self, output: _Output) -> list[ServerEvent]:
        wire = copy.deepcopy(output.item.wire)
        events: list[ServerEvent] = [
            server_event("response.output_item.added", response_id=self.id, output_index=output.index, item=wire)
        ]
        if self._conversation is not None:
            previous = self._conversation.add(output.item)
            events.append(server_event("conversation.item.added", previous_item_id=previous, item=wire))
        return events

    def _audio_delta(self, message: _Output, audio: bytes) -> list[ServerEvent]:
        return [AudioDelta(self.id, message.item.id, message.index, 0, audio)] if audio else []

    def _close_finished_calls(self) -> list[ServerEvent]:
        """Close the calls that are complete because another begins, unless an open message comes before them."""
        if self._message is not None:
            return []
        return [event for output in self._outputs if not output.done for event in self._done(output, "completed")]

    def _done(self, output: _Output, status: str) -> list[ServerEvent]:
        output.done = True
        output.item.wire["status"] = status
        events = self._message_done(output) if output.call is None else self._call_done(output)
        wire = copy.deepcopy(output.item.wire)
        if self._conversation is not None and output.item.id in self._conversation:
            self._conversation.changed()
            previous = self._conversation.previous_id(output.item.id)
            events.append(server_event("conversation.item.done", previous_item_id=previous, item=wire))
        events.append(
            server_event("response.output_item.done", response_id=self.id, output_index=output.index, item=wire)
        )
        return events

    def _message_done(self, message: _Output) -> list[ServerEvent]:
        text = "".join(message.text)
        ids = {"response_id": self.id, **_part_ids(message)}
        if self._speaks:
            part = {"type": "audio", "transcript": text}
            done = [
                server_event("response.output_audio.done", **ids),
                server_event("response.output_audio_transcript.done", **ids, transcript=text),
            ]
        else:
            part = {"type": "text", "text": text}
            done = [server_event("response.output_text.done", **ids, text=text)]
        return [*done, server_event("response.content_part.done", **ids, part=part)]

    def _call_done(self, output: _Output) -> list[ServerEvent]:
        return [
            server_event(
                "response.function_call_arguments.done",
                response_id=self.id,
                **_call_ids(output),
                name=output.item.wire["name"],
                arguments=output.item.wire["arguments"],
            )
        ]

    def _wire(self, details: dict[str, Any] | None, usage: dict[str, Any] | None) -> dict[str, Any]:
        config = self.config
        done = self.status != "in_progress"
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": self.status,
            "status_details": details,
            "output": [copy.deepcopy(output.item.wire) for output in self._outputs] if done else [],
            "conversation_id": self._conversation.id if self._conversation is not None else None,
            "output_modalities": [config.modality],
            "max_output_tokens": "inf" if config.max_output_tokens is None else config.max_output_tokens,
            "audio": {"output": {"format": config.format.wire(), "voice": config.voice}},
            "usage": usage,
            "metadata": config.metadata,
        }


def _part_ids(output: _Output) -> dict[str, Any]:
    return {"item_id": output.item.id, "output_index": output.index, "content_index": 0}


def _call_ids(output: _Output) -> dict[str, Any]:
    return {"item_id": output.item.id, "output_index": output.index, "call_id": output.item.wire["call_id"]}
