"""The ELF file, as binutils read it."""

from __future__ import annotations

import subprocess

from qemu_bridge.kernel.debug_file.elf import FUNCTION, OBJECT, ElfSymbol, Region, elf_file

BASE = 0xFFFFFFFF81000000


def test_regions_symbols_and_sections_are_where_they_were_put(tmp_path):
    regions = [Region(".text", BASE, 0x1000, True), Region(".data", BASE + 0x1000, 0x800, False)]
    symbols = [
        ElfSymbol(b"do_it", BASE + 16, 32, FUNCTION, True),
        ElfSymbol(b"helper", BASE + 48, 8, FUNCTION, False),
        ElfSymbol(b"table", BASE + 0x1008, 64, OBJECT, True),
        ElfSymbol(b"elsewhere", 0xFFFFFFFFC0000000, 0, FUNCTION, False),
    ]
    path = tmp_path / "vmlinux"
    path.write_bytes(b"".join(elf_file(regions, symbols, {".debug_str": b"one\0two\0"})))
    text = subprocess.run(["readelf", "-sSW", path], capture_output=True, text=True, check=True)
    assert text.stderr == ""
    sections = [line.split() for line in text.stdout.replace("[ ", "[").splitlines() if "BITS" in line]
    assert [row[1:4] for row in sections] == [
        [".text", "NOBITS", f"{BASE:016x}"],
        [".data", "NOBITS", f"{BASE + 0x1000:016x}"],
        [".debug_str", "PROGBITS", "0" * 16],
    ]
    rows = [line.split() for line in text.stdout.splitlines() if "DEFAULT" in line]
    assert {row[7]: (int(row[1], 16), int(row[2]), *row[3:5], row[6]) for row in rows if len(row) > 7} == {
        "do_it": (BASE + 16, 32, "FUNC", "GLOBAL", "1"),
        "helper": (BASE + 48, 8, "FUNC", "LOCAL", "1"),
        "table": (BASE + 0x1008, 64, "OBJECT", "GLOBAL", "2"),
        "elsewhere": (0xFFFFFFFFC0000000, 0, "FUNC", "LOCAL", "ABS"),
    }
    dumped = subprocess.run(["readelf", "-p", ".debug_str", path], capture_output=True, text=True, check=True).stdout
    assert "one" in dumped and "two" in dumped
