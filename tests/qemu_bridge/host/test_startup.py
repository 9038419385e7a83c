"""Ctrl-C while the program loads."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from qemu_bridge.host import startup
from qemu_bridge.host.startup import INTERRUPTED

SEED, ROUNDS = 3, 10
PROGRAMS = {
    "module": ("-m", "qemu_bridge.cli", "doctor"),
    "entry point": (shutil.which("glassbox") or "/nowhere", "doctor"),
    "module gpu-run": ("-m", "pixel_cpu.gpu_run", "--help"),
    "entry point gpu-run": (shutil.which("gpu-run") or "/nowhere", "--help"),
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_ctrl_c_while_it_loads_ends_it_with_130_and_without_a_traceback(program, tmp_path):
    dice = random.Random(SEED)
    words = (sys.executable, "-X", "importtime", *program)
    whole = len(subprocess.run(words, capture_output=True, text=True, timeout=60, check=False).stdout.splitlines())
    interrupted = 0
    for _ in range(ROUNDS):
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            # The first import after the package itself has begun to load.
            while "qemu_bridge.host.startup" not in (line := process.stderr.readline()):
                assert line, "it ended before it was loaded"
            time.sleep(dice.random() * 0.15)  # the moment of the blow, not a wait
            process.send_signal(signal.SIGINT)
            printed, said = process.communicate(timeout=60)
            status = process.returncode
        assert "Traceback" not in said, said[-2000:]
        if len(printed.splitlines()) == whole:
            continue  # it had said all, and was about to end by itself
        interrupted += 1
        # Where Ctrl-C comes while Python runs code from a string, as dataclasses do, it ends by that signal whatever the
        # program returns; a shell calls both 130.
        assert status in (INTERRUPTED, -signal.SIGINT), said[-2000:]
    assert interrupted


def test_a_program_that_only_imports_it_keeps_its_own_ctrl_c():
    before = signal.getsignal(signal.SIGINT)
    startup.guard()
    startup.release()
    assert signal.getsignal(signal.SIGINT) is before
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import signal, qemu_bridge.cli; print(signal.getsignal(2) is signal.default_int_handler)",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "True\n"


def test_who_ignores_ctrl_c_goes_on_ignoring_it():
    program = (
        "import signal, subprocess, sys; signal.signal(2, signal.SIG_IGN); sys.exit(subprocess.call(sys.argv[1:]))"
    )
    check = "import signal, sys; sys.argv = ['glassbox']; import qemu_bridge.cli; sys.exit(signal.getsignal(2) is not signal.SIG_IGN)"
    assert (
        subprocess.run([sys.executable, "-c", program, sys.executable, "-c", check], timeout=60, check=False).returncode
        == 0
    )
