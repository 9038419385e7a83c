"""Bulk reads against RAM, the page map and the files themselves."""

import json
import os

import numpy as np
import pytest

from qemu_bridge.gateway.paths import file_path
from qemu_bridge.memory.addresses import PhysicalAddress
from qemu_bridge.wire.page_map import ENTRY

pytestmark = pytest.mark.guest


def test_ranges_of_ram_are_the_bytes_of_ram(service, machine):
    path = f"/api/machines/{machine.name}/ram"
    with machine.paused():
        for first, last in (
            (0x1000000, 0x100000F),
            (0, 0),
            (machine.ram.size - 1, machine.ram.size + 99),
            (4090, 600_000),
        ):
            answer = service.get(path, range=f"bytes={first}-{last}")
            expected = machine.ram.view[first : last + 1].tobytes()
            assert answer.status == 206 and answer.body == expected
            assert answer.headers["content-range"] == f"bytes {first}-{first + len(expected) - 1}/{machine.ram.size}"
        place = machine.client.identify("init_task").value
        found = service.get(path, range=f"bytes={place.ram_offset}-{place.ram_offset + 63}").body
        assert found == machine.ram.read(PhysicalAddress(place.physical), 64)


def test_the_whole_of_ram_is_sent_and_its_size_is_told_before(service, machine):
    path = f"/api/machines/{machine.name}/ram"
    head = service.call("HEAD", path)
    assert head.status == 200 and int(head.headers["content-length"]) == machine.ram.size and not head.body
    assert head.headers["accept-ranges"] == "bytes"
    with machine.paused():
        answer = service.get(path)
        assert answer.status == 200 and (np.frombuffer(answer.body, np.uint8) == machine.ram.view).all()


@pytest.mark.parametrize("text", ["bytes=5-4", "bytes=0-1,3-4", "bytes=99999999999-", "lies", "bytes=0-" + "9" * 4000])
def test_a_range_that_lies_is_refused_with_the_size(service, machine, text):
    answer = service.get(f"/api/machines/{machine.name}/ram", range=text)
    assert answer.status == 416 and answer.headers["content-range"] == f"bytes */{machine.ram.size}"
    assert len(answer.body) < 1000 and answer.error["kind"] == "WrongRange"


def test_of_memory_that_changes_no_part_continues_another(service, machine):
    path = f"/api/machines/{machine.name}/ram"
    answer = service.call("HEAD", path, range="bytes=0-1", if_range='"x"')
    assert answer.status == 200 and int(answer.headers["content-length"]) == machine.ram.size


def test_the_page_map_is_that_of_the_client(service, machine):
    path = f"/api/machines/{machine.name}/page-map"
    with machine.paused():
        expected = machine.client.page_map().value
        answer = service.get(path)
        assert answer.status == 200 and len(answer.body) == 8 * machine.ram.page_count
        assert (np.frombuffer(answer.body, ENTRY)["page_class"] == expected.entries["page_class"]).all()
        assert (np.frombuffer(answer.body, ENTRY)["owner_id"] == expected.entries["owner_id"]).all()


def test_owners_and_entries_are_of_one_generation(service, machine):
    path = f"/api/machines/{machine.name}"
    header = service.get(f"{path}/refresh_page_map").json()["value"]
    generation = header["generation"]
    part = service.get(f"{path}/page-map?generation={generation}", range="bytes=8-15")
    assert part.status == 206 and len(part.body) == 8
    again = service.get(f"{path}/page-map?generation={generation}", range="bytes=0-7", if_range=part.headers["etag"])
    assert again.status == 206
    assert service.get(f"{path}/page-map", range="bytes=0-7", if_range=part.headers["etag"]).status == 200
    gone = service.get(f"{path}/page-map?generation={generation}")
    assert gone.status == 409 and gone.error["kind"] == "PageMapOverwrittenError"
    for wrong in ("-1", "x", "1" * 30, "%00"):
        assert service.get(f"{path}/page-map?generation={wrong}").status in (400, 409)


def test_files_are_listed_read_in_parts_and_removed(service, reader, machine):
    path = f"/api/machines/{machine.name}/files"
    own = file_path(machine.name, "notes.txt")
    own.write_bytes(bytes(range(256)) * 4096)
    link = file_path(machine.name, "link")
    link.symlink_to("/etc/passwd")
    os.mkfifo(file_path(machine.name, "fifo"))
    try:
        rows = {row["name"]: row for row in service.get(path).json()}
        assert rows["notes.txt"]["size_bytes"] == 1 << 20 and "link" not in rows
        assert service.get(f"{path}/notes.txt").body == own.read_bytes()
        assert service.get(f"{path}/notes.txt", range="bytes=255-256").body == b"\xff\x00"
        for other in (
            "link",
            "fifo",
            "none",
            "%2e%2e",
            "..%2f..%2fetc%2fpasswd",
            "%2fetc%2fpasswd",
            "....//",
            "link%00",
        ):
            answer = service.get(f"{path}/{other}")
            assert answer.status in (400, 404) and b"root:" not in answer.body, other
        assert reader.call("DELETE", f"{path}/notes.txt").status == 403 and own.exists()
        assert service.call("DELETE", f"{path}/notes.txt").status == 200 and not own.exists()
        assert service.call("DELETE", f"{path}/link").status == 404 and link.is_symlink()
    finally:
        for name in ("notes.txt", "link", "fifo"):
            file_path(machine.name, name).unlink(missing_ok=True)


@pytest.mark.parametrize(
    "path",
    [
        "/api/machines/..%2f/ram",
        "/api/machines/%2e%2e/files",
        "/../../etc/passwd",
        "/docs/../page.css",
        "//etc/passwd",
        "/page.js/../../answers.py",
    ],
)
def test_no_path_leads_out_of_the_service(service, path):
    answer = service.get(path)
    assert answer.status in (400, 404) and json.loads(answer.body)["error"]["message"]
