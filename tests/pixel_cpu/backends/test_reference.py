"""The reference executor."""

from __future__ import annotations

import numpy as np
import pytest
from programs import check_seeds, compare, random_case

from pixel_cpu.backends import reference
from pixel_cpu.backends.reference import Executor


def test_a_seed_names_one_program():
    first, second = random_case(7), random_case(7)
    assert first.text == second.text
    for name, array in first.launch.buffers.items():
        assert array.tobytes() == second.launch.buffers[name].tobytes()


def test_the_reference_gives_the_same_twice():
    for seed in range(20):
        case = random_case(seed)
        compare(Executor, case.module, case.launch)


class WrongRotation(Executor):
    """An executor whose rotation turns one bit too far."""

    def run(self, launch):
        right = reference.evaluate

        def wrong(name, operands, *others):
            if name == "rotl":
                operands = [operands[0], operands[1] + np.ones_like(operands[1])]
            return right(name, operands, *others)

        reference.evaluate = wrong
        try:
            return super().run(launch)
        finally:
            reference.evaluate = right


def test_a_wrong_back_end_is_found_and_shown_by_a_small_program():
    with pytest.raises(AssertionError) as caught:
        check_seeds(WrongRotation, range(100))
    text = str(caught.value)
    assert "rotl" in text
    assert text.count("\n") < 60
