"""Options that the bench's commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class TurnDetection(StrEnum):
    """Modes of turn detection."""

    server_vad = "server_vad"
    semantic_vad = "semantic_vad"


class Eagerness(StrEnum):
    """How long `semantic_vad` waits when it is not sure."""

    low = "low"
    medium = "medium"
    high = "high"
    auto = "auto"


class Drafts(StrEnum):
    """Whether the server answers ahead."""

    on = "on"
    off = "off"
    both = "both"


class Transport(StrEnum):
    """How a client is connected."""

    websocket = "websocket"
    webrtc = "webrtc"


class Transports(StrEnum):
    """How clients are connected, one after the other."""

    websocket = "websocket"
    webrtc = "webrtc"
    both = "both"

    def each(self) -> list[Transport]:
        """Return them."""
        return list(Transport) if self is Transports.both else [Transport(self.value)]


class EnginePreset(StrEnum):
    """Engines of the server that is started."""

    embedded = "embedded"
    stand_in = "stand-in"


Url = Annotated[
    str | None,
    typer.Option(help="Server to measure, e.g. http://127.0.0.1:8080; without it one is started.", show_default=False),
]
ApiKey = Annotated[
    str | None,
    typer.Option(envvar="OPENAI_API_KEY", show_default=False, help="Key for the server at --url."),
]
Model = Annotated[str | None, typer.Option(help="Model to ask the server for.", show_default=False)]
Preset = Annotated[EnginePreset, typer.Option(help="Engines of the server that is started.")]
Recordings = Annotated[
    Path | None,
    typer.Option(
        file_okay=False,
        exists=True,
        help="Directory with recordings and their transcripts.tsv, instead of those that are shipped.",
        show_default=False,
    ),
]
Mode = Annotated[TurnDetection, typer.Option(help="Mode of turn detection.")]
Modes = Annotated[
    list[TurnDetection] | None,
    typer.Option(
        "--turn-detection", help="Mode of turn detection; give both for one after the other.", show_default="server_vad"
    ),
]
Silence = Annotated[int, typer.Option(min=1, help="server_vad: silence, ms, that ends a turn.")]
Eager = Annotated[Eagerness, typer.Option(help="semantic_vad: how soon to answer.")]
ReplyTokens = Annotated[
    int | None, typer.Option(min=1, max=4096, help="Most tokens of an answer.", show_default="the server's")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, with everything that was measured.")]
