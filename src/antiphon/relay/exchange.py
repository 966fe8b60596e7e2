"""What passes between a client and an upstream: frames up, events down, each as the other side may have it. Pure.

Nearly everything passes as it is. Changed are the names of models, which are each side's own; audio, which is decoded
once for the transport; and what the transport plays, which only this side can clear. Unknown events pass unchanged.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.audio.formats import PCM_24K, AudioFormat
from antiphon.audio.resampling import StreamResampler
from antiphon.protocol.errors import ProtocolError, shown
from antiphon.protocol.frames import AudioDelta, ServerEvent, event_id_of, server_event
from antiphon.protocol.ids import new_id, random_base62
from antiphon.relay.open_responses import OpenResponses
from antiphon.relay.opening import OWN_EVENT_ID
from antiphon.session.config import check_model
from antiphon.session.player import Cut

AUDIO_DELTA = "response.output_audio.delta"

MAX_SPOKEN = 64
"""Items of which it is known how much was said in them: those that may still be playing."""

_PLAIN = re.compile(r'[^"\\\x00-\x1f\ud800-\udfff]{1,512}')
"""What needs no escaping in JSON."""

_SESSION_EVENTS = ("session.created", "session.updated")

Frame = dict[str, Any]


class MalformedError(Exception):
    """An event of the upstream is not what the protocol says."""


@dataclass(slots=True)
class _Spoken:
    """Speech of an item that has come: its length, and where it stands in the item."""

    content_index: int
    ms: float = 0.0


class Exchange:
    """One session's frames and events.

    Args:
        model: what the client calls the model.
        instructions: that hold until the client gives its own, and again when it clears them; None for the upstream's.
        expires_at: Unix time, s, at which this side ends the session.
        same_model: tells whether a name that the client gives means this model.
        plays: whether the transport plays the speech.
        pcm_rate: Hz of the PCM16 in the client's appends.
    """

    def __init__(
        self,
        *,
        model: str,
        instructions: str | None,
        expires_at: int,
        same_model: Callable[[str], bool],
        plays: bool,
        pcm_rate: int = PCM_24K.rate,
    ) -> None:
        self.open_responses = OpenResponses()
        self.input_format = PCM_24K
        self._model = model
        self._instructions = instructions
        self._expires_at = expires_at
        self._same_model = same_model
        self._plays = plays
        self._pcm_rate = pcm_rate
        self._resampler = StreamResampler(pcm_rate, PCM_24K.rate) if pcm_rate != PCM_24K.rate else None
        self._output_format: Frame = PCM_24K.wire()
        self._formats: dict[str, AudioFormat] = {}
        self._interrupts = False
        self._cut: set[str] = set()
        self._spoken: dict[str, _Spoken] = {}

    # --- up --------------------------------------------------------------------------------------------------------

    def to_upstream(self, frame: Frame) -> list[Frame]:
        """Return what the upstream is sent for a client's frame, which has a `type` and is otherwise unchecked.

        Raises:
            ProtocolError: it asks for another model; carries the frame's own `event_id`.
        """
        if self._resampler is not None and frame["type"].startswith("input_audio_buffer."):
            return self._resampled(self._resampler, frame)
        session = frame.get("session")
        if frame["type"] != "session.update" or not isinstance(session, dict):
            return [frame]
        changed = dict(session)
        model = changed.pop("model", None)
        if isinstance(model, str):
            try:
                check_model(model, self._model, self._same_model)
            except ProtocolError as error:
                error.event_id = event_id_of(frame)
                raise
        if changed.get("instructions") == "" and self._instructions is not None:
            changed["instructions"] = self._instructions
        return [{**frame, "session": changed}]

    def _resampled(self, resampler: StreamResampler, frame: Frame) -> list[Frame]:
        """Return a frame about the input buffer, with audio at the upstream's rate. What cannot be read is for the
        upstream to refuse, as what is no PCM is for it to take."""
        if frame["type"] != "input_audio_buffer.append":
            self._resampler = StreamResampler(self._pcm_rate, PCM_24K.rate)
            rest = resampler.flush()
            committed = frame["type"] == "input_audio_buffer.commit" and rest.size
            return [self.audio_to_upstream(rest), frame] if committed else [frame]
        try:
            data = base64.b64decode(frame["audio"], validate=True)
            pcm = resampler.push(PCM_24K.decode(data))
        except (KeyError, TypeError, ValueError):
            return [frame]
        if self.input_format != PCM_24K or not data:
            return [frame]
        return [{**frame, **self.audio_to_upstream(pcm)}] if pcm.size else []

    def audio_to_upstream(self, pcm: NDArray[np.int16]) -> Frame:
        """Return the frame that carries audio, int16 at the rate of `input_format`."""
        audio = base64.b64encode(self.input_format.encode(pcm)).decode("ascii")
        return {"type": "input_audio_buffer.append", "audio": audio}

    # --- down ------------------------------------------------------------------------------------------------------

    def from_upstream(self, event: Frame) -> list[ServerEvent]:
        """Return what the client is sent for an event, which has a `type` and is otherwise unchecked.

        Raises:
            MalformedError: it lacks what this side or a transport needs of it.
            TooMuchError: more is in progress than any session needs.
        """
        try:
            return self._from_upstream(event)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            what = f"{type(error).__name__}: {error}"
            raise MalformedError(f"a malformed {shown(str(event['type']))}: {shown(what)}") from error

    def interrupts(self, event: Frame) -> bool:
        """Tell whether an event of the upstream means that what is being played is interrupted."""
        return self._plays and self._interrupts and event["type"] == "input_audio_buffer.speech_started"

    def cut(self, cuts: Iterable[Cut]) -> tuple[list[ServerEvent], list[Frame]]:
        """Return what the client and what the upstream are told of speech that the transport has cut off."""
        told: dict[str, ServerEvent] = {}
        frames: list[Frame] = []
        for cut in cuts:
            if cut.started and cut.response_id not in told:
                told[cut.response_id] = server_event("output_audio_buffer.cleared", response_id=cut.response_id)
            if cut.response_id in self.open_responses:
                self._cut.add(cut.response_id)
            spoken = self._spoken.pop(cut.item_id, None)
            if spoken is not None:
                frames.append(
                    {
                        "type": "conversation.item.truncate",
                        "event_id": f"{OWN_EVENT_ID}_{random_base62(12)}",
                        "item_id": cut.item_id,
                        "content_index": spoken.content_index,
                        "audio_end_ms": min(cut.played_ms, int(spoken.ms)),  # the last frame is filled with silence
                    }
                )
        return list(told.values()), frames

    def format_of(self, event: ServerEvent) -> AudioFormat:
        """Return the format of the audio in an event; the session's for events without audio."""
        known = self._formats.get(event.response_id) if isinstance(event, AudioDelta) else None
        return known or AudioFormat.from_wire(self._output_format)

    def failed(self, error: ProtocolError) -> list[ServerEvent]:
        """Return the events that end what the upstream has left open."""
        return self.open_responses.close(error)

    def _from_upstream(self, event: Frame) -> list[ServerEvent]:
        kind = event["type"]
        if kind == AUDIO_DELTA:
            return self._audio(event)
        if not isinstance(event.get("event_id"), str):
            event = {**event, "event_id": new_id("event")}
        if kind in _SESSION_EVENTS:
            event = {**event, "session": self._session(event["session"])}
        elif kind == "response.created":
            event = {**event, "response": self._response(event["response"])}
            response = event["response"]
            self._formats[response["id"]] = AudioFormat.from_wire(response["audio"]["output"]["format"])
        elif kind == "response.done":
            event = {**event, "response": self._response(event["response"])}
            self._formats.pop(event["response"]["id"], None)
            self._cut.discard(event["response"]["id"])
        elif kind == "error":
            event = {**event, "error": _error(event["error"])}
            if (event["error"]["event_id"] or "").startswith(OWN_EVENT_ID):
                return []
        elif kind in ("conversation.item.added", "conversation.item.done", "conversation.item.retrieved"):
            _check_item(event["item"])
        elif kind in ("response.output_item.added", "response.output_item.done"):
            _text(event["response_id"])
            _check_item(event["item"])
        elif kind == "response.output_audio.done":
            _text(event["response_id"])
            _text(event["item_id"])
        self.open_responses.follow(event)
        return [event]

    def _audio(self, event: Frame) -> list[ServerEvent]:
        response_id, item_id = _text(event["response_id"]), _text(event["item_id"])
        event_id = event.get("event_id")
        content_index, output_index = _index(event.get("content_index", 0)), _index(event.get("output_index", 0))
        try:
            audio = binascii.a2b_base64(event["delta"], strict_mode=True)
        except binascii.Error as error:
            raise MalformedError(f"a malformed {AUDIO_DELTA}: {error}") from error
        if self._plays:
            if response_id not in self._formats or response_id in self._cut:
                return []
            spoken = self._spoken.setdefault(item_id, _Spoken(content_index))
            audio_format = self._formats[response_id]
            spoken.ms += len(audio) * 1000 / (audio_format.rate * audio_format.bytes_per_sample)
            while len(self._spoken) > MAX_SPOKEN:
                del self._spoken[next(iter(self._spoken))]
        own_id = _text(event_id) if event_id is not None else None
        return [AudioDelta(response_id, item_id, output_index, content_index, audio, event_id=own_id)]

    def _session(self, session: Frame) -> Frame:
        """Return a session object as the client sees it, complete for every dialect."""
        kind = session.get("type", "realtime")
        audio = dict(session.get("audio") or {})
        heard: Frame = {"format": PCM_24K.wire(), "transcription": None, "noise_reduction": None}
        heard |= {"turn_detection": None, **(audio.get("input") or {})}
        self.input_format = AudioFormat.from_wire(heard["format"])
        self._interrupts = bool((heard["turn_detection"] or {}).get("interrupt_response", True))
        self._interrupts = self._interrupts and heard["turn_detection"] is not None
        complete = {
            "type": kind,
            "object": "realtime.session" if kind == "realtime" else "realtime.transcription_session",
            "include": None,
            **session,
            "id": _text(session["id"]),
            "expires_at": min(int(session.get("expires_at") or self._expires_at), self._expires_at),
            "audio": {**audio, "input": heard},
        }
        if kind == "transcription":
            return complete
        spoken = {"format": PCM_24K.wire(), "voice": "", "speed": 1.0, **(audio.get("output") or {})}
        AudioFormat.from_wire(spoken["format"])
        self._output_format = spoken["format"]
        defaults: Frame = {"output_modalities": ["audio"], "instructions": "", "tools": [], "tool_choice": "auto"}
        defaults |= {"max_output_tokens": "inf", "tracing": None, "truncation": "auto", "prompt": None}
        complete["audio"]["output"] = spoken
        return {**defaults, **complete, "model": self._model}

    def _response(self, response: Frame) -> Frame:
        """Return a response object, complete for every dialect."""
        audio = dict(response.get("audio") or {})
        spoken = {"format": self._output_format, "voice": "", **(audio.get("output") or {})}
        AudioFormat.from_wire(spoken["format"])
        defaults: Frame = {"output": [], "output_modalities": ["audio"], "conversation_id": None}
        defaults |= {"status_details": None, "usage": None, "metadata": None, "max_output_tokens": "inf"}
        complete = {**defaults, **response, "id": _text(response["id"]), "audio": {**audio, "output": spoken}}
        _text(complete["status"])
        for item in complete["output"]:
            _check_item(item)
        return complete


def _error(error: Frame) -> Frame:
    """Return an error object with all of its keys."""
    complete = {"type": "server_error", "code": None, "message": "", "param": None, "event_id": None, **error}
    for key in ("code", "param", "event_id"):
        if complete[key] is not None and not isinstance(complete[key], str):
            raise TypeError(f"error.{key} is no string")
    return complete


def _check_item(item: Frame) -> None:
    _text(item["id"])
    _text(item["type"])
    for part in item.get("content") or ():
        _text(part["type"])


def _text(value: Any) -> str:
    if not isinstance(value, str) or not _PLAIN.fullmatch(value):
        raise TypeError("an identifier that is none")
    return value


def _index(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise TypeError("an index that is none")
    return value
