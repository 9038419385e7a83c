"""The kernel's own unwind tables, ORC (``Documentation/arch/x86/orc-unwinder.rst``).

A sorted table of code addresses, and for each an entry of six bytes that says where the caller's stack pointer was
(``arch/x86/include/asm/orc_types.h``). Both are in the kernel's memory. A module brings a table of its own
(``struct mod_arch_specific``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

import numpy as np
import numpy.typing as npt

from ..errors import GlassBoxError
from .modules import ModuleSymbols
from .objects import KernelObjects

ENTRY_SIZE = 6
_MAX_ROWS = 1 << 22
"""Of all tables together."""


class OrcKind(Enum):
    """What lies at the caller's stack pointer: a return address below it, registers, or nothing that is known."""

    CALL = auto()
    REGS = auto()
    """``struct pt_regs``."""
    REGS_PARTIAL = auto()
    """The part of it that the processor pushes."""
    END = auto()
    UNDEFINED = auto()


class OrcRegister(Enum):
    """What an entry counts an offset from; the others occur where only the frame of an exception knows them."""

    PREVIOUS_SP = auto()
    BP = auto()
    SP = auto()
    BP_INDIRECT = auto()
    SP_INDIRECT = auto()
    OTHER = auto()


_REGISTERS = {
    1: OrcRegister.PREVIOUS_SP, 4: OrcRegister.BP, 5: OrcRegister.SP, 8: OrcRegister.BP_INDIRECT, 9: OrcRegister.SP_INDIRECT,
}  # fmt: skip
_REGISTERS_RENUMBERED = {
    3: OrcRegister.SP, 4: OrcRegister.BP, 8: OrcRegister.PREVIOUS_SP, 9: OrcRegister.SP_INDIRECT, 10: OrcRegister.BP_INDIRECT,
}  # fmt: skip
"""Since release 7.1."""


@dataclass(frozen=True, slots=True)
class OrcEntry:
    """One entry; `interrupts` if the frame above was interrupted, so that its address is no return address."""

    sp_offset: int
    bp_offset: int
    sp_register: OrcRegister
    bp_register: OrcRegister
    kind: OrcKind
    interrupts: bool


@dataclass(frozen=True, slots=True)
class OrcTable:
    """The table of the code from `start` to `end`: code addresses relative to `base`, ascending, and where their entries begin."""

    start: int
    end: int
    base: int
    addresses: npt.NDArray[np.int64]
    entries: int


class OrcTables:
    """The tables of the kernel image and of modules."""

    def __init__(self, space: KernelObjects, modules: Sequence[ModuleSymbols] = ()) -> None:
        self._space = space
        # Until release 6.3 an entry had a bit for the end of the stack, since then (fb799447ae29) that is a type.
        self._has_end_bit = space.has("orc_entry", "end")
        self._has_signal_bit = space.has("orc_entry", "signal")
        self._registers = _REGISTERS_RENUMBERED if space.kernel.has("orc_registers") else _REGISTERS
        self._rows_left = _MAX_ROWS
        self.tables = [self._image_table(), *map(self._module_table, modules)]

    def table_of(self, ip: int) -> OrcTable | None:
        """The table of the code that holds an address; it may be empty."""
        return next((table for table in self.tables if table.start <= ip < table.end), None)

    def find(self, ip: int) -> OrcEntry | None:
        """The entry that covers code address `ip`."""
        table = self.table_of(ip)
        if table is None or not len(table.addresses):
            return None
        row = int(np.searchsorted(table.addresses, ip - table.base, side="right")) - 1
        if row < 0:
            return None
        try:
            return self.decode(self._space.read(table.entries + row * ENTRY_SIZE, ENTRY_SIZE))
        except GlassBoxError:
            return None

    def read_entries(self, table: OrcTable) -> bytes:
        """All entries of a table, `ENTRY_SIZE` bytes each; `AddressError` where they are not all there."""
        return self._space.read(table.entries, len(table.addresses) * ENTRY_SIZE) if len(table.addresses) else b""

    def decode(self, data: bytes) -> OrcEntry:
        """An entry from its bytes."""
        sp_offset, bp_offset = (int.from_bytes(data[at : at + 2], "little", signed=True) for at in (0, 2))
        kind, interrupts = self._kind(data[5], data[4] & 15)
        sp_register, bp_register = (
            self._registers.get(number, OrcRegister.OTHER) for number in (data[4] & 15, data[4] >> 4)
        )
        return OrcEntry(sp_offset, bp_offset, sp_register, bp_register, kind, interrupts)

    def _image_table(self) -> OrcTable:
        space = self._space
        start, entries = space.address_of("__start_orc_unwind_ip"), space.address_of("__start_orc_unwind")
        stop, last = space.address_of("__stop_orc_unwind_ip"), space.address_of("__stop_orc_unwind")
        size = stop - start if stop else (last - entries) // ENTRY_SIZE * 4
        addresses = self._read_addresses(start, size if start and entries else 0)
        return OrcTable(space.address_of("_stext"), space.address_of("_etext"), start, addresses, entries)

    def _module_table(self, module: ModuleSymbols) -> OrcTable:
        """The table of a module, whose text is its first part; an empty one where modules carry none."""
        found = self._space.at("module", module.address)
        start, size = module.parts[0] if module.parts else (0, 0)
        if "arch.orc_unwind_ip" not in found:
            return OrcTable(start, start + size, 0, np.zeros(0, np.int64), 0)
        try:
            base, entries = found["arch.orc_unwind_ip"], found["arch.orc_unwind"]
            addresses = self._read_addresses(base, 4 * found["arch.num_orcs"])
        except GlassBoxError:
            base, entries, addresses = 0, 0, np.zeros(0, np.int64)
        return OrcTable(start, start + size, base, addresses, entries)

    def _read_addresses(self, start: int, size: int) -> npt.NDArray[np.int64]:
        """The code addresses of a table, relative to its start; each is stored relative to its own place."""
        if not start or not 0 < size // 4 <= self._rows_left:
            return np.zeros(0, np.int64)
        self._rows_left -= size // 4
        offsets = np.frombuffer(self._space.read(start, size & ~3), "<i4").astype(np.int64)
        return offsets + np.arange(0, 4 * len(offsets), 4, dtype=np.int64)

    def _kind(self, bits: int, sp_register: int) -> tuple[OrcKind, bool]:
        """What an entry says of its frame, and whether the frame above was interrupted.

        ``arch/x86/include/asm/orc_types.h``: type in bits 0-1, end in 2 (6.1), signal in 2 and end in 3 (6.3); type in 0-2,
        signal in 3 (6.4).
        """
        if not self._has_end_bit:
            kind = _KINDS[bits & 7] if bits & 7 < len(_KINDS) else OrcKind.UNDEFINED
            return kind, bool(bits >> 3 & 1)
        if bits >> (3 if self._has_signal_bit else 2) & 1:
            return OrcKind.END, False
        kind = _KINDS_BEFORE_6_4[bits & 3] if sp_register else OrcKind.UNDEFINED
        signal = bool(bits >> 2 & 1) if self._has_signal_bit else kind in (OrcKind.REGS, OrcKind.REGS_PARTIAL)
        return kind, signal


_KINDS = (OrcKind.UNDEFINED, OrcKind.END, OrcKind.CALL, OrcKind.REGS, OrcKind.REGS_PARTIAL)
_KINDS_BEFORE_6_4 = (OrcKind.CALL, OrcKind.REGS, OrcKind.REGS_PARTIAL, OrcKind.UNDEFINED)
