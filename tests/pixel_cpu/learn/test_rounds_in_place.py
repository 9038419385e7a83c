"""What rounds in place take and give; what they do is tested with the libraries that are made of them (`test_native`)."""

import random

import pytest
from x86_loops import CRC32, HEAD, SUM_OF_SQUARES, machine_loop, run

from pixel_cpu.frontends.x86 import lift
from pixel_cpu.learn.rounds_in_place import Needed

# mov ecx, [rdi]; lea edx, [rcx + rax]; inc rdi; dec rsi; jnz head: ecx and edx are written before they are read.
TEMPORARIES = machine_loop("8b0f", "8d1401", "48ffc7", "48ffce", "75f3")


@pytest.mark.parametrize("code", [CRC32, SUM_OF_SQUARES, TEMPORARIES], ids=["crc32", "squares", "temporaries"])
def test_what_is_not_needed_changes_nothing_that_is_given(code):
    lifted, chance = lift(code), random.Random(1)
    needed = Needed(lifted.module.functions["loop"])
    assert needed.reads and {*needed.writes} <= {*needed.reads} | {*lifted.live_out}
    memory = chance.randbytes(1 << 12)
    for _ in range(20):
        state = {"rdi": 40, "rsi": 8, "rdx": 900, "rcx": 0x200, "rax": chance.getrandbits(32)}
        other = {name: chance.getrandbits(64) for name in lifted.columns if name not in needed.reads}
        (one, two), _, _ = run(
            lifted, [state, other | {name: state.get(name, 0) for name in needed.reads}], memory, limit=5
        )
        assert one["rounds"] == two["rounds"] == 5 and one["next"] == HEAD
        assert {name: one[name] for name in needed.writes} == {name: two[name] for name in needed.writes}


def test_temporaries_are_neither_taken_nor_given():
    needed = Needed(lift(TEMPORARIES).module.functions["loop"])
    assert not {"rcx", "rdx"} & {*needed.reads, *needed.writes} and {"rdi", "rsi"} <= {*needed.reads} & {*needed.writes}
