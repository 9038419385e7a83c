"""The trace's shared file as Python sees it: a mirror of ``trace_abi.h``, where each field is explained.

The records are ctypes structures, to be laid over a mapping of the file (``Control.from_buffer(mapping)``);
``numpy.dtype(ChunkHeader)`` is the same layout for arrays. ``tests/tcg_plugin/test_layout.py`` compiles a probe and compares.

>>> ctypes.sizeof(Control), Control.state.offset
(4096, 2048)
>>> event_word(Event.EXCEPTION, 4, 14) == 3 << 30 | 6 << 24 | 4 << 16 | 14
True
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import c_char, c_uint8, c_uint16, c_uint32, c_uint64
from enum import IntEnum, IntFlag

MAGIC = b"GBTRACE\0"
VERSION = 7
PAGE_BYTES = 4096
MAX_VCPUS, MAX_RANGES, MAX_ROOTS, MAX_POINTS, MAX_REGIONS = 255, 32, 32, 32, 4
MAX_LEARNED = 64
MAX_CALLS = 512
"""Numbers of system calls, from 0, of which `Control.texts` says what is a text."""
TEXT_OF_LENGTH = 64
"""In `Control.texts`: argument 1 has as many bytes as argument 2 says."""
MIN_CHUNK_BYTES, MIN_CHUNKS = 1024, 2
NO_OFFSET = (1 << 64) - 1
"""`BlockHeader.offset` of code that is not in RAM."""


class Command(IntEnum):
    """What the daemon wants."""

    DISARM = 0
    ARM = 1


class State(IntEnum):
    """What the plugin does."""

    ABSENT = 0
    DISARMED = 1
    ARMED = 2
    WAITING = 3
    FAILED = 4


class Mode(IntEnum):
    """What happens when a ring is full: the guest waits, or whole chunks are dropped and counted."""

    LOSSLESS = 0
    LOSSY = 1


class Feature(IntFlag):
    """What is recorded: executed blocks; events (page-table switches, system calls, exceptions); addresses of loads and stores; their values; registers; a count to verify with; heat; passes of a loop."""

    BLOCKS = 1
    EVENTS = 2
    MEMORY = 4
    VALUES = 8
    REGISTERS = 16
    VERIFY = 32
    HEAT = 64
    LOOPS = 128


class Capability(IntFlag):
    """What plugins may do in a QEMU: read registers, write them, write memory by guest-physical address, set the program counter."""

    READ_REGISTERS = 1
    WRITE_REGISTERS = 2
    WRITE_MEMORY = 4
    SET_PC = 8


class Learned(IntEnum):
    """What is done with learned loops: nothing, a comparison of kernels with what QEMU does, rounds in place of QEMU.

    IN_PLACE is for loops that are proved, and the others are compared; UNPROVED has all of them in place.
    """

    OFF = 0
    SHADOW = 1
    IN_PLACE = 2
    UNPROVED = 3


class Reason(IntEnum):
    """Why the kernel of a learned loop stopped, or did not begin."""

    LEFT = 0
    CROSSES = 1
    PAGE = 2
    NO_RAM = 3
    CODE_PAGE = 4
    LONG_ROUND = 5
    FAULT = 6
    PAGES = 7
    MODE = 8
    FLAGS = 9
    PAGING = 10
    CODE = 11
    SLOW = 12
    DIRECTION = 13
    COMPARED = 14
    UNPROVED = 15


class Scope(IntFlag):
    """Of which code: of ring 0, or of the others."""

    KERNEL = 1
    USER = 2


class ChunkFlag(IntFlag):
    """`ChunkHeader.flags`."""

    FIRST = 1
    LAST = 2
    PARTIAL = 4


class BlockFlag(IntFlag):
    """`BlockHeader.flags`."""

    MARKED = 1
    GATE = 2
    MOVABLE = 4


class Event(IntEnum):
    """Types of events in a ring."""

    WINDOW_START = 1
    WINDOW_STOP = 2
    PAGE_TABLE = 3
    SYSCALL = 4
    SYSRET = 5
    EXCEPTION = 6
    IO_DONE = 7
    BLOCK_END = 8
    REGISTERS = 9
    GAP = 10
    IDLE = 11
    RESUME = 12
    CLOCK = 13
    RESET = 14
    MEM_WIDE = 15
    FILTER = 16
    IDT = 17
    CODE_PAGE = 18
    LEFT_OUT = 19
    IRET = 20
    TEXT = 21


REGISTERS = (
    *("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"),
    *("fs_base", "gs_base"),
)
"""What an event REGISTERS holds, in its order, 64 bits each."""
LEARNED_REGISTERS = (*REGISTERS, *(f"xmm{number}_{half}" for number in range(16) for half in range(2)))
"""What the kernel of a learned loop takes and gives, in its order; halves of vector registers, the lower first."""


class Gate(IntEnum):
    """How a system call enters the kernel: `small` of the events SYSCALL and SYSRET."""

    SYSCALL = 0
    INT_80 = 1
    """By a 32-bit program, whose calls have other numbers; it returns with ``iret``, which is no SYSRET."""
    SYSENTER = 2
    """By a 32-bit program."""
    SYSCALL_32 = 3
    """By a 32-bit program, on processors of AMD."""


class Stop(IntEnum):
    """Why a window was closed."""

    ASKED = 0
    LIMIT = 1
    READER_DIED = 2
    EXIT = 3
    ROOTS_FREED = 4


KIND_MEMORY, KIND_EVENT = 2, 3
"""Bits 31..30 of a ring word; 0 and 1 are block ids."""


def event_word(kind: Event, words: int, small: int = 0) -> int:
    """The word that begins an event with `words` words of payload."""
    return 3 << 30 | kind << 24 | words << 16 | small & 0xFFFF


def split_64(value: int) -> list[int]:
    """A 64-bit value as the two words of a payload, low word first (``put_64`` of ``words.h``)."""
    return [value & 0xFFFFFFFF, value >> 32]


def join_64(words: Sequence[int], at: int = 0) -> int:
    """The 64-bit value in `words` from index `at` on (``get_64`` of ``words.h``).

    >>> join_64([7, 0xFFFFFFFF, 1], 1) == 0x1FFFFFFFF
    True
    """
    return words[at] | words[at + 1] << 32


class Range(ctypes.LittleEndianStructure):
    """Half-open range of linear addresses."""

    _fields_ = (("start", c_uint64), ("end", c_uint64))


class Region(ctypes.LittleEndianStructure):
    """Guest-physical memory in the RAM file."""

    _fields_ = (("physical", c_uint64), ("offset", c_uint64), ("bytes", c_uint64))


class Control(ctypes.LittleEndianStructure):
    """Page 0: geometry, the daemon's command, the plugin's answer."""

    _fields_ = (
        ("magic", c_uint8 * 8),
        ("version", c_uint32),
        ("vcpus", c_uint32),
        ("file_bytes", c_uint64),
        ("dictionary_offset", c_uint64),
        ("dictionary_bytes", c_uint64),
        ("rings_offset", c_uint64),
        ("ring_stride", c_uint64),
        ("heat_blocks_offset", c_uint64),
        ("heat_stores_offset", c_uint64),
        ("heat_pages", c_uint64),
        ("ram_inode", c_uint64),
        ("region_count", c_uint64),
        ("regions", Region * MAX_REGIONS),
        ("heat_writers_offset", c_uint64),
        ("learned_offset", c_uint64),
        ("pad0", c_uint8 * 48),
        ("command", c_uint32),
        ("generation", c_uint32),
        ("reader_pid", c_uint32),
        ("mode", c_uint32),
        ("features", c_uint32),
        ("scope", c_uint32),
        ("chunk_bytes", c_uint32),
        ("chunks", c_uint32),
        ("range_count", c_uint32),
        ("root_count", c_uint32),
        ("point_count", c_uint32),
        ("abandon", c_uint32),
        ("flush", c_uint32),
        ("trigger_hits", c_uint32),
        ("trigger_address", c_uint64),
        ("start_instructions", c_uint64),
        ("limit_instructions", c_uint64),
        ("limit_ns", c_uint64),
        ("root_mask", c_uint64),
        ("root_free_address", c_uint64),
        ("direct_map_base", c_uint64),
        ("heat_wanted", c_uint32),
        ("loop_gate", c_uint32),
        ("loop_head", c_uint64),
        ("learned_wanted", c_uint32),
        ("pad1", c_uint8 * 124),
        ("ranges", Range * MAX_RANGES),
        ("roots", c_uint64 * MAX_ROOTS),
        ("points", c_uint64 * MAX_POINTS),
        ("texts", c_uint8 * MAX_CALLS),
        ("state", c_uint32),
        ("acknowledged", c_uint32),
        ("plugin_api", c_uint32),
        ("plugin_pid", c_uint32),
        ("window", c_uint32),
        ("id_count", c_uint32),
        ("translations", c_uint64),
        ("armed_ns", c_uint64),
        ("heat_on", c_uint32),
        ("capabilities", c_uint32),
        ("learned_count", c_uint32),
        ("pad3", c_uint8 * 204),
        ("error", c_char * 256),
        ("texts_32", c_uint8 * MAX_CALLS),
        ("pad4", c_uint8 * 1024),
    )


class Writer(ctypes.LittleEndianStructure):
    """The last store to a page of RAM: which instruction it was, and in which address space."""

    _fields_ = (("code", c_uint64), ("root", c_uint64))


class LearnedRow(ctypes.LittleEndianStructure):
    """What a learned loop has done."""

    _fields_ = (
        ("name", c_char * 64),
        ("head", c_uint64),
        ("visits", c_uint64),
        ("slices", c_uint64),
        ("rounds", c_uint64),
        ("ns", c_uint64),
        ("round_ps", c_uint64),
        ("compared", c_uint64),
        ("abandoned", c_uint64),
        ("mismatches", c_uint64),
        ("reasons", c_uint64 * len(Reason)),
        ("failed_registers", c_uint64 * len(LEARNED_REGISTERS)),
        ("failed_rounds", c_uint64),
        ("failed_place", c_uint64),
        ("failed_kernel", c_uint64),
        ("failed_guest", c_uint64),
        ("proved", c_uint64),
        ("pad", c_uint8 * 320),
    )


class VcpuHeader(ctypes.LittleEndianStructure):
    """The page of one vCPU; head, tail and waits of its ring."""

    _fields_ = (
        ("head", c_uint64),
        ("pad0", c_uint8 * 56),
        ("tail", c_uint64),
        ("pad1", c_uint8 * 56),
        ("waits", c_uint64),
        ("wait_ns", c_uint64),
        ("lost_chunks", c_uint64),
        ("lost_words", c_uint64),
        ("instructions", c_uint64),
        ("value_distance", c_uint64),
        ("pad2", c_uint8 * 16),
        ("initial_cr3", c_uint64),
        ("initial_idt_base", c_uint64),
        ("initial_idt_limit", c_uint64),
        ("loop_passes", c_uint64),
        ("loop_samples", c_uint64),
        ("loop_registers", c_uint64 * 16),
        ("pad3", c_uint8 * 3736),
    )


class DictionaryHeader(ctypes.LittleEndianStructure):
    """The page before the dictionary's bytes."""

    _fields_ = (("head", c_uint64), ("pad0", c_uint8 * 56), ("tail", c_uint64), ("pad1", c_uint8 * 4024))


class ChunkHeader(ctypes.LittleEndianStructure):
    """Begins every chunk of a ring."""

    _fields_ = (
        ("sequence", c_uint64),
        ("time_ns", c_uint64),
        ("words", c_uint32),
        ("flags", c_uint32),
        ("lost_chunks", c_uint64),
        ("lost_words", c_uint64),
        ("instructions", c_uint64),
        ("root", c_uint64),
        ("vcpu", c_uint32),
        ("window", c_uint32),
    )


class BlockHeader(ctypes.LittleEndianStructure):
    """Begins every record of the dictionary."""

    _fields_ = (
        ("size", c_uint32),
        ("id", c_uint32),
        ("address", c_uint64),
        ("offset", c_uint64),
        ("offset2", c_uint64),
        ("instructions", c_uint16),
        ("bytes", c_uint16),
        ("ring", c_uint8),
        ("mode", c_uint8),
        ("flags", c_uint8),
        ("pad", c_uint8),
    )


RECORDS: dict[str, type[ctypes.LittleEndianStructure]] = {
    "gb_range": Range,
    "gb_region": Region,
    "gb_control": Control,
    "gb_writer": Writer,
    "gb_learned_row": LearnedRow,
    "gb_vcpu": VcpuHeader,
    "gb_dictionary": DictionaryHeader,
    "gb_chunk": ChunkHeader,
    "gb_block": BlockHeader,
}
"""Each structure of ``trace_abi.h`` and its mirror."""
