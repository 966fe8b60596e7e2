"""Items as clients make them and as they are shown back. Pure."""

from __future__ import annotations

import base64
import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.audio.clock import HEARING_RATE
from antiphon.audio.formats import AudioFormat
from antiphon.audio.resampling import StreamResampler
from antiphon.protocol.errors import ProtocolError
from antiphon.protocol.ids import new_id
from antiphon.protocol.schema import decode_audio
from antiphon.session.conversation import Conversation, Item, ItemAudio

_STATUSLESS = ("function_call_output",)
"""Item types that the service shows without a `status`."""


def item_from_client(wire: dict[str, Any], *, audio_format: AudioFormat, sees: bool, param: str = "item") -> Item:
    """Return the item that a checked `item` object of the client describes.

    Args:
        wire: the object; it is not changed.
        audio_format: of the session's input, in which audio content comes.
        sees: whether the model takes images.
        param: dotted path of the object, for errors.

    Raises:
        ProtocolError: content that cannot be decoded, or that the model cannot take, or an item type that only the
            server makes.
    """
    kind = wire["type"]
    if kind not in ("message", "function_call", "function_call_output"):
        raise ProtocolError(
            f"Items of type '{kind}' cannot be created: this server does not call MCP tools yet.",
            code="invalid_value",
            param=f"{param}.type",
        )
    item = Item({"id": wire.get("id") or new_id("item"), "type": kind})
    if kind not in _STATUSLESS:
        item.wire["status"] = "completed"
    if kind == "message":
        item.wire["role"] = wire["role"]
        item.wire["content"] = [
            _content(item, index, part, audio_format=audio_format, sees=sees, param=f"{param}.content[{index}]")
            for index, part in enumerate(wire["content"])
        ]
    elif kind == "function_call":
        item.wire["name"] = wire["name"]
        item.wire["call_id"] = wire.get("call_id") or new_id("call")
        item.wire["arguments"] = wire["arguments"]
    else:
        item.wire["call_id"] = wire["call_id"]
        item.wire["output"] = wire["output"]
    return item


def check_call_id(item: Item, conversation: Conversation) -> None:
    """Raise ProtocolError if `item` is the result of a function call that the conversation does not have."""
    if item.type != "function_call_output":
        return
    call_id = item.wire["call_id"]
    if not any(known.type == "function_call" and known.wire["call_id"] == call_id for known in conversation.items):
        raise ProtocolError(
            f"Error adding item: no function call with call_id '{call_id}' exists in the conversation.",
            code="item_create_invalid_call_id",
            param="item.call_id",
        )


def retrieved(item: Item, *, input_format: AudioFormat, output_format: AudioFormat) -> dict[str, Any]:
    """Return an item as `conversation.item.retrieved` shows it, with its audio as far as it is kept."""
    shown = copy.deepcopy(item.wire)
    for index, part in enumerate(shown.get("content", ())):
        audio = item.audio.get(index)
        if audio is not None and audio.pcm:
            audio_format = input_format if part["type"] == "input_audio" else output_format
            samples = resample(audio.joined(), audio.rate, audio_format.rate)
            part["audio"] = base64.b64encode(audio_format.encode(samples)).decode("ascii")
    return shown


def resample(pcm: NDArray[np.int16], from_rate: int, to_rate: int) -> NDArray[np.int16]:
    """Return all of `pcm`, int16 at `from_rate` Hz, at `to_rate` Hz."""
    if from_rate == to_rate:
        return pcm
    resampler = StreamResampler(from_rate, to_rate)
    pushed = resampler.push(pcm)
    return np.concatenate([pushed, resampler.flush()])


def _content(
    item: Item, index: int, part: dict[str, Any], *, audio_format: AudioFormat, sees: bool, param: str
) -> dict[str, Any]:
    if part["type"] == "input_image" and not sees:
        raise ProtocolError("The model of this session cannot see images.", code="invalid_value", param=f"{param}.type")
    if part["type"] != "input_audio":
        return {key: value for key, value in part.items() if value is not None}
    data = decode_audio(part["audio"], f"{param}.audio", bytes_per_sample=audio_format.bytes_per_sample)
    pcm = audio_format.decode(data)
    heard = resample(pcm, audio_format.rate, HEARING_RATE).astype(np.float32) / 32768.0
    audio = item.audio[index] = ItemAudio(audio_format.rate, heard=heard)
    audio.append(pcm)
    transcript = part.get("transcript")
    if transcript is not None:
        item.transcript, item.transcript_state = transcript, "known"
    return {"type": "input_audio", "transcript": transcript}
