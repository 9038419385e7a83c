"""Template *words*: accesses side by side, of one round after the other, as one of eight bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import UsageError
from ..frontends.x86.emitter import Emitter
from ..ir.model import Op, Value
from ..ir.types import Type
from .affine import Form
from .candidate import Candidate, Frame, beside
from .rounds import Access, Copier, Leave

_WORD = 8


@dataclass(frozen=True)
class _Stream:
    """Accesses of the rounds side by side."""

    op: Op
    form: Form


def find_words(frame: Frame) -> list[Candidate]:
    """The candidate of a loop, if it has one. Raises `UsageError` where the loop does not go through memory side by side."""
    accesses = [step for step in frame.line.steps if isinstance(step, Op) and step.is_access]
    streams = []
    for op in accesses:
        form = frame.forms.of[op.operands[0]]
        if op.moved.bytes < _WORD and frame.stride(form) == op.moved.bytes:
            streams.append(_Stream(op, form))
    widths = {each.op.moved.bytes for each in streams}
    if not streams or len(widths) != 1:
        raise UsageError("no accesses side by side, or of several widths")
    return [_Words(frame, streams, widths.pop()).candidate()]


class _Words:
    def __init__(self, frame: Frame, streams: list[_Stream], width: int) -> None:
        self.frame, self.streams, self.width = frame, streams, width
        self.rounds = _WORD // width
        self.loads = [each for each in streams if each.op.name == "load"]

    def candidate(self) -> Candidate:
        is_reading = len(self.loads) == len(self.streams)
        return Candidate(
            self.rounds, self.guard, self.read, self.fits, self.block, self.reference if is_reading else None
        )

    def reference(
        self, frame: Frame, emit: Emitter, values: Mapping[Value, Value], read: list[Value], left: list[Value]
    ) -> Access:
        """What the loop reads, in parts."""
        return beside(frame, emit, values, {each.op: word for each, word in zip(self.loads, read, strict=True)}, left)

    # --- conditions -----------------------------------------------------------------------------------------

    def guard(self, emit: Emitter, values: Mapping[Value, Value]) -> Value:
        """Enough rounds are left, all words lie in memory, and no word that is written reaches into another one."""
        found = self.frame.counts(emit, values, self.rounds)
        places = [self.frame.address(emit, values, each.op) for each in self.streams]
        word = emit.const(Type.U64, _WORD)
        for each, at in zip(self.streams, places, strict=True):
            assert each.op.memory is not None
            length = emit.convert(emit.build.length(each.op.memory), Type.U64)
            inside = emit.op("and", emit.op("ge", length, word), emit.op("le", at, emit.op("sub", length, word)))
            found = emit.op("and", found, inside)
        for one, (each, at) in enumerate(zip(self.streams, places, strict=True)):
            for other, there in zip(self.streams[:one], places, strict=False):
                if "store" in (each.op.name, other.op.name) and each.form != other.form:
                    apart = (emit.op("ge", emit.op("sub", *pair), word) for pair in ((at, there), (there, at)))
                    found = emit.op("and", found, emit.op("and", *apart))
        return found

    def read(self, emit: Emitter, values: Mapping[Value, Value]) -> list[Value]:
        found = []
        for each in self.loads:
            assert each.op.memory is not None
            at = self.frame.address(emit, values, each.op)
            found.append(emit.build.load(each.op.memory, at, Type.U64))
        return found

    def fits(self, emit: Emitter, values: Mapping[Value, Value], read: list[Value]) -> Value:
        """Nothing that was read ends the loop."""
        found = emit.const(Type.BOOL, 1)
        for step in self.frame.line.steps:
            if isinstance(step, Leave) and self._is_data(step):
                found = emit.op("and", found, self._misses(emit, values, read, step))
        return found

    def _is_data(self, leave: Leave) -> bool:
        loads = {step.result for step in self.frame.line.steps if isinstance(step, Op) and step.name == "load"}
        return bool(self.frame.forms.sources[leave.condition] & loads)

    def _misses(self, emit: Emitter, values: Mapping[Value, Value], read: list[Value], leave: Leave) -> Value:
        """That no element of the words fulfils a condition: equality of a sum of one or two of them with what does not change."""
        made = self.frame.forms.made.get(leave.condition)
        if made is None or made.name not in ("eq", "ne"):
            raise UsageError("data end it by what is no equality")
        one, other = (self.frame.forms.of[value] for value in made.operands)
        difference = one.plus(other, -1)
        bits, total = 8 * self.width, None
        if difference.bits != bits:
            difference = difference.cut(bits)
        rest = difference
        for stream, word in zip(self.loads, read, strict=True):
            factor = difference.terms.get(stream.op.result)
            if factor is None:
                continue
            if factor not in (1, (1 << bits) - 1):
                raise UsageError("data end it by a multiple")
            rest = rest.plus(Form({stream.op.result: factor}, 0, bits), -1)
            total = word if total is None else emit.op("xor", total, word)
            sign = factor
        if total is None:
            raise UsageError("data end it that are not side by side")
        ones = sum(1 << place for place in range(0, 64, bits))
        if rest.terms or rest.constant:
            # load + rest == 0, or rest - load == 0
            wanted = rest.times(-1) if sign == 1 else rest
            kind = {8: Type.U8, 16: Type.U16, 32: Type.U32}[bits]
            element = emit.convert(self.frame.value(emit, values, wanted, kind), Type.U64)
            total = emit.op("xor", total, emit.op("mul", element, emit.const(Type.U64, ones)))
        if leave.when == (made.name == "ne"):
            return emit.op("eq", total, emit.const(Type.U64, 0))
        tops = emit.const(Type.U64, ones << (bits - 1))
        borrowed = emit.op("sub", total, emit.const(Type.U64, ones))
        inverted = emit.op("xor", total, emit.const(Type.U64, Type.U64.greatest))
        zeros = emit.op("and", emit.op("and", borrowed, inverted), tops)
        return emit.op("eq", zeros, emit.const(Type.U64, 0))

    # --- the rounds -----------------------------------------------------------------------------------------

    def block(self, emit: Emitter, values: Mapping[Value, Value], read: list[Value]) -> tuple[Value, ...]:
        words = {each.op: word for each, word in zip(self.loads, read, strict=True)}
        starts = {each.op: self.frame.address(emit, values, each.op) for each in self.streams}
        written: dict[Op, Value] = {}

        def access(op: Op, known: Mapping[Value, Value], number: int) -> Value | None:
            count = emit.const(Type.U64, 8 * self.width * number)
            if op in words:
                return emit.convert(emit.op("shr", words[op], count), op.moved)
            if op not in starts:
                raise UsageError("other accesses between those side by side")
            part = emit.op("shl", emit.convert(known[op.operands[1]], Type.U64), count)
            written[op] = emit.op("or", written[op], part) if op in written else part
            return None

        after = Copier(self.frame.line, emit, access, values).run(self.rounds)
        for op, word in written.items():
            assert op.memory is not None
            emit.build.store(op.memory, starts[op], word)
        return after
