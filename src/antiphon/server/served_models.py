"""The models that are served, by name, and the names that clients use by default."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from antiphon.pipeline.reply import Pipeline
from antiphon.protocol.errors import ProtocolError

DEFAULT_ALIASES = ("gpt-realtime*", "gpt-4o*-realtime*")
"""Names that OpenAI's clients ask for unless told otherwise; they mean the default model."""

TRANSCRIPTION_MODELS = ("whisper-1", "gpt-4o*-transcribe*", "gpt-transcribe*", "gpt-live-transcribe*", "*-whisper")
"""OpenAI's names of models that only transcribe; no session speaks with them."""


class ServedModels:
    """Pipelines by name.

    Args:
        pipelines: every served model; the first one is the default.
        created: Unix time, s, told to clients as the models' date.
    """

    def __init__(self, pipelines: Mapping[str, Pipeline], created: int) -> None:
        self._pipelines = dict(pipelines)
        self._created = created

    @property
    def names(self) -> list[str]:
        """The models' names, the default one first."""
        return list(self._pipelines)

    @property
    def default(self) -> Pipeline:
        """The model that is meant when none is named."""
        return next(iter(self._pipelines.values()))

    def resolve(self, name: str | None) -> Pipeline:
        """Return the model that a client asked for; None and OpenAI's own names mean the default one.

        Raises:
            ProtocolError: "model_not_found" for any other name, "invalid_value" for one that only transcribes.
        """
        if not name:
            return self.default
        if name in self._pipelines:
            return self._pipelines[name]
        if any(fnmatchcase(name, pattern) for pattern in TRANSCRIPTION_MODELS):
            message = f'Model "{name}" is a transcription model and cannot be used as the realtime session model'
            raise ProtocolError(message, code="invalid_value", param="model")
        if any(fnmatchcase(name, pattern) for pattern in DEFAULT_ALIASES):
            return self.default
        served = ", ".join(f"`{known}`" for known in (*self._pipelines, *DEFAULT_ALIASES))
        message = f"The model `{name}` does not exist. This server has: {served}."
        raise ProtocolError(message, code="model_not_found", param="model")

    def resolve_transcription(self, name: str | None) -> Pipeline:
        """Return the model whose transcriber serves a transcription session.

        Clients name a transcription model there, if anything, so a name that is not served means the default model.
        """
        return self._pipelines.get(name or "", self.default)

    def serves(self, name: str) -> bool:
        """Return whether a client may ask for `name`."""
        try:
            self.resolve(name)
        except ProtocolError:
            return False
        return True

    def means(self, name: str, pipeline: Pipeline) -> bool:
        """Return whether a client that says `name` means `pipeline`."""
        try:
            return self.resolve(name) is pipeline
        except ProtocolError:
            return False

    def listing(self) -> dict[str, Any]:
        """Return OpenAI's list of models, each with its voices and aliases beside OpenAI's keys."""
        return {"object": "list", "data": [self._entry(pipeline) for pipeline in self._pipelines.values()]}

    def _entry(self, pipeline: Pipeline) -> dict[str, Any]:
        return {
            "id": pipeline.name,
            "object": "model",
            "created": self._created,
            "owned_by": "antiphon",
            "aliases": list(DEFAULT_ALIASES) if pipeline is self.default else [],
            "voices": [
                {"name": voice.name, "description": voice.description, "languages": list(voice.languages)}
                for voice in pipeline.voices
            ],
        }
