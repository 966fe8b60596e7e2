"""Which dialect a client speaks, by its headers, subprotocols, path and query."""

from __future__ import annotations

from dataclasses import replace

from starlette.websockets import WebSocket

from antiphon.audio.formats import PCM_16K
from antiphon.protocol.dialects import Dialect, Ga
from antiphon.protocol.dialects.azure import Azure
from antiphon.protocol.dialects.beta import Beta
from antiphon.session.config import SessionConfig

_BETA_SUBPROTOCOL = "openai-beta.realtime-v1"


def choose_dialect(websocket: WebSocket) -> Dialect:
    """Return a translator for what the client speaks."""
    query = websocket.query_params
    if websocket.url.path == "/openai/realtime" and "api-version" in query:
        return Azure()
    sixteen_kilohertz = sends_16_khz(websocket)
    asks_for_beta = (
        "realtime=v1" in websocket.headers.get("openai-beta", "")
        or _BETA_SUBPROTOCOL in websocket.scope["subprotocols"]
        or query.get("dialect") == "beta"
    )
    return Beta(sixteen_kilohertz=sixteen_kilohertz) if asks_for_beta or sixteen_kilohertz else Ga()


def sends_16_khz(websocket: WebSocket) -> bool:
    """Tell whether the client sends PCM16 at 16 kHz, as those of open-realtime do. Only beta has room for it."""
    return websocket.url.path == "/realtime" and websocket.query_params.get("input_rate") == "16000"


def heard_at_16_khz(config: SessionConfig) -> SessionConfig:
    """Return the configuration with input at 16 kHz, which no `session.update` can ask for."""
    return replace(config, input=replace(config.input, format=PCM_16K))


def names_deployment(websocket: WebSocket) -> bool:
    """Tell whether the model's name is that of an Azure deployment, which its owner has chosen freely."""
    return websocket.url.path.startswith("/openai/")
