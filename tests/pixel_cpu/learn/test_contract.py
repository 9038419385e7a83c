"""Contracts: what must hold at the entry of a loop."""

from __future__ import annotations

from compiled_loops import compiled_loop
from x86_loops import CRC32, machine_loop

from pixel_cpu.frontends.x86 import lift
from pixel_cpu.learn.classify import classify
from pixel_cpu.learn.contract import contract_of


def contract(loop):
    return contract_of(classify(lift(loop, live_at=lambda _: ())))


def test_a_copy_says_where_it_reads_and_writes_and_that_both_are_apart():
    found = contract(machine_loop("f3a4"))
    assert found["assumes"] == {"df": 0} and found["apart"] == [["rdi", "rsi"]] and found["bounded"]
    assert found["pages"] == [
        {"access": "read", "at": "rsi", "stride": 1, "bytes": 1},
        {"access": "write", "at": "rdi", "stride": 1, "bytes": 1},
    ]
    assert "df = 0" in found["sentence"] and "rdi does not overlap rsi" in found["sentence"]


def test_a_loop_in_place_needs_nothing_apart_and_a_serial_one_has_an_order():
    in_place, serial = contract(compiled_loop("xor", "-O1")), contract(CRC32)
    assert in_place["apart"] == [] and "any order" not in in_place["sentence"]
    assert (
        serial["apart"] is None
        and {"access": "read", "at": "where data say", "stride": None, "bytes": 4} in serial["pages"]
    )


def test_rounds_are_those_until_a_counter_compares_with_zero():
    # add eax, edi; sub edi, 3; jnz head
    (rounds,) = contract(machine_loop("01f8", "83ef03", "75f9"))["rounds"]
    assert rounds == {"start": "rdi - 3", "step": -3, "bits": 32, "until": "eq"}


def test_places_that_follow_a_narrow_counter_say_so():
    # mov eax, ecx; mov dl, [rsi + rax]; inc ecx; cmp ecx, edi; jne head
    found = contract(machine_loop("89c8", "8a1406", "ffc1", "39f9", "75f5"))
    assert found["narrow"] and found["pages"][0]["stride"] == 1
    assert not contract(CRC32)["narrow"]
