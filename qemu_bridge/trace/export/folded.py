"""Instructions by call stack and process, in Brendan Gregg's folded format: ``process;outer;inner COUNT``, a stack a line.

`analysis.call_trees` says how stacks are rebuilt.
"""

from __future__ import annotations

from pathlib import Path

from ..analysis.call_trees import grow_tree
from ..analysis.naming import Naming
from ..file.reader import TraceReader


def write(trace: TraceReader, output: Path, naming: Naming) -> None:
    """Write the stacks of `trace` into the new file `output`."""
    with open(output, "x") as file:
        names, tree = grow_tree(trace, naming)
        for stack, count in tree.stacks():
            file.write(f"{';'.join(map(names.name, stack))} {count}\n")
