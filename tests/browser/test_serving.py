"""How the playground's files are served, without a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

import httpx2 as httpx
import pytest

from antiphon.server.playground import FOLDER, PATHS
from tests.serving import ServerProcess, serving

KEY = "sk-a-key-of-the-playground"

get = partial(httpx.get, timeout=60)


@pytest.fixture(scope="module")
def locked() -> Iterator[ServerProcess]:
    with serving(environment={"ANTIPHON_API_KEYS": KEY}) as server:
        yield server
    assert KEY not in "\n".join(server.output)


@pytest.fixture(scope="module")
def site(stand_in_server: ServerProcess) -> str:
    return stand_in_server.base_url.removesuffix("/v1")


TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@pytest.mark.parametrize("path", PATHS)
def test_each_file_with_its_type_and_headers(site: str, path: str) -> None:
    answer = get(site + path)
    assert answer.status_code == 200
    assert answer.content == PATHS[path].read_bytes()
    assert answer.headers["content-type"] == TYPES[PATHS[path].suffix]
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "microphone=(self)" in answer.headers["permissions-policy"]


def test_a_browser_that_has_a_file_is_told_so(site: str) -> None:
    first = get(site + "/")
    assert first.headers["cache-control"] == "no-cache"
    tag = first.headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = get(site + "/", headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert "content-security-policy" in again.headers
    assert get(site + "/", headers={"If-None-Match": '"other"'}).status_code == 200
    assert get(site + "/playground/app.js").headers["etag"] != tag


def test_head(site: str) -> None:
    head = httpx.head(site + "/")
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) == len(PATHS["/"].read_bytes())


@pytest.mark.parametrize(
    "path", ["/playground/", "/playground/no.js", "/playground/..%2fapp.py", "/playground/../app.py"]
)
def test_nothing_else_is_served(site: str, path: str) -> None:
    assert get(site + path).status_code == 404


def test_with_keys_the_page_is_open_and_nothing_else(locked: ServerProcess) -> None:
    site = locked.base_url.removesuffix("/v1")
    assert all(get(site + path).status_code == 200 for path in PATHS)
    assert get(site + "/playground/no.js").status_code == 401
    assert get(site + "/v1/models").status_code == 401


def test_the_page_is_plain_and_whole() -> None:
    """No inline scripts or styles, nothing from elsewhere, and every file that is named is there."""
    page = (FOLDER / "index.html").read_text("utf-8")
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", page)
    named = {f"/{name}" for name in re.findall(r'(?:src|href)="(playground/[^"]+)"', page)}
    for module in FOLDER.glob("*.js"):
        text = module.read_text("utf-8")
        named |= {
            f"/playground/{name}"
            for name in re.findall(r"from '\./([^']+)'|new URL\('([^']+\.js)'", text)
            for name in name
            if name
        }
    assert named <= set(PATHS)
    assert {path for path in PATHS if path != "/"} == named
    everything = [page, *(file.read_text("utf-8") for file in FOLDER.glob("*.[jc]s*"))]
    assert not [
        url for text in everything for url in re.findall(r"https?://(?!www\.w3\.org/2000/svg|localhost)\S+", text)
    ]
