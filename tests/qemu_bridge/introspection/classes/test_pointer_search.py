"""What has no owner in the page map has a reason."""

import numpy as np
import pytest

from qemu_bridge.introspection.classes import PageMapBuilder
from qemu_bridge.wire.records import Grade, PageClass


@pytest.mark.guest
@pytest.mark.every_kernel
def test_next_to_nothing_is_unknown_and_what_is_has_a_reason(each_machine):
    machine = each_machine
    page_map = machine.client.page_map(complete=True).value
    classes, owners = page_map.entries["page_class"], page_map.entries["owner_id"]
    unknown = np.flatnonzero(classes == PageClass.OTHER)
    assert len(unknown) <= 0.005 * machine.ram.resident_pages().sum()
    assert all(page_map.owners[number].kind == "reason" for number in owners[unknown].tolist())
    nobody = set(np.unique(classes[owners == 0]).tolist())
    assert nobody <= {PageClass.UNTOUCHED, PageClass.FREE, PageClass.PROCESS_ANONYMOUS}
    assert PageClass.ZERO not in page_map.counts() and not page_map.skipped


@pytest.mark.guest
def test_a_page_that_was_found_and_is_used_anew_has_the_owner_of_its_new_use(machine):
    with machine.paused():
        builder = PageMapBuilder(machine.ram, machine.kernel)
        found = builder.build(Grade.PAUSED, complete=True).entries["page_class"] == PageClass.KERNEL_PAGES
        page = np.flatnonzero(found & (builder._pointers._owner != 0))[:1]
        # As when it was freed and became a table of a process that has just ended: the memmap calls it so, no process claims it.
        builder._memmap.page_class[page] = PageClass.PAGE_TABLE
        builder._compose(page, False)
    entry = builder._entries[page[0]]
    assert (
        entry["page_class"] == PageClass.PAGE_TABLE and builder._find_owners()[int(entry["owner_id"])].kind == "reason"
    )
    assert not builder._pointers._owner[page[0]]
