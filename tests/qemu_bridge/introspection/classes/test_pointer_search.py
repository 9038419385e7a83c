"""What has no owner in the page map has a reason."""

import numpy as np
import pytest

from qemu_bridge.wire.records import PageClass


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
