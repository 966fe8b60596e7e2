"""Noise reduction, where the client asks for it and an engine can do it."""

from __future__ import annotations

from antiphon.engines.base import DenoiserStream
from antiphon.pipeline.reply import Pipeline
from antiphon.session.config import SessionConfig
from antiphon.session.state import log


def open_denoiser(pipeline: Pipeline, config: SessionConfig) -> DenoiserStream | None:
    """Return the denoiser that `config` asks for; None, with a word in the log, where there is none to be had."""
    wanted = config.input.noise_reduction
    if wanted is None:
        return None
    denoiser = pipeline.open_denoiser(wanted.type)
    if denoiser is None:
        log.warning("noise reduction was asked for, but no denoiser is installed; audio is heard as it comes")
    return denoiser
