"""The recipes of docs/serve.md for proxies, run by the proxies: replies, an event stream, and the live picture."""

import asyncio
import http.client
import json
import re
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import pytest
import websockets
from serving import Service, serving
from support import wait_until

pytestmark = [pytest.mark.guest, pytest.mark.long]

DOCS = Path(__file__).parents[2] / "docs" / "serve.md"
NAME = "box.example.org"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A context that trusts the proxy, and the folder of its certificate and key."""
    folder = tmp_path_factory.mktemp("tls")
    words = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={NAME}"]
    words += ["-addext", f"subjectAltName=DNS:{NAME}", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"]
    subprocess.run(["openssl", "req", *words], check=True, capture_output=True)
    return ssl.create_default_context(cafile=folder / "cert.pem"), folder


@pytest.fixture(scope="module")
def hidden(machine):
    """A service that is known by the proxy's name."""
    with serving("--listen", "127.0.0.1:0", "--allow-control", "--host-name", NAME) as found:
        yield Service(*found)


def recipe(words):
    """The block of the docs that has these words."""
    blocks = re.findall(r"```\w*\n(.*?)```", DOCS.read_text(), re.S)
    return next(block for block in blocks if words in block)


def for_nginx(port, service, folder):
    words = (
        recipe("proxy_pass")
        .replace("listen 443", f"listen 127.0.0.1:{port}")
        .replace("127.0.0.1:8490", f"127.0.0.1:{service.port}")
    )
    words = words.replace("/etc/ssl/box.pem", f"{folder}/cert.pem").replace("/etc/ssl/box.key", f"{folder}/key.pem")
    own = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"pid {folder}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n{own}{words}}}\n"
    )
    return [
        shutil.which("nginx", path="/usr/sbin:/usr/bin"),
        "-p",
        folder,
        "-c",
        folder / "nginx.conf",
        "-g",
        "daemon off;",
    ]


def for_caddy(port, service, folder):
    block = recipe("reverse_proxy")
    block = block.replace(
        "127.0.0.1:8490", f"127.0.0.1:{service.port}\n    bind 127.0.0.1\n    tls {folder}/cert.pem {folder}/key.pem"
    )
    (folder / "Caddyfile").write_text(f"{{\nadmin off\nhttps_port {port}\nauto_https disable_redirects\n}}\n{block}")
    return [shutil.which("caddy"), "run", "--config", folder / "Caddyfile", "--adapter", "caddyfile"]


def is_listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(params=[for_nginx, for_caddy], ids=["nginx", "caddy"])
def proxied(request, hidden, certificate, tmp_path):
    """The port of a proxy before the service."""
    program = request.param.__name__.removeprefix("for_")
    if shutil.which(program, path="/usr/sbin:/usr/bin") is None:
        pytest.skip(f"{program} is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name in ("cert.pem", "key.pem"):
        shutil.copy(certificate[1] / name, tmp_path)
    with subprocess.Popen(request.param(port, hidden, tmp_path), stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_until(lambda: process.poll() is not None or is_listening(port))
            assert process.poll() is None, process.stderr.read()
            yield port
        finally:
            process.terminate()
            process.communicate(timeout=60)


class Proxied(http.client.HTTPSConnection):
    """A connection to the proxy by its name, which no resolver knows."""

    def __init__(self, port, context):
        super().__init__(NAME, port, context=context, timeout=60)

    def connect(self):
        plain = socket.create_connection(("127.0.0.1", self.port), self.timeout)
        self.sock = self._context.wrap_socket(plain, server_hostname=NAME)


def test_replies_events_and_pictures_come_through(proxied, hidden, certificate, machine):
    allowed = {"authorization": f"Bearer {hidden.token}"}
    asking = Proxied(proxied, certificate[0])
    asking.request("GET", f"/api/machines/{machine.name}/ps", headers=allowed)
    assert "init" in asking.getresponse().read().decode()
    asking.request("GET", f"/api/machines/{machine.name}/ps")
    answer = asking.getresponse()
    assert answer.status == 401 and answer.read()
    asking.close()

    listening = Proxied(proxied, certificate[0])
    listening.request("GET", f"/api/machines/{machine.name}/events", headers=allowed)
    with listening.getresponse() as events:
        with machine.paused():
            # Told while it happens: a proxy that collects would keep it.
            while "paused" not in events.readline().decode():
                pass
    listening.close()

    async def look():
        address = f"wss://{NAME}:{proxied}/api/machines/{machine.name}/live"
        protocols = ["glassbox", f"glassbox.token.{hidden.token}"]
        async with websockets.connect(
            address, host="127.0.0.1", port=proxied, ssl=certificate[0], subprotocols=protocols, max_size=None
        ) as live:
            await live.send(json.dumps({"do": "resize", "width": 320, "height": 200}))
            while not isinstance(found := await live.recv(), bytes):
                pass
            assert found[:2] == b"\xff\xd8"

    asyncio.run(look())
