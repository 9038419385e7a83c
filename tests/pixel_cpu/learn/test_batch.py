"""Learned loops over many inputs: each lane does with its own registers and memory what the lifted loop does by itself."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from x86_loops import CRC32, machine_loop, run

import pixel_cpu as px
from pixel_cpu.errors import TrapError, UsageError
from pixel_cpu.frontends.x86 import lift
from pixel_cpu.frontends.x86.registers import GENERAL
from pixel_cpu.learn.batch import Batch, Slices
from pixel_cpu.learn.loop_library import LearnedLoop
from pixel_cpu.learn.mine import GuestLoop

LANES = 70
MIXED = machine_loop("668b06", "668907", "8a4602", "884702", "4883c604", "4883c704", "ffc9", "75e8")
"""Two bytes and one of each four from rsi to rdi; dec ecx; jnz head."""
XOR = machine_loop("488b06", "483307", "488907", "4883c608", "4883c708", "ffc9", "75eb")
"""Eight bytes of rsi into those of rdi."""


def batch(code):
    lifted = lift(code, live_at=lambda _: GENERAL)
    size = len(code.instructions)
    found = GuestLoop(code.head, "", 0, "", 3, 0, 0, 0, 0.0, size, lifted.live_in, lifted.live_out, lifted=lifted)
    return Batch(LearnedLoop("loop", found))


@pytest.mark.parametrize(("code", "word"), [(MIXED, 1), (MIXED, 4), (XOR, 8)], ids=["bytes", "parts", "words"])
def test_lanes_with_memory_of_their_own_do_what_one_lane_does(code, word):
    chance = np.random.default_rng(word)
    given, into = (chance.integers(0, 256, (LANES, 72), np.uint8) for _ in range(2))
    rounds = chance.integers(1, 9, LANES).astype(np.uint32)
    slices = {"rsi": Slices(given, word), "rdi": Slices(into, word)}
    found = batch(code).run(slices, {"rcx": rounds, "rdi": 8, "rax": 1 << 40})
    assert slices["rsi"].rows().tobytes() == given.tobytes() and found.rounds.tolist() == (rounds - 1).tolist()
    after = slices["rdi"].rows()
    for lane in range(LANES):
        memory = given[lane].tobytes() + into[lane].tobytes()
        state = {"rsi": 0, "rdi": 72 + 8, "rcx": int(rounds[lane]), "rax": 1 << 40}
        (alone,), bytes_after, outcome = run(batch(code).loop.lifted, [state], memory)
        assert outcome.trap is None and bytes_after[72:] == after[lane].tobytes()
        assert alone["rsi"] == found.registers["rsi"][lane] and alone["rdi"] - 72 == found.registers["rdi"][lane]
        assert alone["next"] == found.next[lane] and alone["rcx"] == found.registers["rcx"][lane]


@pytest.mark.parametrize(("device", "kind"), [("cpu", np.uint32), ("reference", np.uint64)])
def test_a_checksum_of_many_messages_with_a_table_for_all(device, kind):
    chance = np.random.default_rng(1)
    messages = chance.integers(0, 256, (LANES, 37), np.uint8)
    sizes = chance.integers(0, 38, LANES).astype(np.uint64)
    start = np.full(LANES, 0xFFFFFFFF, kind)
    with px.Device(device) as opened:
        found = batch(CRC32).run(
            {"rsi": Slices(messages), "rcx": crc_table().view(np.uint8)},
            {"rax": start, "rdx": sizes, "rdi": 0},
            device=opened,
        )
    expected = [zlib.crc32(row[:size].tobytes()) for row, size in zip(messages, sizes.tolist(), strict=True)]
    assert (found.registers["rax"] ^ 0xFFFFFFFF).tolist() == expected and found.rounds.tolist() == sizes.tolist()


def crc_table():
    found = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        found = np.where(found & 1, found >> 1 ^ np.uint32(0xEDB88320), found >> 1).astype(np.uint32)
    return found


def test_rounds_are_limited_and_go_on_where_they_stopped():
    messages = np.arange(LANES * 16, dtype=np.uint8).reshape(LANES, 16)
    crc, memory = batch(CRC32), {"rsi": Slices(messages), "rcx": crc_table().view(np.uint8)}
    first = crc.run(memory, {"rax": 0xFFFFFFFF, "rdx": 16, "rdi": 0}, rounds=5)
    assert set(first.next.tolist()) == {CRC32.head} and set(first.rounds.tolist()) == {5}
    rest = crc.run(memory, {"rdx": 16, "rdi": 0, "rsi": first.registers["rsi"], "rax": first.registers["rax"]})
    assert (rest.registers["rax"] ^ 0xFFFFFFFF).tolist() == [zlib.crc32(row.tobytes()) for row in messages]


def test_what_a_lane_may_not_touch_is_a_trap():
    crc, memory = batch(CRC32), {"rsi": Slices(np.zeros((2, 8), np.uint8)), "rcx": crc_table().view(np.uint8)}
    with pytest.raises(TrapError, match="outside of the memory of rsi"):
        crc.run(memory, {"rax": 0, "rdx": 9, "rdi": 0})
    with pytest.raises(TrapError, match="outside of the memory of rcx, or over the end of a word"):
        crc.run(memory, {"rax": 0, "rdx": 4, "rdi": 0, "rcx": 1})
    with pytest.raises(TrapError, match="outside of the memory of rsi, or over"):
        batch(XOR).run(
            {name: Slices(np.zeros((2, 24), np.uint8)) for name in ("rsi", "rdi")}, {"rcx": 1, "rsi": 2, "rax": 0}
        )


def test_what_is_missing_or_does_not_fit_is_said():
    crc, memory = batch(CRC32), {"rsi": Slices(np.zeros((2, 8), np.uint8)), "rcx": crc_table().view(np.uint8)}
    with pytest.raises(UsageError, match="needs rdx, rdi"):
        crc.run(memory, {"rax": 0})
    with pytest.raises(UsageError, match="2, 3 lanes"):
        crc.run(memory, {"rax": np.zeros(3, np.uint32), "rdx": 8, "rdi": 0})
    with pytest.raises(UsageError, match="follows from no register"):
        crc.run({"rsi": memory["rsi"]}, {"rax": 0, "rdx": 8, "rdi": 0, "rcx": 0})
    with pytest.raises(UsageError, match="writes to the memory of rdi"):
        batch(XOR).run({"rsi": memory["rsi"], "rdi": np.zeros(8, np.uint8)}, {"rcx": 1, "rax": 0})
    with pytest.raises(UsageError, match="words of 1, 4 or 8"):
        Slices(np.zeros(8, np.uint8))


def test_interleaved_slices_come_back_as_they_were():
    rows = np.random.default_rng(0).integers(0, 256, (LANES, 13), np.uint8)
    for word in (1, 4, 8):
        assert np.array_equal(Slices(rows, word).rows(), rows)
