"""Page maps, processes and symbols without a guest, for targets and places to be resolved against."""

import numpy as np
from hypothesis import strategies as st

from qemu_bridge.errors import UsageError
from qemu_bridge.introspection.targets.grammar import Named
from qemu_bridge.memory.addresses import PhysicalAddress, RamLayout, VirtualAddress
from qemu_bridge.memory.paging import PageTables
from qemu_bridge.wire.page_map import ENTRY, PageMap
from qemu_bridge.wire.records import Owner, PageClass, Process, Symbol


def as_set(ranges):
    return {byte for start, end in np.asarray(ranges).tolist() for byte in range(start, end)}


PAGES = 64


OWNERS = (
    Owner(0, 0, "", "nobody"),
    Owner(1, 0, "kernel", "kernel"),
    Owner(2, 1, "init"),
    Owner(1 << 24, 1, "init", "page-table"),
    Owner((1 << 24) + 1, 1, "init", "stack"),
    Owner((1 << 24) + 2, 0, "dentry", "slab"),
    Owner((1 << 24) + 3, 0, "/bin/sh -c 'x' + \"y\"\n", "file", "00:01:7"),
    Owner((1 << 24) + 4, 0, "virtio_net", "module"),
)


NAMES = ["init", "sh", "sh", "we-pid:1 & (odd)\n\"'é", "kworker/0:1"]


class HandMade:
    """`Sources` without a guest: RAM of 64 pages, five processes, three symbols."""

    def __init__(self, page_class, owner_id, ram=None, root=None, areas=()):
        entries = np.zeros(PAGES, ENTRY)
        entries["page_class"], entries["owner_id"] = page_class, owner_id
        self.page_map = PageMap(entries, {owner.owner_id: owner for owner in OWNERS}, 3)
        self.layout = RamLayout.from_rule("pc", PAGES << 12)
        self.notes, self.ram, self.root, self.areas = [], ram, root, list(areas)

    def has_time(self):
        return True

    def processes(self):
        return [
            Process(pid, 0, 0, "S", name, "", self.root if pid == 1 else None, 1, 0)
            for pid, name in enumerate(NAMES, start=1)
        ]

    def mappings(self, pid):
        return self.areas

    def page_tables(self, pid):
        if pid is not None and not 1 <= pid <= len(NAMES):
            raise UsageError("no such process; try another")
        return PageTables(self.ram, PhysicalAddress(self.root)) if self.root and pid in (None, 1) else None

    def has_second_root(self):
        return False

    def symbol_extents(self, name):
        return [(VirtualAddress(0x2000), 0x20)] if name == "init_task" else []

    def matching_extents(self, pattern, limit):
        term = Named("sym", pattern, is_pattern=True)
        names = [name for name in ("init_task", "init_mm", "jiffies") if term.matches(name)]
        return [(VirtualAddress(0x2000), 0x20)] * len(names[:limit])

    def symbol_names(self, beginning, limit):
        return [name for name in ("init_task", "init_mm", "jiffies") if name.startswith(beginning)]

    def symbol_at(self, virtual):
        return Symbol("init_task", VirtualAddress(0x2000), "D", virtual - 0x2000)

    def kernel_address(self, physical):
        return VirtualAddress(physical)

    def slab_object(self, physical):
        return None

    def file_index(self, page):
        return 5


maps = st.builds(
    HandMade,
    st.lists(st.sampled_from([int(each) for each in PageClass] + [200]), min_size=PAGES, max_size=PAGES),
    st.lists(st.sampled_from([owner.owner_id for owner in OWNERS] + [99]), min_size=PAGES, max_size=PAGES),
)
