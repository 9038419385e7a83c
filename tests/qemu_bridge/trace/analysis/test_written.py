"""Who wrote a text, and what was started, is found in the stores of a guest that did it."""

from __future__ import annotations

import json
import re

import pytest
from support import glassbox, recording, wait_until
from trace_program import Program, pieces_of, record_words

from qemu_bridge.errors import UsageError
from qemu_bridge.trace.analysis.written import find_commands, find_written
from qemu_bridge.trace.file.reader import TraceReader

NEEDLE = "needle-9f31c2"


@pytest.fixture(scope="module")
def written(machine, tmp_path_factory):
    """(trace, pid of the shell, its page-table root): the shell wrote the needle into a file meanwhile."""
    path = tmp_path_factory.mktemp("written") / "trace.gbt"
    work = "echo needle-$((9))f31c2 > /tmp/found; /bin/dd if=/dev/zero of=/dev/null count=1; TZ=x /bin/sh -c \"true 'a b'\" arg"
    start = f"(while :; do {work}; echo >> /tmp/turns; usleep 100000; done) >/dev/null 2>&1 </dev/null & echo $!"
    pid = int(machine.exec(start).split()[-1])
    root = next(process.page_table for process in machine.client.ps() if process.pid == pid)
    try:
        with recording(machine, path, "--values"):
            before = turns(machine)
            # The turn that was begun before has not all of it in the trace.
            wait_until(lambda: turns(machine) > before + 2)
        yield path, pid, root
    finally:
        machine.exec(f"kill {pid}; rm -f /tmp/found /tmp/turns")


def turns(machine):
    return int(machine.exec("wc -l < /tmp/turns || echo 0"))


@pytest.mark.guest
def test_the_process_that_wrote_a_text_is_named_with_its_code(written, machine):
    path, pid, root = written
    with TraceReader(path) as trace:
        found = list(find_written(trace, re.compile(NEEDLE.encode())))
    assert found and root in {one.root for one in found}
    assert all(one.text.startswith(NEEDLE.encode()) for one in found)
    answer = glassbox("trace", "find", str(path), NEEDLE, "--symbols", machine.name, "--json")
    rows = json.loads(answer.stdout)
    assert answer.returncode == 0 and len(rows) == len(found)
    mine = [row for row in rows if row["root"] == f"{root:#x}"]
    assert {row["process"].split()[0] for row in mine} == {str(pid)}
    # The kernel copied it into the page of the file, in the name of the process.
    assert any(row["symbol"] for row in mine if int(row["code"], 16) >> 63)


@pytest.mark.guest
def test_what_was_not_written_ends_with_status_1(written):
    answer = glassbox("trace", "find", str(written[0]), "--regex", "never[-]written-at-all")
    assert (answer.returncode, answer.stdout) == (1, "")
    with TraceReader(written[0]) as trace, pytest.raises(UsageError, match="empty pattern"):
        list(find_written(trace, re.compile(b"x*")))


@pytest.mark.guest
def test_every_program_that_was_started_has_its_command_line(written):
    with TraceReader(written[0]) as trace:
        found = list(find_commands(trace))
    lines = {one.arguments: one.file for one in found}
    wanted = {
        ("/bin/dd", "if=/dev/zero", "of=/dev/null", "count=1"): "/bin/dd",
        ("/bin/sh", "-c", "true 'a b'", "arg"): "/bin/sh",
    }
    assert wanted.items() <= lines.items(), lines
    assert [one.instruction for one in found] == sorted({one.instruction for one in found}), "each once, in order"
    answer = glassbox("trace", "commands", str(written[0]))
    assert answer.returncode == 0 and len(answer.stdout.splitlines()) == len(found)
    assert "/bin/dd: /bin/dd if=/dev/zero of=/dev/null count=1" in answer.stdout


def test_a_trace_without_values_is_refused(tmp_path):
    program = Program()
    path = record_words(tmp_path / "trace", program, pieces_of(program.walk(50)))
    with TraceReader(path) as trace:
        for search in (lambda: find_written(trace, re.compile(b"x")), lambda: find_commands(trace)):
            with pytest.raises(UsageError, match="--values"):
                list(search())
