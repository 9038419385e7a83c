"""Processes, areas and modules against ``/proc``, read to the letter, and what a hostile guest cannot do."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import re
import shutil
import subprocess
import time
import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
from support import booted

from qemu_bridge.errors import UsageError
from qemu_bridge.introspection.overlays import OverlayContext, find_overlays, read_overlay
from qemu_bridge.kernel.budget import Budget
from qemu_bridge.kernel.symbols import KernelSymbols
from qemu_bridge.memory.page_entries import NO_EXECUTE, USER
from qemu_bridge.memory.paging import Half
from qemu_bridge.memory.ram import GuestRam
from qemu_bridge.wire.records import MemoryMapping, Module, Process

pytestmark = pytest.mark.guest

PROC = """for p in /proc/[0-9]*; do
  grep -q . $p/stat 2>/dev/null && { echo "== ${p#/proc/}"; cat $p/stat; grep -E '^(PPid|Uid|Threads|State):' $p/status; tr '\\0' ' ' <$p/cmdline; echo; }
done 2>/dev/null; true"""


def processes_inside(machine) -> dict[int, Process]:
    """What /proc says of every process that is not the asking shell's own."""
    found = {}
    parts = re.split(r"^== (\d+)\n", machine.exec(PROC).decode(), flags=re.MULTILINE)
    for pid, block in zip(parts[1::2], parts[2::2], strict=True):
        stat, *rest = block.split("\n")
        fields = dict(line.split(":", 1) for line in rest if ":\t" in line)
        if "for p in /proc" in block:
            continue
        found[int(pid)] = Process(
            pid=int(pid),
            parent_pid=int(fields["PPid"]),
            uid=int(fields["Uid"].split()[0]),
            state=fields["State"].split()[0],
            name=stat[stat.index("(") + 1 : stat.rindex(")")],
            command_line=rest[len(fields)].strip(),
            page_table=None,
            thread_count=int(fields["Threads"]),
            resident_pages=int(stat[stat.rindex(")") + 2 :].split()[21]),
        )
    return found


def maps_line(mapping: MemoryMapping) -> str:
    """The record as ``/proc/PID/maps`` prints it."""
    place = f"{mapping.start:08x}-{mapping.end:08x} {mapping.permissions} {mapping.file_offset:08x}"
    return f"{place} {mapping.device} {mapping.inode} ".ljust(73 if mapping.path else 0) + mapping.path


def modules_line(module: Module) -> str:
    """The record as ``/proc/modules`` prints it, but for the reference count."""
    users = "".join(f"{name}," for name in module.used_by) or "-"
    return f"{module.name} {module.size} {users} {module.state} {module.base:#018x}"


@contextlib.contextmanager
def running(machine, command: str, name: str) -> Iterator[int]:
    """A process of the guest that runs `command` in the background; yields its pid."""
    pid = int(machine.exec(f"{command} >/dev/null 2>&1 </dev/null & echo $!").decode().split()[-1])
    try:
        for _ in range(100):
            if machine.exec(f"cat /proc/{pid}/comm").decode().strip() == name:
                break
        yield pid
    finally:
        machine.exec(f"kill -9 {pid}; true")


def check_maps(machine, pid: int) -> list[MemoryMapping]:
    """Read inside, pause, read outside: they must be equal."""
    inside = machine.exec(f"cat /proc/{pid}/maps").decode().splitlines()
    with machine.paused():
        outside = machine.mappings(pid)
    assert [maps_line(mapping).rstrip() for mapping in outside] == [line.rstrip() for line in inside]
    return outside


def test_processes_equal_proc(machine):
    inside = processes_inside(machine)
    with machine.paused():
        outside = {process.pid: process for process in machine.processes()}
    lived = set(inside) & set(outside)
    assert len(lived) > 10 and 1 in lived and 2 in lived
    for pid in sorted(lived):
        ours, theirs = outside[pid], inside[pid]
        facts = [(p.parent_pid, p.uid, p.thread_count, p.command_line.strip()) for p in (ours, theirs)]
        assert facts[0] == facts[1], pid
        # A kernel worker that was just woken has another name and state by now.
        if not theirs.name.startswith("kworker/"):
            assert ours.name == theirs.name
        assert ours.name.split("-")[0].split("+")[0] == theirs.name.split("-")[0].split("+")[0]
        assert (ours.page_table is None) == (not theirs.command_line)
    idle = [pid for pid in lived if inside[pid].state == outside[pid].state]
    assert len(idle) > 0.9 * len(lived)
    assert outside[1].resident_pages == inside[1].resident_pages


def test_maps_of_every_process_equal_proc(machine):
    first = set(processes_inside(machine))
    # Those of both looks live on; the others served the first one.
    lasting = sorted(first & set(processes_inside(machine)))
    assert len(lasting) > 10
    for pid in lasting:
        if machine.exec(f"test -d /proc/{pid} && echo there; true"):
            check_maps(machine, pid)


def test_maps_have_heap_stack_and_vdso(machine):
    with running(machine, "sleep 1000", "sleep") as pid:
        names = {mapping.path for mapping in check_maps(machine, pid)}
    assert {"[stack]", "[vdso]", "[vvar]"} <= names and any(name.startswith("/") for name in names)


def test_a_kernel_thread_maps_nothing_and_an_unknown_pid_is_refused(machine):
    assert machine.mappings(2) == []
    with pytest.raises(UsageError, match="no process 999999"):
        machine.mappings(999999)


@pytest.mark.parametrize(
    "place",
    [
        pytest.param("d=/tmp/plain; mkdir -p $d", id="plain"),
        pytest.param("d='/tmp/a b'; mkdir -p \"$d\"", id="blank"),
        pytest.param("d=/tmp/$(printf 'two\\nlines'); mkdir -p \"$d\"", id="newline"),
        pytest.param("d=/tmp/mounted; mkdir -p $d; mount -t tmpfs none $d; mkdir -p $d/below; d=$d/below", id="tmpfs"),
        pytest.param("d=/tmp/bound; mkdir -p $d /tmp/bound-from; mount --bind /tmp/bound-from $d", id="bind"),
        pytest.param("d=/tmp/gone; mkdir -p $d; delete=1", id="deleted"),
    ],
)
def test_a_mapped_file_has_the_name_the_kernel_gives_it(machine, place):
    """A copy of busybox run from odd places."""
    setup = f'{place}; cp $(readlink -f $(which busybox || echo /bin/busybox)) "$d/sleep"'
    machine.exec(
        f'{setup}; ("$d/sleep" 1000 & echo $! >/tmp/pid) >/dev/null 2>&1; sleep 1; test -z "$delete" || rm "$d/sleep"'
    )
    pid = int(machine.exec("cat /tmp/pid").decode())
    try:
        mapped = check_maps(machine, pid)
    finally:
        machine.exec(
            f"kill -9 {pid}; umount /tmp/mounted /tmp/bound 2>/dev/null; rm -rf /tmp/mounted /tmp/bound* /tmp/gone; true"
        )
    assert any("sleep" in mapping.path for mapping in mapped)


def test_anonymous_shared_memory_memfd_and_unreadable_pages_equal_proc(machine, tmp_path):
    """What no busybox applet maps, from a program made for it."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler here")
    source = tmp_path / "maps.c"
    source.write_text(
        """#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <unistd.h>
#include <string.h>
int main(void) {
    char *p = mmap(0, 3 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(p, 1, 3 << 20);
    mprotect(p + (1 << 20), 1 << 20, PROT_NONE);
    prctl(0x53564d41, 0, p, 4096, "named");
    mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int fd = memfd_create("memory", 0);
    ftruncate(fd, 8192);
    mmap(0, 8192, PROT_READ, MAP_SHARED, fd, 4096);
    mmap(0, 65536, PROT_READ, MAP_PRIVATE, fd, 0);
    shmat(shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600), 0, 0);
    for (int i = 0; i < 600; i++) mmap((void *)(0x10000000000 + i * 8192L), 4096, i & 1 ? PROT_READ : PROT_EXEC, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sbrk(100000);
    pause();
}
"""
    )
    program = tmp_path / "maps"
    subprocess.run(["cc", "-static", "-O1", "-s", "-w", "-o", str(program), str(source)], check=True)
    upload(machine, program)
    with running(machine, "/tmp/maps", "maps") as pid:
        machine.exec("sleep 1")
        mapped = check_maps(machine, pid)
        (process,) = [process for process in machine.processes() if process.pid == pid]
        tables = machine.address_space(process).mappings()
    assert len(mapped) > 600
    assert {"/memfd:memory (deleted)", "/dev/zero (deleted)"} <= {mapping.path for mapping in mapped}
    hidden = [mapping for mapping in mapped if mapping.permissions == "---p" and mapping.end - mapping.start == 1 << 20]
    present = set(tables.virtual.tolist())
    assert any(mapping.start in present for mapping in hidden), "PROT_NONE pages stay mapped"


def upload(machine, program) -> None:
    import base64
    import gzip

    text = base64.b64encode(gzip.compress(program.read_bytes())).decode()
    machine.exec("rm -f /tmp/b64")
    for start in range(0, len(text), 40000):
        machine.exec(f"printf %s {text[start : start + 40000]} >>/tmp/b64")
    machine.exec("base64 -d /tmp/b64 | gunzip >/tmp/maps && chmod +x /tmp/maps")


def test_modules_equal_proc(machine):
    inside = machine.exec("cat /proc/modules; true").decode().splitlines()
    with machine.paused():
        outside = machine.modules()
    expected = []
    for line in inside:
        name, size, _, users, state, base = line.split()[:6]
        expected.append(f"{name} {size} {users} {state} {base}")
    assert [modules_line(module) for module in outside] == expected


def test_a_process_that_starts_is_seen(machine):
    before = {process.pid for process in machine.processes()}
    with running(machine, "sleep 4321", "sleep") as pid:
        assert pid not in before
        (process,) = [process for process in machine.processes() if process.pid == pid]
        assert process.command_line == "sleep 4321" and process.page_table % 4096 == 0


def test_a_thousand_queries_leave_nothing_behind(machine):
    def ask(times):
        for _ in range(times):
            machine.modules(), machine.mappings(1), machine.context.symbols

    ask(20)
    tracemalloc.start()
    try:
        ask(20)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        ask(200)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 200_000


def test_a_process_and_its_areas_are_read_in_milliseconds(machine):
    machine.processes(), machine.mappings(1)
    started = time.perf_counter()
    processes = machine.processes()
    machine.mappings(1)
    assert time.perf_counter() - started < 0.0005 * len(processes) + 0.05


@pytest.fixture(scope="module")
def copy(machine, tmp_path_factory):
    """A copy of the guest's RAM that may be damaged."""
    path = tmp_path_factory.mktemp("copy") / "guest.ram"
    with machine.paused():
        shutil.copyfile(machine.ram.path, path)
    return GuestRam(path, machine.ram.layout)


def damage(ram: GuestRam, pages: np.ndarray, rng: random.Random, count: int) -> None:
    """Overwrite `count` words in `pages` with other words of theirs, or with noise."""
    with open(ram.path, "r+b") as file:
        for _ in range(count):
            page = int(pages[rng.randrange(len(pages))])
            offset = (page << 12) + rng.randrange(512) * 8
            source = (int(pages[rng.randrange(len(pages))]) << 12) + rng.randrange(512) * 8
            word = ram.view[source : source + 8].tobytes() if rng.random() < 0.7 else os.urandom(8)
            file.seek(offset)
            file.write(word)


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_guest_ends_every_query_in_time_without_an_exception(machine, copy, seed):
    """Words of the pages that queries read are exchanged at random, again and again."""
    kernel = _on(copy, KernelSymbols.load(machine.ram))
    context = OverlayContext(copy, kernel)
    rng = random.Random(seed)
    names = ("processes", "areas", "modules", "kernel-stacks")
    asked = [*(find_overlays().find(name) for name in names)]
    for overlay in asked:
        read_overlay(overlay, context, Budget())
    read = [page << 12 for page, content in context.objects._pages.items() if content]
    touched = [context.objects.physical(address) for address in read]
    pages = np.array(
        sorted({copy.layout.to_offset(page) >> 12 for page in touched if page is not None and page < copy.size})
    )
    for _ in range(3):
        damage(copy, pages, rng, 30)
        for overlay in asked:
            context.forget()
            started = time.perf_counter()
            table = read_overlay(overlay, context, Budget(time_s=2.0))
            assert len(table.rows) <= 1 << 17 and len(table.skipped) <= 20
            assert time.perf_counter() - started < 4


def _on(ram: GuestRam, kernel: KernelSymbols) -> KernelSymbols:
    """The same kernel's symbols over another RAM: loading would refuse what is damaged."""
    from qemu_bridge.memory.paging import PageTables

    kernel.ram = ram
    kernel.page_tables = PageTables(ram, kernel.page_tables.root, kernel.page_tables.levels)
    return kernel


def test_five_levels_and_page_table_isolation_change_nothing_to_the_eye(image):
    """Two vCPUs with LA57, and a second root for user mode in every process."""
    if image.bzimage is None:
        pytest.skip("this image has no bzImage, whose first stage it is that turns LA57 on")
    changes = {"append": f"{image.command_line} pti=on vsyscall=xonly", "qemu_args": ("-cpu", "max")}
    with booted("la57", image, kernel=image.bzimage, smp=2, memory=256 << 20, **changes) as machine:
        assert machine.kernel.page_tables.levels == 5 and machine.kernel.has_page_table_isolation
        assert check_maps(machine, 1)[-1].path == "[vsyscall]"
        with machine.paused():
            (first,) = [process for process in machine.processes() if process.pid == 1]
            text = next(mapping for mapping in machine.mappings(1) if mapping.permissions == "r-xp")
            tables = machine.address_space(first)
            mapped = tables.mappings(Half.USER)
        inside = (mapped.virtual >= np.uint64(text.start)) & (mapped.virtual < np.uint64(text.end))
        assert inside.any() and not (mapped.flags[inside] & NO_EXECUTE).any() and (mapped.flags[inside] & USER).all()
        both = set(tables.table_frames(isolated=True).frame.tolist()) - set(tables.table_frames().frame.tolist())
        assert both == {(tables.root >> 12) + 1}
