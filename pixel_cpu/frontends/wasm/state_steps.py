"""Steps for instructions on the state of a lane: locals, globals, memory, tables and segments; and references, which are numbers."""

from __future__ import annotations

from typing import Any

from .frames import HEAD
from .module import Module
from .numeric import TYPES
from .registers import Const, Registers
from .state import State

NULL = 0xFFFFFFFF
"""The bits of a reference to nothing."""


class Unknown(Exception):  # noqa: N818  # no error: translation takes it
    """A function has what no step does."""


class StateSteps(Registers):
    """Appends steps on the state of a module's instances."""

    def __init__(self, module: Module, state: State) -> None:
        super().__init__()
        self.module, self.state = module, state
        self.places = {memory.name: place for place, memory in enumerate(state.memories)}

    def others(self, name: str, immediate: Any) -> None:  # noqa: ANN401  # as the row says
        """An instruction that neither computes numbers, moves them between memory and stack, nor goes elsewhere."""
        match name:
            case "nop":
                pass
            case "drop":
                self.stack.pop()
            case "local.set":
                self.set_local(immediate)
            case "local.tee":
                self.set_local(immediate)
                self.stack.append(HEAD + immediate)
            case "select" | "select_typed":
                chosen = self.register()
                second = self.register()
                self.produce("select", self.register(), second, chosen)
            case "global.get" | "global.set":
                self.variable(name, immediate)
            case "ref.null":
                self.stack.append(Const(NULL))
            case "ref.func":
                self.stack.append(Const(immediate))
            case "ref.is_null":
                self.produce("i32.eq.const", self.register(), 0, NULL)
            case "memory.size":
                self.produce("memory_size")
            case "memory.grow":
                self.produce("memory_grow", self.register())
            case "memory.copy" | "memory.fill":
                self.bulk(name)
            case "memory.init":
                self.bulk(name, immediate[0])
            case "data.drop":
                self.emit("drop_segment", more=immediate)
            case "elem.drop":
                self.emit("drop_segment", more=self.segment_of_items(immediate))
            case _:
                self.table(name, immediate)

    def table(self, name: str, immediate: Any) -> None:  # noqa: ANN401  # as the row says
        """An instruction on tables."""
        match name:
            case "table.get":
                self.produce("table_get", self.register(), 0, immediate)
            case "table.set":
                value = self.register()
                self.emit("table_set", 0, self.register(), value, immediate)
            case "table.size":
                self.produce("table_size", more=immediate)
            case "table.grow":
                count = self.register()
                self.produce("table_grow", count, self.register(), immediate)
            case "table.fill":
                self.bulk(name, immediate)
            case "table.copy":
                target, source = immediate
                self.bulk(name, source << 32 | target)
            case "table.init":
                segment, target = immediate
                self.bulk(name, self.segment_of_items(segment) << 32 | target)
            case _:
                raise Unknown

    def bulk(self, name: str, more: int = 0) -> None:
        """An instruction on so many bytes or elements: where to, where from or what, how many."""
        count, source = self.register(), self.register()
        self.emit(name.replace(".", "_"), self.register(), source, count, more)

    def segment_of_items(self, number: int) -> int:
        """The number of an element segment among all segments, behind those of data."""
        return len(self.module.data) + number

    def variable(self, name: str, number: int) -> None:
        """``global.get`` and ``global.set``."""
        held = self.state.globals[number]
        kind = TYPES[self.module.globals[number].type]
        if held is None:
            self.stack.append(Const(self.state.start_globals[number] & ((1 << kind.bits) - 1)))
        elif name == "global.get":
            self.produce(f"global_get{kind.bits}", more=self.places[held.name])
        else:
            self.emit(f"global_set{kind.bits}", 0, self.register(), 0, self.places[held.name])
