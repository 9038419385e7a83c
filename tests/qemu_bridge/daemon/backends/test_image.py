"""A file with RAM in it: what reads RAM works on it, kernels that nobody has seen included; nothing else does."""

from __future__ import annotations

import os
import re
import subprocess

import pytest
from support import glassbox, shared_files

from qemu_bridge.client import Client
from qemu_bridge.daemon.backends import image
from qemu_bridge.errors import GlassBoxError, GuestError, MachineError, UsageError
from qemu_bridge.machine import launch
from qemu_bridge.memory.addresses import GIB, RamLayout
from qemu_bridge.wire import connection
from qemu_bridge.wire.records import PageClass


def test_an_unreadable_image_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"cannot read .* \(File name too long\)"):
        image.image_size(tmp_path / ("x" * 300))


@pytest.mark.guest
def test_a_ram_image_answers_what_reads_ram_and_nothing_else(machine, tmp_path, let_go):
    image = tmp_path / f"{connection.shared_prefix()}copy.ram"
    with machine.paused():
        subprocess.run(["cp", "--sparse=always", machine.client.connection.ram_path, image], check=True)
        names = sorted(process.name for process in machine.client.ps())
        modules = machine.client.modules().value
    assert glassbox("attach", "mine", "--ram", str(image)).stdout == "mine\n"
    with Client.connect("mine") as client:
        assert sorted(process.name for process in client.ps()) == names
        assert client.modules().value == modules and client.maps(1) and client.sym("init_task")
        assert client.page_map().value.grade == "capture" and client.kernel().value.release
        assert client.ram.read(0, 16) == machine.ram.read(0, 16)
        status = client.status()
        assert (status.runstate, status.origin, status.qemu_pid) == ("paused", "image", 0)
        for ask in (client.pause, client.resume, lambda: client.qmp("query-cpus-fast"), lambda: client.exec("ls")):
            with pytest.raises(MachineError, match=r"does not run|is a RAM image"):
                ask()
    assert glassbox("find", "mine", "Linux version 6", "--limit", "1").returncode == 0
    assert glassbox("peek", "mine", "0x1000000", "64").returncode == 0
    assert glassbox("stop", "mine").returncode == 0
    assert image.exists() and not shared_files("mine")


@pytest.mark.guest
def test_an_image_that_is_cut_short_while_it_is_read_is_said_and_ends_no_daemon(machine, tmp_path, let_go):
    image = tmp_path / "short.ram"
    with machine.paused():
        machine.ram.copy_to(image)
    assert glassbox("attach", "mine", "--ram", str(image)).returncode == 0
    with Client.connect("mine") as client:
        assert client.refresh_page_map() and client.ps()
        # Pages that the worker has mapped are gone in the middle of its work: the host ends it with SIGBUS.
        os.truncate(image, 60 << 20)
        for ask in (
            client.refresh_page_map,
            client.ps,
            lambda: client.identify("0x7000000"),
            lambda: client.overlay("page-cache"),
            lambda: client.read_memory([(0x7000000, 16)]),
            client.status,
            client.dirty,
        ):
            with pytest.raises(GlassBoxError, match="cut short"):
                ask()
    assert glassbox("stop", "mine").returncode == 0


@pytest.mark.guest
def test_an_image_larger_than_the_host_is_read_like_any_other(machine, tmp_path, let_go):
    image = tmp_path / "large.ram"
    with machine.paused():
        machine.ram.copy_to(image)
    os.truncate(image, 512 << 30)
    assert glassbox("attach", "mine", "--ram", str(image), "--layout", "flat").returncode == 0
    with Client.connect("mine") as client:
        assert client.status().ram_bytes == 512 << 30
        first = client.dirty()
        assert first.value and not client.dirty(first.epoch).value
        assert client.ps()
    assert glassbox("stop", "mine").returncode == 0


EVERY_QUESTION = (
    ("ps",), ("maps", "1"), ("modules",), ("sym", "init_task"), ("overlay",), ("overlay", "mounts"), ("where", "pid:1"),
    ("whose", "init_task"),
)  # fmt: skip


@pytest.mark.guest
def test_every_answer_about_a_kernel_of_an_unknown_release_says_so(machine_612, tmp_path, let_go):
    """A copy of RAM whose note claims a release that nobody has tested."""
    image = tmp_path / "copy.ram"
    note = machine_612.kernel.info.physical
    with machine_612.paused():
        subprocess.run(["cp", "--sparse=always", machine_612.client.connection.ram_path, image], check=True)
    with open(image, "r+b") as file:
        file.seek(note)
        said = file.read(4096)
        file.seek(note + said.index(b"OSRELEASE=6.") + len("OSRELEASE="))
        file.write(b"9")
    assert glassbox("attach", "mine", "--ram", str(image)).returncode == 0
    sentence = "glassbox: incomplete: kernel 9.12"
    for verb, *words in EVERY_QUESTION:
        done = glassbox(verb, "mine", *words)
        assert done.returncode == 0 and done.stdout and done.stderr.count(sentence) == 1, done
    for words in (("overlay", "mine", "mounts"), ("where", "mine", "pid:1"), ("whose", "mine", "init_task")):
        assert "is newer than 7.3" in glassbox(*words, "--json").stdout, words


def save(client, path):
    """RAM as QEMU's own pmemsave writes it, of a kernel that calls itself 9.9 and that nobody has seen."""
    release = client.kernel().value.release.encode()
    client.qmp("pmemsave", {"val": 0, "size": client.status().ram_bytes, "filename": str(path)})
    # What is known of a kernel is kept by its build id.
    content = path.read_bytes().replace(release, b"9.9" + release[3:])
    path.unlink()
    return re.sub(rb"BUILD-ID=[0-9a-f]{8}", b"BUILD-ID=99999999", content)


@pytest.fixture(scope="module")
def unknown(machine, tmp_path_factory):
    """RAM of an unknown kernel, which tests change."""
    return save(machine.client, tmp_path_factory.mktemp("unknown") / "ram")


CAVEAT = "is newer than 7.3, the newest that was tested; what differs in it may be missing or wrong"


@pytest.mark.guest
def test_an_image_of_a_kernel_that_the_table_does_not_know_is_read_and_said_to_be_so(guest, tmp_path, let_go):
    launch.attach("mine", qmp=guest.qmp)
    path = tmp_path / "saved.ram"
    with Client.connect("mine") as client:
        content = save(client, path)
        client.stop()
    path.write_bytes(content)
    launch.attach("mine", ram=path)
    with Client.connect("mine") as client:
        assert client.kernel().value.release.startswith("9.9")
        for ask in (
            client.ps,
            lambda: client.maps(1),
            client.modules,
            client.page_map,
            lambda: client.resolve("pid:1/heap"),
            lambda: client.identify("init_task"),
            lambda: client.overlay("sockets"),
        ):
            answer = ask()
            assert answer and any(sentence.endswith(CAVEAT) for sentence in answer.skipped)
        assert {"init", "kthreadd"} <= {process.name for process in client.ps()}
        assert {PageClass.SLAB, PageClass.KERNEL_STACK, PageClass.PROCESS_HEAP} <= set(client.page_map().value.counts())
    assert CAVEAT in glassbox("overlay", "mine", "mounts").stderr and CAVEAT in glassbox("ps", "mine").stderr


@pytest.mark.guest
@pytest.mark.parametrize("lost", ["kmem_cache", "address_space", "vm_area_struct", "module", "every type"])
def test_what_an_unknown_kernel_lacks_takes_nothing_else_with_it(lost, unknown, tmp_path, let_go):
    # 0xeb9f begins the types (Documentation/bpf/btf.rst).
    old = b"\x9f\xeb\x01\0" if lost == "every type" else b"\0" + lost.encode() + b"\0"
    path = tmp_path / "lacks.ram"
    content = unknown.replace(old, old[:1] + b"\1" + old[2:])
    path.write_bytes(content.replace(b"BUILD-ID=99999999", b"BUILD-ID=%08x" % len(lost)))
    launch.attach("mine", ram=path)
    with Client.connect("mine") as client:
        page_map = client.page_map().value
        classes = page_map.counts()
        assert {PageClass.KERNEL_TEXT, PageClass.KERNEL_RODATA, PageClass.PAGE_TABLE} <= set(classes)
        assert (
            page_map.skipped
            and client.sym("init_task")
            and client.identify("init_task").value.page_class == "kernel-data"
        )
        asks = {
            "ps": client.ps,
            "maps": lambda: client.maps(1),
            "modules": client.modules,
            "slabs": lambda: client.overlay("slabs"),
            "mounts": lambda: client.overlay("mounts"),
        }
        answered = set()
        for name, ask in asks.items():
            try:
                found = ask()
            except GuestError as error:
                assert "no type" in str(error) or "carries no BTF types" in str(error)
            else:
                rows = found.value if isinstance(found.value, tuple) else found.value.rows
                assert rows or any("no type" in sentence for sentence in found.skipped), name
                answered |= {name} if rows else set()
        lost_too = {"kmem_cache": {"slabs"}, "vm_area_struct": {"maps"}, "module": {"modules"}, "every type": set(asks)}
        assert answered == set(asks) - lost_too.get(lost, set())
    path.unlink()


def test_an_image_without_a_kernel_is_open_and_says_so(tmp_path, let_go):
    image = tmp_path / "zeros"
    image.write_bytes(bytes(3 << 12))
    launch.attach("mine", ram=image)
    done = glassbox("ps", "mine")
    assert done.returncode == 1 and "no running Linux kernel found" in done.stderr


def test_a_large_image_without_a_kernel_has_the_layout_of_pc_unless_another_is_stated(tmp_path):
    path = tmp_path / "image"
    path.touch()
    os.truncate(path, 5 * GIB)
    assert image.image_layout(path, 5 * GIB, "") == RamLayout.from_rule("pc", 5 * GIB)
    assert image.image_layout(path, 5 * GIB, "q35") == RamLayout.from_rule("q35", 5 * GIB)
    stated = image.image_layout(path, 5 * GIB, "0-1G, 4G-8G").regions
    assert [(region.start, region.offset, region.size) for region in stated] == [(0, 0, GIB), (4 * GIB, GIB, 4 * GIB)]
