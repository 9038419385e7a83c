"""Memory that guest and host share: which parts of an aperture a session was given, and who uses them.

>>> with Aperture(path, 16 << 20, limit_bytes=8 << 20) as aperture:
...     memory = aperture.allocate(4096)
...     aperture.region[memory.offset : memory.offset + 4096].any()
False
"""

from __future__ import annotations

import ctypes
import itertools
import mmap
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import BusyHandleError, HandleError, QuotaError
from .messages import Memory

ALIGNMENT = 64
"""Bytes: the longest vector that a lane's load fills."""
MOST_BLOCKS = 1024
_PUNCH_HOLE = 0x03
"""FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE."""


@dataclass(slots=True)
class Block:
    """`size` bytes from `offset` on; `users` counts the jobs that have it, `is_given_up` says that its session has not."""

    handle: int
    offset: int
    size: int
    users: int = 0
    is_given_up: bool = False


@dataclass
class Aperture:
    """The aperture file of one guest: blocks of it are given, zeroed, and taken back; at most `limit_bytes` at a time, to the byte.

    `region` is what kernels see of it: the whole file as bytes. It is the file's own mapping until an engine `adopt`s the file.
    """

    path: Path
    size: int
    limit_bytes: int
    used_bytes: int = 0
    region: npt.NDArray[np.uint8] = field(init=False)

    def __post_init__(self) -> None:
        self.descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        self.region = np.frombuffer(mmap.mmap(self.descriptor, self.size), np.uint8)
        self._blocks: dict[int, Block] = {}
        self._handles = itertools.count(1)
        self._punch = ctypes.CDLL(None, use_errno=True).fallocate
        self._punch.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)

    def __enter__(self) -> Aperture:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; views stay valid until they are collected."""
        os.close(self.descriptor)
        # A job that ends later must not find another file under its number.
        self.descriptor = -1

    def allocate(self, size: int) -> Block:
        """A block of `size` zeroed bytes; `QuotaError` where the limit or the aperture has no room for it."""
        left = self.limit_bytes - self.used_bytes
        if size > left:
            raise QuotaError(
                f"{size} bytes are more than the {left} that are left of {self.limit_bytes}; free some, or start the guest with more"
                " --gpu-memory",
                wanted=size,
                left=left,
            )
        if len(self._blocks) == MOST_BLOCKS:
            raise QuotaError(f"{MOST_BLOCKS} pieces of memory are held; free some", wanted=1, left=0)
        offset = self._find_room(size)
        block = Block(next(self._handles), offset, size)
        self._blocks[block.handle] = block
        self.used_bytes += size
        self._zero(block)
        return block

    def free(self, handle: int) -> None:
        """Take a block back; `HandleError` for none, `BusyHandleError` while a job has it."""
        block = self._find(handle)
        if block.users:
            raise BusyHandleError(f"memory {handle} is used by {block.users} jobs; wait for them, or cancel them")
        self._drop(block)

    def give_up_all(self) -> None:
        """The session has ended: its blocks go, those that jobs still use with the last of them."""
        for block in list(self._blocks.values()):
            block.is_given_up = True
            if not block.users:
                self._drop(block)

    def view(self, memory: Memory) -> npt.NDArray[np.uint8]:
        """The bytes that `memory` names; `HandleError` where they are not all in a block of this session."""
        block = self._find(memory.handle)
        if memory.offset > block.size or memory.size > block.size - memory.offset:
            raise HandleError(
                f"bytes {memory.offset} to {memory.offset + memory.size} are outside of memory {memory.handle}, which has {block.size}"
            )
        first = block.offset + memory.offset
        return self.region[first : first + memory.size]

    def take(self, handles: set[int]) -> None:
        """A job has these blocks now."""
        for handle in handles:
            self._find(handle).users += 1

    def give_back(self, handles: set[int]) -> None:
        """The job that had these blocks has ended."""
        for handle in handles:
            block = self._blocks[handle]
            block.users -= 1
            if block.is_given_up and not block.users:
                self._drop(block)

    def _find(self, handle: int) -> Block:
        block = self._blocks.get(handle)
        if block is None or block.is_given_up:
            raise HandleError(f"this session has no memory {handle}; ask for some with ALLOC_MEMORY")
        return block

    def _find_room(self, size: int) -> int:
        # First fit: the gaps between blocks in the order of their places.
        end = 0
        for block in sorted(self._blocks.values(), key=lambda block: block.offset):
            if block.offset - end >= size:
                return end
            end = max(end, -(-(block.offset + block.size) // ALIGNMENT) * ALIGNMENT)
        if self.size - end < size:
            raise QuotaError(
                f"no {size} bytes in one piece are free in the aperture; free some of what lies between",
                wanted=size,
                left=0,
            )
        return end

    def _drop(self, block: Block) -> None:
        del self._blocks[block.handle]
        self.used_bytes -= block.size
        self._zero(block)

    def _zero(self, block: Block) -> None:
        # A hole gives whole pages back to the host, too; where the file system has none the bytes are written.
        if block.size and self._punch(self.descriptor, _PUNCH_HOLE, block.offset, block.size) != 0:
            self.region[block.offset : block.offset + block.size] = 0
