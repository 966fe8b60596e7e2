"""Configuration: one typed tree, from a YAML file, the environment (prefix `ANTIPHON_`) and command line flags."""

from antiphon.config.limits import LimitSettings
from antiphon.config.pipelines import EngineChoice, EngineSettings, PipelineSettings
from antiphon.config.settings import DEFAULT_INSTRUCTIONS, LogSettings, Settings, WebRtcSettings, explain, is_loopback

__all__ = [
    "DEFAULT_INSTRUCTIONS",
    "EngineChoice",
    "EngineSettings",
    "LimitSettings",
    "LogSettings",
    "PipelineSettings",
    "Settings",
    "WebRtcSettings",
    "explain",
    "is_loopback",
]
