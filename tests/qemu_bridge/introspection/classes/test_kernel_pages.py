"""The kernel's own pages have names."""

import numpy as np
import pytest

from qemu_bridge.introspection.classes import KERNEL
from qemu_bridge.wire.page_map import ORDER_SHIFT
from qemu_bridge.wire.records import PageClass


@pytest.mark.guest
@pytest.mark.usefixtures("with_modules")
def test_tasks_tables_modules_and_areas_have_names(each_machine):
    machine = each_machine

    def alive():
        return {process.pid for process in machine.client.ps() if process.state != "Z"}

    before, page_map, after = alive(), machine.client.page_map().value, alive()
    found = {}
    for page_class, number in np.unique(page_map.entries[["page_class", "owner_id"]]).tolist():
        found.setdefault(PageClass(page_class), set()).add(page_map.owners[number])
    stacks = found[PageClass.KERNEL_STACK]
    assert {owner.pid for owner in stacks} >= before & after and len(before & after) > 30
    assert {"kthreadd", "init", "swapper/0"} <= {owner.name for owner in stacks}
    assert {owner.name for owner in found[PageClass.MODULE]} == {module.name for module in machine.client.modules()}
    tables = {owner.name for owner in found[PageClass.PAGE_TABLE] if owner.kind == "page-table"}
    assert {"init", "crond"} <= tables and KERNEL in found[PageClass.PAGE_TABLE]
    roots = [process for process in machine.client.ps() if process.name == "crond"]
    root = page_map.entries[roots[0].page_table >> 12]
    assert root["flags"] >> ORDER_SHIFT == 4 and page_map.owners[int(root["owner_id"])].pid == roots[0].pid
    assert (
        len(page_map.entries[page_map.entries["page_class"] == PageClass.MEMMAP]) == machine.ram.page_count * 64 >> 12
    )
