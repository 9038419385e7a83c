"""The kernel's structures one at a time: fields by name, at the offsets that BTF states.

>>> space = KernelObjects(ram, kernel)
>>> task = space.at("task_struct", kernel.address_of("init_task"))
>>> task["pid"], task.text("comm"), task["real_cred"]
(0, 'swapper/0', 18446744071606269632)
>>> task.follow("real_cred")["uid.val"]
0

For many structures of one kind `columns` is faster; Volatility's objects know methods but cost a hundred times as much.
A page is copied when it is first needed and then serves all reads until `forget`, so that the fields of a structure are of
one moment. The `budget` bounds every walk, and a read of an unmapped address raises `AddressError`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ..errors import AddressError, GuestError
from ..memory.addresses import PAGE_SHIFT, PAGE_SIZE, PhysicalAddress, VirtualAddress
from ..memory.paging import PageTables
from ..memory.ram import GuestRam
from .budget import Budget
from .fields import FieldTable
from .symbols import KernelSymbols, Kind

MAX_TEXT = 4096
MAX_LINKS = 1 << 18
_ATTEMPTS = 3
_MAX_READ = 1 << 24
_MAX_PAGES = 1 << 15
_U64 = (1 << 64) - 1


class KernelObjects:
    """The kernel's address space as structures.

    Attributes:
        fields: where the fields of structures are.
        budget: what reads are charged to: without limits, but for the time of `charged_to`.
    """

    def __init__(self, ram: GuestRam, kernel: KernelSymbols) -> None:
        """Read structures of `kernel`; `NoTypesError` when it carries no types."""
        self.ram = ram
        self.kernel = kernel
        self.btf = kernel.btf
        self.budget = Budget.unlimited()
        self._pages: dict[int, bytes | None] = {}
        self.fields = FieldTable(self.btf)
        base = kernel.kallsyms.address_of("page_offset_base")
        self._direct_map = _U64 if base is None else int.from_bytes(kernel.page_tables.read(base, 8), "little")

    def forget(self) -> None:
        """Drop the page copies: later reads see the guest's current memory."""
        self._pages.clear()

    @contextlib.contextmanager
    def charged_to(self, budget: Budget) -> Iterator[None]:
        """Charge what the body reads to `budget`, and to the one before afterwards: nobody else reads on a budget that is used up."""
        before, self.budget = self.budget, budget
        try:
            yield
        finally:
            self.budget = before

    # Bytes

    def read(self, address: int, length: int) -> bytes:
        """Copy `length` bytes at kernel virtual `address`; `AddressError` where they are not all there."""
        within = address & (PAGE_SIZE - 1)
        if 0 <= length <= PAGE_SIZE - within:
            return self._page(address >> PAGE_SHIFT)[within : within + length]
        if not 0 <= length <= _MAX_READ:
            raise AddressError(
                f"{length} bytes at {address:#x} exceed the limit of a read; retry, or pause the machine"
            )
        first, last = address >> PAGE_SHIFT, (address + length - 1) >> PAGE_SHIFT
        data = b"".join([self._page(number & (_U64 >> PAGE_SHIFT)) for number in range(first, last + 1)])
        return data[within : within + length]

    def unsigned(self, address: int, size: int = 8) -> int:
        """The little-endian number of `size` bytes at `address`."""
        return int.from_bytes(self.read(address, size), "little")

    def words(self, address: int, count: int) -> list[int]:
        """`count` 64-bit numbers at `address`."""
        data = self.read(address, 8 * count)
        return [int.from_bytes(data[at : at + 8], "little") for at in range(0, len(data), 8)]

    def text(self, address: int, limit: int = MAX_TEXT) -> str:
        """The zero-terminated text at `address`, at most `limit` bytes; never reads past the page that holds its end."""
        limit, data = min(limit, MAX_TEXT), b""
        while len(data) < limit:
            at = address + len(data)
            data += self.read(at, min(limit - len(data), PAGE_SIZE - at % PAGE_SIZE))
            if b"\0" in data:
                break
        return data.split(b"\0", 1)[0].decode("utf-8", "replace")

    def physical(self, address: int) -> PhysicalAddress | None:
        """Guest-physical address of kernel virtual `address`, None where nothing is mapped."""
        physical = address - self._direct_map
        if 0 <= physical < self.ram.layout.end:
            return PhysicalAddress(physical)
        return self.kernel.page_tables.translate(VirtualAddress(address & _U64))

    def page_tables(self, root: PhysicalAddress) -> PageTables:
        """The address space whose top table is at `root`."""
        return PageTables(self.ram, root, self.kernel.page_tables.levels)

    # Structures

    def at(self, type_name: str, address: int) -> Object:
        """The `type_name` at `address`."""
        return Object(self, type_name, address & _U64)

    def symbol(self, name: str, type_name: str) -> Object:
        """The `type_name` that kernel symbol `name` stands for; `GuestError` when there is no such symbol."""
        return Object(self, type_name, self.kernel.address_of(name))

    def address_of(self, name: str) -> int:
        """Address of kernel symbol `name`, 0 when the kernel has none."""
        return self.kernel.kallsyms.address_of(name) or 0

    def has(self, type_name: str, path: str = "") -> bool:
        """Whether this kernel has the structure and, in it, the field."""
        return self.btf.find(type_name) is not None and (not path or self.fields.find(type_name, path) is not None)

    def size(self, type_name: str) -> int:
        """Bytes of a structure."""
        return self.btf.sizeof(type_name)

    def offset(self, type_name: str, path: str) -> int:
        """Bytes from the start of `type_name` to its field; `NoTypesError` when it has none of that name."""
        return self.fields.get(type_name, path).offset

    def enumerator(self, type_name: str, constant: str) -> int | None:
        """The value of `constant` in ``enum type_name``, None when there is none."""
        type_id = self.btf.find(type_name, Kind.ENUM, Kind.ENUM64)
        return None if type_id is None else self.btf.enumerators(type_id).get(constant)

    # Chains

    def links(self, head: int, limit: int = MAX_LINKS) -> list[int]:
        """Addresses of the links in the ``list_head`` at `head`.

        Retries while next and prev disagree; if they still do, returns the part that is consistent and adds a note to the budget.
        """
        found: list[int] = []
        for attempt in range(_ATTEMPTS):
            if attempt:
                self.forget()
            found, whole = self._follow_links(head, limit)
            if whole:
                return found
        self.budget.skip(f"the list at {head:#x} is broken after {len(found)} entries")
        return found

    def linked(self, head: int, type_name: str, member: str, limit: int = MAX_LINKS) -> Iterator[Object]:
        """Yield the structures that the ``list_head`` at `head` links by their `member`."""
        back = self.offset(type_name, member)
        for link in self.links(head, limit):
            yield self.at(type_name, link - back)

    def hashed(self, first: int, limit: int = MAX_LINKS) -> Iterator[int]:
        """Yield the links of an ``hlist`` or ``hlist_nulls`` from its `first` on: up to 0, or an odd end mark."""
        seen: set[int] = set()
        while first and not first & 1 and len(seen) < limit:
            if first in seen:
                self.budget.skip(f"the chain at {first:#x} is circular")
                return
            seen.add(first)
            self.budget.spend()
            try:
                following = self.unsigned(first)
            except AddressError:
                self.budget.skip(f"a chain is broken at {first:#x}")
                return
            yield first
            first = following

    def tree(self, root: int) -> Iterator[int]:
        """Yield the nodes of the red-black tree whose topmost ``rb_node`` is at `root`, in order."""
        left, right = self.offset("rb_node", "rb_left"), self.offset("rb_node", "rb_right")
        pending: list[int] = []
        seen: set[int] = set()
        try:
            while root or pending:
                while root:
                    if root in seen or len(pending) > self.budget.depth:
                        self.budget.skip(f"the tree at {root:#x} is too deep or circular")
                        return
                    seen.add(root)
                    self.budget.spend()
                    pending.append(root)
                    root = self.unsigned(root + left)
                node = pending.pop()
                yield node
                root = self.unsigned(node + right)
        except AddressError:
            self.budget.skip(f"a tree is broken at {root or node:#x}")

    def _follow_links(self, head: int, limit: int) -> tuple[list[int], bool]:
        found: list[int] = []
        previous = head
        try:
            link = self.unsigned(head)
            while link != head:
                if len(found) >= limit:
                    return found, False
                self.budget.spend()
                following, back = self.words(link, 2)
                if back != previous:
                    return found, False
                found.append(link)
                previous, link = link, following
        except AddressError:
            return found, False
        return found, True

    def _page(self, number: int) -> bytes:
        try:
            page = self._pages[number]
        except KeyError:
            page = self._copy_page(number)
        if page is None:
            raise AddressError(
                f"kernel address {number << PAGE_SHIFT:#x} is not mapped to RAM; retry, or pause the machine"
            )
        return page

    def _copy_page(self, number: int) -> bytes | None:
        self.budget.spend(0, PAGE_SIZE)
        if len(self._pages) >= _MAX_PAGES:
            self._pages.clear()
        physical = self.physical(number << PAGE_SHIFT) if number >> (63 - PAGE_SHIFT) == 1 else None
        page = None
        if physical is not None:
            try:
                page = self.ram.read(physical, PAGE_SIZE)
            except AddressError:
                page = None
        self._pages[number] = page
        return page


class Object:
    """One structure in guest RAM: `object["field"]` is a number, a pointer being the address it holds."""

    __slots__ = ("address", "space", "type_name")

    def __init__(self, space: KernelObjects, type_name: str, address: int) -> None:
        self.space = space
        self.type_name = type_name
        self.address = address

    def __repr__(self) -> str:
        return f"<{self.type_name} at {self.address:#x}>"

    def __getitem__(self, path: str) -> int:
        field = self.space.fields.get(self.type_name, path)
        if field.size > 8:
            raise GuestError(f"{self.type_name}.{path} is a structure, not a number; name one of its members")
        value = int.from_bytes(self.space.read(self.address + field.offset, field.size), "little")
        bits = 8 * field.size
        if field.bits:
            bits = field.bits
            value = value >> field.shift & ((1 << bits) - 1)
        return value - (1 << bits) if field.is_signed and value >> (bits - 1) else value

    def __contains__(self, path: str) -> bool:
        return self.space.has(self.type_name, path)

    def at(self, path: str) -> int:
        """The address of a field."""
        return self.address + self.space.offset(self.type_name, path)

    def inner(self, path: str) -> Object:
        """The structure that a field is."""
        field = self.space.fields.get(self.type_name, path)
        return Object(self.space, field.type_name, self.address + field.offset)

    def follow(self, path: str) -> Object | None:
        """The structure that a field points to, None for a null pointer."""
        address = self[path]
        return Object(self.space, self.space.fields.get(self.type_name, path).type_name, address) if address else None

    def text(self, path: str) -> str:
        """The text in a field that is an array of characters."""
        field = self.space.fields.get(self.type_name, path)
        return self.space.text(self.address + field.offset, field.size * field.count)

    def text_at(self, path: str, limit: int = MAX_TEXT) -> str:
        """The text that a field points to, empty for a null pointer."""
        address = self[path]
        return self.space.text(address, limit) if address else ""

    def numbers(self, path: str) -> list[int]:
        """The elements of an array of numbers, or of structures of at most 8 bytes, unsigned."""
        field = self.space.fields.get(self.type_name, path)
        if field.size > 8:
            raise GuestError(f"{self.type_name}.{path} is an array of structures, not of numbers; use elements")
        data = self.space.read(self.address + field.offset, field.size * field.count)
        return [int.from_bytes(data[at : at + field.size], "little") for at in range(0, len(data), max(field.size, 1))]

    def elements(self, path: str) -> list[Object]:
        """The elements of an array of structures."""
        field = self.space.fields.get(self.type_name, path)
        start = self.address + field.offset
        return [Object(self.space, field.type_name, start + number * field.size) for number in range(field.count)]
