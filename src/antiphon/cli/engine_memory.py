"""What the engines of a running server take in memory, read from its metrics."""

from __future__ import annotations

from dataclasses import dataclass

import httpx2
from prometheus_client.parser import text_string_to_metric_families

_TIMEOUT_S = 10.0
_METRIC = "antiphon_engine_memory_bytes"


class ServerError(Exception):
    """The server does not tell. The message says why."""


@dataclass(frozen=True, slots=True)
class EngineMemory:
    """What an engine took when it was loaded.

    Attributes:
        engine: its name.
        model: the names of its models, a comma between them; "" for none.
        bytes: by which the server's process grew.
    """

    engine: str
    model: str
    bytes: int

    def of(self, model: str) -> bool:
        """Return whether it has loaded this model."""
        return model in self.model.split(",")


def engine_memory(url: str, api_key: str | None) -> list[EngineMemory]:
    """Ask the server at `url`, which may end in `/v1`.

    Raises:
        ServerError: it cannot be reached, wants another key, or is no Antiphon.
    """
    address = f"{url.rstrip('/').removesuffix('/v1')}/metrics"
    try:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        answer = httpx2.get(address, headers=headers, timeout=_TIMEOUT_S)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise ServerError(f"{url} cannot be reached: {error}") from error
    if answer.status_code == 401:
        raise ServerError(f"{url} wants {'another' if api_key else 'an'} API key: set OPENAI_API_KEY")
    if not answer.is_success:
        raise ServerError(f"{address} answers with HTTP {answer.status_code}; is it an Antiphon server?")
    try:
        families = [family for family in text_string_to_metric_families(answer.text) if family.name == _METRIC]
    except ValueError as error:
        raise ServerError(f"{address} gives no metrics; is it an Antiphon server?") from error
    if not families:
        raise ServerError(f"{address} does not tell what engines take; is it an Antiphon server of this version?")
    return [
        EngineMemory(sample.labels["engine"], sample.labels["model"], int(sample.value))
        for family in families
        for sample in family.samples
    ]
