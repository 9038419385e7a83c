"""Random programs on every back end at once: each gives the reference's bits.

::

    python tests/pixel_cpu/agreement.py 0 1000
    python tests/pixel_cpu/agreement.py 0 1000 --as-shipped --wgsl-every 1 --numba-every 1

The programs of the seeds from 0 on run on the reference and on lane C; one in `WGSL_EVERY` on WGSL too, one in `NUMBA_EVERY` on
Numba, because a small program takes lane C 0.05 s to compile, WGSL on a software driver 0.15 s and Numba 1 s. What compiles them does
not optimise, unless ``--as-shipped`` asks for what users get. A program that fails is printed with its seed, made smaller; the exit
status is 1 then.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

if __name__ == "__main__" and "--as-shipped" not in sys.argv:
    os.environ.setdefault("LP_NATIVE_VECTOR_WIDTH", "128")  # narrow vectors halve the time of Mesa's software driver
    os.environ.setdefault("NUMBA_OPT", "0")

from programs import EXACT_FLOAT, NO_FLOATS, Answer, Case, Make, Options, answer, assert_gives, check_seeds, random_case

from pixel_cpu.backends.lane_c import compile_kernels
from pixel_cpu.backends.launch import Executable
from pixel_cpu.errors import DeviceError
from pixel_cpu.ir.model import Module
from pixel_cpu.ir.types import Type

WGSL_EVERY = 4
NUMBA_EVERY = 50
BATCH = 50
"""Programs whose C is compiled in one go, in one variant."""
_REGISTERS = (1, 0, 1, 0, 2, 1, 0, 1, 0, 4)
"""Registers of a chunk, batch after batch; 0 is scalar C. More of them make more C."""


def options_of(seed: int) -> Options:
    """Options of the program of a seed: small ones of types that differ, now and then one of all types."""
    if seed % 100 == 0:
        return replace(Options() if seed % 200 else NO_FLOATS, statements=40, **_portable(seed))
    kinds = random.Random(seed).sample(list(Type), 2)
    return Options(tuple(kinds), statements=(2, 4, 6, 9, 15)[seed // 4 % 5], **_portable(seed))


def _portable(seed: int) -> dict[str, object]:
    # WGSL calls no host, and its fma may round twice.
    if seed % WGSL_EVERY:
        return {}
    return {"host_calls": False, "float_operations": tuple(name for name in EXACT_FLOAT if name != "fma")}


@dataclass
class Tally:
    """What was compared: programs and CPU seconds by back end, programs that trapped, failures as text."""

    programs: Counter[str] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)
    traps: int = 0
    failures: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        parts = (f"{name} {self.programs[name]:,} ({self.seconds[name]:.0f} s)" for name in self.programs)
        return f"{', '.join(parts)}; {self.traps:,} trapped, {len(self.failures)} failed"


def lane_c(batch: int, *, is_shipped: bool) -> dict[str, object]:
    """The options of a batch: as shipped, or one variant after another."""
    if is_shipped:
        return {}
    registers = _REGISTERS[batch % len(_REGISTERS)]
    return {"scalar": not registers, "registers": registers or None, "level": "-O0"}


def wgsl(seed: int) -> Make:
    """What makes a shader, one variant after another: structured or as a machine, 64-bit integers native or in pairs."""
    from pixel_cpu.backends.wgsl import compile_kernel  # opens the driver

    variant = seed // WGSL_EVERY

    def make(module: Module, name: str) -> Executable:
        machine = True if variant % 8 == 3 else None
        if variant % 4 == 1:
            try:
                return compile_kernel(module, name, pairs=True, machine=machine)
            except DeviceError:  # an atomic of 64 bits, or f64
                pass
        return compile_kernel(module, name, machine=machine)

    return make


def numba(module: Module, name: str) -> Executable:
    """A kernel by Numba."""
    from pixel_cpu.backends.numba_lanes import compile_kernel  # takes a second

    return compile_kernel(module, name)


def check_range(
    seeds: Sequence[int], *, is_shipped: bool = False, wgsl_every: int = WGSL_EVERY, numba_every: int = NUMBA_EVERY
) -> Tally:
    """Compare all back ends on the programs of the seeds; nothing is raised for those that fail, see `Tally.failures`."""
    tally = Tally()
    for first in range(0, len(seeds), BATCH):
        start = _cpu_s()
        cases = [random_case(seed, options_of(seed)) for seed in seeds[first : first + BATCH]]
        wanted = [answer(case.module, case.launch) for case in cases]
        _note(tally, "reference", len(cases), start)
        tally.traps += sum(1 for each in wanted if each.outcome.trap)

        start = _cpu_s()
        options = lane_c(seeds[first] // BATCH, is_shipped=is_shipped)

        def alone(module: Module, name: str, options: dict[str, object] = options) -> Executable:
            return compile_kernels([(module, name)], **options)[0]

        for case, right, make in zip(cases, wanted, together(cases, alone, options), strict=True):
            _try(tally, "lane C", case, right, make, alone)
        _note(tally, "lane C", len(cases), start)

        for name, every, maker in (("WGSL", wgsl_every, wgsl), ("Numba", numba_every, lambda _: numba)):
            start = _cpu_s()
            chosen = [place for place, case in enumerate(cases) if case.seed % every == 0 and _suits(name, case.seed)]
            for place in chosen:
                make = maker(cases[place].seed)
                _try(tally, name, cases[place], wanted[place], make, make)
            _note(tally, name, len(chosen), start)
    return tally


def together(cases: Sequence[Case], alone: Make, options: dict[str, object]) -> Iterator[Make]:
    """For each case what makes its kernel: all of them in one go, or each alone where one does not compile."""
    try:
        made = compile_kernels([(case.module, case.kernel) for case in cases], **options)
    except DeviceError:
        return iter([alone] * len(cases))
    return iter([_given(kernel) for kernel in made])


def _given(kernel: Executable) -> Callable[[Module, str], Executable]:
    return lambda *_: kernel


def _suits(name: str, seed: int) -> bool:
    return name != "WGSL" or seed % WGSL_EVERY == 0


def _try(tally: Tally, name: str, case: Case, wanted: Answer, make: Make, alone: Make) -> None:
    """Compare one program; one that fails is tried again alone, to be shown small."""
    try:
        assert_gives(make(case.module, case.kernel), case.launch, wanted)
    except Exception as error:
        text = f"{type(error).__name__}: {error}\nonly beside others\n{case.text}"
        try:
            check_seeds(alone, [case.seed], options_of(case.seed))
        except AssertionError as smaller:
            text = str(smaller)
        tally.failures.append(f"seed {case.seed} on {name}: {text}")
        print(tally.failures[-1], flush=True)


def _cpu_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _note(tally: Tally, name: str, count: int, start: float) -> None:
    tally.programs[name] += count
    tally.seconds[name] += _cpu_s() - start


def main() -> int:
    """Check the seeds that the command line names."""
    parser = argparse.ArgumentParser(description="Compare every back end with the reference on random programs.")
    parser.add_argument("first", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("--as-shipped", action="store_true", help="optimised as users get it")
    parser.add_argument("--wgsl-every", type=int, default=WGSL_EVERY)
    parser.add_argument("--numba-every", type=int, default=NUMBA_EVERY)
    given = parser.parse_args()
    start = time.monotonic()
    tally = check_range(
        range(given.first, given.first + given.count),
        is_shipped=given.as_shipped,
        wgsl_every=given.wgsl_every,
        numba_every=given.numba_every,
    )
    how = "as shipped" if given.as_shipped else "not optimised"
    print(f"seeds {given.first} to {given.first + given.count - 1}, {how}, {time.monotonic() - start:.0f} s: {tally}")
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
