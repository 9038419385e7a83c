"""The service from beginning to end: its sockets, TLS, and what it leaves behind."""

import contextlib
import http.client
import os
import re
import signal
import socket
import ssl
import subprocess
from pathlib import Path

import pytest
from serving import Service, serving

from qemu_bridge.gateway.service import Serving

from .test_listen import TOKEN, pair, token_file

pytestmark = pytest.mark.guest
__all__ = ["pair", "token_file"]


def test_the_token_is_in_no_part_of_the_address_that_is_sent():
    assert Serving("http://127.0.0.1:1/", "x").page == "http://127.0.0.1:1/#token=x"
    assert Serving("unix:/x", None).page == "unix:/x"


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGHUP, marks=pytest.mark.long)])
def test_a_signal_ends_it_quietly_also_with_clients_that_listen(machine, number):
    with serving("--listen", "127.0.0.1:0") as (process, told):
        found = Service(process, told)
        with contextlib.closing(found.connection()) as connection:
            path = f"/api/machines/{machine.name}/events"
            connection.request("GET", path, headers={"authorization": f"Bearer {found.token}"})
            with connection.getresponse() as answer:
                assert answer.readline()
                process.send_signal(number)
                answer.read()
        assert process.wait(60) == 0
    assert machine.client.status().runstate == "running"


def test_over_tls_with_the_token_of_a_file(machine, pair, token_file):
    words = ("--tls-cert", pair[0], "--tls-key", pair[1], "--token-file", token_file, "--host-name", "box")
    with serving("--listen", "127.0.0.1:0", *map(str, words)) as (_, told):
        assert told["token"] == TOKEN and told["url"].startswith("https://box:")
        port = int(told["url"].rpartition(":")[2].strip("/"))
        context = ssl.create_default_context(cafile=pair[0])
        with contextlib.closing(
            http.client.HTTPSConnection("127.0.0.1", port, timeout=60, context=context)
        ) as connection:
            sent = {"authorization": f"Bearer {TOKEN}", "host": f"box:{port}"}
            connection.request("GET", "/api/machines", headers=sent)
            with connection.getresponse() as answer:
                assert answer.status == 200
        with socket.create_connection(("127.0.0.1", port), timeout=60) as plain:
            plain.sendall(b"GET /api/machines HTTP/1.1\r\nHost: box\r\n\r\n")
            assert b"200" not in plain.recv(1000)


def test_over_a_unix_socket(machine, tmp_path):
    path = tmp_path / "gate"
    with serving("--listen", f"unix:{path}", "--host-name", "glassbox.example") as (_, told):
        assert told == {"url": f"unix:{path}", "token": None}
        for host, status in (("localhost", b"200"), ("glassbox.example", b"200"), ("evil.example", b"421")):
            with socket.socket(socket.AF_UNIX) as raw:
                raw.settimeout(60)
                raw.connect(str(path))
                raw.sendall(f"GET /api/machines HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                assert raw.recv(100).split()[1] == status
    assert not path.exists()


@pytest.mark.long
def test_the_commands_of_the_document_work(service, machine, tmp_path):
    text = (Path(__file__).parents[3] / "docs/serve.md").read_text()
    commands = re.findall(r"^curl .*$", text, re.MULTILINE)
    assert len(commands) == text.count("curl -") > 5  # none is written in a way that is not seen here
    given = os.environ | {"URL": service.url, "TOKEN": service.token}
    for command in commands:
        words = [
            "bash",
            "-c",
            command.replace("curl -s", "curl -sS --fail-with-body").replace("/demo/", f"/{machine.name}/"),
        ]
        done = subprocess.run(words, cwd=tmp_path, env=given, capture_output=True, timeout=300, check=False)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
    assert (tmp_path / "page.bin").stat().st_size == 4096 and (tmp_path / "demo.png").read_bytes()[1:4] == b"PNG"


@pytest.mark.long
def test_ten_thousand_requests_of_a_load_tool(service, machine):
    words = ["hey", "-n", "10000", "-c", "20", "-H", f"Authorization: Bearer {service.token}"]
    done = subprocess.run(
        [*words, f"{service.url}api/machines/{machine.name}/ps"], capture_output=True, text=True, check=True
    )
    assert "[200]\t10000 responses" in done.stdout and "Error distribution" not in done.stdout, done.stdout
