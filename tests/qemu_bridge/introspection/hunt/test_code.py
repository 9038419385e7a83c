"""Whose code an address is in."""

from __future__ import annotations

import pytest

from qemu_bridge.introspection.hunt.code import KernelCode

pytestmark = pytest.mark.guest


def test_code_is_the_images_a_modules_or_nobodys(machine):
    machine.context.forget()
    code, space = KernelCode(machine.context), machine.context.objects
    schedule, module = space.address_of("schedule"), machine.modules()[0]
    assert code.is_image(schedule) and code.name(schedule).startswith("schedule+0x0/")
    assert not code.is_image(module.base) and code.name(module.base).endswith(f"[{module.name}]")
    for nobody in (0, 0xFFFFC90000001000, 0xFFFFFFFFC0000000 - 4096, (1 << 64) - 1):
        assert not code.is_image(nobody) and code.name(nobody).startswith("in no module")
