"""The model of caches against patterns counted by hand, a model of dicts, and Valgrind's cachegrind."""

from __future__ import annotations

import cachegrind
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qemu_bridge.errors import TraceError, UsageError
from qemu_bridge.images.fetch import Unavailable
from qemu_bridge.trace.analysis.caches import DISTANCES, Cache, CacheModel, Caches, Kind, count_stream

LINE = 64
SMALL = Caches(Cache(1024, 2))
"""8 sets of 2 lines."""


def depths(caches, addresses, sizes=1, kinds=Kind.LOAD):
    return CacheModel(caches).refer(addresses, sizes, kinds).tolist()


def test_sequential_loads_miss_once_a_line():
    found = depths(SMALL, np.arange(0, 4096, 8), 8)
    assert found == [1, 0, 0, 0, 0, 0, 0, 0] * 64


def test_lines_of_one_set_drive_each_other_out_and_those_of_others_do_not():
    # 512 bytes apart: the same set, of 2 lines.
    assert depths(SMALL, [0, 512] * 3) == [1, 1, 0, 0, 0, 0]
    assert depths(SMALL, [0, 512, 1024] * 3) == [1] * 9
    assert depths(SMALL, [0, 64, 128] * 3) == [1, 1, 1] + [0] * 6
    assert depths(Caches(Cache(512, 1)), [0, 512] * 3) == [1] * 6


def test_the_line_that_is_driven_out_is_the_one_used_longest_ago():
    assert depths(SMALL, [0, 512, 0, 1024, 0, 512]) == [1, 1, 0, 1, 0, 1]


def test_lru_falls_off_a_cliff_where_a_walk_is_a_line_larger_than_the_cache():
    fitting, larger = (np.tile(np.arange(lines) * LINE, 10) for lines in (16, 17))
    whole = Caches(Cache(1024, 16))
    assert sum(depths(whole, fitting)) == 16
    assert sum(depths(whole, larger)) == 170


def test_a_level_sees_the_misses_of_the_one_above_and_holds_what_that_has_lost():
    levels = Caches(Cache(128, 1), l2=Cache(1024, 16), ll=Cache(2048, 32))
    # 0 and 128 share the only line of L1's set; 2 lines of L2's 16 are enough for them.
    assert depths(levels, [0, 128, 0, 128]) == [3, 3, 1, 1]
    walk = np.tile(np.arange(17) * LINE, 2)
    assert depths(levels, walk) == [3] * 17 + [2] * 17


def test_a_hit_above_does_not_keep_a_line_below():
    levels = Caches(Cache(128, 2), l2=Cache(256, 4))
    # 0 stays in L1 while 4 other lines go through L2.
    stream = [0, 64, 0, 128, 0, 192, 0, 256, 0, 320, 384, 0]
    assert depths(levels, stream) == [2, 2, 0, 2, 0, 2, 0, 2, 0, 2, 2, 2]


def test_fetches_have_a_first_level_of_their_own_and_share_the_second():
    levels = Caches(Cache(128, 2), l2=Cache(1024, 16))
    kinds = [Kind.FETCH, Kind.LOAD, Kind.FETCH, Kind.STORE]
    assert depths(levels, [0, 0, 0, 0], 4, kinds) == [2, 1, 0, 0]
    other = Caches(Cache(1024, 2), l1i=Cache(64, 1))
    assert depths(other, [0, 64, 0, 64], 4, Kind.FETCH) == [1, 1, 1, 1]


def test_a_reference_across_lines_touches_each_and_is_one_miss():
    assert depths(SMALL, [60, 0, 64], [8, 1, 1]) == [1, 0, 0]
    assert depths(SMALL, [0, 60, 64], [1, 8, 1]) == [1, 1, 0]
    assert depths(SMALL, [0, 192, 256], [200, 1, 1]) == [1, 0, 1]
    # Behind the last of all addresses nothing begins anew.
    assert depths(SMALL, [2**64 - 4, 0, 2**64 - 1], [8, 1, 1]) == [1, 1, 0]
    assert depths(SMALL, [8, 8], 0) == [1, 0]


def test_strides_are_foreseen_from_the_third_reference_of_an_instruction_on():
    # Instruction 0 walks by 8 bytes, 1 jumps about, 2 stays where it is, 3 walks down by two lines.
    walks = np.array([[8 * n, (n * n * 977) % 65536, 4096, 65536 - 128 * n] for n in range(10)]).ravel()
    counts = count_stream(Caches(), walks, 8, Kind.LOAD, np.tile(np.arange(4, dtype=np.uint32), 10))
    assert counts.references[:, Kind.LOAD].tolist() == [10] * 4
    assert counts.foreseen.tolist() == [8, 0, 8, 8]
    assert counts.strides[[0, 2, 3]].tolist() == [8, 0, -128]
    assert counts.moves.tolist() == [1, 9, 0, 9] and counts.next_line.tolist() == [1, 0, 0, 0]
    by_class = [dict(zip(DISTANCES, row, strict=True)) for row in counts.distances.tolist()]
    assert by_class[0]["line up"] == by_class[2]["same"] == by_class[3]["page down"] == 9
    assert sum(by_class[1].values()) == 9 and by_class[1]["farther"] > 0


def test_loads_and_stores_of_an_instruction_are_predicted_apart():
    # A copy: load, store, load, store.
    addresses = np.stack([np.arange(20) * 8, 1 << 20 | np.arange(20) * 8], 1).ravel()
    counts = count_stream(Caches(), addresses, 8, np.tile([False, True], 20), np.zeros(40, np.uint32))
    assert counts.foreseen.tolist() == [36] and counts.distances[0].tolist() == [0, 38, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("caches", "message"),
    [
        (Caches(Cache(3000, 2)), "power of two of sets"),
        (Caches(Cache(192, 1)), "times a power of two"),
        (Caches(Cache(64, 2)), "power of two of sets"),
        (Caches(Cache(1024, 0)), "1 or more"),
        (Caches(Cache(1 << 40, 8)), "up to 1 GiB"),
        (Caches(ll=Cache(100, 1)), "ll of 100 bytes"),
        (Caches(l1i=Cache(100, 1)), "l1i of 100 bytes"),
        (Caches(line_bytes=48), "from 16 to 4096"),
    ],
)
def test_caches_that_nobody_builds_are_refused(caches, message):
    with pytest.raises(UsageError, match=message):
        CacheModel(caches)


def test_streams_that_do_not_fit_together_are_refused():
    model = CacheModel(SMALL)
    with pytest.raises(UsageError, match="2 sizes for 3 addresses"):
        model.refer([1, 2, 3], [1, 1], Kind.LOAD)
    with pytest.raises(UsageError, match="rows for"):
        count_stream(SMALL, [1, 2, 3], 1, Kind.LOAD, np.zeros(2, np.uint32))
    with pytest.raises(TraceError, match="out of range"):
        model.refer([1, 2, 3], 1, 3)
    assert len(count_stream(SMALL, [], 1, Kind.LOAD, np.empty(0, np.uint32))) == 0


class Plain:
    """The same caches as lists in dicts, as one would write them down."""

    def __init__(self, caches):
        self.line_bytes = caches.line_bytes
        self.first = [(level, {}) for level in (caches.l1, caches.l1, caches.l1i or caches.l1)]
        self.first[Kind.STORE] = self.first[Kind.LOAD]
        self.rest = [(level, {}) for _, level in caches.levels()[1:]]

    def refer(self, address, size, kind):
        lines = range(address // self.line_bytes, (address + max(size, 1) - 1) // self.line_bytes + 1)
        for depth, level in enumerate([self.first[kind], *self.rest]):
            if all([self.touch(level, line) for line in lines]):
                return depth
        return 1 + len(self.rest)

    def touch(self, level, line):
        cache, sets = level
        held = sets.setdefault(line % cache.sets(self.line_bytes), [])
        is_hit = line in held
        if is_hit:
            held.remove(line)
        held.append(line)
        del held[: -cache.ways]
        return is_hit


SHAPES = st.builds(
    lambda sets, ways, line: Cache((1 << sets) * ways * line, ways), st.integers(0, 3), st.integers(1, 5), st.just(32)
)
ANY_CACHES = st.builds(
    Caches, SHAPES, st.none() | SHAPES, st.none() | SHAPES, st.none() | SHAPES, line_bytes=st.just(32)
)
REFERENCES = st.lists(
    st.tuples(
        st.integers(0, 1023) | st.integers(0, 2**63), st.integers(0, 100), st.sampled_from(Kind), st.integers(0, 3)
    ),
    max_size=300,
)


@settings(max_examples=200, deadline=None)
@given(ANY_CACHES, REFERENCES)
def test_it_agrees_with_the_plain_model_on_any_stream(caches, references):
    addresses, sizes, kinds, instructions = np.array(references, np.uint64).reshape(-1, 4).T
    plain = Plain(caches)
    wanted = [plain.refer(address, size, kind) for address, size, kind, _ in references]
    model, half = CacheModel(caches), len(references) // 2
    parts = [model.refer(addresses[part], sizes[part], kinds[part]) for part in (slice(half), slice(half, None))]
    assert np.concatenate(parts).tolist() == wanted
    counts = count_stream(caches, addresses, sizes, kinds, instructions.astype(np.uint32))
    for level in range(len(caches.levels())):
        for row in range(len(counts)):
            for kind in Kind:
                mine = [depth for depth, (*_, k, i) in zip(wanted, references, strict=True) if (k, i) == (kind, row)]
                assert counts.references[row, kind] == len(mine)
                assert counts.misses[row, level, kind] == sum(depth > level for depth in mine)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2**64 - 1) | st.integers(0, 64).map(lambda n: n * 8), st.booleans()), max_size=60)
)
def test_what_is_foreseen_is_what_follows_from_the_last_two(references):
    addresses, stores = np.array(references, np.uint64).reshape(-1, 2).T
    counts = count_stream(Caches(), addresses, 1, stores, np.zeros(len(references), np.uint32))
    foreseen = steps = 0
    for kind in (False, True):
        mine = [address for address, is_store in references if is_store == kind]
        steps += max(0, len(mine) - 1)
        foreseen += sum((b - a - (c - b)) % 2**64 == 0 for a, b, c in zip(mine, mine[1:], mine[2:], strict=False))
    assert counts.foreseen.sum() == foreseen and counts.distances.sum() == steps


def counts_of(caches, addresses, sizes, kinds):
    """As cachegrind sums them up."""
    found = CacheModel(caches).refer(addresses, sizes, kinds)
    return [
        int((found[kinds == kind] >= depth).sum()) for kind in (Kind.FETCH, Kind.LOAD, Kind.STORE) for depth in range(3)
    ]


@pytest.mark.parametrize("number", range(len(cachegrind.LEVELS)))
def test_it_counts_what_cachegrind_counted(number):
    stream = np.load(cachegrind.REFERENCE)
    wanted = stream["counts"][number].tolist()
    assert counts_of(cachegrind.LEVELS[number], *(stream[name] for name in ("addresses", "sizes", "kinds"))) == wanted


def test_it_counts_what_cachegrind_counts_here(tmp_path):
    try:
        valgrind = cachegrind.find_valgrind(tmp_path)
    except Unavailable as error:
        pytest.skip(f"no Valgrind: {error}")
    program = cachegrind.compile_program(tmp_path)
    stream = cachegrind.record_stream(valgrind, program)
    assert len(stream[0]) > 10_000
    for caches in cachegrind.LEVELS:
        assert counts_of(caches, *stream) == cachegrind.count_misses(valgrind, program, caches)
