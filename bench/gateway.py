"""The gateway: ``ps`` over REST against a bare FastAPI route that returns the same bytes."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

from qemu_bridge.client import Client

from .booted import booted
from .figures import Figure, paired_medians

_NAME = "bench-gateway"
_REQUESTS, _CONNECTIONS = 2000, 50
"""Connections as the load tool has them by default."""
_BARE = """
import socket, sys
import uvicorn
from fastapi import FastAPI
from fastapi.responses import Response

app, body = FastAPI(), sys.stdin.buffer.read()

@app.get("/ps")
async def ps() -> Response:
    return Response(body, media_type="application/json")

# By its number TCP is known to asyncio, which then sends at once.
with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
    listener.bind(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(app, http="httptools", log_level="error", access_log=False)).run(sockets=[listener])
"""


def measure(rounds: int) -> list[Figure]:
    """Requests a second of both, asked alternately by the load tool ``hey`` over connections that stay open."""
    if shutil.which("hey") is None:
        print("bench: gateway needs the load tool hey; ./bootstrap test installs it", file=sys.stderr)
        return []
    with booted(_NAME) as client, _serving() as (url, token):
        own = f"{url}api/machines/{_NAME}/ps"
        with _bare(_fetch(own, token)) as bare:
            ours, theirs, ratio = paired_medians(lambda: _load(own, token), lambda: _load(bare, token), rounds)
            alone, bare_alone, ratio_alone = paired_medians(
                lambda: _load(own, token, 1), lambda: _load(bare, token, 1), min(rounds, 3)
            )
            direct = _direct(client)
            client.pause()
            paused, bare_then, ratio_paused = paired_medians(
                lambda: _load(own, token), lambda: _load(bare, token), rounds
            )
    detail = f"{1 / ours:.0f} against {1 / theirs:.0f} requests a second, {_CONNECTIONS} connections, running guest"
    still = (
        f"{1 / paused:.0f} against {1 / bare_then:.0f} requests a second: nothing changes, so nothing is asked again"
    )
    one = f"{1e3 * alone:.2f} ms against {1e3 * bare_alone:.2f} ms; {1e3 * direct:.2f} ms by a client without HTTP"
    return [
        Figure("REST ps / bare FastAPI route of the same bytes", 1 / ratio, "x", ">= 0.5", detail),
        Figure("REST ps / the same, paused guest", 1 / ratio_paused, "x", ">= 0.5", still),
        Figure("REST ps / the same, one connection", 1 / ratio_alone, "x", "", one),
    ]


def _load(url: str, token: str, connections: int = _CONNECTIONS) -> float:
    """Seconds per request of the load tool, all of which must succeed."""
    requests = _REQUESTS if connections > 1 else _REQUESTS // 20
    words = ["hey", "-n", str(requests), "-c", str(connections), "-H", f"Authorization: Bearer {token}", url]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    if f"[200]\t{requests // connections * connections} responses" not in told:
        raise RuntimeError(f"not every request succeeded: {told[-600:]}")
    found = re.search(r"Requests/sec:\s*([\d.]+)", told)
    assert found is not None
    return 1 / float(found[1])


def _direct(client: Client) -> float:
    begun = time.perf_counter()
    for _ in range(100):
        client.ps()
    return (time.perf_counter() - begun) / 100


def _fetch(url: str, token: str) -> bytes:
    host, _, path = url.removeprefix("http://").partition("/")
    with contextlib.closing(http.client.HTTPConnection(host, timeout=60)) as connection:
        connection.request("GET", f"/{path}", headers={"authorization": f"Bearer {token}"})
        with connection.getresponse() as answer:
            return answer.read()


@contextlib.contextmanager
def _serving() -> Iterator[tuple[str, str]]:
    """(address, token) of ``glassbox serve``."""
    words = [sys.executable, "-m", "qemu_bridge.cli", "serve", "--listen", "127.0.0.1:0", "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        yield told["url"], told["token"]
        process.terminate()


@contextlib.contextmanager
def _bare(body: bytes) -> Iterator[str]:
    """The address of a route that returns `body` and does nothing else."""
    words = [sys.executable, "-c", _BARE]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(body)
        process.stdin.close()
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/ps"
        process.terminate()
