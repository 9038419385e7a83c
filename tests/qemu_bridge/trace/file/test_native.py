"""The libraries in C: what they return, and what may be handed to them."""

import numpy as np
import pytest

from qemu_bridge.errors import HostError, TraceError
from qemu_bridge.trace.file import native
from tcg_plugin.build import BuildError


def test_a_result_below_zero_is_an_error_in_words():
    assert native.checked(0) == 0 and native.checked(7) == 7
    for code, says in ((-1, "more than it declares"), (-3, "too early"), (-99, "-99")):
        with pytest.raises(TraceError, match=says):
            native.checked(code)


def test_only_whole_arrays_of_the_right_type_are_handed_over():
    array = np.arange(10, dtype=np.uint32)
    assert native.pointer(array, np.uint32) == array.ctypes.data
    for bad in (array.astype(np.int64), array[::2]):
        with pytest.raises(TypeError, match="contiguous"):
            native.pointer(bad, np.uint32)


def test_an_array_grows_by_half_or_to_what_is_wanted():
    array = np.arange(10, dtype=np.uint16)
    assert native.grown(array, 10) is array
    assert len(native.grown(array, 11)) == 15 and len(native.grown(array, 100)) == 100
    assert native.grown(array, 11)[:10].tolist() == array.tolist() and native.grown(array, 11).dtype == np.uint16


def test_a_library_that_cannot_be_compiled_is_an_error_that_says_so(monkeypatch):
    def fail(name):
        raise BuildError("there is no C compiler; install one")

    monkeypatch.setattr(native, "find_library", fail)
    with pytest.raises(HostError, match="install one"):
        native.load("glassbox_codec", {})
