"""Faults planted into the kernels of a library's loops, and what a prover says of them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable

from mutants import mutant

from pixel_cpu.ir.model import Module, walk
from pixel_cpu.ir.verifier import verify
from pixel_cpu.learn.clean import clean
from pixel_cpu.learn.loop_library import LearnedLoop
from pixel_cpu.learn.prove import entry_of, prove
from pixel_cpu.verify.examples import differ, random_examples
from pixel_cpu.verify.findings import Verdict

MOST_OPERATIONS = 120


def plant(loops: Iterable[LearnedLoop], each: int, limit_s: float) -> Counter[str]:
    """Plant `each` faults into the kernel of each small loop; how many were ``refuted``, ``unknown``, ``proved`` (and the same), ``unfit``.

    Raises `AssertionError` for a fault that shows and is called proved, and for a refutation whose inputs do not differ.
    """
    said: Counter[str] = Counter()
    for loop in loops:
        lifted = loop.lifted.module.functions["loop"]
        kernel, kept = clean(lifted)
        if sum(1 for _ in walk(kernel.body)) > MOST_OPERATIONS:
            continue
        first, chance = entry_of(lifted), random.Random(loop.name)
        for _ in range(each):
            changed, what = mutant(verify(Module({}, {"loop": kernel})), chance)
            try:
                second = entry_of(changed.functions["loop"])
                finding = prove(first, second, kept, limit_s=limit_s)
            except ValueError:  # other loops or other results
                said["unfit"] += 1
                continue
            said[finding.verdict.value] += 1
            pair = (first, "entry"), (second, "entry")
            if finding.verdict is Verdict.REFUTED:
                assert finding.example is not None and differ(*pair, finding.example), f"{loop.name}: {what}"
            elif finding.verdict is Verdict.PROVED:
                shows = any(differ(*pair, launch) for launch in random_examples(first.kernels["entry"]))
                assert not shows, f"{loop.name}: {what}"
    return said
