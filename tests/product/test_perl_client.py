"""docs/clients/perl.pl, written from docs/protocol.md alone, against Python's client on the same guest."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from qemu_bridge.memory.addresses import PhysicalAddress
from qemu_bridge.wire.page_map import FLAG_SHARED
from qemu_bridge.wire.records import PageClass

CLIENT = Path(__file__).parents[2] / "docs" / "clients" / "perl.pl"


def has_perl() -> bool:
    perl = shutil.which("perl")
    return (
        perl is not None
        and not subprocess.run([perl, "-MJSON::PP", "-e1"], capture_output=True, check=False).returncode
    )


pytestmark = [
    pytest.mark.guest,
    pytest.mark.skipif(not has_perl(), reason="perl or its core modules are not installed"),
]


def start(*words):
    command = ["perl", str(CLIENT), *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(*words):
    """(exit status, standard output, standard error)."""
    process = start(*words)
    output, errors = process.communicate(timeout=120)
    return process.returncode, output, errors


def ask(machine, operation, *file, **arguments):
    """(exit status, what the client printed)."""
    status, output, errors = run(machine.name, operation, json.dumps(arguments), *file)
    assert output, errors
    return status, json.loads(output)


def test_it_is_short_and_knows_every_page_class():
    text = CLIENT.read_text()
    code = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert len(code) <= 150 and max(map(len, text.splitlines())) <= 120
    assert re.search(r"@CLASSES = qw\((.*?)\)", text, re.DOTALL)[1].split() == [each.word for each in PageClass]


def test_it_finds_machines_by_their_locks(machine):
    assert machine.name in run()[1].split()
    assert json.loads(run(machine.name)[1])["daemon_pid"] == machine.client.connection.daemon_pid
    status, _, errors = run("no-such-machine")
    assert status == 2 and machine.name in errors


def test_a_call_gets_what_python_gets(machine):
    status, symbols = ask(machine, "sym", symbol="init_task")
    assert status == 0 and symbols["value"][0]["address"] == hex(machine.client.sym("init_task")[0].address)
    status, error = ask(machine, "maps", pid="x")
    assert (status, error["kind"]) == (1, "UsageError") and "pid: expected integer, got string" in error["message"]


def test_raw_bytes_come_whole(machine, tmp_path):
    ranges = [["0x100000", 4 << 20]]
    with machine.paused():
        status, answer = ask(machine, "read_memory", tmp_path / "bytes", ranges=ranges)
        assert status == 0 and answer["value"] == [{"frame": 1}] and answer["grade"] == "paused"
        assert (tmp_path / "bytes").read_bytes() == machine.ram.read(PhysicalAddress(0x100000), 4 << 20)


def test_a_job_has_progress_and_a_result(machine, tmp_path):
    status, output, errors = run(machine.name, "capture", json.dumps({"output": str(tmp_path / "kept"), "live": True}))
    assert status == 0 and json.loads(output)["ram_bytes"] == machine.ram.size and (tmp_path / "kept").is_dir()
    told = [tuple(map(int, line.split(" of "))) for line in errors.splitlines()]
    assert told == sorted(told) and told[-1][0] == told[-1][1]


def test_ctrl_c_cancels_a_job_which_says_so(machine, tmp_path):
    # Its first progress says that it runs; without the cancellation it would end after an hour.
    options = {"output": str(tmp_path / "never.gbt"), "options": {"seconds": 3600}}
    recording = start(machine.name, "trace_record", json.dumps(options))
    assert " of 0" in recording.stderr.readline()
    recording.send_signal(signal.SIGINT)
    output, _ = recording.communicate(timeout=120)
    assert recording.returncode == 0 and json.loads(output)["end"] == "stopped"


def test_events_come_in_order(machine):
    events = start(machine.name, "--events", 3, "runstate")
    first = json.loads(events.stdout.readline())
    with machine.paused():
        pass
    output, _ = events.communicate(timeout=120)
    found = [first, *map(json.loads, output.splitlines())]
    assert [event["runstate"] for event in found] == ["running", "paused", "running"]
    assert {(event["event"], event["machine"], event["ready"]) for event in found} == {("runstate", machine.name, True)}


@pytest.mark.parametrize("place", ["init_task", "linux_banner", "0x100000"])
def test_a_page_has_the_class_and_owner_that_python_sees(machine, place):
    with machine.paused():
        address = machine.client.identify(place).value.physical
        status, output, errors = run(machine.name, "--page", hex(address))
        page_map = machine.client.page_map().value
    assert status == 0, errors
    found = json.loads(output)
    entry = page_map.entries[found["page"]]
    assert found["class"] == PageClass(entry["page_class"]).word == machine.client.identify(place).value.page_class
    assert found["flags"] == entry["flags"] and not found["flags"] & FLAG_SHARED
    assert found["owner"]["name"] == page_map.owners[int(entry["owner_id"])].name
    assert run(machine.name, "--page", "0xffffffffffff")[0] == 2
