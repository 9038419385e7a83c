"""The small translations between the kernel's numbers and the letters of ``/proc``."""

from __future__ import annotations

import pytest

from qemu_bridge.volatility_adapter.adapter import _permissions, _state_letter


@pytest.mark.parametrize(
    ("state", "exit_state", "letter"),
    [
        (0, 0, "R"), (1, 0, "S"), (2, 0, "D"), (4, 0, "T"), (8, 0, "t"), (0, 0x10, "X"), (0, 0x20, "Z"), (0x40, 0, "P"),
        (0x402, 0, "I"), (0x1000, 0, "D"), (0x2001, 0, "S"), (0x8000, 0, "D"), (0xFFFFFFFF, 0, "I"),
    ],
)  # fmt: skip
def test_states_have_the_letters_of_proc(state, exit_state, letter):
    assert _state_letter(state, exit_state) == letter


@pytest.mark.parametrize(
    ("flags", "text"), [(0, "---p"), (1, "r--p"), (3, "rw-p"), (5, "r-xp"), (0x83, "rw-s"), (0x87, "rwxs")]
)
def test_flags_become_permissions(flags, text):
    assert _permissions(flags) == text
