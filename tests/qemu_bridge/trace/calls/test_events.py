"""Events of system calls as rows: in the order of time, with the page-table root and what the vCPU had executed."""

import numpy as np
import pytest
from call_words import END, OTHER_ROOT, ROOT, Callers, call, load, returns, text, window
from trace_producer import Event, event, window_start, window_stop
from trace_program import record_words

from qemu_bridge.trace.calls.events import NO_END, has_arguments, iter_rows
from qemu_bridge.trace.file.reader import TraceReader


def rows_of(folder, words, **options):
    with TraceReader(record_words(folder / "trace", Callers, words, **options)) as trace:
        return list(iter_rows(trace))


def test_rows_know_root_instruction_and_texts(tmp_path):
    words = window(call(2, 9, at=10), text(0, b"name"), load(OTHER_ROOT | 5), returns(3, at=20), call(3, at=30))
    (rows,) = rows_of(tmp_path, [words])
    columns = rows.columns[1:]
    kinds = [Event.SYSCALL, Event.PAGE_TABLE, Event.SYSRET, Event.SYSCALL]
    assert columns["kind"].tolist() == kinds and columns["time_ns"].tolist() == [10, 10, 20, 30]
    assert columns["root"].tolist() == [ROOT, OTHER_ROOT, OTHER_ROOT, OTHER_ROOT] and columns["before"][1] == ROOT
    assert columns["instruction"].tolist() == [1, 1, 2, 3]
    assert columns["end"].tolist() == [END & 0xFFF, NO_END, NO_END, END & 0xFFF]
    assert columns["values"][0, :2].tolist() == [2, 9] and rows.texts == {1: {0: (b"name", False)}}
    assert has_arguments(rows.columns)


def test_rows_of_one_vcpu_come_by_frame_and_go_on_in_time(tmp_path):
    pieces = [[*call(2, at=10 * n), *load(OTHER_ROOT), *load(ROOT), *returns(3, at=10 * n + 5)] for n in range(1, 40)]
    parts = rows_of(tmp_path, [window_start(), *pieces, window_stop()], frame_blocks=20)
    assert len(parts) > 1
    times = [time for part in parts for time in part.columns["time_ns"].tolist()]
    assert times == sorted(times)


def test_rows_of_several_vcpus_are_merged_by_time(tmp_path):
    one = window(call(2, 9, at=10), text(0, b"one"), returns(3, at=40))
    other = window(call(2, 8, at=20), text(0, b"other"), load(OTHER_ROOT), returns(4, at=30))
    (rows,) = rows_of(tmp_path, [[one], [other]], vcpus=2)
    calls = rows.columns["kind"] == Event.SYSCALL
    assert rows.columns["vcpu"][rows.columns["time_ns"] >= 10].tolist() == [0, 1, 1, 1, 0]
    assert [rows.texts[number][0][0] for number in calls.nonzero()[0].tolist()] == [b"one", b"other"]


@pytest.mark.parametrize("in_turns", [False, True])
@pytest.mark.parametrize("idle", [False, True])
def test_rows_of_several_vcpus_come_by_frame_in_the_order_of_time(tmp_path, idle, in_turns):
    """The second vCPU is in frames of its own, far behind, or keeps up; and it may do nothing between its first and last call."""
    count = 40
    streams = []
    for vcpu in range(2):
        wanted = [n for n in range(1, count) if vcpu == 0 or not idle or n in (1, count - 1)]
        parts = [[*call(2, n, at=100 * n + vcpu), *text(0, b"%d" % n), *load(OTHER_ROOT), *load(ROOT)] for n in wanted]
        streams.append([window_start(root=ROOT), *parts, window_stop()])
    parts = rows_of(tmp_path, streams, vcpus=2, frame_blocks=8, in_turns=in_turns)
    columns = np.concatenate([part.columns for part in parts])
    times, calls = columns["time_ns"].tolist(), columns[columns["kind"] == Event.SYSCALL]
    assert times == sorted(times) and len(columns) == sum(len(part.columns) for part in parts)
    expected = [(n, vcpu) for n in range(1, count) for vcpu in range(2) if vcpu == 0 or not idle or n in (1, count - 1)]
    assert list(zip(calls["values"][:, 1].tolist(), calls["vcpu"].tolist(), strict=True)) == expected
    for part in parts:
        assert {row: b"%d" % part.columns["values"][row, 1] for row in part.texts} == {
            row: found[0][0] for row, found in part.texts.items()
        }
    assert sum(len(part.texts) for part in parts) == len(expected)
    assert not in_turns or idle or max(len(part.columns) for part in parts) < len(columns) // 3, "few wait"
    for vcpu in range(2):
        own = columns[columns["vcpu"] == vcpu]
        assert own["instruction"].tolist() == sorted(own["instruction"].tolist()), "each in its own order"


def test_texts_are_those_of_their_call_and_no_more_than_a_plugin_makes(tmp_path):
    loose, piece = text(0, b"loose"), text(0, b"abcd", True)
    words = window(loose, call(2, at=10), *[piece] * 9, text(1, b"one"), returns(3, at=20), loose)
    (rows,) = rows_of(tmp_path, [words])
    assert rows.texts == {1: {0: (b"abcd" * 4, True), 1: (b"one", False)}}


def test_events_of_older_releases_have_no_arguments(tmp_path):
    (rows,) = rows_of(tmp_path, [window([1, *event(Event.SYSCALL, 39, 0)])])
    assert not has_arguments(rows.columns) and rows.columns["values"][1, 0] == 39
