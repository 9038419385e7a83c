"""The kernel image lies where the guest's own /proc/iomem says."""

import numpy as np
import pytest

from qemu_bridge.wire.records import PageClass


@pytest.mark.guest
def test_kernel_text_is_where_the_guest_says(each_machine):
    machine = each_machine
    # /proc/iomem names the physical ranges of the image.
    ranges = {}
    for line in machine.exec("cat /proc/iomem").decode().splitlines():
        span, _, name = line.strip().partition(" : ")
        if name.startswith("Kernel "):
            ranges[name] = tuple(int(part, 16) for part in span.split("-"))
    classes = machine.client.page_map().value.entries["page_class"]
    for name, page_class in (("Kernel code", PageClass.KERNEL_TEXT), ("Kernel rodata", PageClass.KERNEL_RODATA)):
        first, last = ranges[name]
        pages = np.flatnonzero(classes == page_class)
        assert pages[0] == first >> 12 and pages[-1] <= last >> 12 and len(pages) > 100
