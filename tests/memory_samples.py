"""Memory of guests that never ran: RAM files, page tables and kernel tables, made byte by byte."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from qemu_bridge.memory.addresses import RamLayout
from qemu_bridge.memory.ram import GuestRam

PRESENT, WRITABLE, USER, LARGE, PROT_NONE, NO_EXECUTE = 1, 2, 4, 1 << 7, 1 << 8, 1 << 63
LEAF = PRESENT | WRITABLE | USER


class Memory:
    """Guest RAM under construction: write to it, then `open` it."""

    def __init__(self, folder: Path, size: int = 4 << 20) -> None:
        self.folder = folder
        self.data = bytearray(size)
        self._next = 0x1000

    def allocate(self) -> int:
        """The address of a page that is not in use."""
        self._next += 0x1000
        return self._next - 0x1000

    def write(self, physical: int, data: bytes) -> None:
        self.data[physical : physical + len(data)] = data

    def entry(self, table: int, index: int, value: int) -> None:
        """Write entry `index` of the page table at `table`."""
        struct.pack_into("<Q", self.data, table + 8 * index, value & (1 << 64) - 1)

    def map(self, root: int, virtual: int, entry: int, level: int = 1, levels: int = 4, rights: int = LEAF) -> None:
        """Put leaf `entry` for `virtual` at `level`, making the tables on the way with `rights`."""
        table = root
        for above in range(levels, level, -1):
            index = virtual >> (12 + 9 * (above - 1)) & 511
            (found,) = struct.unpack_from("<Q", self.data, table + 8 * index)
            if not found & PRESENT:
                found = self.allocate() | rights
                self.entry(table, index, found)
            table = found & 0xFFFFFFFFFF000
        self.entry(table, virtual >> (12 + 9 * (level - 1)) & 511, entry)

    def map_bytes(self, root: int, virtual: int, data: bytes) -> None:
        """Map `data` at page-aligned `virtual`, page by page."""
        for offset in range(0, len(data), 0x1000):
            page = self.allocate()
            self.write(page, data[offset : offset + 0x1000])
            self.map(root, virtual + offset, page | LEAF)

    def open(self) -> GuestRam:
        path = self.folder / "guest.ram"
        path.write_bytes(self.data)
        return GuestRam(path, RamLayout.from_rule("pc", len(self.data)))


def vmcoreinfo_note(values: dict[str, object]) -> bytes:
    """The ELF note with these lines."""
    text = "".join(f"{key}={value}\n" for key, value in values.items()).encode()
    return struct.pack("<III", 11, len(text), 0) + b"VMCOREINFO\0\0" + text


def compress_names(names: list[str]) -> tuple[bytes, bytes, bytes]:
    """``kallsyms_names``, ``_token_table`` and ``_token_index`` of symbols given as type letter and name.

    Tokens 0-31 stand for pairs of letters, the others for themselves, which is what scripts/kallsyms.c may produce.
    """
    pairs = ["__", "st", "in", "er", "re", "ti", "on", "en", "at", "an", "ma", "ct", "le", "ck", "ed", "to"]
    tokens = [pairs[number].encode() if number < len(pairs) else bytes([number]) for number in range(256)]
    tokens[16:32] = [b""] * 16
    packed = b""
    for name in names:
        codes, rest = b"", name
        while rest:
            pair = rest[:2]
            codes += bytes([pairs.index(pair)]) if pair in pairs else rest[:1].encode("latin-1")
            rest = rest[2:] if pair in pairs else rest[1:]
        length = len(codes)
        packed += (bytes([length]) if length < 128 else bytes([length & 0x7F | 0x80, length >> 7])) + codes
    table, index = b"", b""
    for token in tokens:
        index += struct.pack("<H", len(table))
        table += token + b"\0"
    return packed, table, index


class BtfWriter:
    """Builds a BTF section; every method returns the new type's number."""

    def __init__(self) -> None:
        self.types = b""
        self.strings = b"\0"
        self.count = 0

    def string(self, text: str) -> int:
        if not text:
            return 0
        self.strings += text.encode() + b"\0"
        return len(self.strings) - len(text) - 1

    def add(self, kind: int, name: str, size_or_type: int, vlen: int = 0, flag: int = 0, extra: bytes = b"") -> int:
        info = flag << 31 | kind << 24 | vlen
        self.types += struct.pack("<III", self.string(name), info, size_or_type) + extra
        self.count += 1
        return self.count

    def integer(self, name: str, size: int, encoding: int = 0) -> int:
        return self.add(1, name, size, extra=struct.pack("<I", encoding << 24 | size * 8))

    def pointer(self, target: int) -> int:
        return self.add(2, "", target)

    def array(self, element: int, index: int, count: int) -> int:
        return self.add(3, "", 0, extra=struct.pack("<III", element, index, count))

    def aggregate(
        self, name: str, size: int, members: list[tuple[str, int, int]], union: bool = False, bits: bool = False
    ) -> int:
        """`members` are (name, type, offset in bits); with `bits`, the offset has the bit field's width in its top byte."""
        extra = b"".join(struct.pack("<III", self.string(n), t, o) for n, t, o in members)
        return self.add(5 if union else 4, name, size, len(members), int(bits), extra)

    def enumeration(self, name: str, values: dict[str, int], size: int = 4) -> int:
        signed = int(any(value < 0 for value in values.values()))
        extra = b"".join(struct.pack("<II", self.string(n), v & 0xFFFFFFFF) for n, v in values.items())
        return self.add(6, name, size, len(values), signed, extra)

    def enumeration64(self, name: str, values: dict[str, int]) -> int:
        signed = int(any(value < 0 for value in values.values()))
        rows = ((self.string(n), v & 0xFFFFFFFF, v >> 32 & 0xFFFFFFFF) for n, v in values.items())
        return self.add(19, name, 8, len(values), signed, b"".join(struct.pack("<III", *row) for row in rows))

    def section(self) -> bytes:
        header = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(self.types), len(self.types), len(self.strings))
        return header + self.types + self.strings


def every_kind_of_type() -> bytes:
    """A BTF section with one type of every kind."""
    w = BtfWriter()
    integer = w.integer("int", 4, 1)
    character = w.integer("char", 1, 1)
    name = w.array(character, integer, 16)
    inner = w.aggregate("", 8, [("low", integer, 0), ("high", integer, 32)])
    either = w.aggregate("", 8, [("", inner, 0), ("whole", integer, 0)], union=True)
    task = w.aggregate("task", 40, [("state", integer, 0), ("", either, 64), ("comm", name, 128)])
    w.aggregate("holder", 48, [("count", integer, 0), ("task", task, 64)])
    w.aggregate(
        "flags", 4, [("ready", integer, 0 | 1 << 24), ("mode", integer, 1 | 5 << 24), ("plain", integer, 0)], bits=True
    )
    const = w.add(10, "", w.add(9, "", task))
    w.add(8, "task_t", w.add(18, "user", const))
    w.pointer(w.add(11, "", task))
    w.enumeration("state", {"DEAD": -1, "LIVE": 1})
    w.enumeration64("wide", {"TOP": 1 << 40, "LOW": -2})
    w.add(7, "elsewhere", 0, flag=1)
    proto = w.add(13, "", integer, 2, extra=struct.pack("<IIII", 0, integer, 0, task))
    w.add(12, "do_it", proto)
    variable = w.add(14, "per_cpu_task", task, extra=struct.pack("<I", 1))
    w.add(15, ".data..percpu", 40, 1, extra=struct.pack("<III", variable, 0, 40))
    w.add(16, "double", 8)
    w.add(17, "tagged", task, extra=struct.pack("<i", -1))
    return w.section()


KERNEL_TEXT = 0xFFFFFFFF81000000
KERNEL_DATA = KERNEL_TEXT + 0x400000
_TABLES, _TASK, _BTF = KERNEL_TEXT + 0x100000, KERNEL_TEXT + 0x200000, KERNEL_TEXT + 0x300000
_IMAGE_BASE = 0xFFFFFFFF80000000
# What Volatility will not load a Linux symbol file without.
_MANDATORY = """file hlist_head mm_struct super_block vm_area_struct qstr dentry fs_struct files_struct kobject cred inode idr
address_space page vfsmount net socket sock inet_sock unix_sock""".split()


def small_kernel(
    memory: Memory,
    types: bool = True,
    comm: bytes = b"swapper/0",
    note_at: int = 0x200000,
    release: str = "6.1",
    data: bytes = b"",
    structs: Callable[[BtfWriter], None] = lambda writer: None,
    symbols: Sequence[tuple[str, int]] = (),
) -> None:
    """As little of a kernel as can be found: a note, page tables, a symbol table, a first task, types.

    `data` lies at KERNEL_DATA; `structs` adds types that take the place of empty ones, `symbols` (type letter and name,
    address).
    """
    root = memory.allocate()
    w = BtfWriter()
    character = w.integer("char", 1, 1)
    w.integer("long unsigned int", 8)
    w.aggregate("task_struct", 64, [("comm", w.array(character, character, 16), 64)])
    structs(w)
    w.aggregate("list_head", 16, [("next", 0, 0), ("prev", 0, 64)])
    for name in _MANDATORY:
        w.aggregate(name, 8, [])
    section = w.section()
    entries = [
        ("T_stext", KERNEL_TEXT),
        ("T_etext", KERNEL_TEXT + 64),
        ("Tstart", KERNEL_TEXT + 16),
        ("Dinit_task", _TASK),
    ]
    entries += [("Rlinux_banner", _TASK + 128), *symbols]
    if types:
        entries += [("R__start_BTF", _BTF), ("R__stop_BTF", _BTF + len(section))]
    entries.sort(key=lambda entry: entry[1])
    names, table, index = compress_names([name for name, _ in entries])
    parts = {
        "num_syms": struct.pack("<I", len(entries)),
        "names": names,
        "token_table": table.ljust(0x1000, b"\0"),
        "token_index": index,
        "offsets": b"".join(struct.pack("<i", KERNEL_TEXT - 1 - address) for _, address in entries),
        "relative_base": struct.pack("<Q", KERNEL_TEXT),
    }
    values: dict[str, object] = {"OSRELEASE": release, "BUILD-ID": "ab" * 20, "PAGESIZE": 4096}
    values["SYMBOL(_stext)"] = f"{KERNEL_TEXT:x}"
    for number, (name, content) in enumerate(parts.items()):
        memory.map_bytes(root, _TABLES + number * 0x10000, content)
        values[f"SYMBOL(kallsyms_{name})"] = f"{_TABLES + number * 0x10000:x}"
    memory.map_bytes(root, _TASK, bytes(8) + comm.ljust(120, b"\0") + b"Linux version 6.1\n\0" + bytes(4096 - 147))
    memory.map_bytes(root, _BTF, section)
    memory.map_bytes(root, KERNEL_DATA, data)
    values |= {"SYMBOL(init_top_pgt)": f"{_IMAGE_BASE + root:x}", "NUMBER(phys_base)": 0, "KERNELOFFSET": "0"}
    memory.write(note_at, vmcoreinfo_note(values))


SIZES_AND_ORDERS = [
    (1 << 18, None),
    (3 << 18, None),
    (1 << 21, 7),
    (5 << 20, None),
    ((1 << 18) + 4099, None),
    (100, None),
    (1 << 18, 8),
]
"""Bytes of RAM and the order of the curve to draw them on; None for the smallest that holds them."""


def some_bytes(size: int, seed: int = 1) -> np.ndarray:
    """Random bytes, a third of them 0."""
    values = np.random.default_rng(seed).integers(0, 256, size, np.uint8)
    values[values < 90] = 0
    return values
