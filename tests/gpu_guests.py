"""A guest's side of the channel for tests: requests as the C library makes them, replies taken apart."""

from __future__ import annotations

import itertools
import struct
from dataclasses import dataclass

import numpy as np

from gpu_hypervisor.channel.frames import REPLY, Frame
from gpu_hypervisor.channel.messages import Code, Command, Element
from gpu_hypervisor.channel.payload import Reader, Writer

SAXPY = """
GPU_KERNEL saxpy
    GPU_PARAM a float
    GPU_PARAM x float[]
    GPU_PARAM y float[]
    GPU_THREAD_CODE:
        THREAD_ID -> i
        IF i < length(y):
            LOAD x[i] -> xv
            MUL a xv -> t
            ADD t y[i] -> t
            STORE t -> y[i]
GPU_END
"""
SPIN = """
GPU_KERNEL spin
    GPU_PARAM x int[]
    GPU_THREAD_CODE:
        THREAD_ID -> i
        LOAD x[i] -> v
        WHILE v < 2000000000:
            CALCULATE v = (v * 3 + 1) % 1000003
        STORE v -> x[i]
GPU_END
"""
"""It never ends by itself, given fuel."""
FOREVER_MS = 0xFFFFFFFF


class RefusedError(Exception):
    """A reply with a code that is not OK."""

    def __init__(self, reader: Reader, code: Code) -> None:
        self.code, self.line, self.column, self.left = code, reader.u32(), reader.u32(), reader.u64()
        self.message = reader.text()
        super().__init__(f"{code.name}: {self.message}")


@dataclass
class Given:
    """Memory of the aperture: `at` is what the guest sees there."""

    handle: int
    offset: int
    at: np.ndarray


class TestGuest:
    """Asks `sessions` as one process of a guest does; `aperture` is the guest's mapping of the file."""

    __test__ = False

    def __init__(self, sessions, aperture: np.ndarray, session: int = 77) -> None:
        self.sessions, self.aperture, self.session = sessions, aperture, session
        self.numbers = itertools.count(1)

    async def ask(self, command: Command, writer: Writer | None = None) -> Reader:
        """The fields of the reply; `RefusedError` for one that refuses."""
        frame = Frame(command, self.session, next(self.numbers), writer.content if writer else b"")
        reply = await self.sessions.answer(frame)
        assert (reply.command, reply.session, reply.number) == (command | REPLY, frame.session, frame.number)
        reader = Reader(reply.payload)
        if code := Code(reader.u16()):
            raise RefusedError(reader, code)
        return reader

    async def begin(self) -> TestGuest:
        await self.ask(Command.CAPABILITIES)
        return self

    async def alloc(self, content: bytes | np.ndarray) -> Given:
        content = np.frombuffer(content, np.uint8) if isinstance(content, bytes) else content.view(np.uint8)
        reader = await self.ask(Command.ALLOC_MEMORY, Writer().u64(len(content)))
        handle, offset = reader.u64(), reader.u64()
        at = self.aperture[offset : offset + len(content)]
        assert not at.any()
        at[:] = content
        return Given(handle, offset, at)

    async def submit(
        self, text: str, lanes: int, numbers=(), limit_us=0, fuel=0, blocks=0, threads=0, deadline_us=0, **arrays
    ) -> int:
        """The number of a job; an array is what `alloc` gave, and its type."""
        source = await self.alloc(text.encode())
        writer = Writer().u64(source.handle).u64(0).u64(len(source.at)).u8(0).u8(0).u16(len(numbers) + len(arrays))
        writer.u64(lanes).u64(blocks).u32(threads).u64(deadline_us).u64(limit_us).u64(fuel).text("").text("test")
        for name, value in dict(numbers).items():
            writer.u8(0).text(name).text(value)
        for name, (given, element) in arrays.items():
            writer.u8(1).text(name).u8(element).u64(given.handle).u64(0).u64(len(given.at))
        try:
            return (await self.ask(Command.SUBMIT_PRIMITIVE, writer)).u64()
        finally:
            await self.ask(Command.FREE_MEMORY, Writer().u64(source.handle))

    async def wait(self, job: int = 0, milliseconds: int = FOREVER_MS) -> int:
        """The state of the job."""
        return (await self.ask(Command.WAIT, Writer().u64(job).u32(milliseconds))).u8()

    async def saxpy(self, count: int = 1000) -> None:
        """Run a kernel, and compare with NumPy."""
        x, y = np.arange(count, dtype="f4"), np.full(count, 0.5, "f4")
        given = {"x": (await self.alloc(x), Element.F32), "y": (await self.alloc(y), Element.F32)}
        job = await self.submit(SAXPY, count, {"a": "2.5"}, **given)
        assert await self.wait(job) == 4
        np.testing.assert_array_equal(given["y"][0].at.view("f4"), np.float32(2.5) * x + y)
        for memory, _ in given.values():
            await self.ask(Command.FREE_MEMORY, Writer().u64(memory.handle))


def mutate(chance, line: bytes, count: int) -> bytes:
    """`line` with up to `count` bytes of its decoded content changed, and framed again."""
    import base64

    content = bytearray(base64.b64decode(line))
    for _ in range(chance.randint(1, count)):
        at = chance.randrange(len(content))
        content[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
    if chance.random() < 0.2:
        content = content[: chance.randrange(len(content))]
    elif chance.random() < 0.8 and len(content) >= 24:
        # A length that is right: the payload is looked at.
        struct.pack_into("<I", content, 4, len(content) - 24)
    return base64.b64encode(content) + b"\n"
