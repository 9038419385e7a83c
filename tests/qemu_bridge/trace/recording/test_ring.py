"""The consumer's side of the rings: order, freeing, the dictionary's wrap."""

import numpy as np
import pytest
from trace_producer import Producer, record

from qemu_bridge.errors import TraceError
from qemu_bridge.trace.recording.ring import RingReader


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
