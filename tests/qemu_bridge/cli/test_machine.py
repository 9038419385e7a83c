"""Verbs that keep a machine: start, status, pause, resume, console, exec, qmp, events."""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import glassbox, wait_until

from qemu_bridge.cli.machine import STATUS_HEADINGS, add_machine_options, format_duration, make_config
from qemu_bridge.client import Client
from qemu_bridge.errors import UsageError
from qemu_bridge.wire.records import Blob, ExecResult, Status

guest = pytest.mark.guest


def test_no_qemu_is_one_line_that_says_what_to_install(image):
    answer = glassbox(
        "start", "x", "--kernel", str(image.kernel), "--initrd", str(image.initrd), GLASSBOX_QEMU="/nowhere"
    )
    assert answer.returncode == 1 and "install QEMU" in answer.stderr and len(answer.stderr.splitlines()) == 1


def test_logs_that_have_no_place_are_one_line(image):
    words = ("start", "homeless", "--kernel", str(image.kernel), "--initrd", str(image.initrd))
    answer = glassbox(*words, XDG_STATE_HOME="/proc/x")
    assert answer.returncode == 1 and "XDG_STATE_HOME" in answer.stderr and len(answer.stderr.splitlines()) == 1


@guest
def test_exec_gives_output_and_exit_status(machine):
    answer = glassbox("exec", machine.name, "--", "sh", "-c", "echo $0 $#; exit 3", "--", "-x")
    assert (answer.returncode, answer.stdout) == (3, "-- 1\n")
    assert glassbox("exec", machine.name).returncode == 2
    assert glassbox("exec", machine.name, "uname", "-s").stdout == "Linux\n"
    assert glassbox("exec", machine.name, "echo a b | wc -w; exit 4").returncode == 4
    assert glassbox("exec", machine.name, "--", "echo a b | wc -w").stdout == "2\n"
    assert glassbox("exec", machine.name, "--timeout=9", "echo", "--timeout", "$HOME").stdout == "--timeout $HOME\n"
    with machine.paused():
        started = time.monotonic()
        assert "is paused" in glassbox("exec", machine.name, "ls").stderr and time.monotonic() - started < 20


@guest
def test_qmp_passes_commands_through(machine):
    command = '{"execute": "query-status"}'
    assert json.loads(glassbox("qmp", machine.name, command).stdout)["status"] == "running"
    assert json.loads(glassbox("qmp", machine.name, "query-name").stdout) == {"name": machine.name}
    for words, status in (('{"execute": 3', 2), ('{"run": "x"}', 2), ("no-such", 1)):
        assert glassbox("qmp", machine.name, words).returncode == status


@guest
def test_status_lists_every_machine(machine):
    assert machine.name in glassbox("status").stdout
    one = json.loads(glassbox("status", machine.name, "--json").stdout)
    assert one["ram_bytes"] == machine.ram.size and one["dirty_strategy"] in ("soft-dirty", "comparison")


@guest
def test_status_lists_captures_where_asked_and_says_what_each_is(machine, tmp_path):
    folder = tmp_path / "taken"
    machine.client.capture(str(folder))
    with Client.connect(str(folder)) as capture:
        assert "capture" not in glassbox("status").stdout
        heading, *rows = glassbox("status", "--captures").stdout.splitlines()
        (row,) = [line.split() for line in rows if line.startswith(str(folder))]
        assert row[1] == "capture" and heading.startswith("NAME")
        found = json.loads(glassbox("status", "--captures", "--json").stdout)
        assert {each["name"]: each["origin"] for each in found}[capture.name] == "capture"
        assert {each["origin"] for each in json.loads(glassbox("status", "--json").stdout)} <= {
            "started",
            "attached",
            "image",
        }
        capture.stop()


@guest
def test_the_console_log_holds_the_boot(machine):
    answer = glassbox("console", machine.name)
    assert "glassbox: ready" in answer.stdout


def config_of(image, *words, name="x", rest=()):
    parser = argparse.ArgumentParser()
    add_machine_options(parser)
    options = parser.parse_args(["--kernel", str(image.kernel), "--initrd", str(image.initrd), *words])
    options.rest = rest
    return make_config(options, name)


def test_flags_become_the_machine_that_is_asked_for(image):
    config = config_of(image, "--memory", "1G", "--smp", "2", "--machine", "q35", "--append", "quiet", rest=["-S"])
    assert (config.memory, config.smp, config.machine, config.accelerator) == (1 << 30, 2, "q35", "tcg")
    # With a kernel and an initramfs of the user's, no image is looked for.
    assert (config.kernel, config.image, config.image_id) == (image.kernel, "", "")
    assert config.append.endswith(" quiet") and config.qemu_args == ("-S",)
    assert config_of(image, name=None).name == "machine"


@pytest.mark.parametrize("words", [("--memory", "3"), ("--smp", "0"), ("--memory", "words")], ids=" ".join)
def test_a_machine_that_cannot_be_is_refused_before_anything_starts(image, words):
    with pytest.raises(UsageError):
        config_of(image, *words)


@guest
def test_a_table_of_machines_has_the_columns_and_one_machine_a_line_a_field(machine, command):
    table = command("status")
    assert table.out.splitlines()[0].split() == " ".join(STATUS_HEADINGS).upper().split()
    # A longer name, such as a capture's, has its width.
    longest = max(len(line.split()[0]) for line in table.out.splitlines())
    assert max(map(len, table.out.splitlines())) <= 80 + max(0, longest - 16)
    lines = command("status", machine.name).out.splitlines()
    assert [line.split()[0] for line in lines] == list(Status.__struct_fields__)
    assert any(line.split() == ["runstate", "running"] for line in lines)


@guest
def test_pause_and_resume_stop_the_vcpus_and_let_them_run(machine, command):
    try:
        assert command("pause", machine.name) == (0, "", "")
        assert machine.client.status().runstate == "paused"
    finally:
        assert command("resume", machine.name) == (0, "", "")
    assert machine.client.status().runstate == "running"


@guest
def test_stop_ends_a_machine(victim, command):
    assert command("stop", victim.name) == (0, "", "")
    assert not victim.is_alive()
    assert command("stop", victim.name).status == 2


@guest
def test_a_machine_that_does_not_answer_has_a_row_all_the_same(machine, command, monkeypatch):
    from qemu_bridge.client import Client
    from qemu_bridge.errors import MachineError

    def say_nothing(self):
        raise MachineError("it does not answer")

    monkeypatch.setattr(Client, "status", say_nothing)
    answer = command("status")
    assert answer.status == 0 and "no answer" in answer.out and "it does not answer" in answer.err


@guest
def test_events_are_an_object_a_line_the_present_state_first_and_the_end_last(victim):
    words = [sys.executable, "-m", "qemu_bridge.cli", "events", victim.name]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as listening:
        first = json.loads(listening.stdout.readline())
        victim.stop()
        last = [json.loads(line) for line in listening.stdout][-1]
        assert listening.wait(timeout=120) == 0
    assert (first["event"], first["machine"], first["runstate"]) == ("runstate", "victim", "paused")
    assert last["event"] == "exited"


def open_files(pid):
    found = []
    with contextlib.suppress(OSError):  # one that is closed meanwhile
        for path in Path(f"/proc/{pid}/fd").iterdir():
            found.append(os.readlink(path))
    return found


@guest
def test_a_console_is_followed_until_the_machine_ends_and_read_afterwards(victim, command):
    words = [sys.executable, "-m", "qemu_bridge.cli", "console", victim.name, "--follow"]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as following:
        wait_until(lambda: "console.log" in " ".join(open_files(following.pid)))
        victim.stop()
        assert following.wait(timeout=120) == 0
    assert glassbox("console", victim.name).returncode == 0
    assert command("console", "never-was").status == 2


@guest
def test_a_command_that_takes_too_long_is_ended(machine):
    answer = glassbox("exec", machine.name, "--timeout", "1", "--", "sleep", "50")
    assert answer.returncode and "Traceback" not in answer.stderr
    assert machine.exec("echo alive") == b"alive\n"


def test_a_guest_whose_kernel_panics_is_not_waited_for(image):
    """64 MiB are too little for Alpine: its initramfs does not fit."""
    try:
        answer = glassbox("start", "panics", "--memory", "64M", "--wait")
        assert answer.returncode == 1 and "panicked: " in answer.stderr and "glassbox console panics" in answer.stderr
        assert len(answer.stderr.strip().splitlines()) == 1
    finally:
        glassbox("stop", "panics")


@guest
def test_a_command_that_took_too_long_is_said_to_be_killed(machine, command):
    answer = command("exec", machine.name, "--timeout", "1", "sleep", "100")
    assert answer.status in (124, 137, 143) and "killed after 1 s" in answer.err
    assert command("exec", machine.name, "exit 143") == (143, "", "")


@guest
def test_exec_writes_each_stream_to_its_own_and_json_shows_them_apart(machine):
    words = ("printf 'a\\n'; printf 'b\\377' >&2; exit 5",)
    done = subprocess.run(
        [sys.executable, "-m", "qemu_bridge.cli", "exec", machine.name, *words], capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (5, b"a\n", b"b\xff")
    answer = glassbox("exec", machine.name, "--json", "--timeout", "60", *words)
    assert answer.returncode == 5
    assert json.loads(answer.stdout) == {"exit_status": 5, "timed_out": False, "output": "a\n", "errors": "b\\xff"}


@guest
def test_ctrl_c_during_exec_leaves_the_shell_usable(machine):
    command = [sys.executable, "-m", "qemu_bridge.cli", "exec", machine.name]
    line = "echo begun; echo begun >&2; touch /tmp/begun; usleep 1500000; echo more; echo more >&2"
    with subprocess.Popen([*command, line], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_until(lambda: any("usleep" in one.command_line for one in machine.client.ps()))
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=120) == (b"", b"") and process.returncode == 130
    assert machine.client.exec("rm /tmp/begun; echo one; echo two >&2") == ExecResult(0, Blob(b"one\n"), Blob(b"two\n"))


@guest
def test_several_machines_start_at_once_and_a_name_that_is_taken_is_told_before_any_does(image, command):
    words = ("start", "several", "--memory", "96M", "--kernel", image.kernel, "--initrd", image.initrd)
    names = ["several-1", "several-2"]
    try:
        started = command(*words, "--count", 2, "--", "-S")
        assert (started.status, started.out.split()) == (0, names)
        rows = {row["name"]: row for row in json.loads(command("status", "--json").out)}
        assert all(rows[name]["ram_bytes"] == 96 << 20 for name in names)
        assert command("stop", "several-1").status == 0
        again = command(*words, "--count", 3)
        assert again.status == 1 and "several-2 run already" in again.err
        assert "several-1" not in {row["name"] for row in json.loads(command("status", "--json").out)}
    finally:
        for name in names:
            command("stop", name)


@pytest.mark.parametrize("words", [("--count", "0"), ("--count", "65"), ("--count", "2", "--trace-from-boot", "x.gbt")])
def test_a_count_that_cannot_be_is_refused(image, words, command):
    answer = command("start", "x", "--kernel", image.kernel, "--initrd", image.initrd, *words)
    assert answer.status == 2 and "--count" in answer.err


@pytest.mark.parametrize(
    ("seconds", "text"), [(7.4, "7 s"), (99, "99 s"), (101, "2 min"), (6001, "2 h"), (3.6e5, "4 d"), (1e6, "12 d")]
)
def test_a_duration_has_the_unit_that_leaves_it_short(seconds, text):
    assert format_duration(seconds) == text
