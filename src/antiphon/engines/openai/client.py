"""What the engines that speak OpenAI's HTTP API have in common: options and the client."""

from __future__ import annotations

import difflib
from typing import Annotated, Any

from openai import AsyncOpenAI
from pydantic import Field

from antiphon.engines.base import EngineError
from antiphon.engines.remote.calls import RemoteCalls, RemoteOptions, http_client
from antiphon.engines.remote.errors import TRANSLATED, RemoteError

_MOST_NAMED = 10


class OpenAIOptions(RemoteOptions):
    """Options of every engine that speaks OpenAI's HTTP API.

    Attributes:
        base_url: usually ends in /v1.
        model: the server's name for the model.
    """

    base_url: str = "https://api.openai.com/v1"
    model: Annotated[str, Field(min_length=1)]


class OpenAIServer:
    """A server that speaks OpenAI's HTTP API, as one engine uses it.

    Attributes:
        client: for calls; it does not retry.
        calls: times and retries them.
    """

    def __init__(self, engine: str, options: OpenAIOptions) -> None:
        """Make the client; nothing is sent yet.

        Raises:
            EngineError: code "invalid_option" when the key cannot be read.
        """
        key = options.api_key.read() if options.api_key else None
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._engine = engine
        self._options = options
        self.client = AsyncOpenAI(
            base_url=options.base_url,
            api_key="unused",  # else the package looks for one in the environment; see `http_client`
            max_retries=0,
            http_client=http_client(options, headers),
        )
        self.calls = RemoteCalls(f"{engine} ({options.model})", options, key)

    async def explain(self, error: RemoteError) -> EngineError:
        """Return what the operator has to know about an error of the first call."""
        if error.status is not None and error.status < 500 and error.status not in (401, 403, 429):
            names = await self._model_names()
            if names and self._options.model not in names:
                near = difflib.get_close_matches(self._options.model, names, _MOST_NAMED, cutoff=0.3)
                named = ", ".join(near or sorted(names)[:_MOST_NAMED])
                message = f"{self._options.base_url} has no model {self._options.model!r}; it has {named}"
                return EngineError(f"{self._engine}: {message}", code="model_missing")
        return self.calls.explain(error, f"the model {self._options.model!r}")

    async def _model_names(self) -> list[str]:
        """Return the models that the server tells of; none when it does not tell."""
        try:
            answer: Any = await self.client.get("/models", cast_to=object, options={"timeout": 5.0})
        except TRANSLATED:
            return []  # the error at hand is told without them
        data = answer.get("data") if isinstance(answer, dict) else None
        return [str(model["id"]) for model in data or () if isinstance(model, dict) and "id" in model]

    async def close(self) -> None:
        """Close all connections. Idempotent."""
        self.calls.close()
        await self.client.close()
