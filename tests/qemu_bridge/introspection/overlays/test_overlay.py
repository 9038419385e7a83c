"""What overlays are made with: items that cannot be read are left out and noted."""

from qemu_bridge.errors import AddressError
from qemu_bridge.introspection.overlays import BuiltOverlay, each
from qemu_bridge.kernel.budget import Budget


def half(number):
    if number % 2:
        raise AddressError(f"{number} is odd; try another")
    return number // 2


def test_an_item_that_cannot_be_read_is_left_out_and_noted():
    budget = Budget()
    assert list(each([2, 3, 4], half, budget, "number")) == [1, 2]
    assert budget.skipped == ["a number cannot be read: 3 is odd"] and not budget.complete


def test_an_overlay_is_made_from_its_four_parts():
    overlay = BuiltOverlay("sample", "A sample.", ("number",), lambda context, budget: [1])
    assert (overlay.name, overlay.summary, overlay.columns) == ("sample", "A sample.", ("number",))
