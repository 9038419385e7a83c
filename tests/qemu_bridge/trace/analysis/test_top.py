"""``glassbox trace top`` on a real guest: a known program owns its loop, and names are those of the guest."""

import json

import msgspec
import numpy as np
import pytest
from support import booted, glassbox, recording
from trace_program import Program, pieces_of, record_words

from qemu_bridge.errors import UsageError
from qemu_bridge.trace.analysis.mining import mine
from qemu_bridge.trace.analysis.naming import Naming, naming_of_file, naming_of_machine
from qemu_bridge.trace.analysis.top import top
from qemu_bridge.trace.file.guest_note import read_note
from qemu_bridge.trace.file.reader import TraceReader
from qemu_bridge.wire.json_text import decode_json
from qemu_bridge.wire.trace_records import PathOrder, TopOptions, TopResult


@pytest.fixture(scope="module")
def machine(image):
    with booted("mined", image) as found:
        yield found


@pytest.fixture(scope="module")
def recorded(machine, tmp_path_factory):
    """(trace, pid) of a second in which a shell runs a loop of its own."""
    path = tmp_path_factory.mktemp("top") / "loop.gbt"
    result = machine.client.exec("sh -c 'while :; do :; done' >/dev/null 2>&1 & echo $!", 30.0)
    output = result.output
    pid = int(output)
    try:
        done = glassbox("trace", machine.name, "-o", str(path), "--seconds", "1", "--json")
        assert done.returncode == 0, done.stderr
        assert glassbox("trace", "check", str(path)).returncode == 0
        yield path, pid, top_json(path, "--symbols", machine.name, "--user"), top_json(path, "--symbols", machine.name)
    finally:
        machine.client.exec(f"kill -9 {pid}", 30.0)


def top_json(path, *words):
    answer = glassbox("trace", "top", str(path), "--json", *words)
    assert answer.returncode == 0, answer.stderr
    # Addresses as numbers.
    return json.loads(msgspec.json.encode(decode_json(answer.stdout.encode(), TopResult)))


@pytest.mark.guest
def test_a_known_process_owns_its_loop(recorded):
    path, pid, user, _ = recorded
    hottest = user["paths"][0]
    assert hottest["process"] == f"{pid} sh" and hottest["ring"] == 3
    assert user["processes"][0]["process"] == f"{pid} sh" and user["processes"][0]["share"] > 0.9
    with mine(path, workers=1) as found:
        whole, own = found.paths(1, ring=3)[0], found.paths(1, root=hottest["root"], ring=3)[0]
        assert own.ids == whole.ids and own.instructions >= 0.99 * whole.instructions
        rows = found.sql.execute(
            "SELECT root = ?, sum(instructions) FROM blocks WHERE id IN ? GROUP BY 1", [hottest["root"], list(own.ids)]
        ).fetchall()
        counts = dict(rows)
        assert counts[True] >= 0.99 * sum(counts.values())


@pytest.mark.guest
def test_instructions_of_a_process_are_told_from_those_of_the_kernel_on_its_page_table(machine, recorded, tmp_path):
    busy = recorded[3]["processes"][0]
    assert busy["user_instructions"] > 0.9 * busy["instructions"]
    done = glassbox("trace", machine.name, "-o", str(tmp_path / "kernel.gbt"), "--seconds", "0.5", "--only", "kernel")
    assert done.returncode == 0, done.stderr
    rows = top_json(tmp_path / "kernel.gbt", "--symbols", machine.name)["processes"]
    assert rows and not any(row["user_instructions"] for row in rows)


@pytest.mark.guest
def test_kernel_code_has_the_names_of_the_guests_own_kallsyms(machine, recorded):
    # With no other condition the shell's loop may fill all the places there are.
    kernel = top_json(recorded[0], "--symbols", machine.name, "--kernel")
    lines = [line for item in kernel["blocks"] + kernel["paths"] for line in item["code"] if line["symbol"]]
    # A dozen: busybox tries each on each of 90,000 lines, and the loop still runs.
    wanted = list(dict.fromkeys(line["symbol"].partition("+")[0] for line in lines))[:12]
    lines = [line for line in lines if line["symbol"].partition("+")[0] in wanted]
    pattern = "|".join(wanted).replace(".", "[.]")
    result = machine.client.exec(f"grep -E ' ({pattern})([[:space:]]|$)' /proc/kallsyms", 240.0)
    output, status = result.output, result.exit_status
    assert status == 0
    names = {}
    for line in output.decode().splitlines():
        address, _, name = line.split()[:3]
        names.setdefault(name, set()).add(int(address, 16))
    assert names
    for line in lines:
        name, _, offset = line["symbol"].partition("+")
        assert line["address"] - int(offset or "0", 16) in names[name]


@pytest.mark.guest
def test_pid_limits_the_answer_and_shares_stay_those_of_the_whole(machine, recorded):
    path, pid, _, everything = recorded
    mine_only = top_json(path, "--symbols", machine.name, "--pid", str(pid), "-n", "3")
    assert [row["process"] for row in mine_only["processes"]] == [f"{pid} sh"]
    assert mine_only["instructions"] == everything["instructions"]
    assert sum(row["instructions"] for row in everything["processes"]) == everything["instructions"]


def test_table_is_readable_without_a_machine(tmp_path):
    program = Program()
    symbols = tmp_path / "System.map"
    symbols.write_text(f"{program.address(1):016x} T first\n{program.address(5):016x} T fifth\nwhat is this\n")
    path = record_words(tmp_path / "trace", program, pieces_of(program.walk(3000)))
    answer = glassbox("trace", "top", str(path), "-n", "2", "--symbols", str(symbols))
    assert answer.returncode == 0, answer.stderr
    assert "hot blocks" in answer.stdout and "hot cyclic paths" in answer.stdout
    assert "nop" in answer.stdout and "f" in answer.stdout and "instructions counted" in answer.stderr


def test_bad_words_are_refused(tmp_path):
    assert glassbox("trace", "top", str(tmp_path / "none.gbt")).returncode == 2
    assert glassbox("trace", "top", "x.gbt", "-n", "0").returncode == 2


def test_python_and_the_command_line_give_the_same(tmp_path):
    program = Program()
    symbols = tmp_path / "System.map"
    names = ["_text", *(f"block_{number}" for number in range(2, program.count + 1))]
    symbols.write_text("".join(f"{program.address(n):016x} T {name}\n" for n, name in enumerate(names, 1)))
    path = record_words(tmp_path / "trace", program, pieces_of(program.walk(3000)), 700)
    seen = []
    options = TopOptions(count=4, ring=0, by=PathOrder.TOTAL, workers=1)
    found = top(path, options, naming_of_file(symbols), seen.append)
    assert json.loads(msgspec.json.encode(found)) == top_json(
        path, "-n", "4", "--kernel", "--by", "total", "--symbols", str(symbols)
    )
    assert len(found.blocks) == 4 and found.paths and found.blocks[0].code[0].symbol in names
    assert [each.done for each in seen] == list(range(1, seen[-1].frames + 1))


def test_as_much_code_is_listed_as_is_asked_for(tmp_path):
    program = Program()
    path = record_words(tmp_path / "trace", program, pieces_of(program.walk(3000)), 700)
    whole, short = (top(path, TopOptions(code_lines=lines)) for lines in (100_000, 3))
    for own, other in zip(whole.blocks + whole.paths, short.blocks + short.paths, strict=True):
        assert own.length == len(own.code) == other.length and other.code == own.code[:3]
    with pytest.raises(UsageError, match="code_lines"):
        top(path, TopOptions(code_lines=-1))


def test_a_process_is_chosen_by_what_the_naming_knows(tmp_path):
    program = Program()
    path = record_words(tmp_path / "trace", program, pieces_of(program.walk(500)))
    naming = Naming(
        process=lambda root: "7 sh" if root == 0x1000 else "", root=lambda pid: 0x1000 if pid == 7 else 0x2000
    )
    known, unknown = (top(path, TopOptions(pid=pid), naming) for pid in (7, 8))
    assert known.processes[0].process == "7 sh" and known.processes[0].share == 1.0
    assert not unknown.processes and not unknown.blocks and unknown.instructions == known.instructions
    with pytest.raises(UsageError, match="--symbols"):
        top(path, TopOptions(pid=7))
    with pytest.raises(UsageError, match="count from 1"):
        top(path, TopOptions(workers=0))


@pytest.mark.guest
def test_a_root_that_is_used_again_lends_its_later_name_to_nobody(machine, tmp_path):
    """The kernel gives the page table of a process that has died to the next ones."""
    path = tmp_path / "reused.gbt"
    with recording(machine, path, "--only", "user"):
        machine.exec("cp /bin/busybox /tmp/md5sum; head -c 4000000 /dev/zero | /tmp/md5sum")
    with TraceReader(path) as trace:
        note = read_note(trace.info.about)
        used = {int(root) for frame in trace.frames() for root in np.unique(frame.roots(0))}
    begun = dict(note.processes)
    machine.client.exec("for i in 1 2 3 4 5 6 7 8 9; do sleep 300 </dev/null >/dev/null 2>&1 & done", 30.0)
    try:
        living = {process.page_table: process for process in machine.client.ps() if process.page_table is not None}
        again = {root for root in used & living.keys() if begun.get(root) != living[root].pid}
        assert again, "no root was used again"
        named = {
            row["root"]: row["process"] for row in top_json(path, "--symbols", machine.name, "-n", "50")["processes"]
        }
        assert not any(named[root] for root in again & named.keys())
        assert all(name == f"{begun[root]} {living[root].name}" for root, name in named.items() if name)
    finally:
        machine.client.exec("killall sleep", 30.0)


USE_OF_A_MODULE = (
    "dd if=/dev/zero of=/tmp/disk bs=4k count=64 2>/dev/null; losetup /dev/loop0 /tmp/disk;"
    " dd if=/dev/loop0 of=/dev/null bs=4k 2>/dev/null; losetup -d /dev/loop0"
)


@pytest.mark.guest
def test_code_of_a_module_has_the_name_that_the_guest_gives_it(machine, tmp_path):
    path = tmp_path / "module.gbt"
    symbols = sorted((int(row[0], 16), row[2]) for row in machine.kallsyms() if len(row) == 4)
    assert symbols
    with recording(machine, path, "--only", "kernel"):
        machine.exec(USE_OF_A_MODULE)
    with TraceReader(path) as trace:
        naming = naming_of_machine(machine.client).during(trace.info.about)
        ran = {int(address) for blocks in trace.blocks() for address in np.unique(blocks.addresses)}
        elsewhere = naming_of_machine(machine.client).during({})
    inside = [address for address in ran if symbols[0][0] <= address <= symbols[-1][0]]
    assert len(inside) > 50
    for address in inside:
        start = max(at for at, _ in symbols if at <= address)
        wanted = {name + (f"+{address - start:#x}" if address > start else "") for at, name in symbols if at == start}
        assert naming.symbol(address) in wanted and elsewhere.symbol(address) == ""
    top = glassbox(
        "trace", "export", str(path), "--format", "folded", "--symbols", machine.name, "-o", str(tmp_path / "stacks")
    )
    assert top.returncode == 0, top.stderr
    assert "loop_queue_rq" in (tmp_path / "stacks").read_text()
