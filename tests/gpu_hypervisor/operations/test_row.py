"""A row made from a function."""

import pytest

from gpu_hypervisor.operations.row import adds_to
from qemu_bridge.errors import UsageError
from qemu_bridge.wire.messages import decode_arguments
from qemu_bridge.wire.operations import Cost, Permission


def test_a_function_is_a_row_and_stays_a_function():
    rows = []

    @adds_to(rows)(Permission.CONTROL, Cost.INSTANT, "/api/gpu/twice", is_tool=True)
    def twice(number: int = 3) -> int:
        """Twice as much."""
        return 2 * number

    (row,) = rows
    assert (row.row.name, row.path, row.is_tool, row.row.permission) == (
        "twice",
        "/api/gpu/twice",
        True,
        Permission.CONTROL,
    )
    assert row.run(**decode_arguments(row.row, b"{}")) == twice(3) == 6
    assert row.run(**decode_arguments(row.row, b'{"number": 4}')) == 8
    with pytest.raises(UsageError, match="number"):
        decode_arguments(row.row, b'{"number": "four"}')
