"""Modules of WebAssembly on lanes: each lane is an instance with its own memory, tables and globals.

>>> import pixel_cpu as px
>>> program = px.wasm("sums.wasm")
>>> program.call("add", np.arange(1000, dtype="i4"), 5)
"""

from __future__ import annotations

from typing import Any

from .wasm_arguments import lanes_of_call, sizes_of
from .wasm_code import WasmCode
from .wasm_instances import Instances, Results


class WasmProgram(WasmCode):
    """A module that can be instantiated on lanes."""

    def instances(self, lanes: int, **options: Any) -> Instances:  # noqa: ANN401  # those of `Instances`
        """New instances of the module, one a lane; its start function has run. Options are those of `Instances`."""
        return Instances(self, lanes, **options)

    def call(self, name: str, *arguments: Any, lanes: int | None = None, **options: Any) -> Results:  # noqa: ANN401  # numbers and arrays
        """Call an exported function once in each of `lanes` new instances; what `Instances.call` gives.

        Without `lanes` there are as many as the arrays have elements, or one. Options are those of `Instances`.
        """
        return self.instances(lanes_of_call(name, sizes_of(arguments), lanes), **options).call(name, *arguments)
