"""Call frames of a real kernel: binutils read from them what ORC says."""

from __future__ import annotations

import random
import re
import subprocess

import pytest

from qemu_bridge.kernel.debug_file.elf import elf_file
from qemu_bridge.kernel.debug_file.frames import frame_section
from qemu_bridge.kernel.modules import ModuleReader
from qemu_bridge.kernel.objects import KernelObjects
from qemu_bridge.kernel.orc import OrcKind, OrcRegister, OrcTables

pytestmark = pytest.mark.guest
_FRAME = re.compile(r"^[0-9a-f]+ .* FDE .*pc=([0-9a-f]+)\.\.([0-9a-f]+)")
_REGISTERS = {OrcRegister.SP: "rsp", OrcRegister.BP: "rbp"}


@pytest.mark.every_kernel
def test_rows_are_those_of_the_kernels_own_tables(each_machine, tmp_path):
    space = KernelObjects(each_machine.ram, each_machine.kernel)
    tables = OrcTables(space, ModuleReader(space).read())
    path = tmp_path / "frames"
    path.write_bytes(b"".join(elf_file([], [], {".debug_frame": frame_section(tables)})))
    done = subprocess.run(["readelf", "-wF", path], capture_output=True, text=True, check=True)
    assert done.stderr == "", done.stderr[:1000]
    found, columns = {}, []
    for line in done.stdout.splitlines():
        if "LOC" in line:
            columns = line.split()
        elif columns and (row := line.split()) and len(row) == len(columns):
            found[int(row[0], 16)] = dict(zip(columns, row, strict=True))
    table = tables.tables[0]
    assert len(found) > 0.9 * len(set(table.addresses.tolist()))
    calls = 0
    for address in random.Random(1).sample(sorted(found), 5000):
        entry, row = tables.find(address), found[address]
        if entry is None:  # behind the text, or between functions
            continue
        if entry.kind in (OrcKind.END, OrcKind.UNDEFINED) or entry.sp_register is OrcRegister.OTHER:
            assert row["ra"] == "u"
        elif entry.sp_register in _REGISTERS:
            assert row["CFA"] == f"{_REGISTERS[entry.sp_register]}{entry.sp_offset:+d}", hex(address)
            if entry.kind is OrcKind.CALL:
                calls += 1
                saved = f"c{entry.bp_offset:+d}" if entry.bp_register is OrcRegister.PREVIOUS_SP else "s"
                assert row["ra"] == "c-8" and row.get("rbp", "s") == saved, hex(address)
            elif entry.kind is OrcKind.REGS:
                assert (row["ra"], row["rsp"], row["rbp"], row["rax"]) == ("c+128", "c+152", "c+32", "c+80")
        else:
            assert row["CFA"] == "exp"
    assert calls > 4000
