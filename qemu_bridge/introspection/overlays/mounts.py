"""Mounted file systems, as ``/proc/1/mountinfo`` lists them (``fs/proc_namespace.c``).

The mounts of process 1's namespace were a list until release 6.7 and are a red-black tree by identifier since 6.8. What
a file system adds to its options by code of its own (``size=...``) is not a field anywhere, so it is not shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ...errors import GuestError
from ...kernel.budget import Budget
from ...kernel.objects import KernelObjects, Object
from .overlay import BuiltOverlay, OverlayContext, each
from .paths import PathNames
from .processes import find_task

MAX_MOUNTS = 1 << 17
_MNT_READONLY, _SB_READONLY = 0x40, 1
# include/linux/mount.h and fs/proc_namespace.c, show_mnt_opts.
_MOUNT_OPTIONS = (
    (0x01, "nosuid"), (0x02, "nodev"), (0x04, "noexec"), (0x08, "noatime"), (0x10, "nodiratime"), (0x20, "relatime"),
    (0x80, "nosymfollow"),
)  # fmt: skip
# include/linux/fs.h and fs/proc_namespace.c, show_sb_opts.
_SUPER_OPTIONS = ((1 << 4, "sync"), (1 << 7, "dirsync"), (1 << 6, "mand"), (1 << 25, "lazytime"))


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount: `device` is major:minor, `root` the directory of the file system that appears at `point`."""

    mount_id: int
    parent_id: int
    device: str
    root: str
    point: str
    options: str
    filesystem: str
    source: str


def read_mounts(context: OverlayContext, budget: Budget) -> Iterator[Mount]:
    """Yield the mounts that process 1 sees, in the order of ``/proc/1/mountinfo``."""
    space = context.objects
    paths = PathNames(space)
    mounts = list(_mounts(context, space))
    return each(mounts, lambda mount: _mount(mount, paths), budget, "mount")


def _mounts(context: OverlayContext, space: KernelObjects) -> Iterable[Object]:
    namespace = namespace_of_init(space)
    if not context.has("mount_tree"):
        listed = space.linked(namespace.at("list"), "mount", "mnt_list", MAX_MOUNTS)
        return listed
    back = space.offset("mount", "mnt_node")
    return (space.at("mount", node - back) for node in space.tree(namespace["mounts.rb_node"]))


def namespace_of_init(space: KernelObjects) -> Object:
    """The ``mnt_namespace`` of process 1; `GuestError` when it has none yet."""
    first = find_task(space, 1)
    proxy = None if first is None else first.follow("nsproxy")
    namespace = None if proxy is None else proxy.follow("mnt_ns")
    if namespace is not None:
        return namespace
    raise GuestError("process 1 has no mounts; is the guest still booting?")


def mounts_of(super_block: Object) -> Iterator[Object]:
    """The mounts of a file system, those that the kernel keeps for itself among them."""
    space = super_block.space
    if not space.kernel.has("mount_chain"):
        yield from space.linked(super_block.at("s_mounts"), "mount", "mnt_instance", MAX_MOUNTS)
        return
    mount = super_block.follow("s_mounts")
    for _ in range(MAX_MOUNTS):
        if mount is None:
            return
        space.budget.spend()
        yield mount
        mount = mount.follow("mnt_next_for_sb")


def _mount(mount: Object, paths: PathNames) -> Mount:
    parent, super_block = mount.follow("mnt_parent"), mount.follow("mnt.mnt_sb")
    if super_block is None:
        raise GuestError("it has no file system")
    device, kind = super_block["s_dev"], super_block.follow("s_type")
    subtype = super_block.text_at("s_subtype", 64)
    name = (kind.text_at("name", 64) if kind else "") + (f".{subtype}" if subtype else "")
    return Mount(
        mount_id=mount["mnt_id"],
        parent_id=parent["mnt_id"] if parent else 0,
        device=f"{device >> 20}:{device & 0xFFFFF}",
        root=paths.within(mount["mnt.mnt_root"]),
        point=paths.name(mount.at("mnt"), mount["mnt.mnt_root"]),
        options=_options(mount["mnt.mnt_flags"], super_block["s_flags"]),
        filesystem=name,
        source=mount.text_at("mnt_devname") or "none",
    )


def _options(mount_flags: int, super_flags: int) -> str:
    words = ["ro" if mount_flags & _MNT_READONLY or super_flags & _SB_READONLY else "rw"]
    words += [word for bit, word in _SUPER_OPTIONS if super_flags & bit]
    words += [word for bit, word in _MOUNT_OPTIONS if mount_flags & bit]
    return ",".join(words)


MOUNTS = BuiltOverlay(
    "mounts",
    "The mounted file systems.",
    ("mount_id", "parent_id", "device", "source", "filesystem", "root", "point", "options"),
    read_mounts,
    is_never_empty=True,
)
