"""What recording asks of a machine's client, answered without a guest."""

from __future__ import annotations

from qemu_bridge.errors import NotBootedError
from qemu_bridge.memory.addresses import VirtualAddress
from qemu_bridge.wire.records import Process, Symbol

SYMBOLS = {"schedule": 0x1000, "do_exit": 0x2000, "pgd_free": 0x3000}


def process(pid, name, page_table):
    return Process(pid, 0, 0, "S", name, name, page_table, 1, 1)


class FakeKernel:
    """Three symbols, a process and a kernel thread."""

    def sym(self, wanted):
        known = wanted in SYMBOLS
        return [Symbol(name=wanted, address=VirtualAddress(SYMBOLS[wanted]), symbol_type="T")] if known else []

    def ps(self):
        return [process(7, "sh", 0x5000), process(8, "ended", None), process(2, "kthreadd", None)]

    def kernel(self):
        raise NotBootedError("there is no kernel; these are tests")

    def modules(self):
        return []
