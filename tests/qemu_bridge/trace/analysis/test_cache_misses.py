"""Misses of a trace: every reference in the order of execution, counted for its instruction, symbol and process."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from support import glassbox, recording
from trace_producer import event, split64, window_start, window_stop
from trace_program import LENGTHS, Program, pieces_of, record_words

from qemu_bridge.errors import UsageError
from qemu_bridge.trace.analysis.cache_misses import CacheOptions, CacheOrder, count_misses
from qemu_bridge.trace.analysis.caches import Cache, CacheModel, Caches, Kind, count_stream
from qemu_bridge.trace.analysis.naming import Naming, naming_of_file
from qemu_bridge.trace.file.reader import TraceReader
from tcg_plugin.layout import Event, Feature

CACHES = Caches(Cache(2048, 2), l1i=Cache(256, 4), l2=Cache(4096, 4), line_bytes=32)
MEMORY = Feature.BLOCKS | Feature.EVENTS | Feature.MEMORY


def access(address, instruction=3, is_store=False, log2_size=3):
    """The words of a load or store."""
    meta = 2 << 30 | is_store << 29 | log2_size << 25 | instruction << 16
    return [meta | address >> 32 & 0xFFFF, address & 0xFFFFFFFF]


def load_root(root):
    return event(Event.PAGE_TABLE, *split64(root))


def recorded(folder, words, vcpus=1, frame_blocks=1000):
    program = Program()
    return program, record_words(folder, program, words, frame_blocks, vcpus, features=int(MEMORY))


def rows_of(path, by, naming=None, caches=CACHES, count=10**6):
    return count_misses(path, CacheOptions(caches, CacheOrder(by), count), naming)


def random_words(program, random, length):
    """Pieces of a walk whose blocks load and store at random, in two processes."""
    pieces = []
    for number, block in enumerate(program.walk(length).tolist()):
        if number % 40 == 0:
            pieces.append(load_root((0x1000, 0x2000)[random.integers(2)]) if number else [])
        instructions = sorted(random.integers(0, len(LENGTHS), random.integers(4)).tolist())
        pieces[-1].append(block)
        for instruction in instructions:
            address = int(random.integers(0, 1 << 13)) | int(random.integers(2)) * 0xFFFF880000000000
            pieces[-1] += access(address, instruction, bool(random.integers(2)), int(random.integers(5)))
    return [window_start(), *pieces, window_stop()]


def references_of(path, vcpu):
    """(instruction's address, root, reference) of each fetch, load and store, in the order of execution; as one would write it."""
    with TraceReader(path) as trace:
        for frame in trace.frames():
            blocks, accesses, roots = frame.blocks(vcpu), frame.memory(vcpu), frame.roots(vcpu).tolist()
            at = (accesses.blocks - np.uint64(blocks.first_block)).tolist()
            made = list(zip(at, accesses.instructions.tolist(), range(len(at)), strict=True))
            for index, (start, begun) in enumerate(
                zip(blocks.addresses.tolist(), blocks.instructions.tolist(), strict=True)
            ):
                address = start
                for instruction, size in enumerate(LENGTHS[:begun]):
                    yield address, roots[index], (address, size, Kind.FETCH)
                    while made and made[0][:2] == (index, instruction):
                        which = made.pop(0)[2]
                        kind = Kind(int(accesses.stores[which]))
                        yield address, roots[index], (int(accesses.addresses[which]), int(accesses.sizes[which]), kind)
                    address += size


@pytest.mark.parametrize("vcpus", [1, 2])
def test_every_reference_is_counted_once_in_the_order_of_execution(tmp_path, vcpus):
    program, random = Program(), np.random.default_rng(3)
    streams = [random_words(program, random, 1500) for _ in range(vcpus)]
    _, path = recorded(tmp_path / "trace", streams if vcpus > 1 else streams[0], vcpus, 200)
    by_instruction, by_root, foreseen = Counter(), Counter(), Counter()
    for vcpu in range(vcpus):
        found = list(references_of(path, vcpu))
        places = sorted({place for place, *_ in found})
        # What the model does about processes, said differently: user addresses lie elsewhere in each.
        moved = [
            (address | (root << 44 if address < 1 << 63 else 0), size, kind) for _, root, (address, size, kind) in found
        ]
        addresses, sizes, kinds = (np.array(column, np.uint64) for column in zip(*moved, strict=True))
        depths = CacheModel(CACHES).refer(addresses, sizes, kinds).tolist()
        for (place, root, (_, _, kind)), depth in zip(found, depths, strict=True):
            for level in range(-1, depth):
                by_instruction[place, kind, level] += 1
                by_root[root, kind, level] += 1
        plain = np.array([address for _, _, (address, _, _) in found], np.uint64)
        numbers = np.searchsorted(np.array(places, np.uint64), np.array([place for place, *_ in found], np.uint64))
        counts = count_stream(CACHES, plain, sizes, kinds, numbers.astype(np.uint32))
        foreseen.update(dict(zip(places, counts.foreseen.tolist(), strict=True)))
    by = {order: rows_of(path, order) for order in CacheOrder}
    assert_counts(by[CacheOrder.INSTRUCTION].rows, by_instruction, lambda row: row.address)
    assert_counts(by[CacheOrder.PROCESS].rows, by_root, lambda row: row.root)
    assert {row.address: row.strides.foreseen for row in by[CacheOrder.INSTRUCTION].rows} == foreseen
    total = by[CacheOrder.SYMBOL].total
    assert total.loads + total.stores + total.fetches == sum(by_root[key] for key in by_root if key[2] == -1)
    for result in by.values():
        assert result.total == total and sum(row.share for row in result.rows) == pytest.approx(1)
        assert sum(row.counts.load_misses[1] for row in result.rows) == total.load_misses[1]
        last = [row.counts.last_misses for row in result.rows]
        assert last == sorted(last, reverse=True) and result.row_count == len(last)


def assert_counts(rows, wanted, key):
    for row in rows:
        counts = row.counts
        columns = {
            Kind.FETCH: (counts.fetches, *counts.fetch_misses),
            Kind.LOAD: (counts.loads, *counts.load_misses),
            Kind.STORE: (counts.stores, *counts.store_misses),
        }
        for kind, found in columns.items():
            assert list(found) == [wanted[key(row), kind, level] for level in (-1, 0, 1)]
    assert {key(row) for row in rows} == {where for where, *_ in wanted}


def test_processes_do_not_share_what_lies_at_the_same_address(tmp_path):
    words = [1, *access(0x5000), *access(0x5000), *load_root(0x2000), 2, *access(0x5000), *access(0xFFFF888000005000)]
    words += [*load_root(0x1000), 3, *access(0x5000), *access(0xFFFF888000005000)]
    _, path = recorded(tmp_path, [window_start(), words, window_stop()])
    naming = Naming(process=lambda root: {0x1000: "7 sh", 0x2000: "8 awk"}[root])
    rows = {row.process: row.counts for row in rows_of(path, "process", naming, Caches()).rows}
    assert (rows["7 sh"].loads, rows["7 sh"].load_misses) == (4, (1,))
    assert (rows["8 awk"].loads, rows["8 awk"].load_misses) == (2, (2,))


def test_symbols_gather_their_instructions_and_nameless_code_its_page(tmp_path):
    program = Program()
    words = [1, *access(0x5000), 2, *access(0x6000, 0), *access(0x6040, 0), 5, *access(0x7000), 6, *access(0x8000)]
    _, path = recorded(tmp_path / "trace", [window_start(), words, window_stop()])
    symbols = tmp_path / "System.map"
    symbols.write_text(
        f"{program.address(1):016x} T first\n{program.address(5):016x} T fifth\n{program.address(9):016x} T ninth\n"
    )
    found = rows_of(path, "symbol", naming_of_file(symbols))
    assert {row.name: (row.counts.loads, row.address) for row in found.rows} == {
        "first": (3, program.address(1)),
        "fifth": (2, program.address(5)),
    }
    nameless = rows_of(path, "symbol").rows
    assert [(row.name, row.counts.loads) for row in nameless] == [(f"{program.address(1):#x}", 5)]
    (second,) = (row for row in rows_of(path, "instruction").rows if row.counts.loads == 2)
    assert (second.address, second.text, second.strides.distances["page up"]) == (program.address(2), "nop", 1)
    assert found.rows[0].share == found.rows[0].counts.last_misses / found.total.last_misses


def test_a_trace_without_addresses_says_how_to_get_them(tmp_path):
    program = Program()
    path = record_words(tmp_path, program, pieces_of(program.walk(50)))
    with pytest.raises(UsageError, match=r"no addresses of loads and stores; record it with --mem"):
        rows_of(path, "symbol")
    with pytest.raises(UsageError, match="counts from 1"):
        rows_of(path, "symbol", count=0)


def test_progress_counts_frames_and_an_empty_trace_has_no_rows(tmp_path):
    _, path = recorded(tmp_path / "some", [window_start(), *([[1, *access(0x5000)]] * 30), window_stop()], 1, 10)
    seen = []
    count_misses(path, CacheOptions(), progress=seen.append)
    assert [each.done for each in seen] == list(range(1, seen[-1].frames + 1)) and len(seen) > 1
    _, path = recorded(tmp_path / "none", [window_start() + window_stop()])
    for order in CacheOrder:
        found = rows_of(path, order)
        assert not found.rows and not found.row_count and found.total.fetches == 0


@pytest.fixture(scope="module")
def guest_trace(machine, tmp_path_factory):
    """A trace in which a program of the guest reads and writes 8 MB."""
    path = tmp_path_factory.mktemp("cache") / "guest.gbt"
    with recording(machine, path, "--mem"):
        machine.exec("dd if=/dev/zero of=/dev/null bs=1M count=8 2>/dev/null")
    return path


@pytest.mark.guest
def test_a_guest_that_clears_memory_misses_where_it_clears(machine, guest_trace):
    answer = glassbox(
        *("trace", "cache", str(guest_trace), "--l1", "32K,8", "--l2", "256K,8", "--symbols", machine.name),
        *("--by", "instruction", "--top", "3", "--json"),
        timeout=300.0,
    )
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout)
    with TraceReader(guest_trace) as trace:
        assert found["total"]["fetches"] == trace.info.instructions
        accesses = [frame.memory(0) for frame in trace.frames()]
    assert found["total"]["stores"] == sum(int(each.stores.sum()) for each in accesses)
    assert found["total"]["loads"] + found["total"]["stores"] == sum(map(len, accesses))
    # A megabyte of zeros at a time, cleared by one instruction through a cache of 256 KiB: by a string's, or in a loop of words.
    hottest = found["rows"][0]
    assert hottest["text"].startswith(("rep stos", "mov qword ptr [rdi]"))
    assert hottest["counts"]["store_misses"][1] >= 8 * 2**20 / 64
    assert hottest["strides"]["foreseen"] > 0.9 * hottest["counts"]["stores"]
    assert hottest["strides"]["stride"] in (1, 8, 64)
    wanted = hottest["name"].partition("+")[0]
    assert machine.client.exec(f"grep -q ' {wanted}$' /proc/kallsyms", 30.0).exit_status == 0
