"""Kernels and tenants for tests of the GPU hypervisor."""

import numpy as np

from gpu_hypervisor import JobClass, Submission
from pixel_cpu.kernels import source

SAXPY = source("saxpy")
WORK = """
kernel work(%rounds: u32) group 32 {
  buffer @y: u32
  %i = global_id : u32
  %zero = const 0 : u32
  %one = const 1 : u32
  %before = load @y %i trap : u32
  %n = loop ^again (%k: u32 = %zero, %h: u32 = %before) : u32 {
    %more = lt %k, %rounds : bool
    if %more {
      yield
    } else {
      break ^again %h
    }
    %next = add %k, %one : u32
    %g = add %h, %one : u32
    continue ^again %next, %g
  }
  store @y %i, %n trap
  return
}
"""
"""Adds `rounds` to each element, one by one, in place: lanes that run twice show. A lane takes as long as it is told."""
FACTOR = 2654435761
HASH = WORK.replace(
    "%g = add %h, %one", f"%f = const {FACTOR} : u32\n    %m = mul %h, %f : u32\n    %g = add %m, %next"
)
"""The same with a sum that no compiler sees the end of; its factor is odd, so that what was before is never forgotten."""


def hashed(y, rounds):
    """What HASH makes of an array."""
    found = y.copy()
    for number in range(rounds):
        found = found * np.uint32(FACTOR) + np.uint32(number + 1)
    return found


def saxpy(x, y, **options):
    """A job whose result is known."""
    return Submission(SAXPY, lanes=len(x), arguments={"a": 2.0, "x": x, "y": y}, **options)


def work(y, rounds, text=WORK, lanes=None, **options):
    """A job that takes long, in many groups."""
    return Submission(text, language="ir", lanes=lanes or len(y), arguments={"rounds": rounds, "y": y}, **options)


def endless(lanes=8, **options):
    """A job of one group that does not end before its fuel does, which takes minutes."""
    y = np.zeros(lanes, np.uint32)
    return work(y, 0xFFFFFFFF, HASH, fuel=1 << 40, **options)


def long_work(**options):
    """A job of very many groups, minutes long, that can be cut anywhere."""
    options.setdefault("job_class", JobClass.THROUGHPUT)
    return work(np.zeros(1 << 21, np.uint32), 200_000, HASH, seconds=1e6, **options)
