"""The playground: the page at `/` on which people talk to this server. Its files are part of the package."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

FOLDER = Path(__file__).parent.parent / "playground"

_TYPES: Mapping[str, str] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""Content types. The machine's own table is not asked: some systems have wrong entries, which stop modules."""

PATHS: Mapping[str, Path] = {
    "/" if file.name == "index.html" else f"/playground/{file.name}": file
    for file in sorted(FOLDER.iterdir())
    if file.suffix in _TYPES
}
"""Where each file is served."""

HEADERS: Mapping[str, str] = {
    # Nothing from elsewhere, nothing inline, no frame around it, and no talking to other servers.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), speaker-selection=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # Asked for again every time, so that page and server are always of one version; the ETag makes that cheap.
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    type: str
    etag: str

    @classmethod
    def read(cls, path: Path) -> _File:
        content = path.read_bytes()
        return cls(content, _TYPES[path.suffix], f'"{hashlib.sha256(content).hexdigest()[:32]}"')

    async def serve(self, request: Request) -> Response:
        """Answer with the file, or that the browser has it already."""
        headers = {**HEADERS, "ETag": self.etag}
        known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
        if self.etag in known or "*" in known:
            return Response(status_code=304, headers=headers)
        return Response(self.content, headers={**headers, "Content-Type": self.type})


def playground_routes() -> list[BaseRoute]:
    """Return the routes of the page, its styles and its modules; they are read once."""
    return [Route(path, _File.read(file).serve, methods=["GET"]) for path, file in PATHS.items()]
