"""Paths from dentries and mounts: up to the root, across mounts, never in circles."""

from __future__ import annotations

import struct

import pytest
from memory_samples import KERNEL_DATA as DATA
from memory_samples import BtfWriter, Memory, small_kernel

from qemu_bridge.errors import GuestError
from qemu_bridge.symbols import KernelSymbols
from qemu_bridge.volatility_adapter.paths import PathNames
from qemu_bridge.volatility_adapter.structures import KernelMemory

WORD = 2
# Volatility cuts pointers to the bits that are translated; the plain numbers of these types stay whole.
MASK = (1 << 48) - 1


def types(w: BtfWriter) -> None:
    """``struct path``, ``dentry`` and ``mount``, as few fields as the walk reads."""
    name = w.aggregate("qstr", 16, [("len", WORD, 0), ("name", WORD, 64)])
    hashed = w.aggregate("hlist_bl_node", 16, [("next", WORD, 0), ("pprev", WORD, 64)])
    operations = w.pointer(w.aggregate("dentry_operations", 8, [("d_dname", WORD, 0)]))
    fields = [("d_parent", WORD, 0), ("d_name", name, 64), ("d_hash", hashed, 192), ("d_op", operations, 320)]
    dentry = w.pointer(w.aggregate("dentry", 64, fields))
    vfsmount = w.aggregate("vfsmount", 8, [("mnt_root", WORD, 0)])
    w.aggregate("mount", 32, [("mnt_parent", WORD, 0), ("mnt_mountpoint", WORD, 64), ("mnt", vfsmount, 128)])
    w.aggregate("path", 16, [("mnt", w.pointer(vfsmount), 0), ("dentry", dentry, 64)])
    w.aggregate("file", 16, [("f_path", w.count, 0)])


class Tree:
    """Dentries at DATA + 64 * n, their names behind, mounts and a path."""

    def __init__(self) -> None:
        self.data = bytearray(4096)

    def dentry(self, number: int, parent: int, name: str, hashed: bool = True) -> int:
        at, text = DATA + 64 * number, 2048 + 32 * number
        self.data[text : text + len(name)] = name.encode()
        where = (DATA + 64 * parent, len(name), DATA + text, 0, DATA if hashed else 0, 0)
        struct.pack_into("<6Q", self.data, 64 * number, *where)
        return at

    def mount(self, number: int, parent: int, mountpoint: int, root: int) -> int:
        at = 1024 + 32 * number
        struct.pack_into("<3Q", self.data, at, DATA + 1024 + 32 * parent, mountpoint, root)
        return DATA + at + 16

    def open(self, tmp_path, mount: int, dentry: int) -> tuple[PathNames, object]:
        struct.pack_into("<QQ", self.data, 4000, mount, dentry)
        memory = Memory(tmp_path)
        small_kernel(memory, data=bytes(self.data), structs=types)
        ram = memory.open()
        kernel = KernelMemory(ram, KernelSymbols.load(ram), lambda note: None)
        return PathNames(kernel), kernel.object("path", DATA + 4000)


@pytest.fixture(autouse=True)
def symbol_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GLASSBOX_SYMBOL_CACHE", str(tmp_path / "symbols"))


def test_names_are_joined_up_to_the_root_across_mounts(tmp_path):
    tree = Tree()
    root, folder = tree.dentry(0, 0, "/"), tree.dentry(1, 0, "mnt")
    below, file = tree.dentry(2, 2, "/"), tree.dentry(3, 2, "a\nb")
    outer = tree.mount(0, 0, root, root)
    inner = tree.mount(1, 0, folder, below)
    names, path = tree.open(tmp_path, inner, file)
    assert names.name(path, (outer & MASK, root)) == "/mnt/a\\012b"
    names.forget()
    assert names.name(path, (inner & MASK, below)) == "/a\\012b", "as seen from another root"


def test_a_file_without_a_directory_entry_is_deleted(tmp_path):
    tree = Tree()
    root, file = tree.dentry(0, 0, "/"), tree.dentry(1, 0, "gone", hashed=False)
    names, path = tree.open(tmp_path, tree.mount(0, 0, root, root), file)
    assert names.name(path, (0, 0)) == "/gone (deleted)"


def test_dentries_in_a_circle_are_refused(tmp_path):
    tree = Tree()
    root = tree.dentry(0, 0, "/")
    tree.dentry(1, 2, "one")
    tree.dentry(2, 1, "two")
    names, path = tree.open(tmp_path, tree.mount(0, 0, root, root), DATA + 64)
    with pytest.raises(GuestError, match="no end"):
        names.name(path, (0, 0))


def test_mounts_in_a_circle_are_refused(tmp_path):
    tree = Tree()
    root = tree.dentry(0, 0, "/")
    first, _ = tree.mount(0, 1, root, root), tree.mount(1, 0, root, root)
    names, path = tree.open(tmp_path, first, root)
    with pytest.raises(GuestError, match="no end"):
        names.name(path, (0, 0))
