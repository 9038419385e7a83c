"""Pages of files in RAM, against the file's own bytes and what the page map says of them."""

from __future__ import annotations

import pytest

from qemu_bridge.introspection.overlays.file_pages import find_page
from qemu_bridge.introspection.overlays.page_cache import cached_files
from qemu_bridge.kernel.budget import Budget
from qemu_bridge.memory.addresses import PAGE_SIZE

pytestmark = pytest.mark.guest


@pytest.mark.parametrize("name", ["several", "single"])
def test_pages_are_those_of_the_file(each_machine, context, name):
    count = {"several": 300, "single": 1}[name]
    each_machine.exec(f"head -c {count * PAGE_SIZE - 90} /dev/urandom >/tmp/{name}")
    content = each_machine.exec(f"cat /tmp/{name}")
    context.forget()
    (inode,) = (inode for file, inode in cached_files(context, Budget()) if file.path == f"/tmp/{name}")
    for index in range(0, count, 37):
        place = find_page(inode, index)
        assert place is not None
        offset = each_machine.ram.layout.to_offset(place)
        wanted = content[index * PAGE_SIZE : (index + 1) * PAGE_SIZE]
        assert each_machine.ram.view[offset : offset + len(wanted)].tobytes() == wanted
    assert find_page(inode, count) is None and find_page(inode, 1 << 40) is None
    each_machine.exec(f"rm /tmp/{name}")
