"""What the host kernel marks, on pages of this process."""

import ctypes
import mmap
import os
import subprocess
import sys

from qemu_bridge.memory.soft_dirty import host_has_soft_dirty, pagemap_entries

_PRESENT = 1 << 63


def test_each_page_of_a_span_has_an_entry_and_those_written_are_present():
    with mmap.mmap(-1, 4 * mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as pages:
        pages[mmap.PAGESIZE] = 1
        holder = ctypes.c_char.from_buffer(pages)
        start = ctypes.addressof(holder)
        del holder
        ((first, raw),) = pagemap_entries(os.getpid(), [(start, start + 4 * mmap.PAGESIZE, 7 * mmap.PAGESIZE)])
    entries = memoryview(raw).cast("Q")
    assert first == 7 and len(entries) == 4
    assert [bool(entry & _PRESENT) for entry in entries] == [False, True, False, False]


def test_the_answer_is_the_same_every_time_and_needs_no_numpy():
    program = (
        "import sys\nfrom qemu_bridge.memory.soft_dirty import host_has_soft_dirty\n"
        "print(host_has_soft_dirty(), 'numpy' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == [str(host_has_soft_dirty()), "False"]
