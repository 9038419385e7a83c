"""The root shell in the guest: bytes, exit status, time limits."""

import contextlib
import hashlib
import math
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from support import booted, wait_until

from qemu_bridge.client import Client
from qemu_bridge.errors import MachineError, UsageError
from qemu_bridge.wire.records import Blob, ExecResult

pytestmark = pytest.mark.guest


def test_every_byte_of_the_output_comes_back(machine):
    result = machine.client.exec("cat /bin/busybox")
    output, status = result.output, result.exit_status
    assert status == 0
    assert hashlib.md5(output).hexdigest().encode() == machine.exec("md5sum /bin/busybox").split()[0]


def test_words_are_not_touched_by_any_shell_on_the_way(machine):
    words = ["printf", "%s|", "a b", "$HOME", "'", '"', "\\", "*", ";", "ä", "", "x\ny"]
    assert machine.client.exec(words).output.decode() == "|".join(words[2:]) + "|"


def test_a_shell_line_is_run_by_a_shell(machine):
    assert machine.exec("echo one; echo two >&2; for i in 3 4; do echo $i; done").split() == [
        b"one",
        b"two",
        b"3",
        b"4",
    ]


@pytest.mark.parametrize("status", [0, 1, 7, 127, 255])
def test_the_exit_status_comes_back(machine, status):
    assert machine.client.exec(f"exit {status}") == ExecResult(status, Blob(b""))


def test_output_that_looks_like_an_end_is_output(machine):
    assert (
        machine.client.exec("printf '\\n0123456789abcdef0123456789abcdef 0\\n'").output
        == b"\n0123456789abcdef0123456789abcdef 0\n"
    )


def test_a_long_command_arrives_whole(machine):
    text = "x" * 50_000
    assert machine.client.exec(f"printf %s {text} | wc -c").output.strip() == b"50000"


def test_a_command_that_never_ends_is_ended(machine):
    result = machine.client.exec("echo begun; sleep 1000", timeout_s=1.0)
    output, status = result.output, result.exit_status
    assert (output, status) == (b"begun\n", 143)
    assert machine.exec("echo still here") == b"still here\n"


@pytest.mark.parametrize("timeout_s", [0, -9, float("inf"), float("nan"), 1e9])
def test_a_time_that_makes_no_sense_is_refused_and_harmless(machine, timeout_s):
    # JSON has no number for infinity and NaN: those are refused as an argument of the wrong type.
    expected = "is unsupported" if math.isfinite(timeout_s) else "timeout_s: expected float"
    with pytest.raises(UsageError, match=expected):
        machine.client.exec("echo hi", timeout_s)
    assert machine.exec("echo hi") == b"hi\n"


def test_bytes_that_are_no_text_arrive(machine):
    assert machine.client.exec(["printf", "%s", os.fsdecode(b"\xff\xfe")]).output == b"\xff\xfe"


def test_a_command_waits_for_another_no_longer_than_its_time(machine):
    busy = threading.Thread(target=run_in_background, args=(machine.name, "sleep 9"))
    busy.start()
    time.sleep(0.5)
    with pytest.raises(MachineError, match="still runs an earlier one"):
        machine.client.exec("echo hi", timeout_s=0.5)
    busy.join()
    assert machine.exec("echo hi") == b"hi\n"


def run_in_background(name, command):
    with Client.connect(name) as client, contextlib.suppress(MachineError):
        client.exec(command, 20)


def test_the_shell_answers_again_after_a_reset_in_the_middle_of_a_command(image):
    with booted("reset", image) as found:
        busy = threading.Thread(target=run_in_background, args=("reset", "sleep 1000"))
        busy.start()
        time.sleep(0.5)
        found.client.qmp("system_reset")
        time.sleep(0.3)
        assert found.client.status().ready is False
        found.client.wait_ready(60)
        assert found.exec("echo again", 60) == b"again\n"
        assert found.client.ps()[0].name == "init"
        found.client.stop()
        busy.join()


def test_a_guest_paused_during_a_command_does_not_answer_and_answers_rightly_afterwards(machine):
    with ThreadPoolExecutor(1) as pool:
        early = pool.submit(machine.client.exec, "usleep 5432100; echo early", 6.0)
        wait_until(lambda: any("5432100" in process.command_line for process in machine.client.ps()))
        with machine.paused(), pytest.raises(MachineError, match="did not finish"):
            early.result(60)
    assert machine.exec("echo late") == b"late\n"


def test_a_paused_guest_is_not_asked(machine):
    with machine.paused(), pytest.raises(MachineError, match="is paused, so it runs nothing"):
        machine.client.exec("true")
