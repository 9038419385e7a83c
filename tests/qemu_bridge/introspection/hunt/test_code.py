"""Whose code an address is in."""

from __future__ import annotations

import pytest

from qemu_bridge.introspection.hunt.code import KernelCode

pytestmark = pytest.mark.guest


@pytest.fixture
def code(machine):
    machine.context.forget()
    return KernelCode(machine.context)


def test_code_is_the_images_a_modules_or_nobodys(machine, code):
    schedule, module = machine.context.objects.address_of("schedule"), machine.modules()[0]
    assert code.is_image(schedule) and code.name(schedule).startswith("schedule+0x0/")
    assert code.is_module(module.base) and not code.is_image(module.base) and not code.is_made(module.base)
    assert code.name(module.base).endswith(f"[{module.name}]")
    for nobody in (0, 0xFFFFC90000001000, 0xFFFFFFFFC0000000 - 4096, (1 << 64) - 1):
        assert not code.is_in_image(nobody) and not code.is_module(nobody) and not code.is_made(nobody)
        assert code.name(nobody).startswith("in no module")


def test_what_the_kernel_may_execute_beside_its_image_are_modules(machine, code):
    texts = {base & -4096 for base, _ in code.modules}
    assert len(texts) == 4 and {start for start, _ in code.outside()} == texts
    assert not code.outside(code.modules)
    assert code.asked_for(min(texts)) == "load_module asked for it"
    assert code.asked_for(0) == "it is no area of vmalloc"
