"""What kind of loop a lifted loop is: induction variables, streams of memory, trip count, recurrences, and the class that follows.

>>> found = classify(lifted)
>>> found.kind, [str(stream) for stream in found.streams]
('map', ['reads 1 at rsi, 1 further each round', 'writes 1 at rdi, 1 further each round'])
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..frontends.x86 import LiftedLoop
from ..ir.model import Op, Value
from .affine import Form, Forms, Guard, signed
from .recurrences import Recurrence, find_recurrences

KINDS = ("map", "reduction", "scan", "search", "copy", "fill", "count", "serial")
"""Classes of loops; `serial` is what is none of the others, with the reason."""
_OPPOSITE = {"eq": "ne", "ne": "eq", "lt": "ge", "ge": "lt", "gt": "le", "le": "gt"}


@dataclass(frozen=True)
class Induction:
    """A register that a round changes by a constant: `step`, modulo 2 to the power of `bits`."""

    register: str
    step: int
    bits: int


@dataclass(frozen=True)
class Stream:
    """A place in memory that the loop reads or writes.

    Attributes:
        text: address of the first round, of registers at the head.
        stride: bytes that it is further on in each round; None where data say where it is.
        width: bytes of one access.
        is_store: whether it is written.
        is_conditional: whether some rounds do without.
        is_inner: whether it is in a loop inside.
        base: what is the same for streams that are a constant apart; None without a stride.
        offset: the constant.
    """

    text: str
    stride: int | None
    width: int
    is_store: bool
    is_conditional: bool
    is_inner: bool
    base: Form | None
    offset: int

    def __str__(self) -> str:
        verb = "writes" if self.is_store else "reads"
        if self.stride is None:
            return f"{verb} {self.width} {'in a loop inside' if self.is_inner else 'where data say'}"
        if not self.stride:
            return f"{verb} {self.width} at {self.text}"
        further = f"{self.stride} further" if self.stride > 0 else f"{-self.stride} back"
        return f"{verb} {self.width} at {self.text}, {further} each round"


@dataclass(frozen=True)
class Trips:
    """When a counter leaves the loop: in the first round k where ``start + k * step`` compares so with zero, modulo 2 to the power of `bits`.

    `text` is that difference of registers at the head.
    """

    comparison: str
    start: Form
    text: str
    step: int
    bits: int


@dataclass(frozen=True)
class Understood:
    """What a loop is.

    Attributes:
        kind: one of `KINDS`.
        reason: why it is no better one; empty where it is.
        inductions, streams, trips, recurrences: as found; recurrences are registers that need their own value of the round before.
        is_data_exit: whether data may end the loop.
        has_inner: whether there are loops inside.
        assumed: registers that were taken to hold a number.
    """

    kind: str
    reason: str
    inductions: tuple[Induction, ...]
    streams: tuple[Stream, ...]
    trips: tuple[Trips, ...]
    recurrences: tuple[Recurrence, ...]
    is_data_exit: bool
    has_inner: bool
    assumed: tuple[str, ...]


def classify(lifted: LiftedLoop) -> Understood:
    """What kind of loop it is. The direction flag is taken to be clear, as all code that calls others keeps it."""
    return _Classifier(lifted).run()


def register_of(value: Value) -> str:
    """The register that a parameter stands for."""
    return value.name.partition(".")[0]


class _Classifier:
    def __init__(self, lifted: LiftedLoop) -> None:
        function = lifted.module.functions["loop"]
        self.assumed = tuple(name for name in ("df",) if name in lifted.live_in)
        self.forms = Forms(function, dict.fromkeys(self.assumed, 0))
        self.shift = function.parameters[0]
        self.loop = self.forms.loop
        (region,) = self.loop.regions
        self.parameters = region.parameters
        self.ends = [op for op in self.forms.guards if op.name == "continue" and op.label == self.loop.label]
        self.steps = self._steps()
        self.own = {value: place for place, value in enumerate(self.parameters)}
        self.starts = dict(zip(self.parameters, self.loop.operands, strict=True))
        self.rounds = next(value for value in self.parameters if register_of(value) == "rounds")

    def run(self) -> Understood:
        accesses = [op for op in self.forms.guards if op.memory is not None and self._is_inside(op)]
        streams = [self._stream(op) for op in accesses]
        recurrences = find_recurrences(self.forms, self.ends, self.parameters, {*self.steps, self.rounds})
        leaving = [guards for op, guards in self.forms.guards.items() if self._leaves(op) and guards]
        is_data = any(self._is_data(guard) for guards in leaving for guard in guards)
        trips = tuple(filter(None, (self._trips(guards[-1]) for guards in leaving if not self._is_limit(guards[-1]))))
        kind, reason = self._kind(accesses, streams, recurrences, is_data)
        steps = {value: step for value, step in self.steps.items() if value is not self.rounds}
        return Understood(
            kind,
            reason,
            tuple(Induction(register_of(value), step, bits) for value, (step, bits) in steps.items()),
            tuple(dict.fromkeys(streams)),
            tuple(dict.fromkeys(trips)),
            recurrences,
            is_data,
            any(op.name == "loop" and op is not self.loop for op in self.forms.made.values()) or bool(self.forms.inner),
            self.assumed,
        )

    # --- induction ------------------------------------------------------------------------------------------

    def _steps(self) -> dict[Value, tuple[int, int]]:
        """By parameter the constant that each way round adds, and the width that it is added in."""
        found = {}
        for place, value in enumerate(self.parameters):
            steps = {self._step(value, self.forms.of[end.operands[place]]) for end in self.ends}
            if len(steps) == 1 and (step := steps.pop()) is not None and step[0]:
                found[value] = step
        return found

    def _step(self, value: Value, form: Form) -> tuple[int, int] | None:
        if len(form.terms) == 1 and not form.constant:
            ((term, factor),) = form.terms.items()
            if isinstance(term, Form) and factor == 1:
                form = term
        if dict(form.terms) != {value: 1}:
            return None
        return signed(form.constant, form.bits), form.bits

    def _stride(self, form: Form) -> int | None:
        """What a round adds to a form; None where it is no constant."""
        total = 0
        for term, factor in form.terms.items():
            if isinstance(term, Form):
                inner = self._stride(term)
                if inner is None:
                    return None
                total += factor * inner
            elif term in self.steps:
                total += factor * self.steps[term][0]
            elif term in self.own or self._varies(term):
                return None
        return signed(total, form.bits)

    def _varies(self, value: Value) -> bool:
        return bool(self.forms.sources[value])

    # --- memory ---------------------------------------------------------------------------------------------

    def _is_inside(self, op: Op) -> bool:
        return op in self.forms.guards and op.memory is not None and op.memory.name == "memory"

    def _stream(self, op: Op) -> Stream:
        form = self.forms.of[op.operands[0]].plus(Form({self.shift: 1}, 0, 64), -1)
        is_inner = op in self.forms.inner
        stride = None if is_inner else self._stride(form)
        guards = self._own_guards(op)
        is_conditional = not all(map(self._ends, guards))
        base = None if stride is None else Form(form.terms, 0, 64)
        text = "" if base is None else self.say(form)
        offset = signed(form.constant, 64)
        return Stream(text, stride, op.moved.bytes, op.name == "store", is_conditional, is_inner, base, offset)

    def say(self, form: Form) -> str:
        """A form in registers at the head."""
        parts = []
        for term, factor in form.terms.items():
            name = f"u{term.bits}({self.say(term)})" if isinstance(term, Form) else self._name(term)
            times = signed(factor, form.bits)
            text = name if abs(times) == 1 else f"{abs(times)}*{name}"
            parts.append(("- " if times < 0 else "+ ") + text)
        constant = signed(form.constant, form.bits)
        if constant or not parts:
            size = f"{abs(constant):#x}" if abs(constant) > 9 else f"{abs(constant)}"
            parts.append(f"{'-' if constant < 0 else '+'} {size}")
        first, *more = parts
        return " ".join((first.replace("- ", "-", 1).removeprefix("+ "), *more))

    def _name(self, value: Value) -> str:
        start = self.starts.get(value)
        return register_of(start if start is not None and start.name else value) or "a value"

    # --- exits ----------------------------------------------------------------------------------------------

    def _own_guards(self, op: Op) -> tuple[Guard, ...]:
        """What must hold, besides that the limit of rounds is not reached."""
        return tuple(guard for guard in self.forms.guards[op] if not self._is_limit(guard))

    def _leaves(self, op: Op) -> bool:
        return op.name == "return" or (op.name == "break" and op.label in self.forms.leaving)

    def _is_limit(self, guard: Guard) -> bool:
        """Whether it compares the rounds with their limit."""
        made = self.forms.made.get(guard.condition)
        return made is not None and self.rounds in made.operands

    def _ends(self, guard: Guard) -> bool:
        """Whether what holds otherwise leaves the loop, or the guest would see an exception."""
        opposite = Guard(guard.condition, not guard.is_true)
        return any(
            (self._leaves(op) or op.name == "trap") and opposite in guards for op, guards in self.forms.guards.items()
        )

    def _is_data(self, guard: Guard) -> bool:
        return any(value not in self.own for value in self.forms.sources[guard.condition])

    def _trips(self, guard: Guard) -> Trips | None:
        made = self.forms.made.get(guard.condition)
        while made is not None and made.name == "not":
            guard = Guard(made.operands[0], not guard.is_true)
            made = self.forms.made.get(guard.condition)
        if made is None or made.name not in _OPPOSITE or not made.operands[0].type.is_integer:
            return None
        one, other = (self.forms.of[value] for value in made.operands)
        if made.name in ("eq", "ne") and other.number is not None and made.operands[0].type.is_signed:
            return None
        difference = one.plus(other, -1)
        step = self._stride(difference)
        if step in (None, 0):
            return None
        assert step is not None
        name = made.name if guard.is_true else _OPPOSITE[made.name]
        return Trips(name, difference, self.say(difference), step, difference.bits)

    # --- the class ------------------------------------------------------------------------------------------

    def _kind(
        self, accesses: Iterable[Op], streams: list[Stream], recurrences: tuple[Recurrence, ...], is_data: bool
    ) -> tuple[str, str]:
        serial = [each for each in recurrences if not each.operation]
        if self.forms.inner:
            return "serial", "loops inside"
        if serial:
            return "serial", f"{', '.join(each.register for each in serial)} need what they were a round before"
        if not self.steps:
            return "serial", "nothing counts"
        stores = [(op, stream) for op, stream in zip(accesses, streams, strict=True) if stream.is_store]
        loads = [stream for stream in streams if not stream.is_store]
        if any(stream.stride is None for _, stream in stores):
            return "serial", "it writes where data say"
        if (back := _reads_what_it_wrote(streams)) != "":
            return "serial", back
        moving = [(op, stream) for op, stream in stores if stream.stride]
        if not moving:
            if any(stream.is_store for stream in streams):
                return "serial", "it writes to one place"
            if recurrences:
                return "reduction", ""
            return ("search", "") if is_data else ("count", "")
        if any(self._feeds(recurrence.value, op) for recurrence in recurrences for op, _ in moving):
            return "scan", ""
        counted = {*self.steps, self.rounds, *(each.value for each in recurrences)}
        late = [
            value
            for value in self.parameters
            if value not in counted and any(self._feeds(value, op) for op, _ in moving)
        ]
        if late:
            return "serial", f"it writes {', '.join(map(register_of, late))} of the round before"
        sources = [self.forms.sources[op.operands[1]] for op, _ in moving]
        if not recurrences and not any(sources):
            return "fill", ""
        if not recurrences and all(self._is_copied(op) for op, _ in moving) and all(each.stride for each in loads):
            return "copy", ""
        return "map", ""

    def _feeds(self, value: Value, store: Op) -> bool:
        return value in self.forms.sources[store.operands[1]]

    def _is_copied(self, store: Op) -> bool:
        """Whether it writes what was read, as it is."""
        form = self.forms.of[store.operands[1]]
        while len(form.terms) == 1 and not form.constant:
            ((term, factor),) = form.terms.items()
            if factor != 1:
                return False
            if isinstance(term, Value):
                made = self.forms.made.get(term)
                return made is not None and made.name == "load"
            form = term
        return False


def _reads_what_it_wrote(streams: list[Stream]) -> str:
    """Why rounds depend on each other by memory, where they surely do."""
    for store in (each for each in streams if each.is_store and each.stride):
        for load in (each for each in streams if not each.is_store and each.base == store.base):
            assert store.stride is not None
            behind = (store.offset - load.offset) / store.stride
            if behind > 0 and load.stride == store.stride:
                return f"it reads at {load.text} what it wrote some rounds before"
    return ""
