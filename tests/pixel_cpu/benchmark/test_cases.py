"""The table of benchmarks: each computes what it should, and its work is what the reference executor counts."""

import numpy as np
import pytest

from pixel_cpu.backends.launch import Launch
from pixel_cpu.benchmark.cases import CASES
from pixel_cpu.benchmark.stand import Stand
from pixel_cpu.benchmark.work import count_arithmetic, largest_error


@pytest.fixture(scope="module")
def stand():
    with Stand("cpu") as stand:
        yield stand


@pytest.mark.parametrize("case", CASES.values(), ids=lambda case: case.name)
def test_a_case_computes_what_it_should(case, stand):
    task = case.make(case.tiny)
    placed = {name: stand.place(array) for name, array in task.arrays.items()}
    assert stand.run(task.steps, placed) > 0
    for name, wanted in task.expected.items():
        assert largest_error(stand.fetch(placed[name]), wanted) <= case.tolerance, name


@pytest.mark.parametrize("case", CASES.values(), ids=lambda case: case.name)
def test_what_is_expected_is_not_what_was_there_before(case):
    task = case.make(case.tiny)
    assert any(
        largest_error(np.asarray(task.arrays[name]), wanted) > case.tolerance for name, wanted in task.expected.items()
    )


def counted(case, task):
    arrays = {name: array.copy() for name, array in task.arrays.items()}
    launches = [
        (
            step.kernel,
            Launch(step.lanes, step.threads, step.scalars, {to: arrays[of] for to, of in step.buffers.items()}),
        )
        for step in task.steps
    ]
    return count_arithmetic(launches, case.unit)


@pytest.mark.parametrize("case", [case for case in CASES.values() if not case.is_counted], ids=lambda case: case.name)
def test_a_formula_is_what_the_reference_counts(case):
    task = case.make(case.tiny)
    assert counted(case, task) == task.work


@pytest.mark.parametrize("case", [case for case in CASES.values() if case.is_counted], ids=lambda case: case.name)
def test_what_was_counted_once_is_counted_again(case):
    task = case.make(case.tiny)
    assert counted(case, task) == pytest.approx(task.work, rel=0.05)
