"""Lifted loops: what they compute, where they end, what they take and give, what is refused."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from x86_loops import CRC32, HEAD, SUM_OF_SQUARES, machine_loop, run

from pixel_cpu.backends import lane_c, reference
from pixel_cpu.backends.launch import Launch, check
from pixel_cpu.errors import LiftError
from pixel_cpu.frontends.x86 import LoopExit, MachineLoop, lift
from pixel_cpu.ir.model import walk
from pixel_cpu.ir.text import read, write


def test_a_lifted_checksum_is_zlibs():
    random = np.random.default_rng(5)
    text = random.integers(0, 256, 200, np.uint8).tobytes()
    lifted = lift(CRC32)
    memory = np.array([table_entry(byte) for byte in range(256)], np.uint32).tobytes() + text
    spans = [(0, 200), (100, 101), (7, 7), (33, 190)]
    starts = [{"rcx": 0, "rsi": 1024 + first, "rdx": 1024 + last, "rax": 0xFFFFFFFF} for first, last in spans]
    for make in (reference.compile_kernel, lane_c.compile_kernel):
        found, after, outcome = run(lifted, starts, memory, make=make)
        assert outcome.trap is None and after == memory
        assert [row["rax"] ^ 0xFFFFFFFF for row in found] == [zlib.crc32(text[first:last]) for first, last in spans]
        assert [row["rounds"] for row in found] == [last - first for first, last in spans]
        assert {row["next"] for row in found} == {HEAD + 0x19}


def table_entry(byte):
    for _ in range(8):
        byte = byte >> 1 ^ (0xEDB88320 if byte & 1 else 0)
    return byte


def test_a_loop_takes_what_it_reads_and_gives_what_it_changes():
    lifted = lift(CRC32, live_at=lambda _: ("rax", "rbx"))
    assert lifted.live_in == ("rax", "rcx", "rdx", "rsi", "rdi")
    assert lifted.live_out == ("rax", "rsi", "rdi")
    assert lifted.exits == (LoopExit(HEAD + 0x19),) and lifted.refused == ()


def test_flags_that_nobody_reads_are_not_computed():
    lean, full = (lift(SUM_OF_SQUARES, live_at=live) for live in (lambda _: ("rax",), None))
    names = [{op.name for op in walk(lifted.module.functions["loop"].body)} for lifted in (lean, full)]
    assert "popcount" not in names[0] and "lt" not in names[0] and {"popcount", "lt"} <= names[1]
    assert lean.live_out == ("rax", "rdi") and {"cf", "zf", "of", "rsi"} <= set(full.live_out)


def test_a_limit_stops_at_the_head_after_whole_rounds():
    lifted = lift(SUM_OF_SQUARES)
    (row,), _, _ = run(lifted, [{"rdi": 10}], limit=4)
    assert (row["rounds"], row["next"], row["rdi"], row["rax"]) == (4, HEAD, 6, 100 + 81 + 64 + 49)
    (row,), _, _ = run(lifted, [{"rdi": 10, "rax": 1 << 40}], limit=0)
    assert (row["rounds"], row["next"], row["rdi"], row["rax"]) == (0, HEAD, 10, 1 << 40)
    (row,), _, _ = run(lifted, [{"rdi": 10}])
    # The last time through is no whole round.
    assert (row["rounds"], row["next"], row["rax"]) == (9, HEAD + 11, 385)


def test_each_round_burns_fuel():
    _, _, outcome = run(lift(SUM_OF_SQUARES), [{"rdi": 10}], fuel=3)
    assert outcome.trap.reason == "out of fuel"


def test_an_access_outside_of_memory_traps_at_its_instruction():
    lifted = lift(CRC32)
    _, _, outcome = run(lifted, [{"rsi": 5000, "rdx": 6000}], bytes(1024))
    assert lifted.lines[outcome.trap.line - 1] == HEAD + 5 and "memory" in outcome.trap.reason


def test_a_loop_runs_wherever_it_is_mapped():
    # lea rdx, [rip + 0xf9]; mov eax, [rdx]; dec ecx; jnz head
    lifted = lift(machine_loop("488d15f9000000", "8b02", "ffc9", "75f3"))
    memory = bytearray(0x1000)
    memory[0x400:0x404] = b"\x01\x02\x03\x04"
    columns = lifted.columns
    state = np.zeros(2 + len(columns), np.uint64)
    head = 0x7F0000000300
    state[:2] = [1 << 40, -0x7F0000000000 % (1 << 64)]
    state[2 + columns.index("rcx")] = 3
    buffers = {"memory": np.frombuffer(bytes(memory), np.uint8).copy(), "state": state}
    launch = check(lifted.module.kernels["batch"], Launch(1, 32, {"head": head}, buffers))
    reference.compile_kernel(lifted.module, "batch").run(launch)
    assert int(state[1]) == head + 13 and int(state[2 + columns.index("rax")]) == 0x04030201


def test_an_instruction_that_is_not_lifted_is_an_exit_in_front_of_it():
    # test al, al; je +2; cpuid; dec ecx; jnz head
    lifted = lift(machine_loop("84c0", "7402", "0fa2", "ffc9", "75f6"))
    assert [(exit_.address, bool(exit_.refused)) for exit_ in lifted.exits] == [(HEAD + 4, True), (HEAD + 10, False)]
    ((place, reason),) = lifted.refused
    assert place.text == "cpuid" and "cpuid" in reason
    (row,), _, _ = run(lifted, [{"rax": 1, "rcx": 5}])
    assert (row["next"], row["rcx"], row["rounds"]) == (HEAD + 4, 5, 0)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (("f0ff06", "75fb"), "atomic"),
        (("0faef0", "75fb"), "orders memory"),
        (("f3 90", "75fc"), "waits"),
        (("8706", "75fc"), "orders memory"),
        (("9f", "75fd"), "af"),
        (("f20f58c1", "75fa"), "FLOAT_ADD"),
        (("0f0b", "75fc"), "p-code"),
        (("01f8", "c3"), "no way leads back"),
    ],
)
def test_what_is_not_lifted_says_why(code, reason):
    with pytest.raises(LiftError, match=reason):
        lift(machine_loop(*code))


def test_a_loop_that_is_entered_in_its_middle_is_refused():
    # jz +2; dec ecx; dec edx; jnz -4; jnz head
    with pytest.raises(LiftError, match="irreducible"):
        lift(machine_loop("7402", "ffc9", "ffca", "75fa", "75f6"))


def test_a_loop_calls_a_function_and_comes_back():
    # head: call f; dec ecx; jnz head; jmp out; f: add eax, 3; ret
    code = {0: "e802000000", 5: "eb05", 7: "83c003", 10: "c3", 12: "ffc9", 14: "75f0"}
    loop = MachineLoop(HEAD, {HEAD + at: bytes.fromhex(text) for at, text in code.items()}, {HEAD + 10: (HEAD + 5,)})
    (row,), memory, _ = run(lift(loop), [{"rcx": 4, "rsp": 64}], bytes(64))
    assert row["rax"] == 12 and row["rsp"] == 64 and row["next"] == HEAD + 16
    assert int.from_bytes(memory[56:], "little") == HEAD + 5


def test_a_return_to_elsewhere_leaves_the_loop():
    lifted = lift(machine_loop("ffc9", "c3", indirect={HEAD + 2: (HEAD,)}))
    for target, following in ((HEAD, HEAD), (0x1234, 0x1234)):
        (row,), _, _ = run(lifted, [{"rcx": 4, "rsp": 8}], bytes(8) + target.to_bytes(8, "little"), limit=1)
        assert (row["next"], row["rcx"], row["rsp"]) == (following, 3, 16)


def test_nested_loops_and_repeated_instructions():
    # head: mov ecx, 5; inner: add eax, ecx; loop inner; mov ecx, 3; rep stosb; dec edx; jnz head
    lifted = lift(machine_loop("b905000000", "01c8", "e2fc", "b903000000", "f3aa", "ffca", "75ec"), assumed={"df": 0})
    (row,), memory, _ = run(lifted, [{"rdx": 4, "rdi": 2}], bytes(16))
    assert row["rdi"] == 14 and row["rdx"] == 0 and row["rcx"] == 0
    totals = [15, 30, 45, 60]
    assert memory == bytes(2) + b"".join(bytes([total] * 3) for total in totals) + bytes(2)
    assert row["rax"] == 60 and "df" not in lifted.live_in and lifted.assumed == {"df": 0}


def test_a_conditional_move_is_a_selection():
    # cmp rdx, [rsi]; cmovb rdx, [rsi]; add rsi, 8; dec ecx; jnz head
    lifted = lift(machine_loop("483b16", "480f4216", "4883c608", "ffc9", "75f1"))
    body = lifted.module.functions["loop"].body
    assert any(op.name == "select" for op in walk(body)) and not any(op.name == "block" for op in walk(body))
    numbers = [7, 1 << 63, 5, 1 << 62]
    memory = b"".join(number.to_bytes(8, "little") for number in numbers)
    (row,), _, _ = run(lifted, [{"rcx": 4}], memory)
    assert row["rdx"] == max(numbers)


def test_a_lifted_module_has_a_text_form():
    module = lift(CRC32).module
    assert write(read(write(module))) == write(module)
    assert module.source.splitlines()[2].split("  ")[1].startswith("mov dil")
