"""Records of the trace: options of a window, state of the plugin, options and result of a recording."""

from __future__ import annotations

from enum import StrEnum

from tcg_plugin import layout
from tcg_plugin.layout import Capability, Feature, Mode, Scope

from ..errors import UsageError
from .records import AnyAddress, Record
from .records import TraceState as TraceState

RING_STRIDE = 64 << 20
"""Bytes of the shared file that a vCPU's ring may use."""
DEFAULT_CHUNK_BYTES, DEFAULT_CHUNKS = 256 << 10, 16
MEMORY_MB = 512
"""MiB of RAM for the counts of `TopOptions`."""


class ArmOptions(Record, frozen=True):
    """What a window of the trace records, and when it opens and closes.

    Attributes:
        features: what is recorded; with blocks or heat.
        mode: what happens when a ring is full.
        scope: of which code.
        chunk_bytes, chunks: of each vCPU's ring: a multiple of 64 from 1024 up, 2 or more, and 64 MiB in all.
        ranges: half-open ranges of linear addresses in which a block must start; at most 32, as of the next two.
        roots: page-table roots (CR3), of which one must be loaded.
        points: linear addresses of blocks at whose start registers are recorded.
        root_free_address, direct_map_base: the guest's function that frees a root, and where the kernel maps guest-physical 0: a root that was freed is no longer followed, and with the last one the window closes. 0: roots are followed as long as the window is open.
        trigger_address, trigger_hits: the window opens when the address is executed for the `trigger_hits`-th time; 0: at once.
        start_instructions: the window opens when a vCPU has executed so many; 0: at once.
        loop_head, loop_gate: with `Feature.LOOPS`: the linear address of a loop's head, and every how many passes registers are read there.
        limit_instructions, limit_s: the window closes when a vCPU has executed so many, or after so many seconds; 0: never.
    """

    features: Feature = Feature.BLOCKS | Feature.EVENTS
    mode: Mode = Mode.LOSSLESS
    scope: Scope = Scope.KERNEL | Scope.USER
    chunk_bytes: int = DEFAULT_CHUNK_BYTES
    chunks: int = DEFAULT_CHUNKS
    ranges: tuple[tuple[AnyAddress, AnyAddress], ...] = ()
    roots: tuple[AnyAddress, ...] = ()
    points: tuple[AnyAddress, ...] = ()
    root_free_address: AnyAddress = 0
    direct_map_base: AnyAddress = 0
    trigger_address: AnyAddress = 0
    trigger_hits: int = 0
    start_instructions: int = 0
    loop_head: AnyAddress = 0
    loop_gate: int = 64
    limit_instructions: int = 0
    limit_s: float = 0.0

    def validate(self) -> None:
        """Raise `UsageError` for options that the plugin would refuse."""
        if not self.features & (Feature.BLOCKS | Feature.HEAT | Feature.LOOPS):
            raise UsageError("a trace without blocks, heat and loops records nothing; ask for one of them")
        if not 1 <= self.loop_gate < 1 << 32:
            raise UsageError(f"a gate of {self.loop_gate} passes is unsupported; give a number from 1 up")
        if self.chunk_bytes < layout.MIN_CHUNK_BYTES or self.chunk_bytes % 64:
            raise UsageError(f"chunks of {self.chunk_bytes} bytes are unsupported; give a multiple of 64 from 1024 up")
        if self.chunks < layout.MIN_CHUNKS or self.chunk_bytes * self.chunks > RING_STRIDE:
            raise UsageError(f"a ring of {self.chunks} chunks is unsupported; give 2 or more and at most 64 MiB in all")
        if not 0 <= self.limit_s < 1e9:
            raise UsageError(f"a window of {self.limit_s} seconds is unsupported; give a number from 0 up")
        for name, given, limit in (
            ("ranges", self.ranges, layout.MAX_RANGES),
            ("page-table roots", self.roots, layout.MAX_ROOTS),
            ("points", self.points, layout.MAX_POINTS),
        ):
            if len(given) > limit:
                raise UsageError(f"{len(given)} {name} are too many; give up to {limit}")


class VcpuRing(Record, frozen=True):
    """The ring of one vCPU. Chunks are counted since the machine started, over all windows.

    Attributes:
        published_chunks, read_chunks: by the vCPU, and by the reader.
        waits, wait_s: how often and how long the vCPU waited for a free chunk.
        lost_chunks, lost_words: dropped in lossy mode.
    """

    published_chunks: int
    read_chunks: int
    waits: int
    wait_s: float
    lost_chunks: int
    lost_words: int


class PluginCapability(StrEnum):
    """What plugins may do in a machine's QEMU."""

    READ_REGISTERS = "read registers"
    WRITE_REGISTERS = "write registers"
    WRITE_MEMORY = "write memory"
    SET_PC = "set the program counter"


def capability_names(capabilities: Capability) -> tuple[PluginCapability, ...]:
    """Each of `capabilities` by its name.

    >>> capability_names(Capability.READ_REGISTERS)
    (<PluginCapability.READ_REGISTERS: 'read registers'>,)
    """
    return tuple(PluginCapability[each.name] for each in capabilities if each.name)


class TraceStatus(Record, frozen=True):
    """State of a machine's trace: the plugin's state and what is recorded.

    Attributes:
        acknowledged: false while the plugin has not acted on the last command, as in a paused machine.
        error: why the plugin closed the window, or refused it.
        path: the shared file.
        plugin_api: QEMU's version of the plugin interface.
        capabilities: what plugins may do in this QEMU.
        window: how many windows were opened so far.
        mode, features: of the window, as in `ArmOptions`.
        heat: whether heat is counted.
        reader_pid: who drains the rings.
        ids, translations: numbers of block ids and of translated blocks.
        vcpus: a row for each vCPU.
    """

    state: TraceState
    acknowledged: bool
    error: str
    path: str
    plugin_api: int
    capabilities: tuple[PluginCapability, ...]
    window: int
    mode: int
    features: int
    heat: bool
    reader_pid: int
    ids: int
    translations: int
    vcpus: tuple[VcpuRing, ...]


class LearnedLoop(Record, frozen=True):
    """What a learned loop has done in a machine (docs/learn.md).

    Attributes:
        name: in its library.
        head: where it was found when it was learned; a program may have it elsewhere.
        is_proved: whether the library's kernel was proved to do what the loop does, for all inputs.
        visits: how often QEMU went round often enough for the loop to be looked at.
        slices, rounds: runs of its kernel in place of QEMU's translation, and whole rounds that they did.
        seconds: time of these runs.
        round_ns: the least time that QEMU was seen to take for a round; 0 while it is not known.
        compared: comparisons of the kernel with QEMU; the first ones are made even without ``--shadow``, and all for a loop that is not proved.
        abandoned: comparisons that the guest's kernel got into, as for an interrupt.
        mismatches: comparisons that failed; after one the kernel is not used any more.
        refusals: how often the kernel stopped early or did not begin, by reason.
        failed: of the comparison that failed, empty if none did: registers on entry, rounds, where the difference is, and both values.
    """

    name: str
    head: AnyAddress
    visits: int
    slices: int
    rounds: int
    seconds: float
    round_ns: float
    compared: int
    abandoned: int
    mismatches: int
    refusals: dict[str, int]
    failed: dict[str, int]
    is_proved: bool = False


class Privilege(StrEnum):
    """Which code is recorded."""

    KERNEL = "kernel"
    USER = "user"


class RecordOptions(Record, frozen=True):
    """What a recording contains, and when it begins and ends; it needs an end. A *place* is ``sym:NAME``, a name or an address such as ``0x401000``.

    Attributes:
        seconds: an end: this long after the window opened; None: no limit.
        instructions: an end: so many instructions on one vCPU; None: no limit.
        until: an end: a place; soon after a block that starts there was executed.
        start_at: ``PLACE`` or ``PLACE:N``; begin when it is executed, for the Nth time.
        after: begin when a vCPU has executed so many instructions.
        memory: record the addresses of loads and stores.
        values: record their values too; implies `memory`.
        registers: places; record the registers when a block begins there.
        pids: only while the memory of one of these processes is mapped; the recording ends with the last of them.
        only: only code of this privilege.
        ranges: only blocks that start in one of these ranges, ``PLACE-PLACE`` or ``PLACE+BYTES``.
        ring_bytes: size of each vCPU's ring, 4 KiB to 64 MiB; None: 4 MiB.
        lossy: drop and count chunks when the recorder is too slow, instead of making the guest wait.
        verify: have QEMU count every instruction, so that the trace can be checked.
        force: replace a trace that exists at the output; nothing else is ever overwritten.
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
    force: bool = False

    def validate(self) -> None:
        """Raise `UsageError` for values out of range and for two conditions that exclude each other."""
        if self.start_at and self.after:
            raise UsageError("a window cannot wait for both start_at and after; give one of them")
        for name in ("after", "instructions", "seconds"):
            if not 0 <= (getattr(self, name) or 0) < 1 << 63:  # nan is neither
                raise UsageError(f"{name} counts from 0 up to 2**63; give another number")

    @property
    def features(self) -> Feature:
        """The plugin's features that these options need."""
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
        """Whether the window opens later than the trace is armed."""
        return bool(self.start_at or self.after)


class RecordEnd(StrEnum):
    """Why a recording ended."""

    TIME = "time"
    INSTRUCTIONS = "instructions"
    UNTIL = "until"
    PROCESSES_ENDED = "processes ended"
    """The memory of each of `RecordOptions.pids` is gone: they have ended, or executed another program."""
    STOPPED = "stopped"
    """Stopped by its `StopSignal`, or disarmed by another client."""
    MACHINE_ENDED = "machine ended"
    """QEMU ended in good order and handed over all that ran."""
    MACHINE_KILLED = "machine killed"
    """QEMU was killed: the last blocks of each vCPU, up to a chunk, are missing."""
    FAILED = "failed"
    """The plugin closed the window; `RecordResult.error` says why."""


class Progress(Record, frozen=True):
    """Progress of a recording: sums over all vCPUs since it began."""

    seconds: float
    blocks: int
    instructions: int
    accesses: int
    file_bytes: int
    frames: int
    waits: int
    wait_s: float
    lost_chunks: int
    lost_words: int


class RecordResult(Record, frozen=True):
    """Result of a recording, and why it ended."""

    file: str
    end: RecordEnd
    progress: Progress
    error: str = ""


class PathOrder(StrEnum):
    """By which instructions paths are ordered: their own, or with those of the loops inside them."""

    OWN = "own"
    TOTAL = "total"


class TopOptions(Record, frozen=True):
    """What is counted, and how many results are listed.

    Attributes:
        count: blocks and paths that are listed.
        pid: only this process, which this machine must know.
        root: only this page-table root (CR3).
        ring: only paths and blocks of this ring of privilege: 0 kernel, 3 user.
        by: order of paths.
        workers: threads that count; None: as many as there are cores.
        memory_mb: MiB of RAM for the counts.
        code_lines: instructions that are listed of each block and path, from its start.
    """

    count: int = 10
    pid: int | None = None
    root: AnyAddress | None = None
    ring: int | None = None
    by: PathOrder = PathOrder.OWN
    workers: int | None = None
    memory_mb: int = MEMORY_MB
    code_lines: int = 64

    def validate(self) -> None:
        """Raise `UsageError` for counts below 1."""
        if self.code_lines < 0:
            raise UsageError("code_lines counts from 0; give a larger number")
        if self.count < 1 or (self.workers is not None and self.workers < 1):
            raise UsageError("count and workers count from 1; give larger numbers")


class CodeLine(Record, frozen=True):
    """One instruction, disassembled."""

    address: AnyAddress
    symbol: str
    text: str


class PathLine(CodeLine, frozen=True):
    """One instruction of a path; `is_looped`: inner loops that start here ran before it."""

    is_looped: bool


class TopProcess(Record, frozen=True):
    """Instructions executed under one page-table root. `share` is of all instructions of the trace, here and below.

    `user_instructions` are those of `process` itself. The others are the kernel's, for the process or not: the idle loop, kernel
    threads and interrupts run under the page table of whatever process ran before.
    """

    root: AnyAddress
    process: str
    instructions: int
    share: float
    user_instructions: int = 0


class TopBlock(Record, frozen=True):
    """A block, how often it was executed, and the process that executed it most; `length` instructions, listed in `code`."""

    instructions: int
    share: float
    ring: int
    root: AnyAddress
    process: str
    executions: int
    code: tuple[CodeLine, ...]
    length: int = 0


class TopPath(Record, frozen=True):
    """A cyclic path: instructions of its own, and `total` with those of the loops inside it; `length` instructions a round."""

    instructions: int
    share: float
    ring: int
    root: AnyAddress
    process: str
    rounds: int
    total: int
    total_share: float
    code: tuple[PathLine, ...]
    length: int = 0


class TopResult(Record, frozen=True):
    """What a trace executed most, first. `is_complete` is false for a truncated trace."""

    file: str
    instructions: int
    blocks_executed: int
    is_complete: bool
    processes: tuple[TopProcess, ...]
    blocks: tuple[TopBlock, ...]
    paths: tuple[TopPath, ...]
