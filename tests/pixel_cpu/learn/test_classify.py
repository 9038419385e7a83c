"""Classes of loops: of C whose class is known, and of machine code."""

from __future__ import annotations

import pytest
from compiled_loops import CLASSES, compiled_loop
from x86_loops import CRC32, SUM_OF_SQUARES, machine_loop

from pixel_cpu.frontends.x86 import lift
from pixel_cpu.frontends.x86.registers import GENERAL
from pixel_cpu.learn.classify import KINDS, classify

TRIPS = ("copy", "fill", "sum", "xor", "two inputs", "prefix sum", "find")


def understood(loop, live=GENERAL):
    return classify(lift(loop, live_at=lambda _: live))


@pytest.mark.parametrize("optimize", ["-O1", "-O2"])
@pytest.mark.parametrize("name", CLASSES)
def test_a_loop_of_c_has_the_class_that_it_is_of(name, optimize):
    found = understood(compiled_loop(name, optimize))
    assert found.kind == CLASSES[name] in KINDS, found
    assert bool(found.reason) == (found.kind == "serial")
    assert found.has_inner == (name == "matrix")
    assert found.has_inner or found.is_data_exit == (name in ("length", "find", "linked list"))
    if name in TRIPS:
        assert len(found.trips) == 1 and found.inductions


def test_streams_have_place_stride_and_width():
    # mov eax, [rsi + rcx*4 + 8]; xor eax, 5; mov [rdi], ax; add rdi, 2; dec rcx; jnz head
    loop = machine_loop("8b448e08", "83f005", "668907", "4883c702", "48ffc9", "75ed")
    found = understood(loop, ())
    assert list(map(str, found.streams)) == [
        "reads 4 at rsi + 4*rcx + 8, 4 back each round",
        "writes 2 at rdi, 2 further each round",
    ]
    assert {(each.register, each.step, each.bits) for each in found.inductions} == {("rdi", 2, 64), ("rcx", -1, 64)}
    (trips,) = found.trips
    assert (trips.comparison, trips.text, trips.step, trips.bits) == ("eq", "rcx - 1", -1, 64) and found.kind == "map"


def test_a_counter_of_32_bits_wraps_there():
    found = understood(SUM_OF_SQUARES, ("rax",))
    assert ("rdi", -1, 32) in {(each.register, each.step, each.bits) for each in found.inductions}
    assert [(each.text, each.bits) for each in found.trips] == [("rdi - 1", 32)]


def test_a_string_instruction_is_understood_with_the_direction_flag_clear():
    found = understood(machine_loop("f3a4"), ())
    assert found.kind == "copy" and found.assumed == ("df",)
    assert list(map(str, found.streams)) == [
        "reads 1 at rsi, 1 further each round",
        "writes 1 at rdi, 1 further each round",
    ]


def test_a_register_written_in_part_is_no_recurrence():
    # mov al, [rsi]; not al; mov [rsi], al; inc rsi; cmp rsi, rdx; jne head
    found = understood(machine_loop("8a06", "f6d0", "8806", "48ffc6", "4839d6", "75f2"), ("rax",))
    assert found.kind == "map" and found.recurrences == ()


def test_what_a_round_before_read_is_no_map():
    # mov al, [rsi]; mov [rsi], bl; mov ebx, eax; inc rsi; cmp rsi, rdx; jne head
    found = understood(machine_loop("8a06", "881e", "89c3", "48ffc6", "4839d6", "75f2"), ())
    assert (found.kind, found.reason) == ("serial", "it writes rbx of the round before")


def test_what_a_loop_needs_of_the_round_before_is_named():
    found = understood(CRC32, ("rax",))
    assert found.kind == "serial" and found.reason.startswith("rax")
    assert any(str(stream) == "reads 4 where data say" for stream in found.streams)
