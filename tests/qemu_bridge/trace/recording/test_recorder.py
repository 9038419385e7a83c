"""Rings in, file out: what went into the rings comes out of the file, whatever the chunks and the frames."""

import os

import numpy as np
import pytest
from trace_consumer import begun_instructions
from trace_producer import ChunkFlag, Event, Producer, event, split64, window_start, window_stop
from trace_program import BASE, LENGTHS, Program, pieces_of, record_words

from qemu_bridge.errors import TraceError
from qemu_bridge.trace.analysis.check import check_trace
from qemu_bridge.trace.file.reader import TraceReader
from qemu_bridge.trace.recording.recorder import Recorder
from tcg_plugin.layout import ChunkHeader

STORE = 2 << 30 | 1 << 29 | 1 << 28 | 3 << 25


@pytest.fixture(scope="module")
def program():
    return Program()


def ids_of(trace, vcpu=0):
    return np.concatenate([blocks.ids for blocks in trace.blocks(vcpu)])


def is_sound(trace):
    report = check_trace(trace)
    assert report.is_sound, report.findings[:3]
    return report


@pytest.mark.parametrize("frame_blocks", [1, 900, 1 << 20])
@pytest.mark.parametrize("size", [1, 37, 3000])
def test_blocks_come_back_whatever_the_chunks_and_the_frames(program, tmp_path, size, frame_blocks):
    ids = program.walk(600 if size == 1 else 5000)
    with TraceReader(record_words(tmp_path, program, pieces_of(ids, size), frame_blocks)) as trace:
        assert np.array_equal(ids_of(trace), ids)
        addresses = np.concatenate([blocks.addresses for blocks in trace.blocks()])
        assert np.array_equal(addresses, np.uint64(BASE) + (ids - 1).astype(np.uint64) * np.uint64(16))
        assert trace.info.instructions == len(ids) * len(LENGTHS) == is_sound(trace).instructions
        assert trace.info.summary["blocks"] == len(ids)


def test_what_is_cut_at_the_edge_of_a_chunk_or_a_frame_is_counted_as_the_plain_rule_does(program, tmp_path):
    random = np.random.default_rng(9)
    ids = program.walk(3000).tolist()
    pieces, words = [window_start()], []
    for block_id in ids:
        words.append(block_id)
        if random.random() < 0.2:
            place = program.address(block_id) + int(random.integers(0, 10))
            words += event(Event.EXCEPTION, *split64(place), 0, 0, small=int(random.choice([13, 14, 236])))
        if random.random() < 0.1:
            words += event(Event.IO_DONE, *split64(program.address(block_id) + 4))
        if random.random() < 0.05:
            pieces, words = [*pieces, words], []
    pieces.append(words + window_stop())
    blocks = plain_blocks(program)
    truth = begun_instructions(np.array([word for piece in pieces for word in piece], np.uint32), blocks)
    totals = set()
    for frame_blocks in (1, 10, 1 << 20):
        path = record_words(tmp_path / str(frame_blocks), program, pieces, frame_blocks)
        with TraceReader(path) as trace:
            totals.add(trace.info.instructions)
            assert sum(int(blocks.instructions.sum()) for blocks in trace.blocks()) == trace.info.instructions
    assert totals == {truth}


def plain_blocks(program):
    from trace_consumer import Block

    return {
        number: Block(number, program.address(number), 2**64 - 1, 2**64 - 1, 0, 64, 0, bytes(LENGTHS), bytes(16))
        for number in range(1, program.count + 1)
    }


def test_accesses_and_their_values_belong_to_their_blocks_across_frames(program, tmp_path):
    random = np.random.default_rng(4)
    ids, pieces, truth = program.walk(2000), [window_start()], []
    for part in np.array_split(ids, 40):
        words = []
        for block_id in part.tolist():
            words.append(block_id)
            for place in range(int(random.integers(0, 3))):
                where, value = 0xFFFF888000000000 + int(random.integers(0, 1 << 30)), int(random.integers(0, 1 << 62))
                words += [STORE | place << 16 | where >> 32 & 0xFFFF, where & 0xFFFFFFFF, *split64(value)]
                truth.append((len(ids[: len(pieces)]), block_id, place, where, value))
        pieces.append(words)
    pieces.append(window_stop())
    with TraceReader(record_words(tmp_path, program, pieces, frame_blocks=300)) as trace:
        found, every = [], ids_of(trace)
        for accesses in trace.memory():
            assert accesses.stores.all() and accesses.has_values.all() and (accesses.sizes == 8).all()
            assert not accesses.values[:, 1].any()
            columns = (
                every[accesses.blocks.astype(int)],
                accesses.instructions,
                accesses.addresses,
                accesses.values[:, 0],
            )
            found += list(zip(*(column.tolist() for column in columns), strict=True))
        assert found == [row[1:] for row in truth]
        assert trace.info.summary["accesses"] == len(truth) and len(trace) > 4


def test_each_vcpu_has_its_own_stream(program, tmp_path):
    streams = [program.walk(4000), program.walk(2500), program.walk(1)]
    path = record_words(tmp_path, program, [pieces_of(ids) for ids in streams], vcpus=3)
    with TraceReader(path) as trace:
        for vcpu, ids in enumerate(streams):
            assert np.array_equal(ids_of(trace, vcpu), ids)
        assert is_sound(trace).blocks == sum(map(len, streams))


def test_the_plugin_may_not_speak_of_blocks_that_it_never_told(program, tmp_path):
    for bad in ([301], [0x7FFFFFFF], [0]):
        folder = tmp_path / str(bad[0])
        with pytest.raises(TraceError):
            record_words(folder, program, [window_start(), [1, *bad], window_stop()])


@pytest.mark.parametrize("damage", ["words", "vcpu", "head", "dictionary"])
def test_a_damaged_shared_file_is_refused(program, tmp_path, damage):
    producer = Producer(tmp_path, chunk_bytes=4096, chunks=4)
    recorder = Recorder(producer.control, tmp_path / "trace.gbt", {})
    if damage == "head":
        producer.control.vcpus[0].head = 99
    elif damage == "dictionary":
        producer.publish(b"\xff" * 64)
    else:
        producer.put([1])
        place = int(producer.control.block.rings_offset)
        setattr(ChunkHeader.from_buffer(producer.control.mapping, place), damage, 1 << 20)
    with pytest.raises(TraceError):
        recorder.step()
    recorder.abandon()
    producer.close()


def test_a_recorder_knows_when_its_window_is_over_and_when_qemu_died(program, tmp_path):
    producer = Producer(tmp_path, chunk_bytes=4096, chunks=4)
    recorder = Recorder(producer.control, tmp_path / "trace.gbt", {})
    producer.put(window_start(), flags=ChunkFlag.FIRST)
    assert not recorder.is_over
    producer.control.block.plugin_pid = find_free_pid()
    assert not recorder.is_over, "a chunk is still there"
    assert recorder.step() == 1 and recorder.is_over
    recorder.finish()
    producer.close()


def find_free_pid():
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    return child


def test_a_recorder_sees_the_place_where_it_is_to_end(program, tmp_path):
    producer = Producer(tmp_path, chunk_bytes=4096, chunks=4)
    recorder = Recorder(producer.control, tmp_path / "trace.gbt", {}, until_address=program.address(5))
    producer.publish(program.records)
    for ids, reached in (([1, 2, 3], False), ([4, 5, 6], True), ([7], True)):
        producer.put(ids)
        recorder.step()
        assert recorder.has_reached is reached
    producer.end()
    recorder.finish()
    producer.close()
