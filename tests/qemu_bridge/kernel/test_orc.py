"""Unwind tables: what the processor has done when a function begins. The stacks of threads test the rest (overlays/test_kernel_stacks.py)."""

from __future__ import annotations

import numpy as np
import pytest

from qemu_bridge.kernel.modules import ModuleReader
from qemu_bridge.kernel.objects import KernelObjects
from qemu_bridge.kernel.orc import OrcKind, OrcRegister, OrcTables

pytestmark = pytest.mark.guest


def test_where_a_function_begins_its_return_address_is_on_top(machine):
    space = KernelObjects(machine.ram, machine.kernel)
    modules = ModuleReader(space).read()
    tables = OrcTables(space, modules)
    assert len(tables.tables) == 1 + len(modules) and all(len(table.addresses) for table in tables.tables)
    assert all((np.diff(table.addresses) >= 0).all() for table in tables.tables)
    functions = [f"__x64_sys_{name}" for name in ("read", "write", "openat", "close", "mmap", "exit", "kill", "wait4")]
    for name in functions:
        entry = tables.find(machine.kernel.address_of(name))
        assert (entry.kind, entry.sp_register, entry.sp_offset) == (OrcKind.CALL, OrcRegister.SP, 8), name
    assert tables.find(0x1000) is None and tables.table_of(0x1000) is None
