"""The names of files, as the kernel itself spells them (``fs/d_path.c``, releases 6.0 to 7.3).

A name is put together from a file upwards: a dentry knows its parent, and where it is the root of a mount, the mount knows
on which dentry of which mount it stands.
"""

from __future__ import annotations

from ...errors import GuestError
from ...kernel.objects import KernelObjects, Object
from ...memory.addresses import VirtualAddress
from ...wire.records import DELETED
from .processes import find_task

MAX_PARTS = 256
MAX_NAME = 255
_FMODE_BACKING, _FMODE_BACKING_OLD = 1 << 24, 1 << 25
# include/linux/err.h: values that are errors and not pointers, such as MNT_NS_INTERNAL.
_ERROR_POINTERS = (1 << 64) - 4095


class PathNames:
    """Paths as seen from the root directory of process 1; each directory is resolved once."""

    def __init__(self, space: KernelObjects) -> None:
        self._space = space
        self._vfsmount = space.offset("mount", "mnt")
        # Stable releases before 6.14 reverted the change, so there either bit may be it.
        moved = space.kernel.has("backing_mode_bit_24")
        self._backing_bits = _FMODE_BACKING if moved else _FMODE_BACKING | _FMODE_BACKING_OLD
        self._has_backing = space.has("backing_file", "user_path")
        self._known: dict[tuple[int, int], str] = {}
        self.root = self._find_root()

    def of_file(self, file: Object) -> str:
        """The name of a ``struct file``, as ``/proc/PID/fd`` shows it."""
        path = self.user_path(file)
        return self.name(path["mnt"], path["dentry"])

    def user_path(self, file: Object) -> Object:
        """The ``struct path`` a user sees; of a file that overlayfs maps from a layer, that in the overlay (release 6.7)."""
        if self._has_backing and file["f_mode"] & self._backing_bits and self._is_of_a_layer(file.inner("f_path")):
            return self._space.at("backing_file", file.address).inner("user_path")
        return file.inner("f_path")

    def user_path_and_inode(self, file: Object) -> tuple[Object, Object]:
        """The path that a user sees, and the inode it leads to."""
        path = self.user_path(file)
        inode = self._space.at("dentry", path["dentry"])["d_inode"] if path.address != file.at("f_path") else 0
        return path, self._space.at("inode", inode or file["f_inode"])

    def _is_of_a_layer(self, path: Object) -> bool:
        """Whether a file is on a mount inside the kernel, and has a path there: the bit alone may have another meaning."""
        mount = self._space.at("mount", path["mnt"] - self._vfsmount)
        operations = self._space.at("dentry", path["dentry"]).follow("d_op")
        return mount["mnt_ns"] >= _ERROR_POINTERS and not (operations and operations["d_dname"])

    def name(self, mount: int, dentry: int) -> str:
        """The name of `dentry` on the ``vfsmount`` `mount`."""
        entry = self._space.at("dentry", dentry)
        special = self._special_name(entry, mount)
        if special:
            return special
        unlinked = not entry["d_hash.pprev"] and entry["d_parent"] != dentry
        return (self._walk(mount, dentry) or "/") + (DELETED if unlinked else "")

    def within(self, dentry: int) -> str:
        """The name of `dentry` from the root of its file system."""
        parts: list[str] = []
        for _ in range(MAX_PARTS):
            entry = self._space.at("dentry", dentry)
            parent = entry["d_parent"]
            if parent == dentry:
                return "/" + "/".join(reversed(parts))
            parts.append(_part(entry))
            dentry = parent
        raise GuestError("the path of a file has no end; retry, or pause the machine")

    def _find_root(self) -> tuple[int, int]:
        first = find_task(self._space, 1)
        fs = None if first is None else first.follow("fs")
        return (0, 0) if fs is None else (fs["root.mnt"], fs["root.dentry"])

    def _walk(self, mount: int, dentry: int) -> str:
        """From a file up to the root, across mounts (prepend_path); empty for the root itself."""
        # Entries on the way up: each gets its path at the end, for the next file below it.
        passed: list[tuple[tuple[int, int], str]] = []
        start = ""
        for _ in range(MAX_PARTS):
            if (mount, dentry) in self._known:
                start = self._known[mount, dentry]
                break
            if (mount, dentry) == self.root:
                break
            if dentry == self._space.at("vfsmount", mount)["mnt_root"]:
                above = self._space.at("mount", mount - self._vfsmount)
                parent = above["mnt_parent"]
                if parent == above.address:
                    break
                passed.append(((mount, dentry), ""))
                mount, dentry = parent + self._vfsmount, above["mnt_mountpoint"]
                continue
            entry = self._space.at("dentry", dentry)
            if (parent := entry["d_parent"]) == dentry:
                break
            passed.append(((mount, dentry), "/" + _part(entry)))
            dentry = parent
        else:
            raise GuestError("the path of a file has no end; retry, or pause the machine")
        for key, part in reversed(passed):
            start += part
            self._known[key] = start
        return start

    def _special_name(self, entry: Object, mount: int) -> str:
        """The name of a file without a path: shared memory, memfd, anonymous inodes, sockets, pipes, namespaces."""
        operations = entry.follow("d_op")
        if operations is None or not operations["d_dname"]:
            return ""
        is_root = entry["d_parent"] == entry.address
        if is_root and entry.address == self._space.at("vfsmount", mount)["mnt_root"]:
            return ""
        maker = self._space.kernel.kallsyms.at(VirtualAddress(operations["d_dname"]))
        name = _part(entry)
        match maker.name if maker else "":
            case "simple_dname":
                return f"/{name} (deleted)"
            case "anon_inodefs_dname":
                return f"anon_inode:{name}"
            case "sockfs_dname":
                return f"socket:[{_inode_number(entry)}]"
            case "pipefs_dname":
                return f"pipe:[{_inode_number(entry)}]"
            case "pidfs_dname":
                return "anon_inode:[pidfd]"
            case "ns_dname":
                return f"{self._namespace_kind(entry)}:[{_inode_number(entry)}]"
        return f"/{name}"

    def _namespace_kind(self, entry: Object) -> str:
        """``net``, ``mnt``, …: the name of a namespace's operations."""
        if self._space.kernel.has("namespace_in_inode"):
            inode = entry.follow("d_inode")
            operations = self._space.at("ns_common", inode["i_private"]).follow("ops") if inode else None
        else:
            operations = self._space.at("proc_ns_operations", entry["d_fsdata"])
        return operations.text_at("name", MAX_NAME) if operations else ""


def _part(entry: Object) -> str:
    return entry.space.text(entry["d_name.name"], min(entry["d_name.len"], MAX_NAME))


def _inode_number(entry: Object) -> int:
    inode = entry.follow("d_inode")
    return inode["i_ino"] if inode else 0
