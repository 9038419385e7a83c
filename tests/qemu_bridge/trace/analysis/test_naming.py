"""Names for a trace: from a symbol file, from a table and processes, and none."""

import pytest
from trace_kernel import process

from qemu_bridge.errors import UsageError
from qemu_bridge.trace.analysis.naming import Naming, naming_of, naming_of_file, read_symbols


def test_symbol_files_are_read_and_others_refused(tmp_path):
    symbols = tmp_path / "map"
    symbols.write_text(
        "ffffffff81000020 t second\nffffffff81000000 T _stext\n0000000000001000 A per_cpu\nffffffff81001000 T _end\n"
    )
    names = naming_of_file(symbols)
    assert names.symbol(0xFFFFFFFF81000000) == "_stext" and names.symbol(0xFFFFFFFF81000021) == "second+0x1"
    assert names.symbol(0x1000) == names.process(0x1000) == "" == Naming().symbol(0xFFFFFFFF81000000)
    symbols.write_bytes(b"\x00\xff nothing of the kind\n" * 99)
    with pytest.raises(UsageError, match="no symbols"):
        read_symbols(symbols)
    with pytest.raises(UsageError, match="--symbols"):
        names.root(1)


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        read_symbols(tmp_path / "none")


def test_processes_are_known_by_root_and_by_pid():
    processes = [process(7, "sh", 0x5000), process(2, "kthreadd", None)]
    naming = naming_of(None, processes)
    assert naming.process(0x5000) == "7 sh" and naming.root(7) == 0x5000
    assert naming.process(0x6000) == naming.symbol(0x5000) == ""
    with pytest.raises(UsageError, match="no process 2"):
        naming.root(2)


def test_only_names_that_were_true_when_the_recording_began_are_given():
    """A page table is used again, a process gets a new one, a guest boots again."""
    naming = naming_of(
        None, [process(7, "sh", 0x5000), process(8, "ls", 0x6000), process(9, "cat", 0x7000)], "build+0x0"
    )
    note = {"kernel": "build+0x0", "processes": [[0x5000, 7], [0x6000, 3], [0x9000, 9]], "modules": []}
    then = naming.during({"guest": note})
    assert [then.process(root) for root in (0x5000, 0x6000, 0x7000, 0x9000)] == ["7 sh", "", "", ""]
    assert then.root(7) == 0x5000
    with pytest.raises(UsageError, match="no process 8"):
        then.root(8)
    for about in (
        {},
        {"guest": {**note, "kernel": "build+0x200000"}},
        {"guest": 5},
        {"guest": {"processes": [[None, 7]]}},
    ):
        assert naming.during(about).process(0x5000) == ""
    assert Naming().during({"guest": note}).process(0x5000) == ""
