"""Memory areas, against /proc/PID/maps."""

from __future__ import annotations

import base64
import gzip
import re
import shutil
import subprocess
import time

import numpy as np
import pytest
from overlay_checks import asking_shell, check_maps, look, processes_inside, running
from support import booted, bytes_left_by

from qemu_bridge.errors import UsageError
from qemu_bridge.memory.page_entries import NO_EXECUTE, USER
from qemu_bridge.memory.paging import Half

pytestmark = pytest.mark.guest


def test_areas_are_the_lines_of_every_maps_file(each_machine, context):
    def parse(text):
        found = {}
        for block in text.split("== ")[1:]:
            pid, _, lines = block.partition("\n")
            found[int(pid)] = re.findall(r"^(\w+)-(\w+) (\S+) (\w+) (\S+) (\d+) *(.*)$", lines, re.MULTILINE)
        return found

    command = "for p in /proc/[0-9]*; do [ -s $p/cmdline ] || [ -e $p/exe ] && echo == ${p#/proc/} && cat $p/maps; done 2>/dev/null; true"
    steady, rows = look(each_machine, context, "areas", command, parse)
    shell = asking_shell(each_machine)
    steady = {pid: lines for pid, lines in steady.items() if lines and pid != shell}
    assert len(steady) >= 3
    for pid, lines in steady.items():
        found = [
            (
                *(f"{row['start']:08x}", f"{row['end']:08x}", row["permissions"], f"{row['file_offset']:08x}"),
                *(row["device"], str(row["inode"]), row["path"]),
            )
            for row in rows
            if row["pid"] == pid
        ]
        assert found == lines


def test_maps_of_every_process_equal_proc(machine):
    first = set(processes_inside(machine))
    # Those of both looks live on; the others served the first one.
    lasting = sorted(first & set(processes_inside(machine)) - {asking_shell(machine)})
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
    text = base64.b64encode(gzip.compress(program.read_bytes())).decode()
    machine.exec("rm -f /tmp/b64")
    for start in range(0, len(text), 40000):
        machine.exec(f"printf %s {text[start : start + 40000]} >>/tmp/b64")
    machine.exec("base64 -d /tmp/b64 | gunzip >/tmp/maps && chmod +x /tmp/maps")


@pytest.mark.long
def test_a_thousand_queries_leave_nothing_behind(machine):
    def ask(times):
        for _ in range(times):
            machine.modules(), machine.mappings(1), machine.context.symbols

    ask(20)
    assert bytes_left_by(lambda: ask(20), lambda: ask(200)) < 200_000


def test_a_process_and_its_areas_are_read_in_milliseconds(machine):
    machine.processes(), machine.mappings(1)
    started = time.process_time()
    processes = machine.processes()
    machine.mappings(1)
    assert time.process_time() - started < 0.0005 * len(processes) + 0.05


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
