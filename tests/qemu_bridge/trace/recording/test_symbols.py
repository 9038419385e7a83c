"""The symbols in a trace are those of the guest's own /proc/kallsyms."""

import pytest
from support import recording

from qemu_bridge.trace.file.reader import TraceReader
from qemu_bridge.trace.recording.symbols import note_symbols


def test_a_machine_without_ram_has_no_symbols():
    assert note_symbols(object()) == ()


@pytest.mark.guest
@pytest.mark.long
def test_symbols_in_a_trace_are_those_of_the_guest(machine, tmp_path):
    path = tmp_path / "some.gbt"
    with recording(machine, path, "--insns", "100000"):
        machine.exec("true")
    with TraceReader(path) as trace:
        table = trace.symbols
    told = {}
    for address, kind, name, *_ in machine.kallsyms():
        if kind in "tT" and int(address, 16) >> 63:
            told.setdefault(int(address, 16), []).append(name)
    assert len(told) > 30_000
    assert [hex(address) for address, names in told.items() if table.name(address) not in names] == []
