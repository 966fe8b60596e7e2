"""The models that are served, by name, and the names that clients use by default."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from antiphon.pipeline.voices import OPENAI_VOICES, resolve_voice
from antiphon.protocol.errors import ProtocolError
from antiphon.server.served_model import ServedModel

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

    def __init__(self, pipelines: Mapping[str, ServedModel], created: int) -> None:
        self._pipelines = dict(pipelines)
        self._created = created

    def follow(self, before: ServedModels) -> None:
        """Let each model take over the places of the one that had its name before."""
        for name, pipeline in self._pipelines.items():
            if name in before._pipelines:
                pipeline.follow(before._pipelines[name])

    @property
    def names(self) -> list[str]:
        """The models' names, the default one first."""
        return list(self._pipelines)

    @property
    def default(self) -> ServedModel:
        """The model that is meant when none is named."""
        return next(iter(self._pipelines.values()))

    def resolve(self, name: str | None) -> ServedModel:
        """Return the model that a client asked for, by its name or an alias; None and OpenAI's own names mean the
        default one.

        Raises:
            ProtocolError: "model_not_found" for any other name, "invalid_value" for one that only transcribes.
        """
        if not name:
            return self.default
        if own := self._own(name):
            return own
        if any(fnmatchcase(name, pattern) for pattern in TRANSCRIPTION_MODELS):
            message = f'Model "{name}" is a transcription model and cannot be used as the realtime session model'
            raise ProtocolError(message, code="invalid_value", param="model")
        if any(fnmatchcase(name, pattern) for pattern in DEFAULT_ALIASES):
            return self.default
        known = (alias for pipeline in self._pipelines.values() for alias in (pipeline.name, *pipeline.aliases))
        served = ", ".join(f"`{name}`" for name in (*known, *DEFAULT_ALIASES))
        message = f"The model `{name}` does not exist. This server has: {served}."
        raise ProtocolError(message, code="model_not_found", param="model")

    def resolve_transcription(self, name: str | None) -> ServedModel:
        """Return the model whose transcriber serves a transcription session.

        Clients name a transcription model there, if anything, so a name that is not served means the default model.
        """
        return self._own(name or "") or self.default

    def _own(self, name: str) -> ServedModel | None:
        if name in self._pipelines:
            return self._pipelines[name]
        aliases = [(alias, pipeline) for pipeline in self._pipelines.values() for alias in pipeline.aliases]
        exact = next((pipeline for alias, pipeline in aliases if alias == name), None)
        return exact or next((pipeline for alias, pipeline in aliases if fnmatchcase(name, alias)), None)

    def serves(self, name: str) -> bool:
        """Return whether a client may ask for `name`."""
        try:
            self.resolve(name)
        except ProtocolError:
            return False
        return True

    def means(self, name: str, pipeline: ServedModel) -> bool:
        """Return whether a client that says `name` means `pipeline`."""
        try:
            return self.resolve(name) is pipeline
        except ProtocolError:
            return False

    def listing(self) -> dict[str, Any]:
        """Return OpenAI's list of models, each with aliases, voices (null where only an upstream server knows them) and
        whether it is in memory beside OpenAI's keys."""
        return {"object": "list", "data": [self._entry(pipeline) for pipeline in self._pipelines.values()]}

    def entry(self, name: str) -> dict[str, Any]:
        """Return the model that a client gets for `name`, as in `listing`.

        Raises:
            ProtocolError: as `resolve`.
        """
        return self._entry(self.resolve(name))

    def voices(self, name: str | None = None) -> dict[str, Any]:
        """Return the voices of all models, or of one.

        Under "voices" each name stands once, as other servers list theirs; under "models" is what each model has, its
        default voice, and which of its voices stands for each of OpenAI's names; null where only an upstream server
        knows.

        Raises:
            ProtocolError: as `resolve`.
        """
        chosen = list(self._pipelines.values()) if name is None else [self.resolve(name)]
        found: dict[str, dict[str, Any]] = {}
        for pipeline in chosen:
            for voice in pipeline.voices or ():
                told = found.setdefault(
                    voice.name,
                    {"id": voice.name, "name": voice.name, "description": voice.description, "languages": []},
                )
                told["languages"] += [language for language in voice.languages if language not in told["languages"]]
        return {"voices": list(found.values()), "models": {one.name: _voices_of(one) for one in chosen}}

    def _entry(self, pipeline: ServedModel) -> dict[str, Any]:
        return {
            "id": pipeline.name,
            "object": "model",
            "created": self._created,
            "owned_by": "antiphon",
            "aliases": [*pipeline.aliases, *(DEFAULT_ALIASES if pipeline is self.default else ())],
            "voices": None
            if pipeline.voices is None
            else [
                {"name": voice.name, "description": voice.description, "languages": list(voice.languages)}
                for voice in pipeline.voices
            ],
            "loaded": pipeline.loaded,
        }


def _voices_of(pipeline: ServedModel) -> dict[str, Any]:
    if pipeline.voices is None:
        return {"voices": None, "default": pipeline.voice, "openai_names": None}
    names = [voice.name for voice in pipeline.voices]
    return {
        "voices": names,
        "default": resolve_voice(pipeline.voice, pipeline.voices) or next(iter(names), None),
        "openai_names": {name: resolve_voice(name, pipeline.voices) for name in OPENAI_VOICES} if names else {},
    }
