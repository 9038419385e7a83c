"""A QEMU of somebody else's: it is read, paused when asked, and left alone."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest
from foreign_qemu import foreign, shared
from support import glassbox, is_running, shared_files, wait_until

from qemu_bridge.client import Client
from qemu_bridge.daemon.backends import attached as attach
from qemu_bridge.daemon.backends.find import find_backend
from qemu_bridge.errors import MachineError, UnknownMachineError
from qemu_bridge.machine import launch
from qemu_bridge.machine.requests import AttachRequest
from qemu_bridge.memory.addresses import GIB, RamLayout, RamRegion
from qemu_bridge.wire import connection
from qemu_bridge.wire.event_records import ExitedEvent
from qemu_bridge.wire.records import Origin, PageClass


@pytest.mark.guest
def test_a_foreign_guest_is_read_paused_and_left_alone(guest, let_go):
    launch.attach("mine", qmp=guest.qmp)
    with Client.connect("mine") as client:
        client.wait_ready()
        assert "init" in [process.name for process in client.ps()]
        assert client.maps(1) and client.sym("init_task")
        assert (client.page_map().value.entries["page_class"] > 2).sum() > 1000
        client.pause()
        assert client.status().runstate == "paused" and client.qmp("query-status")["running"] is False
        client.resume()
        status = client.status()
        assert (status.runstate, status.origin, status.machine) == ("running", "attached", "pc")
        assert status.ram_bytes == 128 << 20 and status.vcpus == 1
        with pytest.raises(MachineError, match=r"runs no Glass Box shell.*log in"):
            client.exec("true")
    assert "does not have the console" in glassbox("console", "mine").stderr
    done = glassbox("stop", "mine")
    assert done.returncode == 0 and "its QEMU keeps running" in done.stderr
    assert is_running(guest.process.pid) and guest.ram.exists() and not shared_files("mine")
    # It may be joined again, and by another name.
    launch.attach("other", qmp=guest.qmp)
    with Client.connect("other") as client:
        assert client.status().runstate == "running"


@pytest.mark.guest
@pytest.mark.parametrize(
    ("machine_type", "size"), [pytest.param("pc", "256M", marks=pytest.mark.long), ("q35", "4608M")]
)
def test_a_foreign_guest_of_several_vcpus_with_kaslr_is_read(machine_type, size, image, tmp_path, let_go):
    if image.bzimage is None:
        pytest.skip("this image has no bzImage, which is what moves the kernel")
    serial = tmp_path / "serial.log"
    words = ("-kernel", str(image.bzimage), "-initrd", str(image.initrd), "-append", image.command_line, "-smp", "3")
    with foreign(tmp_path, *shared(tmp_path, size, machine_type), *words, "-serial", f"file:{serial}") as qemu:
        wait_until(lambda: serial.exists() and b"glassbox: ready" in serial.read_bytes())
        launch.attach("mine", qmp=qemu.qmp)
        with Client.connect("mine") as client:
            status = client.status()
            assert (status.machine, status.vcpus) == (machine_type, 3)
            assert client.kernel().value.kaslr_offset != 0
            assert client.ram.layout == RamLayout.from_rule(machine_type, int(size[:-1]) << 20)
            client.pause()
            page_map, names = client.page_map().value, [process.name for process in client.ps()]
            assert {"init", "cpuhp/2"} <= set(names)
            unknown = page_map.counts().get(PageClass.OTHER, 0)
            assert unknown <= 0.005 * client.ram.resident_pages().sum() and not page_map.skipped
            # What lies above the hole is found there: the kernel allocates from the top.
            last = client.resolve("pid:1/heap").value.ranges[-1].physical
            assert (last >= 4 * GIB) == (machine_type == "q35")
            client.resume()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_end_of_a_foreign_qemu_is_told(number, tmp_path, let_go):
    with foreign(tmp_path, *shared(tmp_path), "-S") as qemu:
        launch.attach("mine", qmp=qemu.qmp)
        client = Client.connect("mine")
        heard = []
        listener = threading.Thread(target=lambda: heard.extend(client.events()))
        listener.start()
        wait_until(lambda: heard)
        assert heard[0].runstate == "paused"
        qemu.end(number)
        listener.join(20)
        assert isinstance(heard[-1], ExitedEvent) and "its QEMU ended" in heard[-1].reason
        wait_until(lambda: not connection.is_alive("mine"))
        assert qemu.ram.exists() and not shared_files("mine")
        with pytest.raises(UnknownMachineError, match="its QEMU ended"):
            connection.find_connection("mine")
        client.close()


def test_a_machine_of_ours_can_be_joined_and_keeps_its_ram(victim, let_go):
    # Its RAM file has a name like those that we remove.
    launch.attach("mine", qmp=Path(victim.connection.qmp_path))
    with Client.connect("mine") as client:
        assert client.connection.ram_path == victim.connection.ram_path
        client.stop()
    assert victim.status().runstate and Path(victim.connection.ram_path).exists()


def test_a_killed_daemon_leaves_a_foreign_qemu_and_its_ram(tmp_path, let_go):
    with foreign(tmp_path, *shared(tmp_path), "-S") as qemu:
        launch.attach("mine", qmp=qemu.qmp)
        found = connection.find_connection("mine")
        assert (found.qemu_pid, found.origin) == (0, "attached")
        os.kill(found.daemon_pid, signal.SIGKILL)
        wait_until(lambda: not connection.is_alive("mine"))
        assert connection.prune() == ["mine"]
        assert is_running(qemu.process.pid) and qemu.ram.exists()


@pytest.mark.parametrize("origin", [Origin.ATTACHED, Origin.IMAGE])
def test_prune_spares_the_ram_and_the_qemu_of_others_whatever_they_are_called(origin, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    ram, pages = (tmp_path / f"{connection.shared_prefix()}x.{end}" for end in ("ram", "pages"))
    sleeper = subprocess.Popen(["sleep", "60"])
    fields = dict.fromkeys(("control", "events", "qmp_path", "console_path", "log_path", "machine", "accelerator"), "")
    for path in (ram, pages):
        path.touch()
    connection.write_connection(
        connection.Connection(
            name="x", state="running", daemon_pid=1, ram_path=str(ram), page_map_path=str(pages), regions=(),
            origin=origin, qemu_pid=sleeper.pid, qemu_started=connection.process_started(sleeper.pid), **fields,
        )
    )  # fmt: skip
    assert connection.prune() == ["x"]
    assert ram.exists() and not pages.exists() and sleeper.poll() is None
    sleeper.kill()
    sleeper.wait()


def test_a_qmp_socket_that_serves_another_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(attach, "_GREETING_TIMEOUT_S", 0.3)
    with foreign(tmp_path, *shared(tmp_path), "-S") as qemu, socket.socket(socket.AF_UNIX) as other:
        other.connect(str(qemu.qmp))
        assert other.recv(100)
        with pytest.raises(MachineError, match=r"one client at a time: disconnect the other"):
            find_backend(AttachRequest("mine", qmp=qemu.qmp))


def test_a_socket_that_is_no_qmp_or_nobody_s_is_reported(tmp_path):
    path = tmp_path / "sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        with pytest.raises(MachineError, match="no process listens"):
            find_backend(AttachRequest("mine", qmp=path))
        server.listen()

        def answer():
            peer, _ = server.accept()
            with peer:
                peer.sendall(b"SSH-2.0\r\n")

        greeter = threading.Thread(target=answer)
        greeter.start()
        with pytest.raises(MachineError, match="not a QMP socket"):
            find_backend(AttachRequest("mine", qmp=path))
        greeter.join()


def test_a_machine_type_before_4_0_names_its_ram_by_a_path():
    tree = (
        'FlatView #0\n AS "memory", root: system\n  0000000000000000-0000000003ffffff (prio 0, ram): /objects/ram KVM\n'
    )
    assert attach._rows(tree, {"id": "ram"}) == RamLayout((RamRegion(0, 0, 64 << 20),))
    assert attach._rows(tree, {"id": "other"}) is None


def test_parts_of_ram_hidden_behind_devices_are_filled_in():
    told = RamLayout((RamRegion(0, 0, 0x7F800000), RamRegion(4 * GIB, 0x80000000, GIB)))
    assert attach.fill_gaps(told, 3 * GIB) == RamLayout.from_rule("q35", 3 * GIB)
    for regions in ((RamRegion(0x1000, 0x1000, 0x1000),), (RamRegion(0, 0, 0x1000), RamRegion(0x2000, 0x3000, 0x1000))):
        with pytest.raises(MachineError, match="not understood"):
            attach.fill_gaps(RamLayout(regions), 0x4000)
