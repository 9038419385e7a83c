"""The names of files that processes map, as the kernel itself spells them (``fs/d_path.c``, releases 6.0 to 6.12)."""

from __future__ import annotations

from ..errors import GuestError
from .structures import KernelMemory, Struct

_MAX_PARTS = 256
# The bit moved in release 6.14, and in stable ones with it; either may mean something else, so it is a hint only.
_FMODE_BACKING = 1 << 24 | 1 << 25
# include/linux/err.h: what is no pointer but an error, as MNT_NS_INTERNAL is.
_ERROR_POINTERS = (1 << 64) - 4095


class PathNames:
    """Spells paths as seen from a root directory, and remembers them until `forget`."""

    def __init__(self, memory: KernelMemory) -> None:
        self._memory = memory
        self._known: dict[tuple[int, int, int], str] = {}

    def forget(self) -> None:
        """Spell every path anew from now on."""
        self._known.clear()

    def user_path_and_inode(self, file: Struct) -> tuple[Struct, Struct]:
        """The path and inode a user sees; of a file that overlayfs maps from a layer, those in the overlay (release 6.8)."""
        if file.f_mode & _FMODE_BACKING and self._memory.has_type("backing_file") and self._is_of_a_layer(file.f_path):
            backing = self._memory.object("backing_file", int(file))
            if backing.has_member("user_path"):
                return backing.user_path, backing.user_path.dentry.d_inode
        return file.f_path, file.f_inode

    def _is_of_a_layer(self, path: Struct) -> bool:
        """Whether a file lies on a mount inside the kernel, and has a path there."""
        mount = self._memory.object("mount", int(path.mnt) - self._memory.offset_of("mount", "mnt"))
        operations = path.dentry.d_op
        internal = self._memory.layer.canonical(int(mount.mnt_ns)) >= _ERROR_POINTERS
        return internal and not (operations and operations.d_dname)

    def name(self, path: Struct, root: tuple[int, int]) -> str:
        """The name of the ``struct path``, seen from the mount and dentry `root`; line feeds are escaped, as in ``/proc``."""
        mount, dentry = int(path.mnt), int(path.dentry)
        key = (mount, dentry, root[1])
        if key not in self._known:
            name = self._dynamic_name(path) or self._walk_path(mount, dentry, root)
            self._known[key] = name.replace("\n", "\\012")
        return self._known[key]

    def _walk_path(self, mount: int, dentry: int, root: tuple[int, int]) -> str:
        """From a file up to the root, across mounts (``fs/d_path.c``, prepend_path)."""
        offset = self._memory.offset_of("mount", "mnt")
        entry, names = self._memory.object("dentry", dentry), []
        unlinked = not entry.d_hash.pprev and entry.d_parent != dentry
        for _ in range(_MAX_PARTS):
            if (mount, dentry) == root:
                break
            if dentry == int(self._memory.object("vfsmount", mount).mnt_root):
                above = self._memory.object("mount", mount - offset)
                parent = int(above.mnt_parent)
                if parent == mount - offset:
                    break
                mount, dentry = parent + offset, int(above.mnt_mountpoint)
                continue
            entry = self._memory.object("dentry", dentry)
            parent = int(entry.d_parent)
            if parent == dentry:
                break
            names.append(self._memory.string(int(entry.d_name.name), int(entry.d_name.len)))
            dentry = parent
        else:
            raise GuestError("its path has no end")
        return "/" + "/".join(reversed(names)) + (" (deleted)" if unlinked else "")

    def _dynamic_name(self, path: Struct) -> str:
        """The name of a file that has no path: shared memory, memfd, anonymous inodes, sockets, pipes."""
        dentry = path.dentry.dereference()
        if not dentry.d_op or not dentry.d_op.d_dname:
            return ""
        if dentry.d_parent == path.dentry and path.dentry == path.mnt.mnt_root:
            return ""
        maker = self._memory.symbols.kallsyms.at(self._memory.layer.canonical(int(dentry.d_op.d_dname)))
        name = self._memory.string(int(dentry.d_name.name), int(dentry.d_name.len))
        match maker.name if maker is not None else "":
            case "simple_dname":
                return f"/{name} (deleted)"
            case "anon_inodefs_dname":
                return f"anon_inode:{name}"
            case "sockfs_dname" | "pipefs_dname" as kind:
                return f"{'socket' if kind.startswith('sock') else 'pipe'}:[{int(dentry.d_inode.i_ino)}]"
        return f"/{name}"
