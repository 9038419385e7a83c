"""What a recording holds, as a user says it: `RecordOptions`, and the window of the plugin that it stands for.

>>> window_of(machine, RecordOptions(start_at="sym:do_mkdirat:3", only=Privilege.KERNEL)).trigger_hits
3
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tcg_plugin.layout import Feature, Mode, Scope

from ...errors import UsageError
from .control import DEFAULT_CHUNK_BYTES, DEFAULT_CHUNKS, ArmOptions
from .places import Kernel, find_address, find_range, find_root, find_trigger

_LARGEST_CHUNK, _FEWEST_CHUNKS = 256 << 10, 4
"""A ring has chunks of this size, or fewer and smaller ones."""


class Privilege(StrEnum):
    """Which code is recorded."""

    KERNEL = "kernel"
    USER = "user"


@dataclass(frozen=True, slots=True)
class RecordOptions:
    """What is recorded, and from when to when. A *place* is ``sym:NAME``, a name or an address such as ``0x401000``.

    Attributes:
        seconds: end this long after the window opened; None: no limit.
        instructions: end after so many instructions on one vCPU; None: no limit.
        until: a place; end soon after a block that starts there was executed.
        start_at: ``PLACE`` or ``PLACE:N``; begin when it is executed, for the Nth time.
        after: begin when a vCPU has executed so many instructions.
        memory: record the addresses of loads and stores.
        values: record their values too; implies `memory`.
        registers: places; record the registers when a block begins there.
        pids: only while the memory of one of these processes is mapped.
        only: only code of this privilege.
        ranges: only blocks that start in one of these ranges, ``PLACE-PLACE`` or ``PLACE+BYTES``.
        ring_bytes: size of each vCPU's ring, 4 KiB to 64 MiB; None: 4 MiB.
        lossy: drop and count what the recorder is too slow for, instead of letting the guest wait.
        verify: let QEMU count every instruction, for `check_trace`.
    """

    seconds: float | None = None
    instructions: int | None = None
    until: str | None = None
    start_at: str | None = None
    after: int | None = None
    memory: bool = False
    values: bool = False
    registers: tuple[str, ...] = ()
    pids: tuple[int, ...] = ()
    only: Privilege | None = None
    ranges: tuple[str, ...] = ()
    ring_bytes: int | None = None
    lossy: bool = False
    verify: bool = False

    def validate(self) -> None:
        """Raise `UsageError` for values out of range and for two conditions that exclude each other."""
        if self.start_at and self.after:
            raise UsageError("a window cannot wait for both start_at and after; give one of them")
        for name in ("after", "instructions", "seconds"):
            if not 0 <= (getattr(self, name) or 0) < 1 << 63:  # nan is neither
                raise UsageError(f"{name} counts from 0 up to 2**63; give another number")

    @property
    def features(self) -> Feature:
        """What the plugin is to record."""
        found = Feature.BLOCKS | Feature.EVENTS
        for is_wanted, feature in (
            (self.memory or self.values, Feature.MEMORY),
            (self.values, Feature.VALUES),
            (bool(self.registers), Feature.REGISTERS),
            (self.verify, Feature.VERIFY),
        ):
            found |= feature if is_wanted else Feature(0)
        return found

    @property
    def waits_for_start(self) -> bool:
        """Whether the window opens later than it is armed."""
        return bool(self.start_at or self.after)


def window_of(kernel: Kernel, options: RecordOptions) -> ArmOptions:
    """The window that `options` ask for; `UsageError` for symbols, processes and sizes that do not exist."""
    options.validate()
    scopes = {Privilege.KERNEL: Scope.KERNEL, Privilege.USER: Scope.USER, None: Scope.KERNEL | Scope.USER}
    trigger, hits = find_trigger(kernel, options.start_at)
    ring_bytes = options.ring_bytes
    chunk_bytes, chunks = split_ring(ring_bytes) if ring_bytes else (DEFAULT_CHUNK_BYTES, DEFAULT_CHUNKS)
    wanted = ArmOptions(
        features=options.features,
        mode=Mode.LOSSY if options.lossy else Mode.LOSSLESS,
        scope=scopes[options.only],
        chunk_bytes=chunk_bytes,
        chunks=chunks,
        ranges=tuple(find_range(kernel, text) for text in options.ranges),
        roots=tuple(find_root(kernel, pid) for pid in options.pids),
        points=tuple(find_address(kernel, place) for place in options.registers),
        trigger_address=trigger,
        trigger_hits=hits,
        start_instructions=options.after or 0,
        limit_instructions=options.instructions or 0,
    )
    wanted.validate()
    return wanted


def split_ring(size_bytes: int) -> tuple[int, int]:
    """Bytes and number of the chunks of a ring of `size_bytes`; `UsageError` outside 4 KiB to 64 MiB.

    >>> split_ring(4096), split_ring(64 << 20)
    ((1024, 4), (262144, 256))
    """
    if not 4 << 10 <= size_bytes <= 64 << 20:
        raise UsageError(f"a ring of {size_bytes} bytes has an unsupported size; give 4K to 64M")
    chunk_bytes = min(_LARGEST_CHUNK, size_bytes // _FEWEST_CHUNKS) // 64 * 64
    return chunk_bytes, size_bytes // chunk_bytes
