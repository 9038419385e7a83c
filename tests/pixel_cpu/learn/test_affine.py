"""Values as sums, and what they depend on."""

from __future__ import annotations

import pytest
from x86_loops import machine_loop

from pixel_cpu.frontends.x86 import lift
from pixel_cpu.ir.model import Value, walk
from pixel_cpu.ir.types import Type
from pixel_cpu.learn.affine import Form, Forms, head_loop, signed

X, Y = Value(Type.U64, "x"), Value(Type.U64, "y")
ONE = Form({X: 1}, 5, 64)


def test_sums_cancel_and_wrap():
    assert ONE.plus(Form({X: 1, Y: 2}, 7, 64), -1) == Form({Y: (1 << 64) - 2}, (1 << 64) - 2, 64)
    assert ONE.plus(ONE, -1).number == 0 and ONE.number is None
    assert ONE.times(3) == Form({X: 3}, 15, 64)
    assert [signed(number, 8) for number in (0, 127, 128, 255, 256)] == [0, 127, -128, -1, 0]


def test_an_extension_is_a_term_that_a_cut_takes_off():
    narrow = ONE.cut(32)
    wide = narrow.extended(64)
    assert narrow.bits == 32 and dict(wide.terms) == {narrow: 1} and wide.cut(32) == narrow
    assert wide.cut(16) == ONE.cut(16) and list(wide.values()) == [X]
    assert Form({}, 300, 64).cut(8).extended(64) == Form({}, 44, 64)


@pytest.mark.parametrize(("assumed", "wanted"), [({}, None), ({"df": 0}, 1)])
def test_an_assumed_register_is_a_number(assumed, wanted):
    function = lift(machine_loop("f3a4"), live_at=lambda _: ()).module.functions["loop"]
    forms = Forms(function, assumed)
    loop = head_loop(function)
    (following,) = [op.operands for op in walk(loop.regions[0]) if op.name == "continue"]
    places = {value.name: place for place, value in enumerate(loop.regions[0].parameters)}
    step = forms.of[following[places["rdi"]]].plus(forms.of[loop.regions[0].parameters[places["rdi"]]], -1)
    assert step.number == wanted


def test_a_value_depends_on_loads_and_on_the_branches_that_chose_it():
    # test dl, dl; jz +2; mov al, [rsi] (or not); mov [rdi], al; dec rcx; jnz head
    loop = machine_loop("84d2", "7402", "8a06", "8807", "48ffc9", "75f3")
    function = lift(loop, live_at=lambda _: ()).module.functions["loop"]
    forms = Forms(function)
    (store,) = [op for op in walk(function.body) if op.name == "store"]
    (load,) = [op for op in walk(function.body) if op.name == "load"]
    assert load.result in forms.sources[store.operands[1]]
    assert len(forms.guards[load]) == len(forms.guards[store]) + 1
