"""Names for a trace: from a symbol file, from a table and processes, and none."""

import pytest
from trace_kernel import process

from qemu_bridge.client import Client
from qemu_bridge.errors import UsageError
from qemu_bridge.memory.addresses import PAGE_SIZE, RamOffset
from qemu_bridge.trace.analysis.naming import Naming, naming_of, naming_of_file, naming_of_machine, read_symbols


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


@pytest.mark.guest
def test_a_page_table_that_several_processes_had_is_named_by_all(machine):
    with Client.connect(machine.name) as client:
        root = next(row.page_table for row in client.ps().value if row.pid == 1)
        naming = naming_of_machine(client, [process(7, "awk", root)] * 2)
    assert naming.process(int(root)) == "1 init, 7 awk" and naming.root(7) == root


@pytest.mark.guest
def test_user_code_is_named_by_the_file_whose_page_it_is(machine):
    with Client.connect(machine.name) as client:
        (text, *_) = [row for row in client.maps(1).value if "x" in row.permissions and row.path.endswith("busybox")]
        offset = int(client.identify(f"va:{int(text.start):#x}@pid:1").value.ram_offset)
        code = client.ram.read_at(RamOffset(offset), PAGE_SIZE)
        naming = naming_of_machine(client).during({})
        assert naming.file(offset + 4, code[4:20]) == f"busybox+{text.file_offset + 4:#x}"
        assert naming.file(offset, code + b"of the next page") == f"busybox+{text.file_offset:#x}"
        assert naming.file(offset, bytes(16)) == naming.file(1 << 60, code) == ""


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
