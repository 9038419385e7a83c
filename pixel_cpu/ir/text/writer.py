"""A module as text."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator

from ..bits import to_bits
from ..model import Function, Kernel, Memory, Module, Op, Region, Value
from ..types import Type
from .grammar import HAS_BOUNDS, HAS_TEXT, NAMES


def write(module: Module) -> str:
    """The module as text, which `read` parses back to the same program."""
    parts = [_write_function(function) for function in module.functions.values()]
    parts += [_write_kernel(kernel) for kernel in module.kernels.values()]
    return "\n".join(parts)


def literal_text(literal: int | float | bool, kind: Type) -> str:
    """A literal with every bit: ``7``, ``true``, ``0x1.8p+1``, ``nan:7fc00000``."""
    if kind is Type.BOOL:
        return "true" if literal else "false"
    if kind.is_integer:
        return str(int(literal))
    if math.isnan(literal):
        return f"nan:{to_bits(literal, kind):x}"
    return float(literal).hex() if math.isfinite(literal) else ("inf" if literal > 0 else "-inf")


class _Names:
    """Text names of values: their own where that is free, else numbers."""

    def __init__(self) -> None:
        self._names: dict[Value, str] = {}
        self._taken: set[str] = set()

    def __call__(self, value: Value) -> str:
        if value not in self._names:
            stem = value.name if NAMES["value"].fullmatch(value.name) else ""
            number = len(self._names)
            name = stem or str(number)
            while name in self._taken:
                name = f"{stem}.{number}" if stem else str(number)
                number += 1
            self._taken.add(name)
            self._names[value] = name
        return f"%{self._names[value]}"


def _parameters(values: Iterable[Value], names: _Names) -> str:
    return ", ".join(f"{names(value)}: {value.type.value}" for value in values)


def types_text(kinds: Iterable[Type]) -> str:
    """Types as a list."""
    return ", ".join(kind.value for kind in kinds)


def _write_function(function: Function) -> str:
    names = _Names()
    head = f"function {function.name}({_parameters(function.parameters, names)})"
    head += f" -> {types_text(function.results)}" if function.results else ""
    lines = [f"{head} {{", *map(_write_memory, function.memories), *_write_region(function.body, names, 1), "}"]
    return "\n".join(lines) + "\n"


def _write_kernel(kernel: Kernel) -> str:
    names = _Names()
    head = f"kernel {kernel.name}({_parameters(kernel.parameters, names)}) group {kernel.group} {{"
    lines = [head, *map(_write_memory, kernel.memories), *_write_region(kernel.body, names, 1), "}"]
    return "\n".join(lines) + "\n"


def _write_memory(memory: Memory) -> str:
    size = "" if memory.length is None else f"[{memory.length}]"
    return f"  {memory.space.value} @{memory.name}: {memory.element.value}{size}{'' if memory.is_writable else ' read'}"


def _write_region(region: Region, names: _Names, depth: int) -> Iterator[str]:
    for op in region.operations:
        yield from _write_op(op, names, depth)


def _write_op(op: Op, names: _Names, depth: int) -> Iterator[str]:
    indent = "  " * depth
    line = indent + (", ".join(map(names, op.results)) + " = " if op.results else "") + op.name
    if op.literal is not None:
        line += " " + literal_text(op.literal, op.result.type)
    line += f" @{op.memory.name}" if op.memory else ""
    line += f" ^{op.label}" if op.label else ""
    line += f" @{op.text}" if op.name == "call" else f" {json.dumps(op.text)}" if op.name in HAS_TEXT else ""
    if op.name == "loop":
        pairs = zip(op.regions[0].parameters, op.operands, strict=True)
        line += " (" + ", ".join(f"{names(own)}: {own.type.value} = {names(start)}" for own, start in pairs) + ")"
    elif op.operands:
        line += " " + ", ".join(map(names, op.operands))
    line += f" {op.bounds.value}" if op.name in HAS_BOUNDS else ""
    line += f" fuel {op.fuel}" if op.name == "continue" and op.fuel != 1 else ""
    line += f" : {types_text(value.type for value in op.results)}" if op.results else ""
    end = f" !{op.line}" if op.line else ""
    if not op.regions:
        yield line + end
        return
    for place, region in enumerate(op.regions):
        if op.name == "switch":
            word = f"case {op.cases[place]} " if place < len(op.cases) else "default "
        else:
            word = "else " if place else ""
        opening = f"{line}{end} {word}{{" if place == 0 else f"{indent}}} {word}{{"
        yield opening
        yield from _write_region(region, names, depth + 1)
    yield f"{indent}}}"
