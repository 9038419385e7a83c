"""Output of a lane that is kept until its launch ends: a call of the host that only writes to a stream is answered in place.

What was written lies in `POSTED`, records of a number (bytes, and in its lowest bits the descriptor) and the bytes. Writes that follow one
another to one descriptor are one record. `POSTS` has numbers for each lane: which descriptors are streams (a bit each, set by the host),
bytes of its records, where the last record begins, and how many calls there were. What does not fit, or is not as it should be, is asked.
"""

from __future__ import annotations

from ...ir.builder import Builder
from ...ir.model import Bounds, Function, Memory, Region, Space, Value
from ...ir.types import Type
from .areas import Areas
from .module import FunctionType, Module
from .numeric import Numeric
from .opcodes import ValueType
from .state import State

POSTS = Memory("lane.posts", Space.BUFFER, Type.U32)
POSTED = Memory("lane.posted", Space.BUFFER, Type.U8)
STREAMS, USED, LAST, COUNT = range(4)
WIDTH = 4
"""Numbers of a lane in `POSTS`."""
POSTED_BYTES = 1024
"""Bytes of a lane in `POSTED`."""
DESCRIPTOR_BITS = 5
MAX_PIECES = 16
"""Pieces of memory that one call may write."""
NAME = "post"
_I32 = ValueType.I32
_WRITES = {"wasi_snapshot_preview1.fd_write": FunctionType((_I32,) * 4, (_I32,))}
"""By ``module.name``: descriptor, pieces and how many, where to write the sum of their bytes; gives 0."""


def is_post(module: Module, state: State, number: int) -> bool:
    """Whether calls of function `number` may be answered in place."""
    if number >= module.imported_functions or not state.memory:
        return False
    return _WRITES.get(module.imported_name(number)) == module.type_of(number)


def posting(module: Module, state: State) -> int:
    """The number of the imported function that is answered in place; -1 where there is none."""
    return next((number for number in range(module.imported_functions) if is_post(module, state, number)), -1)


def post(state: State) -> Function:
    """The function that keeps what one call writes: takes its operands, gives 1, or 0 where the host is to be asked."""
    body = Region()
    build = Builder(body, Bounds.PROVED)  # each access is checked once, here
    areas = Areas(Numeric(build), state)
    parameters = tuple(Value(Type.I32) for _ in range(4))
    fd, pieces, count, total_at = (build.value("bitcast", each, type=Type.U32) for each in parameters)
    zero, one, width = (build.const(Type.U32, n) for n in (0, 1, WIDTH))
    lane = build.value("global_id")
    row = build.value("mul", lane, width)
    room = build.const(Type.U32, POSTED_BYTES)
    begin = build.value("mul", lane, room)
    memory = areas.memory.buffer
    base = _wide(build, areas.base(areas.memory))
    size = _wide(build, areas.size(areas.memory))

    def number(place: int) -> Value:
        return build.value("add", row, build.const(Type.U32, place))

    def demand(holds: Value) -> None:
        def refuse() -> tuple[()]:
            build.end("return", zero)
            return ()

        build.if_(holds, otherwise=refuse)

    def ends(at: Value, bytes_: Value) -> Value:
        """Whether memory has so many bytes there."""
        return build.value("le", build.value("add", _wide(build, at), _wide(build, bytes_)), size)

    def piece(i: Value) -> tuple[Value, Value]:
        at = build.value(
            "add", base, _wide(build, build.value("add", pieces, build.value("mul", i, build.const(Type.U32, 8))))
        )
        return (
            build.load(memory, at, Type.U32),
            build.load(memory, build.value("add", at, build.const(Type.U64, 4)), Type.U32),
        )

    few = build.value("le", count, build.const(Type.U32, MAX_PIECES))
    is_stream = build.value("and", build.value("shr", build.load(POSTS, number(STREAMS)), fd), one)
    demand(build.value("lt", fd, build.const(Type.U32, 1 << DESCRIPTOR_BITS)))
    demand(build.value("eq", is_stream, one))
    demand(few)
    demand(ends(pieces, build.value("mul", count, build.const(Type.U32, 8))))
    demand(ends(total_at, build.const(Type.U32, 4)))

    def add(values: tuple[Value, ...]) -> tuple[Value, Value]:
        i, sum_ = values
        at, length = piece(i)
        demand(build.value("le", length, room))
        demand(ends(at, length))
        return build.value("add", i, one), build.value("add", sum_, length)

    (total,) = build.while_([zero, zero], lambda values: build.value("lt", values[0], count), add, local=1)
    used = build.load(POSTS, number(USED))
    head_bytes = build.const(Type.U32, 4)
    demand(build.value("le", build.value("add", build.value("add", used, total), head_bytes), room))
    last = build.load(POSTS, number(LAST))
    head = build.load(POSTED, build.value("add", begin, last), Type.U32)
    is_same = build.value(
        "and",
        build.value("ne", used, zero),
        build.value("eq", build.value("and", head, build.const(Type.U32, (1 << DESCRIPTOR_BITS) - 1)), fd),
    )
    bits = build.const(Type.U32, DESCRIPTOR_BITS)
    before = build.value("select", is_same, build.value("shr", head, bits), zero)
    head_at = build.value("select", is_same, last, used)
    first = build.value("select", is_same, used, build.value("add", used, head_bytes))
    head = build.value("or", build.value("shl", build.value("add", before, total), bits), fd)
    build.store(POSTED, build.value("add", begin, head_at), head)
    build.store(POSTS, number(LAST), head_at)

    def copy(values: tuple[Value, ...]) -> tuple[Value, Value]:
        i, to = values
        at, length = piece(i)
        source, target = build.value("add", base, _wide(build, at)), build.value("add", begin, to)

        def byte(values: tuple[Value, ...]) -> tuple[Value]:
            (n,) = values
            found = build.load(memory, build.value("add", source, _wide(build, n)))
            build.store(POSTED, build.value("add", target, n), found)
            return (build.value("add", n, one),)

        build.while_([zero], lambda values: build.value("lt", values[0], length), byte, local=1)
        return build.value("add", i, one), build.value("add", to, length)

    (end,) = build.while_([zero, first], lambda values: build.value("lt", values[0], count), copy, local=1)
    build.store(POSTS, number(USED), end)
    build.store(POSTS, number(COUNT), build.value("add", build.load(POSTS, number(COUNT)), one))
    build.store(memory, build.value("add", base, _wide(build, total_at)), total)
    build.end("return", one)
    return Function(NAME, parameters, (Type.U32,), (*state.memories, POSTS, POSTED), body)


def _wide(build: Builder, value: Value) -> Value:
    return build.value("convert", value, type=Type.U64)
