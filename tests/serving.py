"""The real ``glassbox serve``, and a client that sends exactly what it is told."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
from contextlib import contextmanager
from typing import NamedTuple


class Answer(NamedTuple):
    """What the service answered."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self):
        """The body, decoded."""
        return json.loads(self.body)

    @property
    def error(self):
        """The error in the body."""
        return self.json()["error"]


class Service:
    """A running ``glassbox serve``."""

    def __init__(self, process, told):
        self.process, self.url, self.token = process, told["url"], told["token"]
        self.host, self.port = self.url.removeprefix("http://").strip("/").split(":")

    def connection(self):
        """A connection of its own."""
        return http.client.HTTPConnection(self.host, int(self.port), timeout=60)

    def call(self, method, path, body=None, token=True, **headers):
        """One request; ``_`` in names of headers is ``-``. `body` is sent as JSON unless it is bytes."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            sent.setdefault("authorization", f"Bearer {self.token}")
        if body is not None and not isinstance(body, bytes):
            sent.setdefault("content-type", "application/json")
            body = json.dumps(body).encode()
        connection = self.connection()
        try:
            connection.putrequest(method, path, skip_host="host" in sent, skip_accept_encoding=True)
            for name, value in sent.items():
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("content-length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, path, **headers):
        """A GET."""
        return self.call("GET", path, **headers)

    def post(self, path, body=None, **headers):
        """A POST."""
        return self.call("POST", path, body, **headers)


@contextmanager
def serving(*words):
    """A service of its own, started by the command."""
    command = [sys.executable, "-m", "qemu_bridge.cli", "serve", "--json", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            yield process, json.loads(line)
        finally:
            process.terminate()
            errors = process.communicate(timeout=120)[1]
        # Not a traceback, whatever the tests sent.
        assert process.returncode == 0 and "Traceback" not in errors, errors


@contextmanager
def serving_models(*words):
    """(URL, token) of a ``glassbox mcp`` on HTTP."""
    command = [sys.executable, "-m", "qemu_bridge.cli", "mcp", *words, "--http", "127.0.0.1:0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            url = re.search(r"http://127\.0\.0\.1:\d+/mcp", process.stderr.readline())[0]
            yield url, process.stderr.readline().split()[-1]
        finally:
            process.terminate()
