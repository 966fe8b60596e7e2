"""The web servers of the how-to in front of a real server: REST, WebSockets and calls pass through."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trustme
from websockets.asyncio.client import connect

from tests.calling import Caller, loud
from tests.e2e.howto import changed, code
from tests.serving import ServerProcess, free_port, serving

PAGE = "https-behind-nginx-or-caddy"
NAME = "voice.example.com"
KEY = "sk-the-key"
HEADERS = {"Authorization": f"Bearer {KEY}"}


@dataclass(frozen=True)
class Proxy:
    port: int
    plain_port: int | None
    trust: ssl.SSLContext

    @property
    def base_url(self) -> str:
        return f"https://localhost:{self.port}/v1"


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with serving(environment={"ANTIPHON_API_KEYS": KEY}) as locked:
        yield locked


@pytest.fixture(scope="module", params=["nginx", "caddy"])
def proxy(
    request: pytest.FixtureRequest, server: ServerProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    program = shutil.which(request.param) or shutil.which(request.param, path="/usr/sbin")
    if program is None:
        pytest.skip(f"NOT TESTED: {request.param} is not installed (apt-get install {request.param})")
    folder = tmp_path_factory.mktemp(request.param)
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", NAME)
    issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    port, plain_port = free_port(), free_port()
    if request.param == "nginx":
        command = nginx(program, folder, server.port, port, plain_port)
        found = Proxy(port, plain_port, trust)
    else:
        command = caddy(program, folder, server.port, port)
        found = Proxy(port, None, trust)
    with running(command, folder, port):
        yield found


def nginx(program: str, folder: Path, upstream: int, port: int, plain_port: int) -> list[str]:
    """Write the how-to's configuration with our ports and certificate, inside what a distribution's nginx.conf has."""
    site = changed(
        code(PAGE, "nginx"),
        {
            "listen 80;": f"listen 127.0.0.1:{plain_port};",
            "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
            f"/etc/letsencrypt/live/{NAME}/fullchain.pem": str(folder / "cert.pem"),
            f"/etc/letsencrypt/live/{NAME}/privkey.pem": str(folder / "key.pem"),
            "127.0.0.1:8080": f"127.0.0.1:{upstream}",
        },
    )
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;\n" if os.geteuid() == 0 else ""  # else its workers could not write into the folder
    around = f"{user}pid {folder}/pid;\ndaemon off;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}{site}}}\n"
    (folder / "nginx.conf").write_text(around)
    return [program, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]


def caddy(program: str, folder: Path, upstream: int, port: int) -> list[str]:
    """Write the how-to's configuration with our port and certificate."""
    site = changed(
        code(PAGE, "caddyfile"),
        {
            f"{NAME} {{": f"https://localhost:{port} {{\n\ttls {folder}/cert.pem {folder}/key.pem",
            "127.0.0.1:8080": f"127.0.0.1:{upstream}",
        },
    )
    (folder / "Caddyfile").write_text(
        f"{{\n\tadmin off\n\tauto_https disable_redirects\n\tstorage file_system {folder}\n}}\n{site}"
    )
    return [program, "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


@contextmanager
def running(command: list[str], folder: Path, port: int) -> Iterator[None]:
    """Run a web server until the block ends."""
    with (folder / "output").open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env={"HOME": str(folder)})
    try:
        deadline = time.monotonic() + 20
        while not listens(port):
            told = (folder / "output").read_text()
            assert process.poll() is None and time.monotonic() < deadline, told
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(10)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_rest(proxy: Proxy) -> None:
    with httpx2.Client(verify=proxy.trust, timeout=60) as http:
        assert http.get(f"{proxy.base_url}/models", headers=HEADERS).status_code == 200
        refused = http.get(f"{proxy.base_url}/models", headers={"Origin": "https://app.example"})
        assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, "*")
        root = proxy.base_url.removesuffix("/v1")
        assert http.get(f"{root}/healthz").status_code == 200
        assert http.get(f"{root}/metrics", headers=HEADERS).status_code == 404


def test_plain_http_leads_to_https(proxy: Proxy) -> None:
    if proxy.plain_port is None:
        pytest.skip("Caddy does it by itself, at port 80")
    answer = httpx2.get(f"http://127.0.0.1:{proxy.plain_port}/v1/models?x=1", headers={"Host": NAME}, timeout=60)
    assert (answer.status_code, answer.headers["location"]) == (301, f"https://{NAME}/v1/models?x=1")


async def test_websockets_with_large_frames(proxy: Proxy) -> None:
    url = f"wss://localhost:{proxy.port}/v1/realtime?model=gpt-realtime"
    async with connect(url, additional_headers=HEADERS, ssl=proxy.trust, max_size=None) as client:
        assert json.loads(await client.recv())["type"] == "session.created"
        audio = base64.b64encode(bytes(2_000_000)).decode()
        update = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
        await client.send(json.dumps({"type": "session.update", "session": update}))
        await client.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
        await client.send(json.dumps({"type": "input_audio_buffer.commit"}))
        kinds = [json.loads(await client.recv())["type"] for _ in range(2)]
        assert kinds == ["session.updated", "input_audio_buffer.committed"]


async def test_a_call(proxy: Proxy) -> None:
    tools: list[dict[str, Any]] = [
        {"type": "function", "name": f"tool_{number}", "description": "x" * 15_000} for number in range(100)
    ]
    session = {"type": "realtime", "tools": tools}
    caller = Caller()
    try:
        async with httpx2.AsyncClient(verify=proxy.trust, timeout=20, headers=HEADERS) as http:
            form = [
                ("sdp", (None, await caller.offer(), "application/sdp")),
                ("session", (None, json.dumps(session), "application/json")),
            ]
            answer = await http.post(f"{proxy.base_url}/realtime/calls", files=form)
            assert answer.status_code == 201, answer.text
            await caller.take(answer.text)
            caller.microphone.say(loud(0.5))
            await caller.expect("input_audio_buffer.speech_stopped")
            hung_up = await http.post(f"https://localhost:{proxy.port}{answer.headers['location']}/hangup")
            assert hung_up.status_code == 200
    finally:
        await caller.close()
