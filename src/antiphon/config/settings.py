"""The tree of settings. What is said below each setting is told in the reference, the JSON Schema and `antiphon init`.

In the environment, with the prefix `ANTIPHON_`, nested settings take a double underscore (`ANTIPHON_LOG__LEVEL`), and
lists are separated by commas.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from antiphon.config.addresses import is_loopback
from antiphon.config.limits import LimitSettings
from antiphon.config.pipelines import EngineSettings, PipelineSettings
from antiphon.engines.base import EngineError
from antiphon.engines.secrets import Secret

DEFAULT_INSTRUCTIONS = (
    "You are a friendly voice assistant. Answer in one or two short sentences of plain spoken English, "
    "without lists, markup or emoji."
)

_STRICT = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True)


def _split(value: Any) -> Any:
    """Turn "a, b" into ["a", "b"], and leave everything else alone."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


CommaList = BeforeValidator(_split)


def _read_secret(value: Any) -> Any:
    """Return the secret that `{env: NAME}` or `{file: PATH}` refers to, and leave everything else alone."""
    if not isinstance(value, Mapping):
        return value
    try:
        return Secret.model_validate(value).read()
    except EngineError as error:
        raise ValueError(error.message) from error


Key = Annotated[SecretStr, BeforeValidator(_read_secret), WithJsonSchema(Secret.model_json_schema())]
"""A secret: itself in the environment, `{env: NAME}` or `{file: PATH}` in the file."""


class LogSettings(BaseModel):
    """What is logged and how."""

    model_config = _STRICT

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe level that is logged. What people say is logged at `debug` only."""
    format: Literal["auto", "console", "json"] = "auto"
    """`console` for people, `json` for machines, `auto` for `console` on a terminal only."""


class WebRtcSettings(BaseModel):
    """Where WebRTC calls meet the network. Nothing has to be set for clients that reach this machine directly."""

    model_config = _STRICT

    interfaces: Annotated[tuple[str, ...], NoDecode, CommaList] = ()
    """Names (`eth0`) or addresses of the network interfaces to use; all by default, the loopback interface only where
    the server itself listens on it."""
    udp_ports: Annotated[str, Field(pattern=r"^\d+(-\d+)?$")] | None = None
    """UDP ports for calls: `50000-50100` for a port a call and address, `"50000"` for one port that all calls share;
    any free ports by default."""
    public_addresses: Annotated[tuple[str, ...], NoDecode, CommaList] = ()
    """What clients are told instead of this machine's own addresses, behind a one-to-one NAT: `203.0.113.7`, or
    `203.0.113.7/10.0.0.7` to stand for one local address."""
    stun_server: Annotated[str, Field(pattern=r"^stun:[^:?]+(:\d+)?$")] | None = None
    """`stun:stun.example.com:3478`, where calls ask for their public address."""
    turn_server: Annotated[str, Field(pattern=r"^turns?:[^:?]+(:\d+)?(\?transport=(udp|tcp))?$")] | None = None
    """`turn:turn.example.com:3478?transport=udp` or `turns:…`, which relays calls."""
    turn_username: str | None = None
    """User name at the TURN server."""
    turn_password: Key | None = None
    """Password at the TURN server."""

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


PipelineName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$")]


class Settings(BaseSettings):
    """Everything that can be set. Made directly, it reads the environment but no file; see `load_configuration`."""

    model_config = SettingsConfigDict(
        env_prefix="ANTIPHON_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """Port to listen on; 0 takes a free one."""
    api_keys: Annotated[tuple[Key, ...], NoDecode, CommaList] = ()
    """Keys that clients may use; without any, every client may come in. In the file each is `{env: NAME}` or
    `{file: PATH}`; in the environment the keys themselves are separated by commas."""
    api_keys_file: Path | None = None
    """A file with more keys, one a line; empty lines and lines that begin with # are skipped."""
    allow_anonymous: Annotated[bool, Field(validate_default=True)] = False
    """Listen beyond this machine without any API key."""
    allowed_origins: Annotated[tuple[str, ...], NoDecode, CommaList] = ()
    """Origins (`https://app.example.com`) whose web pages may use a server without API keys, `*` for all of them.
    Pages of this machine always may."""
    max_sessions: Annotated[int, Field(ge=1)] = 1000
    """Most sessions at once; another is refused with HTTP 503."""
    drain_s: Annotated[float, Field(ge=0)] = 5.0
    """How long sessions may go on, in s, after the server was asked to stop."""
    instructions: str = DEFAULT_INSTRUCTIONS
    """What a session is told to be until its client says otherwise."""
    engines: EngineSettings = EngineSettings()
    """Which engines serve where a pipeline names none."""
    pipelines: dict[PipelineName, PipelineSettings] = Field(default_factory=dict)
    """The served models by name; without any, one is made of `engines` alone."""
    default_pipeline: Annotated[str | None, Field(validate_default=True)] = None
    """The pipeline of clients that ask for no model, or for one of OpenAI's names; the first one if not set."""
    limits: LimitSettings = LimitSettings()
    """Bounds of each session."""
    log: LogSettings = LogSettings()
    """What is logged and how."""
    webrtc: WebRtcSettings = WebRtcSettings()
    """Where WebRTC calls meet the network."""

    @field_validator("allow_anonymous")
    @classmethod
    def _bind_is_protected(cls, allowed: bool, info: ValidationInfo) -> bool:
        host = info.data.get("host", "localhost")
        keys = _keys(info.data.get("api_keys", ()), info.data.get("api_keys_file"))  # so that a bad file is told now
        if not keys and not allowed and not is_loopback(host) and "api_keys" in info.data:
            raise ValueError(
                f"listening on {host} lets others on the network in, and no API keys are set. Set "
                "ANTIPHON_API_KEYS (or ANTIPHON_API_KEYS_FILE), or pass --allow-anonymous to let everyone in"
            )
        return allowed

    @field_validator("allowed_origins")
    @classmethod
    def _bare_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if origin != "*" and (origin.count("/") != 2 or "://" not in origin):
                raise ValueError(f"{origin!r} is not an origin; write it like https://app.example.com")
        return tuple(origin.lower() for origin in origins)

    @field_validator("pipelines")
    @classmethod
    def _names_are_clear(cls, pipelines: dict[str, PipelineSettings]) -> dict[str, PipelineSettings]:
        owners = {name: name for name in pipelines}
        for name, pipeline in pipelines.items():
            for alias in pipeline.aliases:
                if owners.setdefault(alias, name) != name:
                    raise ValueError(f"the alias {alias!r} of {name!r} is taken by {owners[alias]!r}")
        return pipelines

    @field_validator("default_pipeline")
    @classmethod
    def _default_is_there(cls, default: str | None, info: ValidationInfo) -> str | None:
        pipelines = info.data.get("pipelines")
        if default is not None and pipelines is not None and default not in pipelines:
            named = ", ".join(repr(name) for name in pipelines) or "none"
            raise ValueError(f"there is no pipeline {default!r}; there are: {named}")
        return default

    def keys(self) -> list[str]:
        """Return every API key of the settings and of the keys file.

        Raises:
            ValueError: the file cannot be read.
        """
        return _keys(self.api_keys, self.api_keys_file)


class MergedSettings(Settings):
    """Settings that were read before: nothing is added from the environment."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return what was given as the only source."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)


def _keys(keys: tuple[SecretStr, ...], file: Path | None) -> list[str]:
    found = [key.get_secret_value() for key in keys]
    if file is not None:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"the file of API keys, {file}, cannot be read: {error}") from error
        found += [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return found
