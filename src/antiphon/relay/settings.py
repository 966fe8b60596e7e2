"""Settings of an upstream Realtime server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from antiphon.engines.secrets import Secret

_OWN_HEADERS = frozenset({"authorization", "api-key", "openai-organization", "openai-project", "openai-beta"})

Seconds = Annotated[float, Field(gt=0)]


class RecordingSettings(BaseModel):
    """Where sessions are recorded: what people say, and everything else that passes."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True)

    directory: Path
    """Folder for the recordings; made if it is not there, readable by the server's user only."""
    max_mb: Annotated[float, Field(gt=0, le=4000)] = 200.0
    """Most megabytes of one session's files; it is not recorded further then."""


class UpstreamSettings(BaseModel):
    """A Realtime server that serves a pipeline's sessions: OpenAI's, Azure's, another Antiphon, or one like them."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True)

    base_url: str
    """`https://api.openai.com/v1`, `https://RESOURCE.openai.azure.com/openai/v1`, `http://other-host:8080/v1`."""
    model: Annotated[str, Field(min_length=1)] | None = None
    """Its name of the model, or of Azure's deployment; its default one if not set."""
    api_key: Secret | None = None
    """The key: `{env: NAME}` or `{file: PATH}`."""
    azure: bool = False
    """Whether the key goes into Azure's `api-key` header, not into `Authorization`."""
    organization: str | None = None
    """OpenAI's organization, where the key has several."""
    project: str | None = None
    """OpenAI's project, where the key has several."""
    headers: Mapping[str, str] = Field(default_factory=dict)
    """More headers of the handshake; they are no place for secrets."""
    connect_timeout_s: Seconds = 10.0
    """How long it may take, in s, from a new connection to the upstream's `session.created`."""
    stall_timeout_s: Seconds = 30.0
    """How long it may say nothing, in s, while a response is in progress, or take nothing that is sent to it."""
    recording: RecordingSettings | None = None
    """Record sessions; off if not set."""

    @field_validator("base_url")
    @classmethod
    def _is_a_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https", "ws", "wss") or not parts.hostname:
            raise ValueError("write it like https://api.openai.com/v1")
        _ = parts.port  # which raises ValueError where it is none
        if parts.query or parts.fragment or "@" in parts.netloc:
            raise ValueError("it has no query, no fragment and no user name; write it like https://api.openai.com/v1")
        return url.rstrip("/")

    @field_validator("headers")
    @classmethod
    def _have_no_setting(cls, headers: Mapping[str, str]) -> Mapping[str, str]:
        taken = sorted(name for name in headers if name.lower() in _OWN_HEADERS)
        if taken:
            raise ValueError(f"{', '.join(taken)}: these headers are the server's own affair; there are settings")
        return headers
