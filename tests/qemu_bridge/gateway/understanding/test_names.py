"""Names of a guest, and what people call them."""

from __future__ import annotations

import pytest

from qemu_bridge.gateway.understanding import GuestNames
from qemu_bridge.gateway.understanding.names import find_exact, find_near


def meant(matches):
    return [(match.kind, *match.names) for match in matches]


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("ssh", [("process", "sshd")]),
        ("cron", [("process", "crond")]),
        ("netcat", [("process", "nc")]),
        ("shell", [("process", "sh")]),
        ("SYSLOGD", [("process", "syslogd")]),
        ("crnod", [("process", "crond")]),
        ("libc", [("file", "/lib/ld-musl-x86_64.so.1")]),
        ("busy", [("file", "/bin/busybox")]),
        ("tree", []),
        ("so", []),
    ],
)
def test_people_call_things_by_other_names(word, found, names):
    assert meant(find_near(names, word)) == found


def test_a_name_itself_is_exact_and_so_is_the_last_part_of_a_path(names):
    assert meant(find_exact(names, "fat")) == [("module", "fat")]
    assert meant(find_exact(names, "busybox")) == [("file", "/bin/busybox")]
    assert find_exact(names, "nosuch") == []


@pytest.mark.guest
def test_a_guests_names_are_those_of_its_tables(machine, tmp_path):
    found = GuestNames(machine.client, tmp_path)
    assert {"init", "crond", "syslogd"} <= {process.name for process in found.processes}
    assert "dentry" in found.slabs and any(path.endswith("/busybox") for path in found.files)
    assert set(found.modules) == {module.name for module in machine.client.modules()}
    assert found.is_symbol("init_task") and not found.is_symbol("no_such_symbol")
    assert found.is_type("task_struct") and not found.is_type("no_such_type")
    assert found.captures == () and found.traces == ()


@pytest.mark.guest
@pytest.mark.long
def test_captures_and_traces_are_those_in_the_folder_the_newest_last(machine, tmp_path):
    for name in ("b", "a"):
        machine.client.capture(str(tmp_path / name))
    (tmp_path / "demo.gbt").write_bytes(b"")
    found = GuestNames(machine.client, tmp_path)
    assert [path.rsplit("/", 1)[1] for path in (*found.captures, *found.traces)] == ["b", "a", "demo.gbt"]
