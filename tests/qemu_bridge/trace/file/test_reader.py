"""Traces as arrays: what a reader hands out, and that it holds one frame at a time."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from trace_producer import record, window_start, window_stop
from trace_program import LENGTHS, Program, pieces_of, record_words

from qemu_bridge.errors import UsageError
from qemu_bridge.trace.file.reader import TraceReader

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(scope="module")
def program():
    return Program()


@pytest.fixture
def trace(program, tmp_path):
    """A trace of 5000 blocks in several frames; `ids` are the truth."""
    ids = program.walk(5000)
    with TraceReader(record_words(tmp_path, program, pieces_of(ids), 1000)) as found:
        found.truth = ids
        yield found


def test_info_adds_up_without_reading_a_frame(trace):
    info = trace.info
    assert (info.blocks, info.instructions) == (5000, 5000 * len(LENGTHS)) and info.frames == len(trace) > 3
    assert info.is_complete and info.summary["lost_chunks"] == 0 and not info.is_filtered


def test_frames_stand_on_their_own_in_any_order(trace):
    found = {}
    for number in reversed(range(len(trace))):
        blocks = trace.frame(number).blocks()
        found[blocks.first_block] = blocks.ids
        assert blocks.first_instruction == blocks.first_block * len(LENGTHS)
    assert np.array_equal(np.concatenate([found[first] for first in sorted(found)]), trace.truth)


def test_the_dictionary_has_every_block_once_with_its_code(trace, program):
    table = trace.dictionary
    assert table.ids.tolist() == sorted(set(trace.truth.tolist()))
    for number, block_id in enumerate(table.ids.tolist()):
        assert table.addresses[number] == program.address(block_id)
        assert table.lengths(number).tolist() == LENGTHS and table.code(number)[:10] == b"\x90" * 10
        assert table.record(number) in program.records


def test_an_instruction_is_found_in_its_frame(trace):
    for wanted in (0, 12345, trace.info.instructions - 1):
        blocks = trace.frame(trace.find_frame(wanted)).blocks()
        assert 0 <= wanted - blocks.first_instruction < blocks.instructions.sum()


def test_what_is_not_there_is_told(trace):
    for ask in (lambda: trace.frame(99), lambda: trace.blocks(1), lambda: trace.frame(-1)):
        with pytest.raises(UsageError, match="give one"):
            ask()


SMALL = """
import resource, sys
sys.path[:0] = [{root!r}]
from pathlib import Path
from qemu_bridge.trace.file.reader import TraceReader
from qemu_bridge.trace.analysis.check import check_trace
trace = TraceReader(Path({path!r}))
next(trace.blocks())
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
report = check_trace(trace)
print(report.blocks, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base)
"""


def test_a_trace_far_larger_than_the_memory_it_takes_is_read_and_checked(tmp_path):
    loop = Program(3)
    loop.records = record(1, 0x1000, b"\x90" * 10, [1] * 10) + record(2, 0x100A, b"\xeb\xf4", [2])
    piece = np.tile(np.array([1, 2], np.uint32), 2000)
    pieces = [window_start(), *[piece] * 6000, window_stop()]
    path = record_words(tmp_path, loop, pieces, frame_blocks=1 << 18)
    text = SMALL.format(root=str(ROOT), path=str(path))
    answer = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True, timeout=120)
    blocks, grown_kib = map(int, answer.stdout.split())
    # 24 M blocks would take 340 MB as ids, addresses and counts.
    assert blocks == 24_000_000 and grown_kib < 40_000
    assert path.stat().st_size < blocks / 50
