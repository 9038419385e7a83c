"""What differs between kernel releases, in one table.

Types and offsets need no table: a kernel carries them as BTF. This table holds what offsets do not show: a list
that became a tree, a flag that became a value, a function that compares differently. Each row of `DIFFERENCES` has a name
by which code asks, the release that came first with it, and the commit that made it::

    if has("module_memory", kernel.release, kernel.btf): ...

A distribution takes changes back into older kernels, so where BTF shows by itself on which side of a change a kernel
stands (`Difference.sign`), that decides, and the release number only where it does not.

Of a kernel that is older or newer than those Glass Box was tested with everything is still read by this table and its
own types; `caveat` is the sentence that goes with the results.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from .btf import Btf
from .btf_format import Kind

Release = tuple[int, int]
"""Major and minor number: (6, 12)."""

OLDEST: Release = (6, 0)
"""The first release whose VMCOREINFO note leads to its symbols (commit 5fd8fea935a1)."""
TESTED: tuple[Release, Release] = ((6, 1), (7, 3))
"""The oldest and the newest release that the tests run against."""

Sign = Callable[[Btf], bool]


@dataclass(frozen=True, slots=True)
class Difference:
    """One change of the kernel that reading its memory depends on.

    Attributes:
        feature: the name that code uses for it.
        since: the first release that has it.
        commit: the change in the kernel's history, abbreviated; empty where only the headers of the release were seen.
        before, after: the layout on either side of it.
        sign: whether a kernel's types show that it has it; None where types do not show it.
    """

    feature: str
    since: Release
    commit: str
    before: str
    after: str
    sign: Sign | None = None


def _knows(path: str) -> Sign:
    """The type, or the member behind the first dot, exists."""
    name, _, member = path.partition(".")
    if not member:
        return lambda btf: btf.find(name) is not None
    return lambda btf: btf.find(name) is not None and btf.find_member(name, member) is not None


def _lacks(path: str) -> Sign:
    knows = _knows(path)
    return lambda btf: not knows(btf)


def _enumerates(name: str, constant: str) -> Sign:
    def enumerates(btf: Btf) -> bool:
        type_id = btf.find(name, Kind.ENUM, Kind.ENUM64)
        return type_id is not None and constant in btf.enumerators(type_id)

    return enumerates


def _enumerates_no(name: str, constant: str) -> Sign:
    enumerates = _enumerates(name, constant)
    return lambda btf: not enumerates(btf)


def _names_shared_memory(btf: Btf) -> bool:
    name, tree = (btf.find_member("vm_area_struct", member) for member in ("anon_name", "shared"))
    return name is not None and (tree is None or name.bit_offset != tree.bit_offset)


def _stashes_a_pointer(btf: Btf) -> bool:
    member = btf.find_member("ns_common", "stashed")
    return member is not None and btf.kind(btf.resolve(member.type_id)) == Kind.PTR


def _has_hugetlb_type(btf: Btf) -> bool:
    marks = (("pageflags", "PG_hugetlb"), ("compound_dtor_id", "HUGETLB_PAGE_DTOR"))
    return not any(_enumerates(*mark)(btf) for mark in marks)


DIFFERENCES = (
    Difference(
        "maple_tree", (6, 1), "524e00b36e8c",
        "memory areas are a chain through vm_next", "memory areas are a maple tree, mm_struct.mm_mt",
        _knows("mm_struct.mm_mt"),
    ),
    Difference(
        "rss_per_cpu", (6, 2), "f1a7941243c1",
        "rss_stat.count is an array of atomic counters", "rss_stat is an array of percpu_counter",
        _lacks("mm_rss_stat"),
    ),
    Difference(
        "shared_memory_names", (6, 2), "d09e8ca6cb93",
        "an area's anon_name shares its place with the tree of a file's areas", "an area of a file has an anon_name too",
        _names_shared_memory,
    ),
    Difference(
        "module_memory", (6, 4), "ac3b43283923",
        "a module is core_layout and init_layout", "a module is mem, a part for each use, the first being text",
        _knows("module.mem"),
    ),
    Difference(
        "heap_bounds_exclusive", (6, 6), "11250fd12eb8",
        "an area that only touches start_brk or brk is called [heap] too", "an area must overlap start_brk..brk",
    ),
    Difference(
        "folio_order_in_flags", (6, 6), "ebc1baf5c9b4",
        "the order of a compound page is a byte of the first tail page",
        "the order is the low byte of the first tail page's flags, folio._flags_1",
        _lacks("folio._folio_order"),
    ),
    Difference(
        "hugetlb_flag", (6, 6), "9c5ccf2db04b",
        "a hugetlb page is known by its destructor, HUGETLB_PAGE_DTOR in the first tail page",
        "a hugetlb page is known by flag PG_hugetlb in the first tail page's flags",
        _enumerates_no("compound_dtor_id", "HUGETLB_PAGE_DTOR"),
    ),
    Difference(
        "backing_file_path", (6, 7), "def3ae83da02",
        "a mapped file below overlayfs has the path a user sees as its own",
        "a mapped file below overlayfs keeps the path a user sees in its backing_file",
        _knows("backing_file.user_path"),
    ),
    Difference(
        "no_thread_group", (6, 7), "8e1f385104ac",
        "threads are linked through task_struct.thread_group as well",
        "threads are linked through signal_struct.thread_head alone",
        _lacks("task_struct.thread_group"),
    ),
    Difference(
        "mount_tree", (6, 8), "2eea9ce4310d",
        "the mounts of a namespace are a list through mount.mnt_list", "the mounts of a namespace are a red-black tree",
        _knows("mount.mnt_node"),
    ),
    Difference(
        "vmap_nodes", (6, 9), "d093602919ad",
        "vmalloc areas are one list, vmap_area_list", "vmalloc areas are spread over an array, vmap_nodes",
        _knows("vmap_node"),
    ),
    Difference(
        "namespace_in_inode", (6, 9), "1fa08aece425",
        "the dentry of a namespace has its proc_ns_operations in d_fsdata",
        "the inode of a namespace has its ns_common in i_private",
        _stashes_a_pointer,
    ),
    Difference(
        "hugetlb_page_type", (6, 9), "d99e3140a4d3",
        "a hugetlb page is known by a mark in its first tail page", "a hugetlb page is known by its page_type",
        _has_hugetlb_type,
    ),
    Difference(
        "slab_page_type", (6, 10), "46df8e73a4a3",
        "a slab page is known by flag PG_slab", "a slab page is known by its page_type",
        _enumerates_no("pageflags", "PG_slab"),
    ),
    Difference(
        "page_type_enum", (6, 11), "ff202303c398",
        "page types are bits cleared in 0xf0000000 | …, from 0x80 for a buddy upwards; no type names them",
        "page types are named by enum pagetype",
        lambda btf: btf.find("pagetype", Kind.ENUM) is not None,
    ),
    Difference(
        "page_type_value", (6, 12), "4ffca5a96678",
        "each page type is a bit of page_type, cleared while it holds",
        "the top byte of page_type is the type, 0xf0 (PGTY_buddy) to 0xfe",
        _enumerates("pagetype", "PGTY_buddy"),
    ),
    Difference(
        "backing_mode_bit_24", (6, 14), "a94204f4d48e",
        "FMODE_BACKING is bit 25 of a file's f_mode, or bit 24 where a stable release took the change back",
        "FMODE_BACKING is bit 24 of a file's f_mode",
    ),
    Difference(
        "mount_chain", (6, 18), "09a1b33c080f",
        "the mounts of a file system are a list through mount.mnt_instance",
        "the mounts of a file system are a chain: super_block.s_mounts, then mount.mnt_next_for_sb",
        _knows("mount.mnt_next_for_sb"),
    ),
    Difference(
        "dentry_alias", (7, 1), "",
        "a dentry's link to the others of its inode is d_u.d_alias", "a dentry's link to the others of its inode is d_alias",
        _knows("dentry.d_alias"),
    ),
    Difference(
        "slab_per_node", (7, 1), "",
        "kmem_cache.node is an array of pointers", "kmem_cache.per_node is an array of structures with a pointer, node",
        _knows("kmem_cache.per_node"),
    ),
    Difference(
        "orc_registers", (7, 1), "",
        "an unwind entry numbers registers: 1 previous sp, 4 bp, 5 sp, 8 bp indirect, 9 sp indirect",
        "an unwind entry numbers registers: 3 sp, 4 bp, 8 previous sp, 9 sp indirect, 10 bp indirect",
    ),
    Difference(
        "compound_info", (7, 1), "",
        "a tail page has the address of its head, and bit 0 set, in compound_head",
        "a tail page has the address of its head, or the mask that makes it of its own, and bit 0 set, in compound_info",
        _knows("page.compound_info"),
    ),
)  # fmt: skip
"""Every difference that Glass Box takes account of, by release."""

_BY_FEATURE = {difference.feature: difference for difference in DIFFERENCES}


def parse_release(text: str) -> Release | None:
    """Major and minor number of what ``uname -r`` prints, None when it does not start with them.

    >>> parse_release("6.12.95+deb12-cloud-amd64")
    (6, 12)
    """
    match = re.match(r"(\d{1,3})\.(\d{1,4})(?!\d)", text)
    return (int(match[1]), int(match[2])) if match else None


def has(feature: str, release: str, btf: Btf | None = None) -> bool:
    """Whether a kernel has `feature` of `DIFFERENCES`, by its types where they show it, else by its `release`.

    A release that cannot be read counts as the newest tested one. `KeyError` for a feature that the table lacks.
    """
    difference = _BY_FEATURE[feature]
    if btf is not None and difference.sign is not None:
        return difference.sign(btf)
    return (parse_release(release) or TESTED[1]) >= difference.since


def caveat(release: str) -> str:
    """What to say with results from a kernel that Glass Box was not tested with; empty for one that it was."""
    oldest, newest = ("{}.{}".format(*bound) for bound in TESTED)
    number = parse_release(release)
    if number is None:
        return f"kernel {release[:64]!r} has no release number that is known, so it was read as {newest} would be"
    if TESTED[0] <= number <= TESTED[1]:
        return ""
    side, bound = ("newer", f"{newest}, the newest") if number > TESTED[1] else ("older", f"{oldest}, the oldest")
    return f"kernel {release[:64]} is {side} than {bound} that was tested; what differs in it may be missing or wrong"
