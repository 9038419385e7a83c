"""The root shell in the guest: bytes, exit status, time limits."""

import asyncio
import base64
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
from qemu_bridge.machine.agent import _read_to
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
    assert machine.exec("echo one; for i in 2 3; do echo $i; done") == b"one\n2\n3\n"


@pytest.mark.parametrize("status", [0, 1, 7, 127, 255])
def test_the_exit_status_comes_back(machine, status):
    assert machine.client.exec(f"exit {status}") == ExecResult(status, Blob(b""), Blob(b""))


def test_errors_come_apart_from_the_output(machine):
    result = machine.client.exec("echo one; echo two >&2; echo three; ls /nowhere; exit 7")
    assert result == ExecResult(7, Blob(b"one\nthree\n"), Blob(b"two\nls: /nowhere: No such file or directory\n"))
    assert machine.client.exec(["sh", "-c", "echo $0 >&2", "é"]) == ExecResult(0, Blob(b""), Blob("é\n".encode()))


def test_every_byte_of_both_streams_comes_back_when_they_are_written_at_once(machine):
    encoded = base64.b64encode(bytes(range(256))).decode()
    made = machine.client.exec(
        f"echo {encoded} | base64 -d > /tmp/bytes; for i in $(seq 256); do cat /tmp/bytes >&2; done & "
        "for i in $(seq 256); do cat /tmp/bytes; done; wait; rm /tmp/bytes; exit 9"
    )
    assert made == ExecResult(9, Blob(bytes(range(256)) * 256), Blob(bytes(range(256)) * 256))


def test_neither_stream_holds_up_the_other(machine):
    for first, then in (("", ">&2"), (">&2", "")):
        result = machine.client.exec(f"head -c 300000 /dev/zero {first}; head -c 300000 /dev/zero {then}")
        assert result == ExecResult(0, Blob(bytes(300_000)), Blob(bytes(300_000)))


def test_what_a_background_process_writes_later_belongs_to_no_command(machine):
    machine.exec("(while [ ! -e /tmp/late ]; do usleep 10000; done; echo late; echo late >&2; rm /tmp/late) &")
    machine.exec("touch /tmp/late")
    wait_until(lambda: machine.client.exec("[ ! -e /tmp/late ]").exit_status == 0)
    assert machine.client.exec("echo now; echo then >&2") == ExecResult(0, Blob(b"now\n"), Blob(b"then\n"))


def test_a_guest_without_a_port_for_errors_writes_both_to_one(machine):
    machine.exec("mv /dev/ttyS3 /dev/aside")
    try:
        assert machine.client.exec("echo one; echo two >&2; exit 3") == ExecResult(3, Blob(b"one\ntwo\n"), Blob(b""))
    finally:
        machine.exec("mv /dev/aside /dev/ttyS3")


def test_a_stream_beyond_the_limit_is_passed_over_to_its_end():
    async def read():
        stream = asyncio.StreamReader(limit=1000)
        stream.feed_data(bytes(5000) + b"mark" + b"next" + b"mark")
        return [await _read_to(stream, b"mark") for _ in range(2)]

    assert asyncio.run(read()) == [None, b"next"]


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
    assert (output, status in (143, 124), result.timed_out) == (b"begun\n", True, True)
    assert not machine.client.exec("exit 143").timed_out
    assert machine.exec("echo still here") == b"still here\n"


def test_nothing_of_a_command_that_was_ended_goes_on(machine):
    """BusyBox's ``timeout`` kills the first process alone: what it started wrote into the output of later commands."""
    noisy = "while :; do echo noise; echo noise >&2; done"
    result = machine.client.exec(f"({noisy}) | cat & ({noisy}); cat", timeout_s=1.0)
    assert result.timed_out and b"noise" in result.output
    for _ in range(5):
        assert machine.client.exec("echo one; echo two >&2") == ExecResult(0, b"one\n", b"two\n")
    # BusyBox's `timeout` has a process that watches, in a session of its own, which looks now and then whether it is still needed.
    wait_until(lambda: b"noise" not in machine.exec("ps -o args"))


def test_what_a_command_leaves_behind_goes_on(machine):
    machine.exec("(sleep 1234; :) & sleep 1235 & true")
    for _ in range(2):
        shown = machine.exec("ps -o args")
        assert b"sleep 1234" in shown and b"sleep 1235" in shown
        assert machine.client.exec("sleep 100", timeout_s=1.0).timed_out
    machine.exec("pkill -f 'sleep 123[45]'")


@pytest.mark.parametrize("timeout_s", [0, -9, float("inf"), float("nan"), 1e9])
def test_a_time_that_makes_no_sense_is_refused_and_harmless(machine, timeout_s):
    # JSON has no number for infinity and NaN: those are refused as an argument of the wrong type.
    expected = "is unsupported" if math.isfinite(timeout_s) else "timeout_s: expected number"
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


@pytest.mark.long
def test_the_shell_answers_again_after_a_reset_in_the_middle_of_a_command(image):
    with booted("reset", image) as found:
        busy = threading.Thread(target=run_in_background, args=("reset", "sleep 1000"))
        busy.start()
        time.sleep(0.5)
        found.client.qmp("system_reset")
        time.sleep(0.3)
        assert found.client.status().ready is False
        found.client.wait_ready(60)
        assert found.client.exec("echo again; echo apart >&2", 60) == ExecResult(0, Blob(b"again\n"), Blob(b"apart\n"))
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
