"""Machines that we did not start: a QEMU of somebody else's, and RAM in a file."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest
from support import glassbox, is_running, shared_files, wait_until

from qemu_bridge.client import Client
from qemu_bridge.daemon.backends import attached as attach
from qemu_bridge.daemon.backends import image
from qemu_bridge.daemon.backends.find import find_backend
from qemu_bridge.errors import BusyNameError, GuestError, MachineError, UnknownMachineError, UsageError
from qemu_bridge.machine import launch
from qemu_bridge.machine.config import find_qemu
from qemu_bridge.machine.requests import AttachRequest
from qemu_bridge.memory.addresses import GIB, RamLayout, RamRegion
from qemu_bridge.wire import connection
from qemu_bridge.wire.event_records import ExitedEvent
from qemu_bridge.wire.records import Origin, PageClass


class Foreign:
    """A QEMU that Glass Box knows nothing of."""

    def __init__(self, folder, *arguments):
        self.qmp = folder / "foreign.qmp"
        self.ram = folder / "foreign.ram"
        self.process = subprocess.Popen(
            [find_qemu(), "-nodefaults", "-display", "none", "-qmp", f"unix:{self.qmp},server=on,wait=off", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        wait_until(self.qmp.exists)

    def end(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        self.process.wait(20)


@contextlib.contextmanager
def foreign(folder, *arguments):
    """One of them, gone at the end with its RAM."""
    found = Foreign(folder, *arguments)
    try:
        yield found
    finally:
        found.end()
        found.ram.unlink(missing_ok=True)


def shared(folder, size="64M", machine="pc"):
    """Arguments for RAM that can be attached to."""
    backend = f"memory-backend-file,id=mine,size={size},mem-path={folder / 'foreign.ram'},share=on"
    return ("-machine", f"{machine},memory-backend=mine", "-m", size, "-object", backend)


@pytest.fixture
def guest(image, tmp_path):
    """A foreign QEMU with a guest that has booted."""
    serial = tmp_path / "serial.log"
    words = ("-kernel", str(image.kernel), "-initrd", str(image.initrd), "-append", image.command_line)
    with foreign(tmp_path, *shared(tmp_path, "128M"), *words, "-serial", f"file:{serial}") as found:
        wait_until(lambda: serial.exists() and b"glassbox: ready" in serial.read_bytes(), 60.0)
        yield found


@pytest.fixture
def let_go():
    """Stops what a test attached, however it ended."""
    yield
    for found in connection.iter_connections():
        if found.name in ("mine", "other"):
            with Client(found) as client:
                client.stop()


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
@pytest.mark.parametrize(("machine_type", "size"), [("pc", "256M"), ("q35", "4608M")])
def test_a_foreign_guest_of_several_vcpus_with_kaslr_is_read(machine_type, size, image, tmp_path, let_go):
    if image.bzimage is None:
        pytest.skip("this image has no bzImage, which is what moves the kernel")
    serial = tmp_path / "serial.log"
    words = ("-kernel", str(image.bzimage), "-initrd", str(image.initrd), "-append", image.command_line, "-smp", "3")
    with foreign(tmp_path, *shared(tmp_path, size, machine_type), *words, "-serial", f"file:{serial}") as qemu:
        wait_until(lambda: serial.exists() and b"glassbox: ready" in serial.read_bytes(), 60.0)
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


# --- what cannot be attached to ---------------------------------------------------------------------------

REFUSED = {
    "own": ((), r"pc\.ram.*not shared"),
    "private file": (
        ("-object", "memory-backend-file,id=m,size=64M,mem-path={ram},share=off", "-machine", "pc,memory-backend=m"),
        r"\(m\).*not shared",
    ),
    "memfd": (
        ("-object", "memory-backend-memfd,id=m,size=64M,share=on", "-machine", "pc,memory-backend=m"),
        "shared but not a file",
    ),
    "folder": (
        ("-object", "memory-backend-file,id=m,size=64M,mem-path={folder},share=on", "-machine", "pc,memory-backend=m"),
        "as a file",
    ),
    "pieces": (
        ("-object", "memory-backend-ram,id=a,size=32M,share=on", "-object", "memory-backend-ram,id=b,size=32M,share=on",
         "-numa", "node,memdev=a", "-numa", "node,memdev=b"),
        r"2 backends \(.*\)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_ram_that_cannot_be_read_is_refused_with_what_to_start(case, tmp_path):
    arguments, message = REFUSED[case]
    words = [word.format(ram=tmp_path / "foreign.ram", folder=tmp_path) for word in arguments]
    with foreign(tmp_path, "-m", "64M", "-S", *words) as qemu, pytest.raises(MachineError, match=message) as caught:
        find_backend(AttachRequest("mine", qmp=qemu.qmp))
    assert "start QEMU with -machine" in str(caught.value)


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


@pytest.mark.parametrize("option", ["--qmp", "--ram"])
@pytest.mark.parametrize("kind", ["missing", "folder", "empty", "three", "odd", "device"])
def test_what_is_neither_socket_nor_image_is_refused_in_one_sentence(option, kind, tmp_path):
    path = tmp_path / kind
    content = {"empty": b"", "three": b"abc", "odd": b"\0" * 4097}.get(kind)
    if content is not None:
        path.write_bytes(content)
    elif kind == "folder":
        path.mkdir()
    done = glassbox("attach", "mine", option, "/dev/null" if kind == "device" else str(path))
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("glassbox: ") and done.stderr.count("\n") == 1 and "; give" in done.stderr
    assert not connection.is_alive("mine")


def test_an_unreadable_image_and_other_formats_are_refused(tmp_path):
    core = tmp_path / "core"
    core.write_bytes(b"\x7fELF" + bytes(4092))
    with pytest.raises(UsageError, match=r"ELF core, not a raw image.*pmemsave"):
        image.image_size(core)
    with pytest.raises(UsageError, match=r"cannot read .* \(File name too long\)"):
        image.image_size(tmp_path / ("x" * 300))


def test_the_name_of_a_running_machine_is_refused(victim, tmp_path):
    image = tmp_path / "image"
    image.write_bytes(bytes(4096))
    with pytest.raises(BusyNameError, match="'victim' runs already"):
        launch.attach("victim", ram=image)
    assert victim.status().name == "victim"


def test_one_of_the_two_sources_must_be_named(tmp_path):
    for arguments in ({}, {"qmp": tmp_path, "ram": tmp_path}):
        with pytest.raises(UsageError, match=r"--qmp or a RAM image with --ram"):
            launch.attach("mine", **arguments)
    assert glassbox("attach", "mine").returncode == 2


# --- RAM in a file ----------------------------------------------------------------------------------------


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
        assert "is newer than 6.12" in glassbox(*words, "--json").stdout, words


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


CAVEAT = "is newer than 6.12, the newest that was tested; what differs in it may be missing or wrong"


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
        classes = page_map.value.counts()
        assert {PageClass.KERNEL_TEXT, PageClass.KERNEL_RODATA, PageClass.PAGE_TABLE} <= set(classes)
        assert (
            page_map.skipped
            and client.sym("init_task")
            and client.identify("init_task").value.page_class == "kernel data"
        )
        asks = {
            "ps": client.ps,
            "maps": lambda: client.maps(1),
            "modules": client.modules,
            "slabs": lambda: client.overlay("slabs").value,
            "mounts": lambda: client.overlay("mounts").value,
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


# --- layouts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("machine", ["pc", "q35"])
@pytest.mark.parametrize("size", [64 << 20, 4 * GIB + (512 << 20)])
def test_layout_and_machine_type_come_from_qemu(machine, size, tmp_path):
    # The file is sparse and the vCPU never runs, so this costs nothing.
    with foreign(tmp_path, *shared(tmp_path, f"{size >> 20}M", machine), "-smp", "3", "-S") as qemu:
        backend, config, ram, layout = find_backend(AttachRequest("mine", qmp=qemu.qmp))
    assert layout == RamLayout.from_rule(machine, size)
    assert (config.machine, config.smp, config.accelerator) == (machine, 3, "tcg")
    assert (ram, backend.origin) == (qemu.ram, "attached")


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


def test_a_small_image_has_one_layout_and_a_large_one_without_a_kernel_that_of_pc(tmp_path):
    path = tmp_path / "image"
    path.touch()
    assert image.detect_machine(path, 128 << 20) == "pc"
    os.truncate(path, 5 * GIB)
    assert image.detect_machine(path, 5 * GIB) == "pc"
    assert image.image_layout("flat", 5 * GIB).end == 5 * GIB
