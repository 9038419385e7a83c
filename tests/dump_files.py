"""Dumps as other tools write them, of RAM given as {guest-physical start: content}. Headers after each format's own description."""

from __future__ import annotations

import itertools
import struct
import zlib

import cramjam
import lzallright
import numpy as np
import zstandard

PAGE = 4096


def content(seed: int, pages: int) -> bytes:
    """Pages that compress, with one of zeros among them."""
    words = np.random.default_rng(seed).integers(0, 4, (pages, PAGE), np.uint8)
    words[pages // 2] = 0
    return words.tobytes()


RAM = {0x1000: content(1, 9), 0x100000: content(2, 20), 0x1_0000_0000: content(3, 5)}


def elf_core(ram: dict[int, bytes] = RAM, *, machine: int = 62, kind: int = 4) -> bytes:
    table_at, data_at = 64, 64 + 56 * (len(ram) + 1)
    rows, data = [struct.pack("<IIQQQQQQ", 4, 0, data_at, 0, 0, 0, 0, 0)], b""
    for start, part in ram.items():
        rows.append(struct.pack("<IIQQQQQQ", 1, 7, data_at + len(data), 0, start, len(part), len(part), 0))
        data += part
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    head = struct.pack("<16sHHIQQQIHHHHHH", ident, kind, machine, 1, 0, table_at, 0, 0, 64, 56, len(rows), 0, 0, 0)
    return head + b"".join(rows) + data


def lime(ram: dict[int, bytes] = RAM) -> bytes:
    return b"".join(
        struct.pack("<IIQQQ", 0x4C694D45, 1, start, start + len(part) - 1, 0) + part for start, part in ram.items()
    )


def avml(ram: dict[int, bytes] = RAM) -> bytes:
    found = b""
    for start, part in ram.items():
        packed = bytes(cramjam.snappy.compress(part))
        found += struct.pack("<IIQQQ", 0x4C4D5641, 2, start, start + len(part) - 1, 0) + packed
        found += struct.pack("<Q", len(packed))
    return found


PACK = {
    0: bytes,
    1: lambda page: zlib.compress(page, 1),
    2: lambda page: bytes(lzallright.LZOCompressor().compress(page)),
    4: lambda page: bytes(cramjam.snappy.compress_raw(page)),
    0x20: zstandard.ZstdCompressor().compress,
}


def kdump(ram: dict[int, bytes] = RAM, flag: int = 1, left_out: tuple[int, ...] = ()) -> bytes:
    """As makedumpfile's, in version 6; `left_out` are page frames that are RAM and not in the file."""
    pages = {
        start // PAGE + n: part[n * PAGE :][:PAGE] for start, part in ram.items() for n in range(len(part) // PAGE)
    }
    most = max(pages) + 1
    half = -(-most // 8 // PAGE) * PAGE
    bitmaps = np.zeros((2, half * 8), np.uint8)
    bitmaps[:, list(pages)] = 1
    bitmaps[1, list(left_out)] = 0
    sub = bytearray(PAGE)
    struct.pack_into("<Q", sub, 96, most)
    stored = [frame for frame in pages if frame not in left_out]
    data_at = 2 * PAGE + 2 * half + 24 * len(stored)
    rows, data = b"", b""
    for frame in stored:
        packed = PACK[flag](pages[frame])
        rows += struct.pack("<qIIQ", data_at + len(data), len(packed), flag, 0)
        data += packed
    head = b"KDUMP   " + struct.pack("<i", 6)
    head = head.ljust(424, b"\0") + struct.pack(
        "<IiiIIIIII", 0, PAGE, 1, 2 * half // PAGE, 0xFFFFFFFF, 0, 0, len(stored), 0
    )
    return head.ljust(PAGE, b"\0") + sub + np.packbits(bitmaps, axis=1, bitorder="little").tobytes() + rows + data


def flattened(whole: bytes, *, in_order: bool = False) -> bytes:
    """`whole` as makedumpfile writes it to a pipe: records in any order, some written twice."""
    chance = np.random.default_rng(5)
    cuts = sorted({0, len(whole), *chance.integers(0, len(whole), 40).tolist()})
    spans = list(itertools.pairwise(cuts))
    if not in_order:
        chance.shuffle(spans)
    records = b""
    for start, end in spans:
        if chance.random() < 0.2:
            records += struct.pack(">qq", start, end - start) + bytes(end - start)
        records += struct.pack(">qq", start, end - start) + whole[start:end]
    head = (b"makedumpfile".ljust(16, b"\0") + struct.pack(">qq", 1, 1)).ljust(PAGE, b"\0")
    return head + records + struct.pack(">qq", -1, -1)


EVERY = {
    "elf": elf_core(), "lime": lime(), "avml": avml(), "flattened": flattened(kdump()),
    "flattened-in-order": flattened(kdump(), in_order=True),
    **{f"kdump-{flag}": kdump(flag=flag) for flag in PACK},
}  # fmt: skip
"""A dump of `RAM` in each format."""


class Bytes:
    """A file in memory."""

    name = "memory"

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.size = len(content)

    def read(self, at: int, length: int) -> bytes:
        return self._content[at : at + length] if at >= 0 else b""
