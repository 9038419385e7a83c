"""The C half of reading traces: round trips, oracles that nobody here wrote, hostile input; and its own tests in C."""

import subprocess
from pathlib import Path

import capstone
import numpy as np
import pytest
from trace_producer import Event, event, record, split64
from trace_program import Program

from qemu_bridge.errors import TraceError
from qemu_bridge.trace.file import codec
from qemu_bridge.trace.file.codec import NONE, Columns, EventList, Flow, Records
from tcg_plugin import layout
from tcg_plugin.build import SOURCES
from tcg_plugin.layout import BlockFlag

ROOT = Path(__file__).resolve().parents[4]
EMPTY = EventList(*(np.empty(0, np.uint32) for _ in range(3)))


def dictionary(*records):
    blob = np.frombuffer(b"".join(records), np.uint8).copy()
    offset, _, instructions = codec.index_records(blob)
    return Records(blob, offset, instructions)


def events(*items):
    """(position, words) pairs as an `EventList`."""
    at = np.array([position for position, _ in items], np.uint32)
    words = np.array([word for _, each in items for word in each], np.uint32)
    return EventList(at, codec.event_offsets(words), words)


def encode(parts, limit):
    encoder = codec.BlockEncoder()
    encoder.reserve(limit)
    stream = codec.BlockStream(encoder)
    for part in parts:
        stream.append(part)
    runs, misses = stream.finish()
    return runs, misses, encoder


def begun(records, blocks, found=EMPTY, following=NONE):
    out = np.empty(len(blocks), np.uint16)
    total = codec.begun_instructions(records, np.array(blocks, np.uint32), following, found, out=out)
    assert total == out.sum()
    return out.tolist()


def test_its_own_tests_in_c_pass_under_both_sanitizers(tmp_path):
    program = tmp_path / "codec_test"
    flags = ["-std=c11", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined"]
    sources = [
        ROOT / "tests/tcg_plugin/codec_test.c",
        *(ROOT / "tcg_plugin" / name for name in SOURCES["glassbox_codec"]),
    ]
    command = ["cc", *flags, "-fno-sanitize-recover=all", "-I", ROOT / "tcg_plugin", "-o", program, *sources]
    subprocess.run(command, check=True, timeout=120)
    subprocess.run([program, "20000"], check=True, timeout=120)


@pytest.mark.parametrize("bias", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("split", [1, 7, 5000])
def test_a_block_stream_comes_back_however_it_was_cut_into_chunks(bias, split):
    ids = Program().walk(5000, bias)
    runs, misses, encoder = encode([ids[start : start + split] for start in range(0, len(ids), split)], 301)
    numbers = codec.decode_blocks(runs, misses, encoder.count, len(ids))
    assert np.array_equal(encoder.order[numbers], ids)


def test_a_loop_costs_nothing():
    ids = np.tile(np.arange(1, 20, dtype=np.uint32), 10000)
    runs, misses, _ = encode([ids], 20)
    assert len(runs) + 4 * len(misses) < 150


def test_an_id_out_of_range_is_refused():
    for bad in (0, 1 << 20):
        with pytest.raises(TraceError):
            encode([np.array([1, bad], np.uint32)], 5)


def test_random_and_mutated_streams_are_refused_or_decode_to_blocks_in_range():
    random, program = np.random.default_rng(1), Program()
    runs, misses, encoder = encode([program.walk(3000)], 301)
    refused = 0
    for _ in range(3000):
        bad_runs, bad_misses = runs.copy(), misses.copy()
        for array in (bad_runs, bad_misses):
            for place in random.integers(0, len(array), random.integers(0, 3)):
                array[place] = random.integers(0, 256 if array.dtype == np.uint8 else 1 << 32)
        bad_runs = bad_runs[: random.integers(0, len(runs) + 1)] if random.random() < 0.3 else bad_runs
        try:
            numbers = codec.decode_blocks(bad_runs, bad_misses, encoder.count, int(random.integers(0, 4000)))
        except TraceError:
            refused += 1
        else:
            assert not len(numbers) or numbers.max() < encoder.count
    assert refused > 1000


def test_words_are_taken_apart_into_ids_events_and_accesses():
    address = 0xFFFF888000001234
    words = [
        *(7, event(layout.Event.SYSCALL, *split64(0x80000001))),
        *(
            8,
            2 << 30 | 1 << 29 | 1 << 28 | 3 << 25 | 5 << 16 | address >> 32 & 0xFFFF,
            address & 0xFFFFFFFF,
            0x11,
            0x22,
        ),
        *(2 << 30 | 0 << 25 | 6 << 16, 0x99, 9),
        event(Event.MEM_WIDE, 2 << 30 | 4 << 25 | 3 << 16, *split64(0x1234567890ABCDEF)),
    ]
    flat = np.array([w for part in words for w in (part if isinstance(part, list) else [part])], np.uint32)
    columns, accesses = Columns(len(flat)), codec.AccessEncoder()
    accesses.reserve(10)
    columns.split(flat, accesses)
    assert columns.ids[: columns.id_count].tolist() == [7, 8, 9]
    assert columns.event_count == 1 and columns.event_at[0] == 1
    assert columns.event_words[: columns.event_word_count].tolist()[1:] == split64(0x80000001)
    at, meta, addresses, values = decode(accesses, columns.ids[: columns.id_count], 10)
    assert at.tolist() == [2, 2, 3]
    assert addresses.tolist() == [address, 0x99, 0x1234567890ABCDEF]
    assert meta[0] == 1 << 13 | 1 << 12 | 3 << 9 | 5
    assert values.tolist() == [[0x22 << 32 | 0x11, 0], [0, 0], [0, 0]]


@pytest.mark.parametrize(
    "words", [[3 << 30 | 5 << 16], [2 << 30], [2 << 30 | 7 << 25, 0], [1, 2 << 30 | 1 << 28 | 4 << 25, 0, 0]]
)
def test_words_that_reach_beyond_a_chunk_are_refused_and_nothing_of_it_is_kept(words):
    columns, accesses = Columns(100), codec.AccessEncoder()
    accesses.reserve(10)
    with pytest.raises(TraceError):
        columns.split(np.array(words, np.uint32), accesses)
    assert (columns.id_count, columns.event_count, accesses.count) == (0, 0, 0)


def decode(accesses, blocks, limit, following=NONE):
    """What `accesses` holds of a frame whose dictionary numbers blocks by their ids."""
    return codec.decode_accesses(accesses.finish(), np.asarray(blocks, np.uint32), following, limit, accesses.count)


def strided(rounds, value=None):
    """Words of a loop of one block that loads from a table, and stores what it counts."""
    words = []
    for i in range(rounds):
        store = [2 << 30 | 1 << 29 | 3 << 25 | 4 << 16, 0x5000]
        if value is not None:
            store = [store[0] | 1 << 28, 0x5000, i * value, 0]
        words += [3, 2 << 30 | 3 << 25 | 1 << 16, 0x1000 + 8 * i, *store]
    return np.array(words, np.uint32)


@pytest.mark.parametrize("value", [None, 1, 3])
def test_a_loop_whose_accesses_are_foretold_costs_a_few_bytes_in_all(value):
    accesses = codec.AccessEncoder()
    accesses.reserve(10)
    Columns(1 << 16).split(strided(10_000, value), accesses)
    at, _meta, addresses, values = decode(accesses, np.full(10_000, 3), 10)
    assert np.array_equal(at, np.repeat(np.arange(1, 10_001), 2))
    assert np.array_equal(addresses[::2], 0x1000 + 8 * np.arange(10_000))
    assert np.array_equal(values[1::2, 0], np.arange(10_000) * (value or 0))
    assert sum(stream.nbytes for stream in accesses.finish()) < 80


def test_a_group_of_any_length_comes_back_and_so_does_what_came_before_the_first_block():
    loads = [[2 << 30 | 2 << 25, 0x100 + 4 * i] for i in range(1000)]
    sizes = (3, 255, 256, 257, 1000, 0, 512)
    words = [word for load in loads[:2] for word in load]
    for size in sizes:
        words += [1, *(word for load in loads[:size] for word in load)]
    accesses = codec.AccessEncoder()
    accesses.reserve(2)
    Columns(1 << 14).split(np.array(words, np.uint32), accesses)
    at, _, addresses, _ = decode(accesses, np.ones(len(sizes) - 1), 2, following=1)
    assert np.array_equal(np.bincount(at), [2, *sizes])
    assert np.array_equal(addresses[-512:], 0x100 + 4 * np.arange(512))


def test_streams_of_accesses_that_are_cut_or_longer_or_of_other_blocks_are_refused():
    accesses = codec.AccessEncoder()
    accesses.reserve(10)
    Columns(1 << 12).split(strided(200, 3), accesses)
    good, blocks = accesses.finish(), np.full(200, 3, np.uint32)
    for name, stream in good._asdict().items():
        for bad in (stream[:-1], np.append(stream, stream.dtype.type(0))):
            with pytest.raises(TraceError):
                codec.decode_accesses(good._replace(**{name: bad}), blocks, NONE, 10, accesses.count)
    for arguments in (
        (blocks[:-1], NONE, 10, 400),
        (blocks, NONE, 10, 399),
        (blocks, NONE, 10, 401),
        (blocks, 3, 10, 400),
    ):
        with pytest.raises(TraceError):
            codec.decode_accesses(good, *arguments)
    with pytest.raises(TraceError):
        codec.decode_accesses(good, blocks, NONE, 3, 400)


def test_ascending_numbers_come_back():
    numbers = np.sort(np.random.default_rng(3).integers(0, 2001, 5000)).astype(np.uint32)
    coded = np.frombuffer(codec.encode_ascending(numbers), np.uint8)
    assert np.array_equal(codec.decode_ascending(coded, len(numbers), 2001), numbers)
    with pytest.raises(TraceError):
        codec.decode_ascending(coded, len(numbers), int(numbers[-1]) - 1)


def test_damaged_records_are_refused():
    good = record(1, 0x1000, b"\x90\x90", [1, 1])
    for place, value in ((0, 200), (0, 0), (32, 9), (34, 9), (40, 2), (7, 0x80)):
        bad = bytearray(good)
        bad[place] = value
        with pytest.raises(TraceError):
            codec.index_records(np.frombuffer(bytes(bad), np.uint8))
    with pytest.raises(TraceError):
        codec.index_records(np.frombuffer(good[:-8], np.uint8))


CODE = [1, 2, 3, 4]
"""Lengths of a block at 0x1000: instructions at 0x1000, 0x1001, 0x1003, 0x1006; it ends at 0x100a."""


@pytest.fixture
def cut():
    nops = b"\x90" * 10
    return dictionary(
        record(1, 0x1000, nops, CODE),
        record(2, 0x1003, b"\x90\x90\x90", [3]),
        record(3, 0x5000, b"\x90", [1]),
        record(4, 0x1000, nops, CODE, flags=BlockFlag.MARKED),
    )


def test_a_block_begins_all_its_instructions_unless_something_says_not(cut):
    assert begun(cut, [0, 2, 0]) == [4, 1, 4]


def test_a_fault_cuts_behind_the_instruction_that_could_not_be_finished(cut):
    found = events((1, event(Event.EXCEPTION, *split64(0x1001), 0, 0, small=14)))
    assert begun(cut, [0, 2], found) == [2, 1]


def test_a_fault_of_the_fetch_and_an_interrupt_cut_nothing(cut):
    fetch = events((1, event(Event.EXCEPTION, *split64(0x1001), 16, 0, small=14)))
    timer = events((1, event(Event.EXCEPTION, *split64(0x1000), 0, 0, small=236)))
    assert begun(cut, [0, 2], fetch) == begun(cut, [0, 2], timer) == [4, 1]


def test_an_instruction_that_ran_alone_is_the_last_of_its_block(cut):
    assert begun(cut, [0, 2], events((1, event(Event.IO_DONE, *split64(0x1003))))) == [3, 1]


def test_a_block_of_one_instruction_inside_the_one_before_cuts_it_unless_that_ran_to_its_end(cut):
    assert begun(cut, [0, 1, 2]) == [3, 1, 1]
    assert begun(cut, [0, 2], following=1) == [4, 1]
    assert begun(cut, [0], following=1) == [3]
    assert begun(cut, [3, 1], events((1, event(Event.BLOCK_END)))) == [4, 1]


def test_user_code_runs_where_the_last_word_says_its_page_is():
    records = dictionary(
        record(1, 0x400010, b"\x90", [1], offset=0x7010, ring=3),
        record(2, 0xFFFF0, b"\x90", [1], offset=0x7020, ring=0),
    )
    slots, pages = np.array([0, NONE], np.uint32), np.array([7], np.uint32)
    moved = events((2, event(Event.CODE_PAGE, 7, *split64(0x7FFF1))))
    homes = np.array([layout.NO_OFFSET], np.uint64)
    found = codec.block_addresses(records, slots, pages, homes, np.array([0, 1, 0], np.uint32), moved)
    assert [hex(each) for each in found.tolist()] == ["0x400010", "0xffff0", "0x7fff1010"]
    assert homes.tolist() == [0x7FFF1]


FORMS = [
    *(
        "74 05",
        "0f 84 01 02 03 04",
        "e2 fe",
        "e3 10",
        "eb 80",
        "e9 ff ff ff ff",
        "e8 00 01 00 00",
        "c3",
        "c2 08 00",
        "cf",
    ),
    *(
        "ff d0",
        "ff e0",
        "ff 25 00 00 00 00",
        "ff c0",
        "0f 05",
        "48 0f 07",
        "0f 22 d8",
        "f3 a4",
        "f3 48 ab",
        "f2 ae",
        "a4",
    ),
    *("90", "f4", "cc", "cd 80", "f3 c3", "f2 e9 00 00 00 00", "3e 75 7f", "48 8b 05 00 00 00 00", "41 ff e3", "ff 18"),
]


@pytest.mark.parametrize("form", FORMS)
def test_endings_agree_with_capstone(form):
    code = bytes.fromhex(form)
    decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    decoder.detail = True
    (insn,) = decoder.disasm(code, 0x10000)
    ending = dictionary(record(1, 0x10000, code, [len(code)])).endings()[0]
    groups, direct = set(insn.groups), bool(insn.operands) and insn.operands[0].type == capstone.x86.X86_OP_IMM
    jumps = {capstone.CS_GRP_JUMP, capstone.CS_GRP_CALL, capstone.CS_GRP_BRANCH_RELATIVE} & groups
    if jumps and direct and capstone.CS_GRP_INT not in groups:
        unconditional = insn.mnemonic.split()[-1] in ("jmp", "call")
        assert ending["flow"] == (Flow.JUMP if unconditional else Flow.BRANCH)
        assert int(ending["target"]) == insn.operands[0].imm
    elif jumps or groups & {capstone.CS_GRP_RET, capstone.CS_GRP_IRET, capstone.CS_GRP_INT} or "sys" in insn.mnemonic:
        assert ending["flow"] == Flow.ANY
    else:
        assert ending["flow"] == (Flow.REPEAT if insn.prefix[0] in (0xF2, 0xF3) else Flow.NEXT)
