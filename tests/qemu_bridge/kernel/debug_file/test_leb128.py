"""LEB128 as the standard's examples have it (DWARF 4, figures 22 and 23)."""

from __future__ import annotations

import pytest

from qemu_bridge.kernel.debug_file.leb128 import sleb, uleb


@pytest.mark.parametrize(
    ("number", "written"), [(2, "02"), (127, "7f"), (128, "8001"), (129, "8101"), (12857, "b964"), (0, "00")]
)
def test_numbers_without_a_sign(number, written):
    assert uleb(number).hex() == written


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (2, "02"),
        (-2, "7e"),
        (127, "ff00"),
        (-127, "817f"),
        (128, "8001"),
        (-128, "807f"),
        (129, "8101"),
        (-129, "ff7e"),
    ],
)
def test_numbers_with_a_sign(number, written):
    assert sleb(number).hex() == written
