"""Writing captures: byte for byte, all of one moment, nothing overwritten, and the guest runs on."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys

import pytest
from open_captures import end, let_go
from support import glassbox, wait_until

from qemu_bridge.captures.files import check_ram, read_manifest
from qemu_bridge.captures.write import Hooks, write_capture
from qemu_bridge.client import Client
from qemu_bridge.errors import HostError
from qemu_bridge.machine import launch
from qemu_bridge.wire import capture_names as capture

pytestmark = pytest.mark.guest


def test_ram_is_the_machines_byte_for_byte_and_holes_stay_holes(taken, machine):
    folder, manifest, _, _ = taken
    assert check_ram(folder)
    ram = folder / capture.RAM
    assert ram.stat().st_size == manifest.ram_bytes == machine.ram.size
    assert ram.stat().st_blocks <= 1.01 * os.stat(machine.client.connection.ram_path).st_blocks


def test_the_guest_runs_on_and_stood_still_for_a_moment_only(machine, tmp_path):
    manifest = machine.client.capture(str(tmp_path / "one"))
    assert machine.client.status().runstate == "running"
    assert 0 < manifest.paused_s < 5 and manifest.grade == "paused"
    assert machine.client.capture(str(tmp_path / "two"), live=True).paused_s == 0


def test_a_capture_of_a_capture_is_one(taken, tmp_path):
    copy = tmp_path / "copy"
    assert glassbox("capture", str(taken[0]), "-o", str(copy)).returncode == 0
    assert read_manifest(copy).checksums[capture.RAM] == taken[1].checksums[capture.RAM]


def test_a_612_kernel_and_a_guest_that_has_not_booted_can_be_captured(machine_612, image, tmp_path):
    machine_612.client.capture(str(tmp_path / "new"))
    assert read_manifest(tmp_path / "new").release.startswith("6.12")
    launch.launch(launch.MachineConfig(name="unbooted", kernel=image.kernel, qemu_args=("-S",)))
    with Client.connect("unbooted") as client:
        try:
            manifest = client.capture(str(tmp_path / "early"))
        finally:
            client.stop()
    assert manifest.release == "" and manifest.skipped
    done = glassbox("ps", str(tmp_path / "early"))
    let_go(tmp_path / "early")
    assert done.returncode == 1 and "no running Linux kernel" in done.stderr


def test_nothing_is_overwritten_unless_asked_and_only_captures_are(machine, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "letter").write_text("dear")
    for options in ([], ["--force"]):
        done = glassbox("capture", machine.name, "-o", str(folder), *options)
        assert done.returncode == 2, done
    assert (folder / "letter").read_text() == "dear"
    assert glassbox("capture", machine.name, "-o", str(tmp_path / "new")).returncode == 0
    assert glassbox("capture", machine.name, "-o", str(tmp_path / "new")).returncode == 2
    assert glassbox("capture", machine.name, "-o", str(tmp_path / "new"), "--force").returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "new"]


def test_what_was_replaced_is_not_answered_from_what_was_there_before(machine, tmp_path):
    folder = tmp_path / "again"
    assert glassbox("capture", machine.name, "-o", str(folder)).returncode == 0
    assert "54321" not in glassbox("ps", str(folder)).stdout
    first = launch.capture_name(folder)
    with Client.connect(machine.name) as client:
        client.exec("sleep 54321 >/dev/null 2>&1 &")
    try:
        assert glassbox("capture", machine.name, "-o", str(folder), "--force").returncode == 0
    finally:
        with Client.connect(machine.name) as client:
            client.exec("pkill -f 54321")
    # Well within the time for which the daemon of the first waits for more questions.
    assert "54321" in glassbox("ps", str(folder)).stdout
    let_go(folder)
    end(first)
    (folder / "ram").unlink()
    refused = glassbox("ps", str(folder))
    assert refused.returncode == 2 and "no RAM" in refused.stderr


def test_a_guest_runs_on_when_its_capture_is_ended(machine, tmp_path):
    command = [sys.executable, "-m", "qemu_bridge.cli", "capture", machine.name, "-o", str(tmp_path / "half")]
    ending = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with Client.connect(machine.name) as client:
        wait_until(lambda: client.status().runstate == "paused" or ending.poll() is not None)
        ending.send_signal(signal.SIGTERM)
        _, talk = ending.communicate(timeout=120)
        assert "Traceback" not in talk and client.status().runstate == "running"
    assert ending.returncode == 0 or list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_and_leaves_nothing(machine, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1 << 20))
    hooks = Hooks(lambda: contextlib.nullcontext(False), lambda done, total: None, lambda path: None)
    with pytest.raises(HostError, match="free space"):
        write_capture(machine.client, tmp_path / "big", hooks)
    assert list(tmp_path.iterdir()) == [] and machine.client.status().runstate == "running"


def test_an_attached_machine_can_be_captured(taken, tmp_path):
    image = tmp_path / "image.ram"
    shutil.copy(taken[0] / capture.RAM, image)
    assert glassbox("attach", "mine", "--ram", str(image)).returncode == 0
    try:
        assert glassbox("capture", "mine", "-o", str(tmp_path / "again")).returncode == 0
    finally:
        glassbox("stop", "mine")
    assert read_manifest(tmp_path / "again").release == taken[1].release
