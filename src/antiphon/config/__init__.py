"""Configuration: one typed tree, from a YAML file, the environment (prefix `ANTIPHON_`) and command line flags."""

from antiphon.config.addresses import is_loopback
from antiphon.config.limits import LimitSettings
from antiphon.config.loading import Configuration, load_configuration, reload_configuration
from antiphon.config.pipelines import EngineChoice, EngineSettings, PipelineSettings
from antiphon.config.problems import ConfigError, Problem
from antiphon.config.settings import DEFAULT_INSTRUCTIONS, LogSettings, Settings, WebRtcSettings

__all__ = [
    "DEFAULT_INSTRUCTIONS",
    "ConfigError",
    "Configuration",
    "EngineChoice",
    "EngineSettings",
    "LimitSettings",
    "LogSettings",
    "PipelineSettings",
    "Problem",
    "Settings",
    "WebRtcSettings",
    "is_loopback",
    "load_configuration",
    "reload_configuration",
]
