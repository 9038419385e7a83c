"""Kernels on a GPU beside the reference, structured and as a machine."""

from __future__ import annotations

import pytest
from programs import compare

from pixel_cpu.backends.launch import Launch, Outcome
from pixel_cpu.backends.wgsl.executable import compile_kernel
from pixel_cpu.ir.text import read
from pixel_cpu.ir.verifier import verify

BOTH = pytest.mark.parametrize("machine", [False, True])


def run_both(source: str, launch: Launch, **options: object) -> Outcome:
    return compare(lambda module, name: compile_kernel(module, name, **options), verify(read(source)), launch, "main")
