"""Verbs that keep a machine: start, status, pause, resume, console, exec, qmp, events."""

import json

import pytest
from support import glassbox

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
def test_the_console_log_holds_the_boot(machine):
    answer = glassbox("console", machine.name)
    assert "glassbox: ready" in answer.stdout
