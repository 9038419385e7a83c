"""Numbers and arrays that functions are called with."""

import numpy as np
import pytest

from pixel_cpu.errors import LaunchError
from pixel_cpu.runtime.wasm_arguments import elements, lanes_of_call, sizes_of


def test_integers_are_taken_modulo_their_width_and_what_does_not_fit_is_refused():
    assert elements(0xFFFFFFFF, np.dtype("i4"), "a") == -1
    assert elements([1, 2], np.dtype("f4"), "a").dtype == np.float32
    for wrong in (1 << 32, 1.5, "a", [[1]]):
        with pytest.raises(LaunchError, match="a is int32"):
            elements(wrong, np.dtype("i4"), "a")


def test_lanes_are_those_that_arrays_agree_on():
    assert sizes_of([1, [1, 2], np.zeros(3)]) == {2, 3}
    assert lanes_of_call("f", {4}, None) == 4 and lanes_of_call("f", set(), None) == 1
    assert lanes_of_call("f", {2, 3}, 9) == 9
    with pytest.raises(LaunchError, match=r"different lengths: \[2, 3\]"):
        lanes_of_call("f", {2, 3}, None)
