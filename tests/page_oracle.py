"""The test oracle of the page map: the flags and counts that the guest's own kernel gives, and how they compare.

Flags are those of ``/proc/kpageflags`` (``include/uapi/linux/kernel-page-flags.h``; Documentation/admin-guide/mm/pagemap.rst).
"""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import numpy as np
from guest_programs import PAGE_FLAGS, compile_program, install
from support import wait_until

from qemu_bridge.wire.page_map import FLAG_HEAD, FLAG_HUGE, FLAG_MAPPED, ORDER_SHIFT
from qemu_bridge.wire.records import PageClass

BITS = {
    "SLAB": 7, "BUDDY": 10, "MMAP": 11, "ANON": 12, "SWAPBACKED": 14, "HEAD": 15, "TAIL": 16, "HUGE": 17,
    "NOPAGE": 20, "KSM": 21, "THP": 22, "ZERO_PAGE": 24, "PGTABLE": 26, "RESERVED": 32,
}  # fmt: skip
USER_CLASSES = (
    PageClass.PROCESS_ANONYMOUS, PageClass.KSM, PageClass.PAGE_CACHE, PageClass.SHMEM, PageClass.HUGE_PAGE,
)  # fmt: skip


@contextlib.contextmanager
def guest_page_flags(machine):
    """The guest paused between two looks of its own: yields (flags, counts, stable), the last valid when all is over.

    `flags` and `counts` are the 64-bit words of /proc/kpageflags and /proc/kpagecount, one for each page of RAM; `stable` is
    a mask of those that were the same afterwards.
    """
    count = machine.ram.page_count
    with tempfile.TemporaryDirectory() as folder:
        install(machine, compile_program(Path(folder), PAGE_FLAGS, f"-DPAGES={count}"), "/tmp/page-flags")
    flags, counts, stable = np.zeros(count, np.uint64), np.zeros(count, np.uint64), np.zeros(count, bool)
    machine.exec("mkfifo /tmp/go; setsid /tmp/page-flags <>/tmp/go >/tmp/words 2>/dev/null &")
    try:
        settle(machine)
        machine.exec("echo >/tmp/go")
        # Nothing is run in the guest between its look and the pause: processes would come and go.
        wait_until(lambda: "looked" in names(machine))
        with machine.paused():
            yield flags, counts, stable
        machine.exec("echo >/tmp/go")
        wait_until(lambda: int(machine.exec("stat -c %s /tmp/words")) == 4 * 8 * count)
        words = np.frombuffer(machine.exec("cat /tmp/words"), "<u8").reshape(2, 2, count)
        flags[:], counts[:] = words[0]
        stable[:] = (words[0] == words[1]).all(axis=0)
    finally:
        machine.exec("killall -9 page-flags looked 2>/dev/null; rm -f /tmp/page-flags /tmp/go /tmp/words")


def settle(machine):
    """Wait until what served the last commands in the guest has ended."""
    wait_until(lambda: "timeout" not in names(machine))


def names(machine):
    return {process.name for process in machine.client.ps()}


def has(words, name):
    return (words >> np.uint64(BITS[name]) & np.uint64(1)).astype(bool)


def expected_flags(page_map, builder):
    """What each flag should be by the page map: (mask of pages that have it, mask of pages where it says something)."""
    memmap_class, page_class = builder._memmap.page_class, page_map.entries["page_class"]
    flags = page_map.entries["flags"]
    everywhere = np.ones(len(flags), bool)
    free = memmap_class == PageClass.FREE
    anonymous = np.isin(memmap_class, [PageClass.PROCESS_ANONYMOUS, PageClass.KSM])
    files = np.isin(memmap_class, [PageClass.PAGE_CACHE, PageClass.SHMEM])
    hugetlb = memmap_class == PageClass.HUGE_PAGE
    # Of the kernel's own pages that processes map, the kernel counts all but the zero page's mappings.
    held = (memmap_class == PageClass.KERNEL_PAGES) & (page_class != PageClass.ZERO_PAGE)
    compound, head = ~free & (flags & FLAG_HUGE != 0), flags & FLAG_HEAD != 0
    expected = {
        # A free page that one processor keeps for itself is free, but in no block of the buddy allocator.
        "BUDDY": free & (head | (flags >> ORDER_SHIFT != 0)),
        "SLAB": page_class == PageClass.SLAB,
        "HEAD": compound & head,
        "TAIL": compound & ~head,
        "PGTABLE": memmap_class == PageClass.PAGE_TABLE,
        "ZERO_PAGE": page_class == PageClass.ZERO_PAGE,
        "HUGE": hugetlb,
        "THP": compound & (anonymous | files | (page_class == PageClass.ZERO_PAGE)),
        "KSM": memmap_class == PageClass.KSM,
        "NOPAGE": memmap_class == PageClass.OTHER,
        "RESERVED": memmap_class == PageClass.RESERVED,
        "ANON": anonymous,
        "MMAP": (flags & FLAG_MAPPED != 0) & (anonymous | files | hugetlb | held),
        "SWAPBACKED": anonymous | (memmap_class == PageClass.SHMEM),
    }
    # Whether a hugetlb page is anonymous depends on how it is mapped, and its class does not tell.
    where = {"ANON": ~hugetlb}
    # Of a transparent huge page release 6.1 says only of the head that swap backs it.
    where["SWAPBACKED"] = ~hugetlb & ~(compound & ~head)
    # The pages of the vDSO are the kernel's own, and mapped.
    where["MMAP"] = memmap_class != PageClass.RESERVED
    return {name: (mask, where.get(name, everywhere)) for name, mask in expected.items()}


def mapping_counts(builder):
    """How many entries of processes' page tables map each page, which is what /proc/kpagecount says."""
    return np.bincount(builder._user_pages.walked.page, minlength=len(builder._entries))


FREED = "the page belonged to a process, and was freed before the pause"
ENDED = "the guest counts a mapping by a process, which ended before the pause"
TAKEN = "the page was free when these words were read, and in use in the pause"
ALL_ANONYMOUS_MERGED = "since release 6.10 the kernel says KSM of all that it says ANON of"
SLAB_LIST = "since release 6.10 the kernel says ANON of a slab whose list word is odd, for mapping shares its place"


def explain(flag, bad, builder, words, more):
    """Why `bad` pages differ in `flag`: pages by explanation; `more` is how many more mappings the guest counts."""
    memmap_class = builder._memmap.page_class
    gone = bad & (memmap_class == PageClass.FREE)
    files = np.isin(memmap_class, [PageClass.PAGE_CACHE, PageClass.SHMEM])
    ended = bad & files & np.isin(more, [1, 2, 3, 4]) & (flag in ("MMAP", "count"))
    reasons = {FREED: gone, ENDED: ended, TAKEN: bad & ~gone & ((words == 0) | has(words, "BUDDY"))}
    if builder._read.kernel.has("slab_page_type"):
        slab = memmap_class == PageClass.SLAB
        reasons[ALL_ANONYMOUS_MERGED] = bad & ~gone & has(words, "ANON") & has(words, "KSM") & (flag == "KSM")
        reasons[SLAB_LIST] = bad & slab & has(words, "ANON") & (flag == "ANON")
    return {reason: pages for reason, pages in reasons.items() if pages.any()}


def compare(page_map, builder, words, counts, stable):
    """Disagreements between a page map and the guest's words on the `stable` pages.

    Returns the pages that differ for no known reason (mask), those whose flags differ because the two looks are of two
    moments (mask; what the kernel itself says wrongly is not among them), and a table of all, a line for each flag and
    reason.
    """
    none = np.zeros(len(stable), bool)
    unexplained, explained, table = none.copy(), none.copy(), []
    differs = {
        flag: (has(words, flag) != mask) & where for flag, (mask, where) in expected_flags(page_map, builder).items()
    }
    more = counts.astype(np.int64) - mapping_counts(builder)
    differs["count"] = np.isin(builder._memmap.page_class, USER_CLASSES) & (more != 0)
    for flag, found in differs.items():
        bad = stable & found
        reasons = explain(flag, bad, builder, words, more)
        left = bad & ~np.logical_or.reduce([none, *reasons.values()])
        unexplained |= left
        for reason, pages in (reasons | ({"not explained": left} if left.any() else {})).items():
            if flag != "count" and reason in (FREED, ENDED, TAKEN):
                explained |= pages
            sample = [
                f"{page:#x}={int(words[page]):#x} x{int(counts[page])}{int(-more[page]):+} {PageClass(page_map.entries['page_class'][page]).label}"
                for page in np.flatnonzero(pages)[:4].tolist()
            ]
            table.append(f"{flag:10} {int(pages.sum()):6} pages: {reason}: {', '.join(sample)}")
    return unexplained, explained, "\n".join(table)
