"""The ASGI application: routes and what stands before them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import WebSocketRoute

from antiphon import __version__
from antiphon.config import Settings, load_configuration
from antiphon.server.calls import Calls, add_call_routes
from antiphon.server.client_secrets import ClientSecrets, add_client_secret_routes
from antiphon.server.engine_metrics import EngineMemoryCollector
from antiphon.server.errors import add_error_handlers
from antiphon.server.guard import Guard
from antiphon.server.listings import add_listing_routes
from antiphon.server.logs import configure_logs
from antiphon.server.playground import playground_routes
from antiphon.server.realtime import PATHS, realtime
from antiphon.server.security import ApiKeys, OriginPolicy
from antiphon.server.service import Service

LOCAL_PAGES = r"https?://(localhost|[^/:]+\.localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?"
"""Origins of pages that this machine serves."""


def create_app(settings: Settings) -> FastAPI:
    """Return the application. Its engines are loaded in the background once it has started; see `/readyz`."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service = Service(settings)
        app.state.service = service
        service.metrics.registry.register(EngineMemoryCollector(service.engines))
        app.state.calls = calls = Calls(service)
        tasks = [asyncio.create_task(job) for job in (service.load(), service.metrics.watch_loop(), calls.prepare())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await calls.close()
            await service.close()

    # The pages that show the schema would fetch their scripts from elsewhere.
    app = FastAPI(title="Antiphon", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    secrets = ClientSecrets()
    _add_routes(app)
    add_call_routes(app)
    add_client_secret_routes(app, secrets)
    keys = ApiKeys(settings.keys())
    app.add_middleware(Guard, keys=keys, secrets=secrets, origins=OriginPolicy(settings.allowed_origins))
    # Added last, so it stands outermost: refusals need its headers, or a page could not read them. A key is what
    # lets a page in when there are keys, so its origin does not matter then.
    app.add_middleware(
        CORSMiddleware,
        allow_origins=["*"] if keys else list(settings.allowed_origins),
        allow_origin_regex=LOCAL_PAGES,
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=["Location", "X-Request-Id"],
    )
    return app


def app_from_environment() -> FastAPI:
    """Return the application with the settings of the file and the environment, for `--reload`."""
    settings = load_configuration().settings
    configure_logs(settings.log)
    return create_app(settings)


def _add_routes(app: FastAPI) -> None:
    app.router.routes.extend(WebSocketRoute(path, realtime) for path in PATHS)
    app.router.routes.extend(playground_routes())
    add_error_handlers(app)
    add_listing_routes(app)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Tell that the process is alive."""
        return {"status": "ok", "version": __version__}

    @app.get("/readyz")
    async def readyz() -> JSONResponse:
        """Tell whether sessions can be opened: 200 when the models are warm, else 503 with what is missing."""
        service: Service = app.state.service
        return JSONResponse(service.readiness(), status_code=200 if service.state == "ready" else 503)

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        """Return the metrics in Prometheus's text format."""
        service: Service = app.state.service
        return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)
