"""What is served, for clients to see: `GET /v1/models`, `/v1/models/{name}` and `/v1/audio/voices`."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from antiphon.server.served_models import ServedModels
from antiphon.server.service import Service


def add_listing_routes(app: FastAPI) -> None:
    """Serve the listings. Until the models are loaded they answer 503 with `Retry-After`."""

    def served() -> ServedModels:
        service: Service = app.state.service
        return service.models or service.ready_models()

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        """List the models with their voices."""
        return served().listing()

    @app.get("/v1/models/{name:path}")
    async def model(name: str) -> dict[str, Any]:
        """Return the model that a session with this name or alias gets."""
        return served().entry(name)

    @app.get("/v1/audio/voices")
    async def voices(model: str | None = None) -> dict[str, Any]:
        """List the voices of all models, or of one by its name or alias."""
        return served().voices(model)
