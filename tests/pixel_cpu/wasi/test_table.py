"""Random calls give the errors, the memory and the files that wasmtime gives."""

import random

import numpy as np
import pytest
import wasi_runs
from wasi_sequences import compare, compare_paths

from pixel_cpu.wasi import Preopen
from pixel_cpu.wasi.table import CALLS

SUCCEEDED = 15
"""Calls of a hundred that succeed at least, so that the comparison is about more than refusals."""


@pytest.mark.parametrize("seed", range(8))
def test_random_calls_are_wasmtime_s(seed, tmp_path):
    assert compare(tmp_path, seed, 100) > SUCCEEDED


def test_times_of_any_path_are_set_as_by_wasmtime(tmp_path):
    paths = "d/no d/./no no no/ e/../no d/../no no/x f f/ d d/ lf ldangle ldangle/ labs lup ../no d/lback . ./ .. loop ld/no".split()
    paths += ["a" * 300, "d/" + "a" * 300, "a" * 300 + "/b"]
    ranges = {"lookup": (0, 1), "times": (0, 1, 2, 4, 5, 8, 10), "time": (10**18,)}
    assert compare_paths(tmp_path, "path_filestat_set_times", paths, **ranges) == len(paths) * 2 * 2 * 7


@pytest.mark.long
@pytest.mark.parametrize("begin", range(100, 1300, 100))
def test_many_random_calls_are_wasmtime_s(begin, tmp_path):
    for seed in range(begin, begin + 100):
        folder = tmp_path / str(seed)
        folder.mkdir()
        compare(folder, seed, 100)


def test_every_call_of_the_table_is_one_that_wasmtime_knows():
    assert len(CALLS) == 42 and wasi_runs.CALLS_MODULE.imports


@pytest.mark.parametrize("name", [name for name in CALLS if name != "proc_exit"])
def test_no_operand_of_a_program_is_an_error_of_the_host(name, tmp_path):
    """Any numbers in any lanes give an error or none; memory beyond what a lane has now stays as it was."""
    chance, kinds = random.Random(name), CALLS[name][0]
    edges = [
        0,
        1,
        2,
        3,
        4,
        8,
        60,
        4000,
        32768,
        65528,
        65535,
        65536,
        2**31 - 1,
        2**31,
        2**32 - 1,
        2**63 - 1,
        -(2**63),
        -1,
    ]
    with wasi_runs.wasi(5, directories=[Preopen(tmp_path, "/", True)]) as host:
        ours = wasi_runs.Ours(host, 5)
        ours.rows = np.zeros((5, 2 * wasi_runs.MEMORY_BYTES), np.uint8)
        for _ in range(15):
            ours.rows[:, :65536] = np.frombuffer(chance.randbytes(65536), np.uint8) & chance.choice([0, 1, 3, 255])
            is_same = chance.random() < 0.5
            operands = [np.array([chance.choice(edges)] * 5 if is_same else chance.choices(edges, k=5)) for _ in kinds]
            errors = ours.call_all(name, *operands)
            assert ((errors >= 0) & (errors < 77)).all() and not ours.rows[:, 65536:].any()
