"""The debug file of a real kernel: gdb reads from it what the guest says of itself."""

from __future__ import annotations

import random
import re
import subprocess

import pytest

from qemu_bridge.errors import UsageError
from qemu_bridge.kernel.debug_file import write_debug_file
from qemu_bridge.kernel.modules import GuestSymbols, ModuleReader
from qemu_bridge.kernel.objects import KernelObjects
from qemu_bridge.kernel.symbols.btf_format import Kind

pytestmark = pytest.mark.guest


def test_gdb_has_every_address_of_kallsyms_and_every_size_of_btf(machine, tmp_path):
    space = KernelObjects(machine.ram, machine.kernel)
    path = tmp_path / "vmlinux"
    symbols = GuestSymbols(machine.kernel, ModuleReader(space).read())
    write_debug_file(path, space, symbols)
    with pytest.raises(UsageError):
        write_debug_file(path, space, GuestSymbols(machine.kernel))
    # These are the guest's own: symbols/test_kernel.py and test_modules.py compare them with /proc/kallsyms.
    per_cpu = machine.kernel.per_cpu_symbols
    tables = [machine.kernel.kallsyms, *(module.table for module in symbols.modules)]
    theirs = {
        (at, entry[1:])
        for table in tables
        for at, entry in zip(table.addresses.tolist(), table.entries(), strict=True)
        if at >> 63 and at not in per_cpu
    }
    text = subprocess.run(["readelf", "-sSW", path], capture_output=True, text=True, check=True).stdout
    ours = {(int(at, 16), name) for at, name in re.findall(r"^ *\d+: ([0-9a-f]{16}) .* (\S+)$", text, re.MULTILINE)}
    assert theirs <= ours and len(theirs) > 50_000 and symbols.modules
    btf, rng = machine.kernel.btf, random.Random(2)
    names = rng.sample(sorted({btf.name(each) for each in btf.ids(Kind.STRUCT)} - {""}), 300)
    words = [word for name in names for word in ("-ex", f"p sizeof(struct {name})")]
    done = subprocess.run(["gdb", "-q", "-nx", "-batch", *words, path], capture_output=True, text=True, check=True)
    sizes = {btf.sizeof(name) for name in names}
    found = [int(line.partition(" = ")[2]) for line in done.stdout.splitlines() if line.startswith("$")]
    assert len(found) == len(names) and set(found) <= sizes
    assert sum(size == btf.sizeof(name) for size, name in zip(found, names, strict=True)) > 0.97 * len(names)
