"""Routes from the operation table: each row has one, and its answer is that of the client."""

import contextlib
import json
import os
import socket
from urllib.parse import quote

import pytest
from support import shared_files, wait_until

from qemu_bridge.client import Client
from qemu_bridge.gateway.paths import file_path
from qemu_bridge.gateway.schema import is_read_by_get
from qemu_bridge.machine.config import MachineConfig
from qemu_bridge.machine.launch import launch
from qemu_bridge.wire.json_text import decode_json, encode_json
from qemu_bridge.wire.operations import BY_NAME
from qemu_bridge.wire.records import Answer

pytestmark = pytest.mark.guest
SETTLED = (
    "kernel",
    "modules",
    "ps",
    "overlays",
    "maps?pid=1",
    "sym?symbol=init_task",
    "type_layout?name=list_head&depth=2",
    "targets?prefix=pid:1/",
    "resolve?target=pid:1/heap&by_page=true",
    "identify?place=init_task",
    "find_symbols?part=tcp_v4_*init",
)
ARGUMENTS = {
    "maps": {"pid": 1},
    "sym": {"symbol": "init_task"},
    "type_layout": {"name": "list_head", "depth": 2},
    "targets": {"prefix": "pid:1/"},
    "resolve": {"target": "pid:1/heap", "by_page": True},
    "identify": {"place": "init_task"},
    "find_symbols": {"part": "tcp_v4_*init"},
}


@pytest.mark.parametrize("name", BY_NAME)
def test_every_operation_has_a_route_of_its_method(service, name):
    methods = service.get("/openapi.json").json()["paths"][f"/api/machines/{{name}}/{name}"]
    assert list(methods) == ["get" if is_read_by_get(BY_NAME[name]) else "post"]
    other = service.call("PUT", f"/api/machines/nobody/{name}")
    assert other.status == 405


@pytest.mark.parametrize("path", SETTLED)
def test_the_answer_is_that_of_the_client(service, machine, path):
    name = path.partition("?")[0]
    with machine.paused():
        answer = service.get(f"/api/machines/{machine.name}/{path}")
        assert answer.status == 200, answer.body
        expected = machine.client.call(BY_NAME[name], ARGUMENTS.get(name, {}))
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()) == set(Answer.__struct_fields__)
    decoded = decode_json(answer.body, BY_NAME[name].result)
    assert comparable(decoded.value) == comparable(expected.value)


def comparable(value):
    """The JSON of a value without the number of the page map that it is of."""
    found = json.loads(encode_json(value))
    return {key: part for key, part in found.items() if key != "generation"} if isinstance(found, dict) else found


def test_lists_are_json_and_bytes_hexadecimal(service, machine):
    ranges = quote(json.dumps([["0x1000000", 16], [0x1000010, 16]]))
    with machine.paused():
        answer = service.get(f"/api/machines/{machine.name}/read_memory?ranges={ranges}&space=physical").json()
        expected = machine.client.read_memory([(0x1000000, 16), (0x1000010, 16)])
    assert answer["value"] == [part.hex() for part in expected]
    done = service.post(f"/api/machines/{machine.name}/exec", {"command": "echo hi; exit 3"}).json()
    assert done == {"exit_status": 3, "output": b"hi\n".hex(), "errors": "", "timed_out": False}


def test_the_machine_is_controlled_and_null_says_that_it_is_done(service, machine):
    try:
        assert service.post(f"/api/machines/{machine.name}/pause").json() is None
        assert machine.client.status().runstate == "paused"
        assert service.get(f"/api/machines/{machine.name}/ps").json()["grade"] == "paused"
    finally:
        assert service.post(f"/api/machines/{machine.name}/resume", {}).status == 200
    assert machine.client.status().runstate == "running"


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("maps", "missing required field pid"),
        ("maps?pid=one", "pid: expected integer, got string"),
        ("maps?pid=1&pid=2", "given twice"),
        ("maps?pid=1&x=2", "there is no argument 'x'"),
        ("read_memory?ranges=[", "ranges: expected [[address, integer], …], got string"),
        ("identify?place=%ff", "no symbol"),
        ("read_memory?ranges=" + quote(json.dumps([["0x0", 1 << 30]])), "4 MiB"),
    ],
)
def test_wrong_arguments_are_told_in_words(service, machine, path, says):
    answer = service.get(f"/api/machines/{machine.name}/{path}")
    assert answer.status == 400 and says.lower() in answer.error["message"].lower()


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        (b"{", "application/json", "invalid arguments"),
        (b"[]", "application/json", "expected object"),
        (b"\xff\xfe", "application/json", "invalid arguments"),
        (b"[" * 200_000, "application/json", "invalid arguments"),
        (b"{}", "text/plain", "text/plain"),
        (b'{"a":"' + b"x" * (2 << 20) + b'"}', "application/json", "larger than"),
    ],
    ids=("cut", "list", "bytes", "deep", "type", "large"),
)
def test_bodies_that_are_no_arguments_are_refused(service, machine, body, kind, says):
    answer = service.call("POST", f"/api/machines/{machine.name}/qmp", body, content_type=kind)
    assert answer.status == 400 and says in answer.error["message"]


def test_files_of_operations_stay_in_the_machines_folder(service, machine):
    base = f"/api/machines/{machine.name}"
    for output in ("../x.gbt", "/tmp/x.gbt", "a/b.gbt"):
        refused = service.post(f"{base}/trace_record", {"output": output, "options": {"seconds": 0.1}})
        assert refused.status == 400 and "file name" in refused.error["message"]
    refused = service.post(f"{base}/compare", {"before": "/etc"})
    assert refused.status == 400 and "file name" in refused.error["message"]
    path = file_path(machine.name, "short.gbt")
    path.unlink(missing_ok=True)
    try:
        recorded = service.post(f"{base}/trace_record", {"output": "short.gbt", "options": {"seconds": 0.3}})
        assert recorded.status == 200, recorded.body
        assert service.get(f"{base}/files/short.gbt", range="bytes=0-3").body == path.read_bytes()[:4]
        top = service.post(f"{base}/trace_top", {"file": "short.gbt", "options": {"count": 3}})
        assert top.status == 200 and len(top.json()["blocks"]) <= 3
    finally:
        path.unlink(missing_ok=True)


def test_a_client_that_vanishes_takes_its_job_along(service, machine):
    path = file_path(machine.name, "endless.gbt")
    path.unlink(missing_ok=True)
    body = json.dumps({"output": "endless.gbt", "options": {"seconds": 3600}}).encode()
    request = (
        f"POST /api/machines/{machine.name}/trace_record HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {service.token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    with socket.create_connection((service.host, int(service.port)), timeout=60) as raw:
        raw.sendall(request)
        wait_until(lambda: machine.client.trace_status().state in ("armed", "waiting"))
    wait_until(lambda: machine.client.trace_status().state == "disarmed")
    path.unlink(missing_ok=True)


def test_clients_that_vanish_leave_nothing(service, machine):
    def descriptors():
        return len(os.listdir(f"/proc/{service.process.pid}/fd"))

    lines = f"GET /api/machines/{machine.name}/PATH HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {service.token}\r\n\r\n"
    for path in ("ps", "page-map", "ram"):  # a client has its own
        assert service.get(f"/api/machines/{machine.name}/{path}", range="bytes=0-7").status in (200, 206)
    before = descriptors()
    for number in range(60):
        with (
            contextlib.suppress(OSError),
            socket.create_connection((service.host, int(service.port)), timeout=60) as raw,
        ):
            path = ("ram", "ps", "events", "page-map")[number % 4]
            # Whole requests whose answer nobody reads, and parts of them.
            raw.sendall(lines.replace("PATH", path).encode()[: None if number % 3 else 40])
            if number % 2 and number % 3:
                raw.recv(10)
    wait_until(lambda: descriptors() <= before)
    assert service.get(f"/api/machines/{machine.name}/ps").status == 200
    assert shared_files(machine.name), "the machine runs on"


def test_a_machine_that_starts_again_is_the_new_one(service, image):
    seen = set()
    for _ in range(2):
        with standing(image):
            answer = service.get("/api/machines/again/status")
            assert answer.status == 200
            seen.add(answer.json()["daemon_pid"])
            ram = service.get("/api/machines/again/ram", range="bytes=0-15")
            assert ram.status == 206
        assert service.get("/api/machines/again/status").status == 404
    assert len(seen) == 2


@contextlib.contextmanager
def standing(image):
    """A machine that stands before its first instruction."""
    launch(MachineConfig("again", image.kernel, image.initrd, image.command_line, qemu_args=("-S",)))
    with Client.connect("again") as client:
        try:
            yield
        finally:
            client.stop()
