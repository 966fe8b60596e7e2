"""Configuration: one typed tree, from a YAML file, the environment (prefix `ANTIPHON_`) and command line flags."""

from antiphon.config.settings import (
    DEFAULT_INSTRUCTIONS as DEFAULT_INSTRUCTIONS,
)
from antiphon.config.settings import (
    EngineChoice as EngineChoice,
)
from antiphon.config.settings import (
    EngineSettings as EngineSettings,
)
from antiphon.config.settings import (
    LogSettings as LogSettings,
)
from antiphon.config.settings import (
    Settings as Settings,
)
from antiphon.config.settings import (
    WebRtcSettings as WebRtcSettings,
)
from antiphon.config.settings import (
    explain as explain,
)
from antiphon.config.settings import (
    is_loopback as is_loopback,
)
