"""The consumer's side of the rings: order, freeing, the dictionary's wrap."""

import numpy as np
import pytest
from trace_producer import ChunkFlag, Producer, record

from qemu_bridge.errors import TraceError
from qemu_bridge.trace.file.access_stream import AccessEncoder
from qemu_bridge.trace.file.columns import Columns
from qemu_bridge.trace.recording.ring import RingReader
from tcg_plugin.layout import ChunkHeader


@pytest.fixture
def producer(tmp_path):
    found = Producer(tmp_path, vcpus=2, chunk_bytes=1024, chunks=4)
    yield found
    found.close()


def test_chunks_come_in_order_and_each_is_freed_when_the_next_is_asked_for(producer):
    rings = RingReader(producer.control)
    for number in range(3):
        producer.put([number, 7], vcpu=1)
    tails = []
    for header, words in rings.take():
        assert (header.vcpu, header.words) == (1, 2) and words.tolist() == [len(tails), 7]
        tails.append(int(producer.control.vcpus[1].tail))
    assert tails == [0, 1, 2] and rings.is_empty()
    rings.close()


def test_nothing_is_empty_while_a_record_of_the_dictionary_waits(producer):
    rings = RingReader(producer.control)
    producer.publish(record(1, 0x1000, bytes(3), [3]))
    assert not rings.is_empty()
    assert list(rings.take()) == [] and rings.is_empty()
    rings.close()


def test_rings_go_round(producer):
    rings, found = RingReader(producer.control), []
    for number in range(50):
        producer.put([number])
        found += [int(words[0]) for _, words in rings.take()]
    assert found == list(range(50))
    rings.close()


def test_the_dictionary_goes_round_and_keeps_every_record(producer):
    rings, told = RingReader(producer.control), {}
    for number in range(1, 5000):
        told[number] = record(number, 0x1000 * number, bytes(300), [15] * 20)
        producer.publish(told[number])
        if number % 100 == 0:
            list(rings.take())
    list(rings.take())
    assert producer.control.dictionary.head > producer.control.block.dictionary_bytes
    ids = np.array([4999, 1, 2500], np.uint32)
    assert rings.dictionary.blob(ids).tobytes() == b"".join(told[number] for number in ids.tolist())
    assert rings.dictionary.ids_at(0x1000 * 77).tolist() == [77] and rings.dictionary.find(9).address == 0x9000
    assert rings.dictionary.find(5000) is None
    with pytest.raises(TraceError, match="no record of block"):
        rings.dictionary.blob(np.array([0], np.uint32))
    rings.close()


def test_asking_for_what_is_not_full_raises_the_flush_word(producer):
    rings = RingReader(producer.control)
    before = producer.control.block.flush
    rings.flush()
    assert producer.control.block.flush == before + 1
    rings.close()


def test_published_chunks_are_split_and_freed_up_to_a_full_frame_or_the_end_of_a_window(producer):
    rings, columns, accesses = RingReader(producer.control), Columns(4096), AccessEncoder()
    accesses.reserve(100)
    load = 2 << 30 | 3 << 25
    for words in ([1, 2, 3], [4, load, 0x10], [5, load, 0x10]):
        producer.put(words)

    def take(most_ids, most_accesses):
        chunks = rings.published()[0]
        taken = columns.split_chunks(chunks, accesses, first_block=50, most_ids=most_ids, most_accesses=most_accesses)
        assert chunks.next == producer.control.vcpus[0].tail
        return taken["sequence"].tolist(), taken["first_block"].tolist()

    assert take(3, 9) == ([0], [50])
    assert take(9, 1) == ([1], [53])
    producer.put([6], flags=ChunkFlag.LAST)
    producer.put([7])
    assert take(99, 99) == ([2, 3], [54, 55])
    assert take(99, 99) == ([4], [56]) and rings.is_empty()
    assert columns.ids[: columns.id_count].tolist() == [1, 2, 3, 4, 5, 6, 7] and accesses.count == 2
    rings.close()


@pytest.mark.parametrize("damage", ["words", "vcpu"])
def test_a_damaged_chunk_is_refused_and_those_before_it_are_kept(producer, damage):
    rings, columns, accesses = RingReader(producer.control), Columns(4096), AccessEncoder()
    accesses.reserve(100)
    producer.put([1, 2])
    producer.put([3])
    place = int(producer.control.block.rings_offset) + producer.chunk_bytes
    setattr(ChunkHeader.from_buffer(producer.control.mapping, place), damage, 1 << 20)
    with pytest.raises(TraceError, match="header"):
        columns.split_chunks(rings.published()[0], accesses, first_block=0, most_ids=99, most_accesses=99)
    assert columns.ids[: columns.id_count].tolist() == [1, 2] and rings.is_empty()
    rings.close()
