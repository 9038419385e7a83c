"""The QEMU command line, and what is refused before QEMU is asked."""

import itertools
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from qemu_bridge.errors import HostError, UsageError
from qemu_bridge.machine.config import Endpoints, MachineConfig, check_ram_space, find_qemu, qemu_argv

ENDPOINTS = Endpoints(Path("/dev/shm/a,b.ram"), Path("/run/x.qmp"), Path("/state/console.log"), 5, 6, 7)
CONFIG = MachineConfig(name="demo")


def after(argv, flag):
    return [value for key, value in itertools.pairwise(argv) if key == flag]


def test_ram_is_a_shared_file_of_the_machine():
    argv = qemu_argv("qemu", CONFIG, ENDPOINTS)
    assert after(argv, "-object") == ["memory-backend-file,id=ram,mem-path=/dev/shm/a,,b.ram,size=134217728,share=on"]
    assert after(argv, "-machine") == ["pc,memory-backend=ram,hpet=off"]
    assert after(argv, "-m") == ["134217728B"]


def test_there_is_a_sandbox_and_no_network():
    argv = qemu_argv("qemu", CONFIG, ENDPOINTS)
    assert after(argv, "-sandbox")[0].startswith("on,") and "spawn=deny" in after(argv, "-sandbox")[0]
    assert after(argv, "-nic") == ["none"] and "-nodefaults" in argv


def test_a_network_card_is_on_the_socket_of_a_switch_and_on_nothing_else():
    argv = qemu_argv("qemu", CONFIG, replace(ENDPOINTS, net_fd=9, mac="52:54:00:67:62:01"))
    assert after(argv, "-netdev") == ["stream,id=net,server=on,addr.type=fd,addr.str=9"] and after(argv, "-nic") == [
        "none"
    ]
    assert "virtio-net-pci,netdev=net,mac=52:54:00:67:62:01,romfile=" in after(argv, "-device")
    assert not after(qemu_argv("qemu", CONFIG, ENDPOINTS), "-netdev")


def test_the_console_is_the_first_serial_port_and_the_agent_the_second_and_its_errors_the_fourth():
    argv = qemu_argv("qemu", CONFIG, ENDPOINTS)
    assert after(argv, "-serial") == ["chardev:console", "chardev:agent"]
    assert "isa-serial,chardev=errors,index=3,irq=7" in after(argv, "-device")


def test_arguments_of_the_user_come_last():
    config = replace(CONFIG, kernel=Path("/k"), append="quiet", qemu_args=("-device", "virtio-rng-pci"))
    argv = qemu_argv("qemu", config, ENDPOINTS)
    assert argv[-2:] == ["-device", "virtio-rng-pci"]
    assert after(argv, "-kernel") == ["/k"] and after(argv, "-append") == ["quiet"]


@pytest.mark.parametrize(
    "change",
    [
        {"memory": 0},
        {"memory": 3},
        {"memory": -(1 << 20)},
        {"memory": (128 << 20) + 1},
        {"smp": 0},
        {"smp": 256},
        {"machine": "microvm"},
        {"accelerator": "hvf"},
        {"kernel": Path("/nowhere")},
    ],
    ids=str,
)
def test_what_qemu_could_not_start_is_refused_in_words(change):
    with pytest.raises(UsageError, match=r"give|use"):
        replace(CONFIG, **change).validate()


def fake_qemu(folder, text):
    path = folder / "qemu-system-x86_64"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("echo QEMU emulator version 7.2.18", r"is QEMU 7\.2; install QEMU 9\.2 or later"),
        ("echo hello", "prints no version"),
        ("exit 3", "does not run"),
    ],
)
def test_a_qemu_that_will_not_do_is_named(text, sentence, tmp_path, monkeypatch):
    monkeypatch.setenv("GLASSBOX_QEMU", fake_qemu(tmp_path, text))
    with pytest.raises(HostError, match=sentence):
        find_qemu()


def test_no_qemu_says_what_to_install(monkeypatch):
    monkeypatch.setenv("GLASSBOX_QEMU", "/nowhere/qemu")
    with pytest.raises(HostError, match=r"not on this machine; install QEMU"):
        find_qemu()


def test_a_guest_larger_than_its_folder_is_refused(tmp_path):
    with pytest.raises(HostError, match="MiB free"):
        check_ram_space(tmp_path, 1 << 60)
    with pytest.raises(HostError, match="GLASSBOX_RAM_DIR"):
        check_ram_space(tmp_path / "nowhere", 1)


def test_ram_that_other_guests_did_not_touch_yet_is_not_free(tmp_path):
    """A guest's file is sparse, and what it may still fill counts; that of others who use the folder does not."""
    (tmp_path / "glassbox-folder").mkdir()
    status = os.statvfs(tmp_path)
    free, some = status.f_bavail * status.f_frsize, 1 << 30
    for name, refused in (("somebody's", False), ("glassbox-0-other-1.ram", True)):
        path = tmp_path / name
        path.touch()
        os.truncate(path, min(free - some // 2, 15 << 40))
        if not refused or path.stat().st_size < free - some:
            check_ram_space(tmp_path, some // 4)
            continue
        with pytest.raises(HostError, match=r"of which other guests may still fill .* MiB; the guest needs 1024 MiB"):
            check_ram_space(tmp_path, some)
        check_ram_space(tmp_path, 0)
        os.truncate(path, free + 4 * some)
        with pytest.raises(HostError):
            check_ram_space(tmp_path, 0)


@pytest.mark.parametrize(
    "arguments, most",
    [
        ((), 2),
        (("-smp", "4"), 4),
        (("-smp", "1,maxcpus=3"), 3),
        (("-smp", "cpus=1,maxcpus=9,sockets=9"), 9),
        (("-smp",), 2),
        (("-S", "-smp", "9999,maxcpus=9999"), 255),
        (("-smp", "sockets=7"), 2),
    ],
)
def test_the_trace_has_room_for_vcpus_that_may_be_plugged(arguments, most):
    assert replace(CONFIG, smp=2, qemu_args=arguments).most_vcpus == most
