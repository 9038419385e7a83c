"""A picture of a machine on another host is the one that its own host draws, and reads a part of its memory."""

from pathlib import Path

import pytest
from listening import attached, own_keys, trust
from support import OUT

from qemu_bridge.wire.picture_records import SnapOptions
from viewer.picture.snap import snap_machine


@pytest.mark.guest
@pytest.mark.long
def test_a_picture_by_tcp_is_the_same(machine, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    own_keys("read")
    with attached("pictured", qmp=Path(machine.client.connection.qmp_path)) as found, machine.paused():
        pictures, told = [], []
        for name in (found.name, trust(found)):
            path = tmp_path / f"{len(pictures)}.png"
            result = snap_machine(name, SnapOptions(str(path), 320, 200), reading=lambda *now: told.append(now))
            pictures.append((path.read_bytes(), result.at, result.title))
    (OUT / "remote.png").write_bytes(pictures[1][0])
    assert pictures[0] == pictures[1] and len(pictures[0][0]) > 5_000
    touched = int(machine.ram.resident_pages().sum()) * 4096
    assert told[-1][0] == told[-1][1] and 4 << 20 < told[-1][1] < touched / 2, (told[-1], touched)
