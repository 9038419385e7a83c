"""The rules of the IR, checked: an error names the operation and the rule.

=================  ==========================================================================================
rule               what it demands
=================  ==========================================================================================
type               operands and results fit the signature in the table of operations
dominance          a value is defined before its use, in the same region or one outside
terminator         a region ends with one terminator, and with one that its operation knows
label              a ``break`` or ``continue`` names a ``block`` or ``loop`` around it, and fits its values
memory             an access names a declared object, writes none that is read only, atomics are of four or eight bytes
uniformity         a ``barrier`` is reached by all lanes of a group or by none
fuel               each way round a loop burns fuel
recursion          no function calls itself, directly or through others
name               kernels, functions, memory, labels and kernels' parameters have names of the text form, each its own
size               with its calls inlined, a kernel has at most `MAX_OPERATIONS`, `MAX_DEPTH` regions inside each other
=================  ==========================================================================================
"""

from __future__ import annotations

import graphlib
from collections.abc import Mapping

from ..errors import IrError
from .model import Kernel, Module, calls
from .text.grammar import NAMES
from .uniformity import check_barriers
from .unit_rules import UnitRules


def verify(module: Module) -> Module:
    """Return `module` where it keeps every rule; raises `IrError` with the first one that it breaks."""
    for group, named in (("kernel", module.kernels), ("function", module.functions)):
        for name, unit in named.items():
            if (
                unit.name != name
                or not NAMES["unit"].fullmatch(name)
                or (name in module.kernels) == (group != "kernel")
            ):
                raise IrError("is not an identifier of its own", unit=f"{group} {name!r}", rule="name")
    sizes: dict[str, UnitRules] = {}
    for function in module.functions.values():
        sizes[function.name] = UnitRules(module, function)
        sizes[function.name].run()
    try:
        for name in graphlib.TopologicalSorter({name: found.callees for name, found in sizes.items()}).static_order():
            sizes[name].inline(sizes)
    except graphlib.CycleError as error:
        names = error.args[1]
        way = " -> ".join(names[:8])
        raise IrError(
            f"{way}; functions do not call themselves", unit=f"function {names[0]}", rule="recursion"
        ) from None
    for kernel in module.kernels.values():
        found = UnitRules(module, kernel)
        found.run()
        found.inline(sizes)
        _check_callees(module, kernel, sizes)
        check_barriers(module, kernel)
    return module


def _check_callees(module: Module, kernel: Kernel, sizes: Mapping[str, UnitRules]) -> None:
    declared = set(kernel.memories)
    todo, seen = list(calls(kernel.body)), set[str]()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        function = module.functions[name]
        for memory in function.memories:
            if memory not in declared:
                text = f"calls {name}, which uses @{memory.name}, not declared so here"
                raise IrError(text, unit=f"kernel {kernel.name}", rule="memory")
        todo.extend(sizes[name].callees)
