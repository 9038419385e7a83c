"""Time, chance and sleep."""

import time

import numpy as np
from wasi_runs import Ours, numbers, put_all, wasi

from pixel_cpu.wasi import abi
from pixel_cpu.wasi.abi import Errno

LANES = 6


def subscription(**fields):
    row = np.zeros(1, abi.SUBSCRIPTION)
    for name, value in fields.items():
        row[name] = value
    return row.tobytes()


def test_a_seed_gives_all_lanes_the_same_bytes_and_none_gives_each_its_own():
    with wasi(LANES, seed=7) as host, wasi(LANES, seed=7) as again, wasi(LANES, seed=8) as other, wasi(LANES) as true:
        runs = [Ours(each, LANES) for each in (host, again, other, true)]
        for each in runs:
            each.call_all("random_get", 0, 16)
            each.call_all("random_get", 16, np.where(np.arange(LANES) == 2, 5, 9000))
            each.call_all("random_get", 9016, 100)
        first, same, differs, chance = (each.rows[:, :16] for each in runs)
        assert (first == first[0]).all() and (first == same).all() and (first != differs).any()
        assert len({row.tobytes() for row in chance}) == LANES
        rest = runs[0].rows[:, 9016:9116]
        assert (rest[3] == rest[0]).all() and (rest[2] == runs[0].rows[0, 21:121]).all()


def test_clocks_go_on_and_are_the_same_in_a_round():
    with wasi(LANES) as host:
        ours = Ours(host, LANES)
        for clock in range(4):
            assert not ours.call_all("clock_time_get", clock, 0, 8).any() and len(set(numbers(ours, 8, "<u8"))) == 1
            assert not ours.call_all("clock_res_get", clock, 16).any() and 0 < numbers(ours, 16, "<u8")[0] <= 10**9
        ours.call_all("clock_time_get", 0, 0, 8)
        assert abs(numbers(ours, 8, "<u8")[0] - time.time_ns()) < 60e9
        assert set(ours.call_all("clock_time_get", 4, 0, 8)) == {Errno.INVAL}
        assert set(ours.call_all("clock_time_get", 0, 0, 65529)) == {Errno.FAULT}


def test_a_lane_sleeps_until_its_first_time_is_there():
    with wasi(LANES) as host:
        ours = Ours(host, LANES)
        put_all(
            ours,
            0,
            subscription(userdata=5, clock=1, timeout=3_000_000_000)
            + subscription(userdata=6, clock=0, timeout=2_000_000_000),
        )
        ours.rows[2, :96] = np.frombuffer(subscription(userdata=9, timeout=0) * 2, np.uint8)
        before = time.monotonic()
        assert not ours.call_all("poll_oneoff", 0, 200, 2, 400).any()
        until = ours.reply.until
        assert until[2] == 0 and numbers(ours, 400) == [1, 1, 2, 1, 1, 1]
        others = np.delete(until, 2)
        assert ((others >= before + 2) & (others <= time.monotonic() + 2)).all()
        assert numbers(ours, 200, "<u8") == [6, 6, 9, 6, 6, 6]


def test_bytes_between_fields_of_events_are_zero_not_the_host_s():
    with wasi(1) as host:
        ours = Ours(host)
        for count in range(1, 60):
            put_all(ours, 0, subscription(userdata=2**64 - 1, clock=1) * count)
            ours.rows[:, 4096:] = 255
            assert not ours.call_all("poll_oneoff", 0, 4096, count, 60000).any()
            found = ours.rows[0, 4096 : 4096 + 32 * count].reshape(count, 32)
            assert (found[:, :8] == 255).all() and not found[:, 8:].any()


def test_absolute_times_and_descriptors_that_are_ready():
    with wasi(1, stdin=b"in") as host:
        ours = Ours(host)
        put_all(
            ours,
            0,
            subscription(clock=0, timeout=time.time_ns() + 5_000_000_000, flags=1)
            + subscription(userdata=3, tag=1, fd=0),
        )
        assert not ours.call_all("poll_oneoff", 0, 200, 2, 400).any()
        assert numbers(ours, 400) == [1] and numbers(ours, 200, "<u8") == [3] and ours.reply.until[0] == 0
        assert not ours.call_all("poll_oneoff", 0, 200, 1, 400).any()
        assert 3 < ours.reply.until[0] - time.monotonic() <= 5


def test_what_cannot_be_waited_for_is_refused():
    with wasi(1) as host:
        ours = Ours(host)
        for wanted, count, error in (
            (b"", 0, Errno.INVAL), (subscription(tag=3), 1, Errno.INVAL), (subscription(clock=2), 1, Errno.INVAL),
            (subscription(tag=1, fd=9), 1, Errno.BADF), (subscription(tag=2, fd=0), 1, Errno.BADF), (b"", 5000, Errno.INVAL),
        ):  # fmt: skip
            put_all(ours, 0, wanted)
            assert ours.call("poll_oneoff", 0, 200, count, 400) == error
            assert ours.reply.until is None or not ours.reply.until.any()
        assert ours.call("poll_oneoff", 65500, 200, 1, 400) == ours.call("poll_oneoff", 0, 65530, 1, 400) == Errno.FAULT


def test_yield_raise_and_exit():
    with wasi(LANES) as host:
        ours = Ours(host, LANES)
        assert not ours.call_all("sched_yield").any() and set(ours.call_all("proc_raise", 6)) == {Errno.NOTSUP}
        ours.call_all("proc_exit", np.arange(LANES) + 2**32 - 2, lanes=None)
        assert ours.reply.results == () and ours.reply.ended.all()
        assert host.exit_codes.tolist() == [2**32 - 2, 2**32 - 1, 0, 1, 2, 3]
