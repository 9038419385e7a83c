"""Frames: what was sent is received, however it is cut, and whatever stood before it."""

import base64
import itertools
import random
import struct

from hypothesis import given
from hypothesis import strategies as st

from gpu_hypervisor.channel.frames import (
    HEADER_BYTES,
    MOST_LINE,
    MOST_PAYLOAD,
    Decoder,
    Frame,
    Malformed,
    encode_frame,
)

u16, u64 = st.integers(0, (1 << 16) - 1), st.integers(0, (1 << 64) - 1)
frames = st.builds(Frame, u16, u64, u64, st.binary(max_size=600), u16)


@given(st.lists(frames, max_size=5), st.lists(st.integers(1, 700), min_size=1, max_size=5))
def test_frames_are_found_in_pieces_of_any_size(sent, sizes):
    stream, decoder, found, at = b"".join(map(encode_frame, sent)), Decoder(), [], 0
    for size in itertools.cycle(sizes):
        if at >= len(stream):
            break
        found += decoder.feed(stream[at : at + size])
        at += size
    assert found == sent


def test_the_longest_frame_is_one_line_that_fits():
    frame = Frame(0x100, (1 << 64) - 1, 7, bytes(MOST_PAYLOAD))
    line = encode_frame(frame)
    assert len(line) == MOST_LINE + 1 and line.count(b"\n") == 1
    assert list(Decoder().feed(line)) == [frame]


def test_a_line_is_base64_as_everybody_reads_it():
    line = encode_frame(Frame(0x107, 5, 1, b"xy"))
    assert base64.b64decode(line) == struct.pack("<HHIQQ", 1, 0x107, 2, 5, 1) + b"xy"


@given(st.binary(max_size=300), frames)
def test_a_frame_behind_what_a_killed_process_left_is_found(left, frame):
    found = list(Decoder().feed(left + b"\n" + encode_frame(frame)))
    assert found[-1] == frame
    assert all(isinstance(other, Malformed) for other in found[:-1]) or left


def test_lengths_that_lie_are_no_frames():
    for length in (0, 1, 3, 5, 4096, 4097, (1 << 32) - 1):
        line = base64.b64encode(struct.pack("<HHIQQ", 1, 0x100, length, 5, 1) + b"abcd") + b"\n"
        (found,) = Decoder().feed(line)
        assert isinstance(found, Malformed) and str(length) in found.reason


def test_a_stream_without_an_end_is_not_kept():
    decoder = Decoder()
    for _ in range(1000):
        assert not list(decoder.feed(b"A" * 65536))
    assert len(decoder._part) <= MOST_LINE
    first, second = decoder.feed(b"\n" + encode_frame(Frame(0x107, 1, 1, b"")))
    assert isinstance(first, Malformed) and isinstance(second, Frame)


def test_mutated_lines_are_frames_or_told_and_the_next_one_is_found():
    chance, decoder = random.Random(15), Decoder()
    good = Frame(0x100, 77, 3, bytes(range(200)))
    line = encode_frame(good)
    for _ in range(5000):
        bad = bytearray(line)
        for _ in range(chance.randint(1, 4)):
            bad[chance.randrange(len(bad))] = chance.randrange(256)
        found = list(decoder.feed(bytes(bad) + b"\n" + line))
        assert found[-1] == good and len(found) <= len(bad)
        for frame in found[:-1]:
            assert isinstance(frame, Malformed) or len(frame.payload) <= MOST_PAYLOAD - HEADER_BYTES
