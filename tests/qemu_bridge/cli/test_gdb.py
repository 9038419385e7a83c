"""`glassbox gdb`: real gdb on a real guest, without a debug package."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support import glassbox, wait_until

from qemu_bridge.wire.records import Runstate

pytestmark = pytest.mark.guest
OPENED = "do_sys_openat2"


def debug(name: str, *questions: str):
    words = [word for question in questions for word in ("-ex", question)]
    return glassbox("gdb", name, "--", "-nx", "-batch", *words, timeout=300)


@contextlib.contextmanager
def opening(machine):
    """A context in which a process of the guest opens a file again and again."""
    machine.exec(
        "(while :; do cat /etc/hostname; usleep 1000; done) >/dev/null 2>&1 </dev/null & echo $! >/tmp/opening"
    )
    try:
        yield
    finally:
        machine.exec("kill $(cat /tmp/opening); rm /tmp/opening")


def test_a_stack_is_unwound_from_a_breakpoint_to_user_mode_and_the_guest_goes_on(machine):
    with opening(machine):
        done = debug(
            machine.name, "p init_task.comm", "p init_task.pid", f"break *{OPENED}", "continue", "bt", "finish"
        )
    assert done.returncode == 0, done.stderr
    assert '"swapper/0' in done.stdout and "$2 = 0" in done.stdout, done.stdout
    frames = [line for line in done.stdout.splitlines() if line.startswith("#")]
    names = [line.split(" in ")[1].split()[0] if " in " in line else line.split(None, 1)[1] for line in frames]
    assert names[0] == OPENED and "__x64_sys_open" in names[1] and "do_syscall_64" in names, frames
    # Behind the entry of the system call is the process, and no frame is made up.
    after = names[names.index("do_syscall_64") + 1 :]
    assert (
        after[:2] == ["<signal handler called>", "??"]
        and frames[len(frames) - len(after) + 1].split()[1] < "0x0000800000000000"
    )
    assert "Value returned is" in done.stdout, done.stdout
    assert machine.client.status().runstate is Runstate.RUNNING and machine.exec("echo on").strip() == b"on"


def test_wherever_it_stands_a_stack_ends_where_it_began(machine):
    machine.client.pause()
    try:
        done = debug(machine.name, "bt")
    finally:
        machine.client.resume()
    *_, last = [line for line in done.stdout.splitlines() if line.startswith("#")]
    # The first code of a processor, of a kernel thread, or of a process in user mode.
    assert re.search(r"secondary_startup_64|ret_from_fork|0x00007f\w+ in|0x00005\w+ in", last), done.stdout


@pytest.mark.parametrize(("whom", "number"), [("gdb", signal.SIGKILL), ("glassbox", signal.SIGTERM)])
def test_a_debugger_that_is_ended_leaves_no_breakpoint(machine, whom, number, tmp_path):
    def runstate() -> Runstate:
        return machine.client.status().runstate

    ready = tmp_path / "ready"
    words = ("-nx", "-ex", f"break *{OPENED}", "-ex", f"shell touch {ready}", "-ex", "continue")
    opener = threading.Thread(target=machine.client.exec, args=("cat /etc/hostname",))
    with subprocess.Popen(
        [sys.executable, "-m", "qemu_bridge.cli", "gdb", machine.name, "--", *words],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        wait_until(lambda: ready.exists() and runstate() is Runstate.RUNNING, 200)
        opener.start()
        wait_until(lambda: runstate() is Runstate.DEBUG, 200)
        (gdb,) = [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/stat") if is_child(path, process.pid)]
        os.kill(gdb if whom == "gdb" else process.pid, number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == (1 if whom == "gdb" else 130) and "Traceback" not in errors, errors
    assert ("SIGKILL" in errors) == (whom == "gdb"), errors
    opener.join(60)
    assert not opener.is_alive() and runstate() is Runstate.RUNNING
    assert machine.exec("cat /etc/hostname")


def is_child(path: Path, parent: int) -> bool:
    try:
        return int(path.read_text().rpartition(")")[2].split()[1]) == parent
    except OSError:
        return False


def test_symbols_are_written_for_another_debugger(machine, tmp_path):
    path = tmp_path / "vmlinux"
    done = glassbox("gdb", machine.name, "-o", str(path), timeout=300)
    assert done.returncode == 0 and done.stdout == f"{path}\n", done.stderr
    server = done.stderr.split("target remote ")[1].strip()
    assert Path(server).is_socket() and server == machine.client.gdb_server()
    again = glassbox("gdb", machine.name, "-o", str(path), timeout=120)
    assert again.returncode == 2 and "--force" in again.stderr


def test_a_host_without_gdb_says_what_to_do(machine, tmp_path):
    done = glassbox("gdb", machine.name, PATH=str(tmp_path))
    assert done.returncode == 2 and "install" in done.stderr and "-o FILE" in done.stderr
