"""``glassbox trace top`` on a real guest: a known program owns its loop, and names are those of the guest."""

import json

import pytest
from support import booted, glassbox
from trace_program import Program, pieces_of, record_words

from qemu_bridge.cli.trace_names import Names, read_symbols
from qemu_bridge.errors import UsageError
from qemu_bridge.trace.analysis.mining import mine


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
        yield path, pid, top(path, "--symbols", machine.name, "--user"), top(path, "--symbols", machine.name)
    finally:
        machine.client.exec(f"kill -9 {pid}", 30.0)


def top(path, *words):
    answer = glassbox("trace", "top", str(path), "--json", *words)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


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
def test_kernel_code_has_the_names_of_the_guests_own_kallsyms(machine, recorded):
    # With no other condition the shell's loop may fill all the places there are.
    kernel = top(recorded[0], "--symbols", machine.name, "--kernel")
    lines = [line for item in kernel["blocks"] + kernel["paths"] for line in item["code"] if line["symbol"]]
    # A dozen: busybox tries each on each of 90,000 lines, and the loop still runs.
    wanted = list(dict.fromkeys(line["symbol"].partition("+")[0] for line in lines))[:12]
    lines = [line for line in lines if line["symbol"].partition("+")[0] in wanted]
    pattern = "|".join(wanted).replace(".", "[.]")
    result = machine.client.exec(f"grep -E ' ({pattern})([[:space:]]|$)' /proc/kallsyms", 60.0)
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
    mine_only = top(path, "--symbols", machine.name, "--pid", str(pid), "-n", "3")
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


def test_symbol_files_are_read_and_others_refused(tmp_path):
    symbols = tmp_path / "map"
    symbols.write_text(
        "ffffffff81000020 t second\nffffffff81000000 T _stext\n0000000000001000 A per_cpu\nffffffff81001000 T _end\n"
    )
    names = Names(str(symbols))
    assert names.symbol(0xFFFFFFFF81000000) == "_stext" and names.symbol(0xFFFFFFFF81000021) == "second+0x1"
    assert names.symbol(0x1000) == names.process(0x1000) == "" == Names().symbol(0xFFFFFFFF81000000)
    symbols.write_bytes(b"\x00\xff nothing of the kind\n" * 99)
    with pytest.raises(UsageError, match="no symbols"):
        read_symbols(symbols)
    with pytest.raises(UsageError, match="--symbols"):
        names.root(1)


def test_bad_words_are_refused(tmp_path):
    assert glassbox("trace", "top", str(tmp_path / "none.gbt")).returncode == 2
    assert glassbox("trace", "top", "x.gbt", "-n", "0").returncode == 2
