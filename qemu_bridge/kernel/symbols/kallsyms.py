"""The kernel's symbol table, decoded from its own compressed copy in RAM: what ``/proc/kallsyms`` prints.

The linker step ``scripts/kallsyms.c`` leaves these tables in the kernel image; since release 6.0 the
VMCOREINFO note says where (commit 5fd8fea935a1):

- ``kallsyms_names``: per symbol its length and that many token numbers; a length of 128 or more takes two bytes, seven
  bits each, low bits first (release 6.1).
- ``kallsyms_token_index``, ``kallsyms_token_table``: 256 zero-terminated strings. A name is its tokens joined; its first
  letter is the symbol's type.
- ``kallsyms_offsets``: 32-bit offsets from ``kallsyms_relative_base``. Where per-CPU symbols are absolute
  (``CONFIG_KALLSYMS_ABSOLUTE_PERCPU``), zero and above is the address itself and below zero means
  ``relative_base - 1 - offset``. Nothing says which holds: the known address of ``_stext`` decides.
  Since release 7.0 there is no base: each offset is relative to the address at which it is stored itself.

>>> table.lookup("init_task")
[Symbol(name='init_task', address=18446744071605123136, symbol_type='D', offset=0)]
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ...errors import AddressError, GuestError
from ...host.wildcards import wildcard_expression
from ...memory.addresses import VirtualAddress
from ...wire.records import Symbol
from .vmcoreinfo import VmCoreInfo

MAX_SYMBOLS = 1 << 21
_MAX_NAMES_BYTES = 32 << 20
_MAX_TEXT_BYTES = 128 << 20
# Kernel addresses are negative; what is below is an absolute per-CPU offset.
_KERNEL_HALF = 1 << 63
_MOST_LETTERS = 200
_HINT = "is the guest still booting, or its kernel older than Linux 6.0?"


@dataclass(frozen=True)
class KallsymsTable:
    """All symbols of the kernel image, in the order of the kernel's own table, which is that of addresses.

    Attributes:
        addresses: run-time addresses, `uint64`, shape (n,), ascending.
        starts: where each entry begins in `text`, `int64`, shape (n,).
        text: every entry as a newline, the type letter and the name.
    """

    addresses: npt.NDArray[np.uint64]
    starts: npt.NDArray[np.int64]
    text: bytes

    def __len__(self) -> int:
        return len(self.addresses)

    def __getitem__(self, row: int) -> Symbol:
        start = int(self.starts[row]) + 1
        end = self.text.find(b"\n", start)
        entry = self.text[start : end if end >= 0 else None].decode("latin-1")
        return Symbol(entry[1:], VirtualAddress(int(self.addresses[row])), entry[:1])

    def __iter__(self) -> Iterator[Symbol]:
        for address, entry in zip(self.addresses.tolist(), self.entries(), strict=True):
            yield Symbol(entry[1:], VirtualAddress(address), entry[:1])

    def moved(self, distance: int) -> KallsymsTable:
        """The same symbols with every kernel address `distance` bytes further up; per-CPU ones stay."""
        kernel = self.addresses >= np.uint64(_KERNEL_HALF)
        addresses = np.where(kernel, self.addresses + np.uint64(distance & (2 * _KERNEL_HALF - 1)), self.addresses)
        return KallsymsTable(addresses, self.starts, self.text)

    def entries(self) -> list[str]:
        """Type letter and name of every symbol, in order: ``["D__per_cpu_start", …]``."""
        return self.text.decode("latin-1").split("\n")[1:]

    def names(self, beginning: str, limit: int) -> list[str]:
        """Names that start with `beginning`, each once, at most `limit`, in the order of the table."""
        names: dict[str, None] = {}
        for match in re.finditer(rb"\n.(" + re.escape(beginning.encode("latin-1", "replace")) + rb"[^\n]*)", self.text):
            if len(names) >= limit:
                break
            names[match[1].decode("latin-1")] = None
        return list(names)

    def find_like(self, part: str, limit: int) -> list[Symbol]:
        """Symbols whose names are like `part`, at most `limit`, in the order of the table: see `name_patterns`."""
        found: dict[int, None] = {}
        for pattern in name_patterns(part):
            for match in re.finditer(pattern, self.text):
                if len(found) >= limit:
                    break
                found[match.start()] = None
        return [self[int(np.searchsorted(self.starts, start))] for start in found]

    def matching(self, pattern: str, limit: int) -> list[Symbol]:
        """Symbols whose names match a pattern with wildcards (`qemu_bridge.host.wildcards`), ascending, at most `limit`."""
        try:
            letters = wildcard_expression(pattern).encode("latin-1")
        except UnicodeEncodeError:
            return []
        matches = itertools.islice(re.finditer(rb"\n." + letters + rb"(?=\n|$)", self.text), max(limit, 0))
        return [self[int(np.searchsorted(self.starts, match.start()))] for match in matches]

    def lookup(self, name: str) -> list[Symbol]:
        """Every symbol called `name` (static ones may share a name), ascending; an empty list for none."""
        return list(self._called(name))

    def _called(self, name: str) -> Iterator[Symbol]:
        # One scan of the text is faster than building a dictionary for a few look-ups.
        wanted = name.encode("latin-1", "replace")
        if not wanted or b"\n" in wanted:
            return
        position = self.text.find(wanted)
        while position >= 0:
            after = position + len(wanted)
            if position >= 2 and self.text[position - 2] == 0x0A and self.text[after : after + 1] in (b"\n", b""):
                yield self[int(np.searchsorted(self.starts, position - 2))]
            position = self.text.find(wanted, position + 1)

    def address_of(self, name: str) -> VirtualAddress | None:
        """Run-time address of the first symbol called `name`, None where there is none."""
        if name not in self._known:
            found = next(self._called(name), None)
            self._known[name] = None if found is None else found.address
        return self._known[name]

    @cached_property
    def _known(self) -> dict[str, VirtualAddress | None]:
        # Every query looks up the same few dozen names, and a scan of the text takes most of a millisecond.
        return {}

    def at(self, address: VirtualAddress) -> Symbol | None:
        """The symbol at or nearest below `address` and how far past it that is; None outside the kernel image.

        Of several symbols at one address the first in the table is taken, as the kernel does.
        """
        if not len(self) or not _KERNEL_HALF <= address <= int(self.addresses[-1]):
            return None
        row = int(np.searchsorted(self.addresses, np.uint64(address), side="right")) - 1
        if row < 0 or int(self.addresses[row]) < _KERNEL_HALF:
            return None
        row = int(np.searchsorted(self.addresses, self.addresses[row], side="left"))
        symbol = self[row]
        return Symbol(symbol.name, symbol.address, symbol.symbol_type, address - symbol.address)


def name_patterns(part: str) -> list[bytes]:
    """Expressions for entries of `KallsymsTable.text` whose name is like `part`, the closest likeness first.

    With ``*`` or ``?`` the whole name has to match; else it begins with `part`, contains it, or has its letters in that order.
    """
    letters = part[:_MOST_LETTERS].encode("latin-1", "replace").replace(b"\n", b"")
    if not letters:
        return []
    if b"*" in letters or b"?" in letters:
        whole = wildcard_expression(letters.decode("latin-1")).encode("latin-1")
        return [rb"(?i)\n." + whole + rb"(?=\n|$)"]
    # What is passed over never holds the letter that is looked for: no backtracking, however long the name.
    in_order = b"".join(rb"[^\n%b]*%b" % (re.escape(letter), re.escape(letter)) for letter in map(_byte, letters))
    literal = re.escape(letters)
    return [rb"(?i)\n." + literal, rb"(?i)\n.[^\n]*?" + literal, rb"(?i)\n." + in_order]


def _byte(value: int) -> bytes:
    return bytes((value,))


@dataclass(frozen=True, slots=True)
class RawKallsyms:
    """The kernel's tables as they are in RAM: the same bytes in every boot of one build, but for the last three.

    `offsets` is empty where the kernel keeps whole `absolutes` instead. `relative_base` is None where each offset is
    relative to its own place, the first one's being `offsets_start`.
    """

    count: int
    names: bytes
    token_index: bytes
    token_table: bytes
    offsets: bytes
    absolutes: bytes
    offsets_start: int
    relative_base: int | None
    stext: int

    def digest(self) -> bytes:
        """A key of this build's table, the same wherever KASLR put the kernel."""
        hashed = hashlib.sha256(self.count.to_bytes(8, "little"))
        for part in (self.names, self.token_index, self.token_table, self.offsets):
            hashed.update(part)
        return hashed.digest()[:16]


class VirtualMemory(Protocol):
    """Whatever the kernel's virtual memory can be read through."""

    def read(self, virtual: VirtualAddress, length: int) -> bytes:
        """Copy `length` bytes at `virtual`; `AddressError` where they are not all there."""

    def read_some(self, virtual: VirtualAddress, length: int) -> bytes:
        """Copy at most `length` bytes at `virtual`, up to where memory ends."""


def read_kallsyms(info: VmCoreInfo, memory: VirtualMemory) -> RawKallsyms:
    """Copy the tables that note `info` names out of the kernel's `memory`.

    Raises `GuestError` when the note does not name them or they are not where it says.
    """
    where = {name: info.symbol(f"kallsyms_{name}") for name in ("num_syms", "names", "token_table", "token_index")}
    needed = {name: address for name, address in where.items() if address is not None}
    offsets, absolutes = info.symbol("kallsyms_offsets"), info.symbol("kallsyms_addresses")
    base, stext = info.symbol("kallsyms_relative_base"), info.symbol("_stext")
    if len(needed) < len(where) or stext is None or (absolutes is None and offsets is None):
        raise GuestError(f"the kernel's VMCOREINFO note does not say where its symbol table is; {_HINT}")
    try:
        count = int.from_bytes(memory.read(needed["num_syms"], 4), "little")
        if not 0 < count <= MAX_SYMBOLS:
            raise GuestError(f"the kernel's symbol table claims {count} symbols, which is implausible; {_HINT}")
        token_index = memory.read(needed["token_index"], 512)
        return RawKallsyms(
            count,
            memory.read_some(needed["names"], _names_size(needed)),
            token_index,
            memory.read_some(needed["token_table"], max(np.frombuffer(token_index, "<u2").tolist()) + 256),
            memory.read(offsets, 4 * count) if offsets is not None and absolutes is None else b"",
            memory.read(absolutes, 8 * count) if absolutes is not None else b"",
            offsets or 0,
            int.from_bytes(memory.read(base, 8), "little") if base is not None else None,
            stext,
        )
    except AddressError as error:
        raise GuestError(f"the kernel's symbol table cannot be read ({error.args[0]}); {_HINT}") from None


def decode_kallsyms(raw: RawKallsyms) -> KallsymsTable:
    """The symbols in the kernel's tables; `GuestError` when those are inconsistent."""
    starts, text = expand_names(raw.names, raw.count, _tokens(raw))
    return _sorted_table(_addresses(raw, _row_of(text, starts, b"_stext")), starts, text)


def expand_names(names: bytes, count: int, tokens: list[bytes]) -> tuple[npt.NDArray[np.int64], bytes]:
    """Decompress `count` names: where each begins in the text, and the text (see `KallsymsTable`).

    `GuestError` when the bytes end before the names do, or when they expand beyond a limit.
    """
    heads, seconds = _length_bytes(names, count)
    # Each length byte becomes a newline, the second byte of a long length nothing: one expansion writes all.
    codes = np.frombuffer(names, np.uint8).astype(np.int64)
    codes[heads], codes[seconds] = 256, 257
    codes = codes[: _end_of_names(names, heads)]
    pieces = [*tokens, b"\n", b""]
    ends = np.cumsum(np.array([len(piece) for piece in pieces], np.int64)[codes])
    if ends[-1] > _MAX_TEXT_BYTES:
        raise GuestError(f"the kernel's symbol names expand to {ends[-1]} bytes, which is implausible; {_HINT}")
    text = b"".join(map(pieces.__getitem__, codes.tolist()))
    return ends[heads] - 1, text


def make_table(entries: Sequence[str], addresses: Sequence[int]) -> KallsymsTable:
    """The table of symbols with these `entries`, type letter and name each, and their addresses, in any order."""
    text = "".join(f"\n{entry}" for entry in entries).encode("latin-1", "replace")
    sizes = np.array([len(entry) + 1 for entry in entries], np.int64)
    return _sorted_table(np.array(addresses, np.uint64), np.cumsum(sizes) - sizes, text)


def decode_place_relative(offsets: npt.NDArray[np.int32], start: int) -> npt.NDArray[np.uint64]:
    """Addresses of symbols from ``kallsyms_offsets`` at `start`, each relative to its own place."""
    places = np.uint64(start) + 4 * np.arange(len(offsets), dtype=np.uint64)
    return places + offsets.astype(np.int64).view(np.uint64)


def decode_offsets(offsets: npt.NDArray[np.int32], relative_base: int, absolute_percpu: bool) -> npt.NDArray[np.uint64]:
    """Addresses of symbols from ``kallsyms_offsets``, in one of its two meanings with a base (see the module's text)."""
    if not absolute_percpu:
        return offsets.view(np.uint32).astype(np.uint64) + np.uint64(relative_base)
    wide = offsets.astype(np.int64)
    relative = np.uint64(relative_base) + (-1 - wide).view(np.uint64)
    return np.where(wide >= 0, wide.view(np.uint64), relative)


def _length_bytes(names: bytes, count: int) -> tuple[list[int], list[int]]:
    """Where the length of each name stands, and the second bytes of the long ones."""
    heads, seconds, position = [], [], 0
    try:
        for _ in range(count):
            heads.append(position)
            length = names[position]
            if length & 0x80:
                position += 1
                seconds.append(position)
                length = length & 0x7F | names[position] << 7
            position += length + 1
    except IndexError:
        position = len(names) + 1
    if position > len(names):
        raise GuestError(f"the kernel's symbol names end after {len(heads) - 1} of {count}; {_HINT}")
    return heads, seconds


def _end_of_names(names: bytes, heads: list[int]) -> int:
    last = heads[-1]
    if names[last] & 0x80:
        return last + 2 + (names[last] & 0x7F | names[last + 1] << 7)
    return last + 1 + names[last]


def _names_size(where: dict[str, VirtualAddress]) -> int:
    """Upper bound of the bytes of names: the distance to the next table. The note does not state their size."""
    above = [address - where["names"] for address in where.values() if address > where["names"]]
    return min([*above, _MAX_NAMES_BYTES])


def _tokens(raw: RawKallsyms) -> list[bytes]:
    """The 256 strings that names are made of, each in one line whatever the guest says."""
    table = raw.token_table.replace(b"\n", b"?")
    return [
        table[start : max(table.find(b"\0", start), start)] for start in np.frombuffer(raw.token_index, "<u2").tolist()
    ]


def _addresses(raw: RawKallsyms, stext_row: int) -> npt.NDArray[np.uint64]:
    """Addresses of all symbols, the one in row `stext_row` being that of ``_stext``."""
    if raw.absolutes:
        return np.frombuffer(raw.absolutes, "<u8")
    offsets = np.frombuffer(raw.offsets, "<i4")
    base = raw.relative_base
    meanings = (
        [decode_place_relative(offsets, raw.offsets_start)]
        if base is None
        else [decode_offsets(offsets, base, absolute_percpu) for absolute_percpu in (True, False)]
    )
    for addresses in meanings:
        if int(addresses[stext_row]) == raw.stext:
            return addresses
    raise GuestError(f"the kernel's symbol table does not put _stext where its VMCOREINFO note does; {_HINT}")


def _row_of(text: bytes, starts: npt.NDArray[np.int64], name: bytes) -> int:
    """The row of text symbol `name`; `GuestError` if the table lacks it."""
    for letter in (b"T", b"t"):
        if (position := (text + b"\n").find(b"\n" + letter + name + b"\n")) >= 0:
            return int(np.searchsorted(starts, position))
    raise GuestError(f"the kernel's symbol table has no {name.decode()}; {_HINT}")


def _sorted_table(addresses: npt.NDArray[np.uint64], starts: npt.NDArray[np.int64], text: bytes) -> KallsymsTable:
    """A table in ascending order of address; the kernel's own is, unless someone tampered with it."""
    if len(addresses) > 1 and np.any(addresses[1:] < addresses[:-1]):
        order = np.argsort(addresses, kind="stable")
        entries = text.split(b"\n")[1:]
        text = b"".join(b"\n" + entries[row] for row in order.tolist())
        sizes = np.append(starts[1:], len(text))[order] - starts[order]
        addresses, starts = addresses[order], np.cumsum(sizes) - sizes
    return KallsymsTable(addresses, starts, text)
