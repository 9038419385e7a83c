"""The shared file between the daemon, the plugin in QEMU and the reader of the trace: made, armed, disarmed.

The file is sparse and is beside the RAM file; ``tcg_plugin/trace_abi.h`` has the layout. Its rings have space for
64 MiB a vCPU, of which only what a window uses is ever backed by memory.

>>> control = TraceControl(Path("/dev/shm/glassbox-0-demo-1.trace"))
>>> control.want(ArmOptions(features=Feature.BLOCKS | Feature.EVENTS), reader_pid=os.getpid())
>>> control.state                       # once the vCPUs were stopped and continued
<State.ARMED: 2>
"""

from __future__ import annotations

import ctypes
import mmap
import os
from pathlib import Path

from tcg_plugin import abi, layout
from tcg_plugin.layout import Capability, Command, Feature, Learned, Reason, State

from ...errors import MachineError
from ...memory.addresses import RamLayout
from ...wire.trace_records import RING_STRIDE, ArmOptions, LearnedLoop, capability_names
from ..calls.table import text_arguments

DICTIONARY_BYTES = 1 << 20
_FALLOC_FL_PUNCH = 0x03
"""FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE."""


def create(path: Path, vcpus: int, ram: Path, ram_layout: RamLayout, *, learned: Learned = Learned.IN_PLACE) -> None:
    """Make the shared file of a machine at `path`, for a RAM file that exists; `learned`: what is done with learned loops.

    Raises `FileExistsError` if something is at `path`.
    """
    header = layout.Control()
    header.magic[:] = layout.MAGIC
    header.version, header.vcpus = layout.VERSION, vcpus
    header.dictionary_offset = layout.PAGE_BYTES * (1 + vcpus)
    header.dictionary_bytes = DICTIONARY_BYTES
    header.rings_offset = header.dictionary_offset + layout.PAGE_BYTES + DICTIONARY_BYTES
    header.ring_stride = RING_STRIDE
    pages = sum(region.size for region in ram_layout.regions) // layout.PAGE_BYTES
    heat_bytes = -(-pages * 4 // layout.PAGE_BYTES) * layout.PAGE_BYTES
    header.heat_blocks_offset = header.rings_offset + vcpus * RING_STRIDE
    header.heat_stores_offset = header.heat_blocks_offset + heat_bytes
    header.heat_pages = pages
    header.heat_writers_offset = header.heat_stores_offset + heat_bytes
    header.learned_offset = header.heat_writers_offset + 4 * heat_bytes
    header.file_bytes = header.learned_offset + layout.MAX_LEARNED * ctypes.sizeof(layout.LearnedRow)
    header.learned_wanted = learned
    header.ram_inode = ram.stat().st_ino
    header.region_count = len(ram_layout.regions)
    for place, region in zip(header.regions, ram_layout.regions, strict=False):
        place.physical, place.offset, place.bytes = region.start, region.offset, region.size
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, bytes(header))
        os.truncate(descriptor, header.file_bytes)
    finally:
        os.close(descriptor)


class TraceControl:
    """The control block and the headers of a shared file, mapped for reading and writing.

    One thread at a time may call `want` and `disarm`; the reader of the rings raises their tails meanwhile.
    """

    def __init__(self, path: Path) -> None:
        """Map the file at `path`; `MachineError` when it is not the shared file of a trace."""
        try:
            with open(path, "r+b") as file:
                self.mapping = mmap.mmap(file.fileno(), 0)
        except (OSError, ValueError) as error:
            raise MachineError(f"the trace's shared file {path} cannot be mapped ({error}); start a machine") from None
        self.path = path
        self.block = layout.Control.from_buffer(self.mapping)
        if bytes(self.block.magic) != layout.MAGIC or self.block.version != layout.VERSION:
            raise MachineError(f"{path} has another layout; use the release of glassbox that started the machine")
        self.vcpus = [
            layout.VcpuHeader.from_buffer(self.mapping, layout.PAGE_BYTES * (1 + number))
            for number in range(self.block.vcpus)
        ]
        self.dictionary = layout.DictionaryHeader.from_buffer(self.mapping, self.block.dictionary_offset)

    def close(self) -> None:
        """Unmap the file; nothing of it may be used afterwards."""
        del self.block, self.vcpus, self.dictionary
        self.mapping.close()

    @property
    def state(self) -> State:
        """What the plugin does now."""
        return State(self.block.state)

    @property
    def is_armed(self) -> bool:
        """Whether a window is open."""
        return self.state in (State.ARMED, State.WAITING)

    @property
    def is_acknowledged(self) -> bool:
        """Whether the plugin has acted upon the last command."""
        return bool(self.block.acknowledged == self.block.generation)

    @property
    def error(self) -> str:
        """Why the plugin failed, as a sentence; empty if it did not."""
        return bytes(self.block.error).decode(errors="replace")

    def validate_plugin(self) -> None:
        """`MachineError` if the plugin could not begin its work in this machine."""
        if self.error and not self.block.plugin_pid:
            raise MachineError(self.error)

    def require(self, needed: Capability, what: str) -> None:
        """`MachineError` unless plugins may do what is `needed` in this machine's QEMU; `what` begins the sentence."""
        self.validate_plugin()
        missing = needed & ~Capability(self.block.capabilities)
        if missing:
            words = " and ".join(capability_names(missing))
            release = ".".join(map(str, abi.first_release(missing)))
            raise MachineError(
                f"{what} is not possible on this machine: plugins of its QEMU (plugin API {self.block.plugin_api}) cannot"
                f" {words}; start it on QEMU {release} or later: 'just qemu11' makes one for GLASSBOX_QEMU"
            )

    def want(self, options: ArmOptions, reader_pid: int) -> None:
        """Command a window of `options`; the plugin opens it when a vCPU resumes.

        `reader_pid` drains the rings, and a lossless window ends when that process does. Raises `UsageError` for invalid
        options, `MachineError` while a window is open or another living reader has not finished the last one.
        """
        options.validate()
        self.validate_plugin()
        if self.is_armed:
            raise MachineError("the machine is being recorded already; 'glassbox trace stop NAME' ends that")
        block = self.block
        self._discard_rest(reader_pid)
        block.reader_pid, block.mode = reader_pid, options.mode
        block.features, block.scope = options.features, options.scope
        block.chunk_bytes, block.chunks = options.chunk_bytes, options.chunks
        block.range_count, block.root_count, block.point_count = map(
            len, (options.ranges, options.roots, options.points)
        )
        for place, (start, end) in zip(block.ranges, options.ranges, strict=False):
            place.start, place.end = start, end
        block.roots[: len(options.roots)] = list(options.roots)
        block.root_free_address, block.direct_map_base = options.root_free_address, options.direct_map_base
        block.points[: len(options.points)] = list(options.points)
        block.trigger_address, block.trigger_hits = options.trigger_address, options.trigger_hits
        block.start_instructions, block.limit_instructions = options.start_instructions, options.limit_instructions
        block.texts[:], block.texts_32[:] = text_arguments(True), text_arguments(False)
        block.loop_head, block.loop_gate = options.loop_head, options.loop_gate
        block.limit_ns = int(options.limit_s * 1e9)
        # A CR3 holds a page number from bit 12 to 51; below are flags and the PCID, and bit 12 is page-table isolation's.
        block.root_mask = ((1 << 52) - 1) & ~0x1FFF
        block.abandon = 0
        self._command(Command.ARM)

    def _discard_rest(self, reader_pid: int) -> None:
        """Drop what is unread of the last window: chunks of this one may have another size."""
        left = [header for header in (*self.vcpus, self.dictionary) if header.tail != header.head]
        last = self.block.reader_pid
        if left and last != reader_pid and is_alive(last):
            raise MachineError(f"process {last} has not read the last window to its end; let it finish, or end it")
        for header in left:
            header.tail = header.head

    def disarm(self) -> None:
        """Command that no window is open; the plugin closes it when a vCPU resumes or changes its chunk."""
        self._command(Command.DISARM)

    def want_heat(self, is_wanted: bool) -> None:
        """Command whether heat is counted; the plugin acts when a vCPU resumes, and an open window stays open."""
        self.block.heat_wanted = is_wanted

    @property
    def is_heat_settled(self) -> bool:
        """Whether heat is counted or not as was commanded last; an open window with heat in it counts too."""
        of_window = self.is_armed and bool(self.block.features & Feature.HEAT)
        return bool(self.block.heat_on) == (bool(self.block.heat_wanted) or of_window)

    def learned(self) -> tuple[LearnedLoop, ...]:
        """What each learned loop has done so far."""
        return _learned_loops(self.mapping, self.block)

    def _command(self, command: Command) -> None:
        self.block.command = command
        # Last: a plugin that sees the new generation sees all of the above (stores are not reordered on x86-64).
        self.block.generation = (self.block.generation + 1) & 0xFFFFFFFF

    def set_initial_state(self, vcpu: int, cr3: int, idt_base: int, idt_limit: int) -> None:
        """Write what only QEMU's monitor knows of a vCPU when it is armed: CR3 and interrupt descriptor table."""
        header = self.vcpus[vcpu]
        header.initial_cr3, header.initial_idt_base, header.initial_idt_limit = cr3, idt_base, idt_limit

    def free_rings(self) -> None:
        """Give the memory of the rings back to the host; call it disarmed and drained."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open(self.path, "r+b") as file:
            length = self.block.vcpus * self.block.ring_stride
            # Advice: on a file system that cannot punch holes the memory stays until the file goes.
            libc.fallocate(
                file.fileno(), _FALLOC_FL_PUNCH, ctypes.c_long(self.block.rings_offset), ctypes.c_long(length)
            )


def read_learned(path: Path) -> tuple[LearnedLoop, ...]:
    """What each learned loop has done so far, out of the shared file at `path`, which is only read; `MachineError` if it is none."""
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapping:
            block = layout.Control.from_buffer_copy(mapping)
            if bytes(block.magic) == layout.MAGIC and block.version == layout.VERSION:
                return _learned_loops(mapping, block)
    except (OSError, ValueError) as error:
        raise MachineError(
            f"the trace's shared file {path} cannot be read ({error}); start the machine again"
        ) from None
    raise MachineError(f"{path} has another layout; use the release of glassbox that started the machine")


def _learned_loops(mapping: mmap.mmap, block: layout.Control) -> tuple[LearnedLoop, ...]:
    rows = (layout.LearnedRow * layout.MAX_LEARNED).from_buffer_copy(mapping, block.learned_offset)
    return tuple(map(_learned_loop, rows[: block.learned_count]))


def _learned_loop(row: layout.LearnedRow) -> LearnedLoop:
    failed: dict[str, int] = {}
    if row.mismatches:
        failed = dict(zip(layout.LEARNED_REGISTERS, row.failed_registers, strict=True))
        failed |= {name: getattr(row, f"failed_{name}") for name in ("rounds", "place", "kernel", "guest")}
    return LearnedLoop(
        name=row.name.decode(errors="replace"),
        head=row.head,
        visits=row.visits,
        slices=row.slices,
        rounds=row.rounds,
        seconds=row.ns / 1e9,
        round_ns=row.round_ps / 1e3,
        compared=row.compared,
        abandoned=row.abandoned,
        mismatches=row.mismatches,
        refusals={reason.name.lower(): count for reason, count in zip(Reason, row.reasons, strict=True) if count},
        failed=failed,
        is_proved=bool(row.proved),
    )


def is_alive(pid: int) -> bool:
    """Whether process `pid` can still read: it exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (OSError, IndexError):
        return False
