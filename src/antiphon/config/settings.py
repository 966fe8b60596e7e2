"""Settings of the server: one typed tree, read from the environment (prefix `ANTIPHON_`), then from command line flags.

Nested settings take a double underscore: `ANTIPHON_LOG__LEVEL=debug`. Lists are separated by commas.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from antiphon.session.limits import SessionLimits

DEFAULT_INSTRUCTIONS = (
    "You are a friendly voice assistant. Answer in one or two short sentences of plain spoken English, "
    "without lists, markup or emoji."
)


def _split(value: Any) -> Any:
    """Turn "a, b" into ["a", "b"], and leave everything else alone."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


CommaList = BeforeValidator(_split)


class LogSettings(BaseModel):
    """What is logged and how: "console" for people, "json" for machines, "auto" for console on a terminal only."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "json"] = "auto"


class EngineChoice(BaseModel):
    """What to change about the preset's engine in one role.

    Attributes:
        name: another engine, by its entry point's name.
        options: the engine's own settings.
        cores: CPU threads that it may keep busy.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    cores: Annotated[int, Field(ge=1)] | None = None


class EngineSettings(BaseModel):
    """Which engines serve: a preset, and changes to it by role.

    Attributes:
        preset: "embedded" for real models on this machine, "stand-in" for scripted engines without models.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: Literal["embedded", "stand-in"] = "embedded"
    vad: EngineChoice | None = None
    turn: EngineChoice | None = None
    denoise: EngineChoice | None = None
    transcription: EngineChoice | None = None
    llm: EngineChoice | None = None
    tts: EngineChoice | None = None


class WebRtcSettings(BaseModel):
    """Where WebRTC calls meet the network. Nothing has to be set for clients that reach this machine directly.

    Attributes:
        interfaces: names ("eth0") or addresses of the network interfaces to use; all by default, the loopback
            interface only where the server itself listens on it.
        udp_ports: UDP ports for calls: "50000-50100" for a port a call and address, "50000" for one port that all
            calls share; any free ports by default.
        public_addresses: what clients are told instead of this machine's own addresses, behind a one-to-one NAT:
            "203.0.113.7", or "203.0.113.7/10.0.0.7" to stand for one local address.
        stun_server: "stun:stun.example.com:3478", where calls ask for their public address.
        turn_server: "turn:turn.example.com:3478?transport=udp" or "turns:…", which relays calls.
        turn_username, turn_password: for the TURN server.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    interfaces: Annotated[tuple[str, ...], NoDecode, CommaList] = ()
    udp_ports: Annotated[str, Field(pattern=r"^\d+(-\d+)?$")] | None = None
    public_addresses: Annotated[tuple[str, ...], NoDecode, CommaList] = ()
    stun_server: Annotated[str, Field(pattern=r"^stun:[^:?]+(:\d+)?$")] | None = None
    turn_server: Annotated[str, Field(pattern=r"^turns?:[^:?]+(:\d+)?(\?transport=(udp|tcp))?$")] | None = None
    turn_username: str | None = None
    turn_password: SecretStr | None = None

    @field_validator("udp_ports")
    @classmethod
    def _is_a_range(cls, ports: str | None) -> str | None:
        first, last = _ports(ports) if ports is not None else (1, 1)
        if not 1 <= first <= last <= 65535:
            raise ValueError(f"{ports!r} is not a range of ports; write it like 50000-50100")
        return ports

    @field_validator("public_addresses")
    @classmethod
    def _are_addresses(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        for address in addresses:
            for part in address.split("/", 1):
                ipaddress.ip_address(part)
        return addresses

    @property
    def ports(self) -> tuple[int, int] | None:
        """The first and the last UDP port; None for any."""
        return None if self.udp_ports is None else _ports(self.udp_ports)

    @property
    def public(self) -> list[tuple[str, str | None]]:
        """Pairs of a public address and the local one that it stands for; None for every one of its kind."""
        pairs = [address.partition("/") for address in self.public_addresses]
        return [(public, local or None) for public, _, local in pairs]


def _ports(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    return int(first), int(last or first)


class Settings(BaseSettings):
    """Everything that can be set.

    Attributes:
        host, port: where to listen; port 0 takes a free one.
        api_keys: keys that clients may use; none means that every client may come in.
        api_keys_file: a file with more keys, one a line; empty lines and lines that begin with # are skipped.
        allow_anonymous: listen beyond this machine without any API key.
        allowed_origins: origins ("https://app.example.com") whose web pages may use a server without API keys, and
            "*" for all of them. Pages of this machine always may.
        max_sessions: most sessions at once; another is refused with HTTP 503.
        drain_s: how long sessions may go on, in s, after the server was asked to stop.
        instructions: what a session is told to be until its client says otherwise.
        limits: bounds of each session.
        webrtc: where WebRTC calls meet the network.
    """

    model_config = SettingsConfigDict(
        env_prefix="ANTIPHON_", env_nested_delimiter="__", extra="ignore", frozen=True, hide_input_in_errors=True
    )

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    api_keys: Annotated[tuple[SecretStr, ...], NoDecode, CommaList] = ()
    api_keys_file: Path | None = None
    allow_anonymous: bool = False
    allowed_origins: Annotated[tuple[str, ...], NoDecode, CommaList] = ()
    max_sessions: Annotated[int, Field(ge=1)] = 1000
    drain_s: Annotated[float, Field(ge=0)] = 5.0
    instructions: str = DEFAULT_INSTRUCTIONS
    engines: EngineSettings = EngineSettings()
    limits: SessionLimits = SessionLimits()
    log: LogSettings = LogSettings()
    webrtc: WebRtcSettings = WebRtcSettings()

    @field_validator("allowed_origins")
    @classmethod
    def _bare_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if origin != "*" and (origin.count("/") != 2 or "://" not in origin):
                raise ValueError(f"{origin!r} is not an origin; write it like https://app.example.com")
        return tuple(origin.lower() for origin in origins)

    @model_validator(mode="after")
    def _bind_is_protected(self) -> Settings:
        keys = self.keys()  # in any case, so that a bad file is told at the start
        if not keys and not self.allow_anonymous and not is_loopback(self.host):
            raise ValueError(
                f"listening on {self.host} lets others on the network in, and no API keys are set. Set "
                "ANTIPHON_API_KEYS (or ANTIPHON_API_KEYS_FILE), or pass --allow-anonymous to let everyone in"
            )
        return self

    def keys(self) -> list[str]:
        """Return every API key of the settings and of the keys file.

        Raises:
            ValueError: the file cannot be read.
        """
        keys = [key.get_secret_value() for key in self.api_keys]
        if self.api_keys_file is not None:
            try:
                lines = self.api_keys_file.read_text(encoding="utf-8").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise ValueError(f"the file of API keys, {self.api_keys_file}, cannot be read: {error}") from error
            keys += [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
        return keys


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach `host`: "localhost" or a loopback address."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def explain(error: ValidationError) -> str:
    """Return what is wrong with the settings, a line for each mistake, naming the environment variable."""
    lines = []
    for mistake in error.errors(include_url=False, include_input=False):
        variable = "__".join(str(part).upper() for part in mistake["loc"])
        message = mistake["msg"].removeprefix("Value error, ")
        lines.append(f"ANTIPHON_{variable}: {message}" if variable else message)
    return "\n".join(lines)
