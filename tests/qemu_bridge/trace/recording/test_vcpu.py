"""What one vCPU brings to a frame: what is held back, what goes on into the next, why its window closed."""

import ctypes

import numpy as np
import pytest
from trace_producer import Event, event, record, split64, window_start, window_stop
from trace_program import LENGTHS, Program, record_words

from qemu_bridge.trace.file.block_stream import BlockEncoder
from qemu_bridge.trace.file.columns import Published
from qemu_bridge.trace.file.format import CHUNK, VCPU, Section
from qemu_bridge.trace.file.reader import TraceReader
from qemu_bridge.trace.file.records import NONE
from qemu_bridge.trace.recording.ring import BlockDictionary
from qemu_bridge.trace.recording.vcpu import VcpuFrame
from tcg_plugin.layout import ChunkHeader, Stop


@pytest.fixture
def vcpu():
    program, dictionary, encoder = Program(), BlockDictionary(), BlockEncoder()
    dictionary.add(np.frombuffer(program.records, np.uint8))
    encoder.reserve(dictionary.limit)
    return VcpuFrame(3, encoder, dictionary)


def take(vcpu, words, time_ns=5):
    header = ChunkHeader(time_ns=time_ns, words=len(words), vcpu=3, window=1)
    ring, tail = np.frombuffer(bytes(header) + np.array(words, "<u4").tobytes(), np.uint8).copy(), ctypes.c_uint64(7)
    chunks = Published(ring.ctypes.data, len(ring), 1, 7, 8, ctypes.addressof(tail), 3)
    ids = vcpu.take(chunks, 1 << 20, 1 << 20).tolist()
    assert chunks.next == tail.value == 8
    return ids


def sections(vcpu):
    return {content.kind: content for content in vcpu.contents()}


def row(vcpu):
    return sections(vcpu)[Section.VCPU].data.view(VCPU)[0]


def test_the_last_block_waits_for_its_successor(vcpu):
    assert take(vcpu, [*window_start(), 1, 2, 3]) == [1, 2, 3] and vcpu.waiting == 3
    vcpu.digest(final=False)
    assert (vcpu.blocks, vcpu.instructions, vcpu.waiting) == (2, 2 * len(LENGTHS), 1)
    assert row(vcpu)["following"] != NONE
    vcpu.digest(final=True)
    assert (vcpu.blocks, vcpu.instructions, vcpu.waiting) == (3, 3 * len(LENGTHS), 0)
    assert row(vcpu)["following"] == NONE


def test_what_is_held_back_goes_into_the_next_frame(vcpu):
    take(vcpu, [*window_start(root=0x5000), 1, 2, 3])
    vcpu.digest(final=False)
    vcpu.next_frame()
    assert (vcpu.first_block, vcpu.blocks, vcpu.waiting, vcpu.chunks) == (2, 0, 1, [])
    assert take(vcpu, [4, 5]) == [4, 5]
    vcpu.digest(final=True)
    found = row(vcpu)
    assert (found["first_block"], found["blocks"], found["root"]) == (2, 3, 0x5000)
    assert found["before_address"] == Program().address(2)


def test_each_chunk_has_its_header_and_its_first_block(vcpu):
    take(vcpu, [*window_start(), 1, 2], time_ns=9)
    take(vcpu, [3])
    chunks = sections(vcpu)[Section.CHUNKS].data
    assert chunks["first_block"].tolist() == [0, 2] and chunks["time_ns"].tolist() == [9, 5] == [vcpu.first_time_ns, 5]
    assert ctypes.sizeof(ChunkHeader) + 8 == CHUNK.itemsize


@pytest.mark.parametrize("reason", list(Stop))
def test_a_window_says_why_it_closed_until_the_next_one_opens(reason, vcpu):
    assert vcpu.stop is None
    words = window_stop()
    words[0] |= reason
    take(vcpu, [*window_start(), 1, *words])
    vcpu.digest(final=True)
    assert vcpu.stop is reason
    take(vcpu, [*window_start(), 2])
    vcpu.digest(final=True)
    assert vcpu.stop is None and vcpu.roots == [0, 0x1000, 0x1000]


def test_sections_of_accesses_are_there_only_if_there_are_any(vcpu):
    take(vcpu, [*window_start(), 1])
    vcpu.digest(final=True)
    assert not vcpu.accesses and Section.SHAPES not in sections(vcpu)
    take(vcpu, [2, 2 << 30 | 3 << 25, 0x1000])
    vcpu.digest(final=True)
    assert vcpu.accesses == 1 and vcpu.items > 1 and sections(vcpu)[Section.SHAPES].items == 1


def test_page_table_roots_and_homes_of_code_go_on_into_later_frames(tmp_path):
    program = Program(3)
    user = record(9, 0x400000, b"\xeb\xfe", [2], offset=0x7000, ring=3)
    program.records += user
    pieces = [
        window_start(root=0x5000),
        [9, *event(Event.PAGE_TABLE, *split64(0x6000)), *event(Event.CODE_PAGE, 7, *split64(0x7F0000)), 9, 9],
        [9, 9, 9],
        [9, 9, *window_stop()],
    ]
    with TraceReader(record_words(tmp_path, program, pieces, frame_blocks=2)) as trace:
        assert len(trace) > 2
        addresses = np.concatenate([blocks.addresses for blocks in trace.blocks()]).tolist()
        roots = np.concatenate([frame.roots() for frame in trace.frames()]).tolist()
        assert addresses == [0x400000] + [0x7F0000000] * 7
        assert roots == [0x5000] + [0x6000] * 7
