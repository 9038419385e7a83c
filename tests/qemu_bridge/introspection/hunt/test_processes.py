"""Processes whose code is odd, started in a guest; and credentials that were copied by pointer."""

from __future__ import annotations

import pytest
from guest_programs import HEADER, compile_program, install
from overlay_checks import running
from support import wait_until

from qemu_bridge.wire.records import FindingKind

pytestmark = pytest.mark.guest

PROGRAM = (
    HEADER
    + """
enum { MMAP = 9, MPROTECT = 10, WRITE = 1, PAUSE = 34, MEMFD_CREATE = 319, EXECVEAT = 322 };
void _start(void) {
    char *anonymous = (char *)ask(MMAP, 0x10000000000L, 8192, 7, 2 | 16 | 32, -1, 0);
    anonymous[0] = 0x7f; anonymous[1] = 0x45;
    ask(MPROTECT, (long)&_start & -4096L, 4096, 7, 0, 0, 0);
    long file = ask(MEMFD_CREATE, (long)"payload", 0, 0, 0, 0, 0);
    ask(WRITE, file, 0x10000000000L, 4096, 0, 0, 0);
    ask(MMAP, 0x20000000000L, 4096, 5, 2 | 16, file, 0);
    for (;;) ask(PAUSE, 0, 0, 0, 0, 0, 0);
}
"""
)


def findings(machine, pid):
    """By kind, what is found of a process; nothing else is found."""
    answer = machine.client.hunt()
    assert answer.is_complete and all(finding.pid == pid for finding in answer), answer
    return {finding.kind: finding for finding in answer}


def test_code_of_no_file_of_a_memfd_and_that_can_be_written_is_found(machine, tmp_path):
    install(machine, compile_program(tmp_path, PROGRAM), "/tmp/odd")
    try:
        with running(machine, "/tmp/odd", "odd") as pid:
            wait_until(lambda: b"memfd" in machine.exec(f"cat /proc/{pid}/maps"))
            found = findings(machine, pid)
    finally:
        machine.exec("rm /tmp/odd")
    assert set(found) == {FindingKind.ANONYMOUS_CODE, FindingKind.WRITABLE_CODE, FindingKind.MEMORY_CODE}
    anonymous = found[FindingKind.ANONYMOUS_CODE]
    assert (anonymous.subject, anonymous.address) == (f"odd (pid {pid})", 0x10000000000)
    (line,) = anonymous.evidence
    assert line.startswith("0x10000000000-0x10000002000 rwxp 8 KiB, begins with 7f 45 00")
    assert "/memfd:payload (deleted)" in found[FindingKind.MEMORY_CODE].evidence[0]
    assert (
        "rwxp" in found[FindingKind.WRITABLE_CODE].evidence[0]
        and "/tmp/odd" in found[FindingKind.WRITABLE_CODE].evidence[0]
    )


def test_a_program_that_was_removed_is_found(machine):
    machine.exec("cp /bin/busybox /tmp/sleep")
    with running(machine, "/tmp/sleep 20000", "sleep") as pid:
        machine.exec("rm /tmp/sleep")
        (finding,) = findings(machine, pid).values()
    assert finding.kind is FindingKind.REMOVED_CODE and "/tmp/sleep (deleted)" in finding.evidence[0]


def test_a_library_that_the_environment_preloads_is_found(machine):
    with running(machine, "LD_PRELOAD=/lib/none.so LD_AUDIT= sleep 20000", "sleep") as pid:
        (finding,) = findings(machine, pid).values()
    assert (finding.kind, finding.evidence) == (FindingKind.PRELOAD, ("LD_PRELOAD=/lib/none.so",))


@pytest.mark.every_kernel
def test_a_process_that_hides_is_looked_at_too(edited, sleeper):
    task = edited.task(sleeper)
    edited.unlink(task.at("tasks"))
    edited.word(task.at("real_cred"), edited.space.address_of("init_cred"))
    kinds = {finding.kind for finding in edited.hunt() if finding.pid == sleeper}
    assert kinds == {FindingKind.HIDDEN_TASK, FindingKind.SHARED_CREDENTIALS}


@pytest.mark.every_kernel
@pytest.mark.parametrize("whose", ["init", "the kernel's"])
def test_credentials_of_another_process_are_found(edited, sleeper, whose):
    task = edited.task(sleeper)
    taken = edited.task(1)["real_cred"] if whose == "init" else edited.space.address_of("init_cred")
    edited.word(task.at("real_cred"), taken)
    edited.word(task.at("cred"), taken)
    finding = edited.finding()
    assert (finding.kind, finding.pid) == (FindingKind.SHARED_CREDENTIALS, sleeper)
    assert f"{taken:#x}" in finding.evidence[0]
