"""What has no owner in the page map has a reason."""

import numpy as np
import pytest
from support import wait_until

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


@pytest.mark.guest
def test_what_was_reached_from_a_stack_is_not_its_any_more_when_the_task_has_ended(machine):
    shell = "sh -c 'printf leader > /proc/$$/comm; while :; do sleep 5; done' >/dev/null 2>&1 </dev/null & echo $!"
    pid = int(machine.exec(shell))
    wait_until(lambda: machine.exec(f"cat /proc/{pid}/comm") == b"leader\n")
    builder = PageMapBuilder(machine.ram, machine.kernel)
    with machine.paused():
        page_map = builder.build(Grade.PAUSED, complete=True)
        stack = next(
            owner.owner_id
            for owner in page_map.owners.values()
            if owner.kind == "stack" and (owner.pid, owner.name) == (pid, "leader")
        )
        (from_page, *_) = np.flatnonzero(page_map.entries["owner_id"] == stack).tolist()
        found = (page_map.entries["page_class"] == PageClass.KERNEL_PAGES) & (builder._pointers._owner != 0)
        page = np.flatnonzero(found)[:1]
        # As if the first pointer to it were on this stack.
        builder._pointers._owner[page] = builder._pointers._namer(builder._entries, PageClass.KERNEL_STACK)(
            from_page, 0
        )
        builder._compose(page, False)
        assert builder._find_owners()[int(builder._entries["owner_id"][page[0]])].detail == "reached from stack leader"
        assert "leader" in {owner.name for owner in builder.build(Grade.PAUSED).owners.values()}
    machine.exec(f"kill -9 {pid}")
    wait_until(lambda: "leader" not in {owner.name for owner in builder.build(Grade.LIVE).owners.values()})
