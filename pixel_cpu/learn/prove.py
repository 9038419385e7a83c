"""Whether a kernel does what the lifted loop does, for all registers and all memory: proofs in a process of their own, and a cache of verdicts.

Both functions become kernels that take registers as scalars and write what comes out into the buffer ``@out``, so that the proof is about
the rounds, the next instruction, every register that is given, every byte of memory, and the traps.

>>> with Prover() as prover:
...     prover.prove(lifted, kernel, kept)["verdict"]
'proved'
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from types import TracebackType
from typing import Any

from qemu_bridge.host.folders import cache_folder
from qemu_bridge.host.plain_file import read_plain, write_atomic

from ..ir.builder import Builder
from ..ir.model import Function, Kernel, Memory, Module, Region, Space, Value
from ..ir.symbolic import Term
from ..ir.text import read, write
from ..ir.types import Type
from ..ir.verifier import verify
from ..verify.equivalence import Contract, prove_equal
from ..verify.findings import Finding, Verdict

LIMIT_S = 5
"""CPU time of one proof."""
MOST_BYTES = 4 << 30
"""Memory of the process that proves."""
OUT = Memory("out", Space.BUFFER, Type.U64)
_MOST_VERDICT = 1 << 16
_MODE = 0o644
_MEANING = ("verify/*.py", "ir/operations.py", "ir/symbolic.py", "passes/inline.py", "learn/prove.py")
"""What decides what a verdict says: where it changes, cached ones do not count."""


def prove(first: Module, second: Module, kept: Mapping[int, Sequence[int]], limit_s: float = LIMIT_S) -> Finding:
    """Compare two modules that `entry_of` made, in this process.

    `kept` are the places of the loop parameters that the second one still has, by the loop's number. A lane is one entry of the loop.
    Beyond `limit_s` seconds of CPU time it is not known.
    """
    relations = {number: partial(_picked, places) for number, places in kept.items()}
    return prove_equal((first, "entry"), (second, "entry"), Contract(relations=relations), limit_s=limit_s)


def _picked(places: Sequence[int], values: Sequence[Term]) -> list[Term]:
    return [values[place] for place in places]


def entry_of(function: Function) -> Module:
    """A module whose kernel ``entry`` calls the function with its scalars and writes the results into ``@out``."""
    body = Region()
    build = Builder(body)
    parameters = tuple(Value(value.type, value.name.partition(".")[0]) for value in function.parameters)
    results = build.call(function.name, parameters, function.results)
    for place, value in enumerate(results):
        wide = value if value.type is Type.U64 else build.value("convert", value, type=Type.U64)
        build.store(OUT, build.const(Type.U32, place), wide)
    build.end("return")
    memories = (*function.memories, OUT)
    return verify(Module({"entry": Kernel("entry", parameters, memories, body)}, {function.name: function}))


class Prover:
    """Proves in a process of its own, as solvers listen to no limit while they simplify: one that takes too long is killed."""

    def __init__(self, limit_s: int = LIMIT_S, cache: Path | None = None) -> None:
        """`limit_s` is the CPU time of one proof; verdicts are kept in the folder `cache`, that of the user without one."""
        self._limit_s = limit_s
        self._folder = cache_folder("proofs") if cache is None else cache
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Prover:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def prove(self, lifted: Function, kernel: Function, kept: Mapping[int, Sequence[int]]) -> dict[str, Any]:
        """What is known of it: ``verdict``, ``why``, CPU ``seconds``, how many questions each of ``solvers`` answered, whether it ``was_cached``."""
        texts = [write(entry_of(function)) for function in (lifted, kernel)]
        task = json.dumps([*texts, {str(number): list(places) for number, places in kept.items()}, self._limit_s])
        path = self._folder / f"{hashlib.sha256((_meaning() + task).encode()).hexdigest()}.json"
        with contextlib.suppress(OSError, ValueError):
            return {**json.loads(read_plain(path, _MOST_VERDICT)), "was_cached": True}
        found = self._ask(task)
        self._folder.mkdir(parents=True, exist_ok=True)
        write_atomic(path, json.dumps(found).encode(), _MODE)
        return {**found, "was_cached": False}

    def _ask(self, task: str) -> dict[str, Any]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__],
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(task + "\n")
            self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if answer:
            return dict(json.loads(answer))
        status = self._process.wait()
        self._end()
        why = f"it takes more than {self._limit_s} s" if status == -signal.SIGXCPU else f"the prover ended ({status})"
        return {"verdict": Verdict.UNKNOWN.value, "why": why, "seconds": float(self._limit_s), "solvers": {}}

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):
                    pipe.close()  # type: ignore[union-attr]
            process.wait()


@cache
def _meaning() -> str:
    root = Path(__file__).parents[1]
    files = sorted(path for pattern in _MEANING for path in root.glob(pattern))
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()


def serve() -> None:
    """Answer tasks, one a line, until standard input ends."""
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES))
    for line in sys.stdin:
        first, second, kept, limit_s = json.loads(line)
        # Of the process: the signal that this sends ends it, in whatever solver it is.
        used = time.process_time()
        resource.setrlimit(resource.RLIMIT_CPU, (int(used) + limit_s + 2, resource.RLIM_INFINITY))
        left, right = (verify(read(text)) for text in (first, second))
        finding = prove(left, right, {int(number): places for number, places in kept.items()}, limit_s)
        found = {
            "verdict": finding.verdict.value,
            "why": finding.reason,
            "seconds": round(finding.seconds, 3),
            "solvers": dict(finding.solvers),
        }
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    serve()
