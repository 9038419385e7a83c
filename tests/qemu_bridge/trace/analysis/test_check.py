"""What the checker must find: each kind of lie in a trace that is sound without it."""

import numpy as np
import pytest
from trace_producer import Event, Producer, event, record, split64, window_start, window_stop
from trace_program import LENGTHS, Program, pieces_of, record_words

from qemu_bridge.trace.analysis.check import Report, _check_dictionary, check_trace
from qemu_bridge.trace.file.reader import TraceReader


@pytest.fixture(scope="module")
def program():
    return Program()


def check(folder, program, pieces, frame_blocks=500, **about):
    with TraceReader(record_words(folder, program, pieces, frame_blocks, **about)) as trace:
        return check_trace(trace)


def test_any_block_left_out_put_in_or_changed_is_found(program, tmp_path):
    random = np.random.default_rng(2)
    for number in range(25):
        ids = program.walk(1500, bias=0.5)
        place = int(random.integers(1, len(ids) - 1))
        kind = number % 3
        bad = np.delete(ids, place) if kind == 0 else ids.copy()
        if kind == 1:
            bad[place] = ids[place] % program.count + 1
        elif kind == 2:
            bad = np.insert(bad, place, 1 + (ids[place] + 7) % program.count)
        follows = all(
            after == before + 1 or after == program.targets[before - 1] + 1
            for before, after in zip(bad.tolist(), bad.tolist()[1:], strict=False)
        )
        report = check(tmp_path / str(number), program, pieces_of(bad))
        assert report.is_sound is follows, (number, place)
        if not follows:
            assert report.findings[0].kind == "jump" and abs(report.findings[0].block - place) <= 1


def test_a_gap_an_exception_and_a_device_access_explain_a_jump(program, tmp_path):
    ids = program.walk(10)
    jump = [150]
    for number, words in enumerate(
        (
            event(Event.GAP, *split64(77), *split64(1)),
            event(Event.EXCEPTION, *split64(program.address(int(ids[-1]))), 0, 0, small=236),
        )
    ):
        report = check(tmp_path / str(number), program, [window_start(), ids.tolist() + words + jump, window_stop()])
        assert report.is_sound and report.gaps == (number == 0) and report.lost_words == 77 * (number == 0)


def test_events_that_the_code_does_not_make_are_found(program, tmp_path):
    nowhere = split64(0x1234)
    for kind, name, payload in (
        (Event.EXCEPTION, "exception", [*nowhere, 0, 0]),
        (Event.PAGE_TABLE, "page_table", nowhere),
        (Event.SYSCALL, "syscall", nowhere),
        (Event.SYSRET, "sysret", nowhere),
        (Event.IO_DONE, "io", nowhere),
        (Event.BLOCK_END, "end", []),
    ):
        words = [1, *event(kind, *payload), 2]
        report = check(tmp_path / name, program, [window_start(), words, window_stop()])
        assert [found.kind for found in report.findings] == [name]


def test_a_count_that_qemu_disagrees_with_is_found(program, tmp_path):
    ids = program.walk(2000)
    true = len(ids) * len(LENGTHS)
    for counter, sound in ((true, True), (true + 1, False)):
        report = check(tmp_path / str(counter), program, pieces_of(ids, counter=counter), features=3 | 32)
        assert report.is_sound is sound and report.verified_windows == report.closed_windows == report.windows == 1
        assert sound or report.findings[0].kind == "verify"


def test_a_chunk_that_is_missing_is_found(program, tmp_path, monkeypatch):
    put = Producer.put

    def lose_one(self, words, vcpu=0, flags=0):
        self.sequence[vcpu] += self.sequence[vcpu] == 3
        put(self, words, vcpu, flags)

    monkeypatch.setattr(Producer, "put", lose_one)
    report = check(tmp_path, program, pieces_of(program.walk(5000)))
    assert [found.kind for found in report.findings] == ["sequence"]


def test_an_id_that_changes_its_meaning_is_found(program, tmp_path):
    path = record_words(tmp_path, program, pieces_of(program.walk(1200)), 500)
    with TraceReader(path) as trace:
        frame, report = trace.frame(1), Report()
        _check_dictionary(report, frame, {int(frame.dictionary.ids[0]): 1})
    assert [found.kind for found in report.findings] == ["dictionary"]


def test_a_filtered_trace_is_continuous_but_for_the_holes_that_it_tells_of(program, tmp_path):
    hole = event(Event.LEFT_OUT, *split64(50))
    for number, (words, findings) in enumerate((([1, *hole, 200, *hole, 3], 0), ([1, *hole, 200, 3], 1))):
        report = check(tmp_path / str(number), program, [window_start(), words, window_stop()], scope=2)
        assert (report.count, report.filter_holes) == (findings, 2 - number)
        assert report.left_out_instructions == 50 * report.filter_holes


@pytest.mark.parametrize("frame_blocks", [1, 3, 1000])
def test_what_comes_between_two_frames_explains_the_second(frame_blocks, program, tmp_path):
    ids = [1 + i * 7 % 200 for i in range(40)]
    pieces = [[i, *event(Event.EXCEPTION, *split64(program.address(i)), 0, 0, small=236)] for i in ids]
    assert check(tmp_path, program, [window_start(), *pieces, window_stop()], frame_blocks).is_sound


def test_interrupted_string_instructions_and_shared_early_mappings_follow(tmp_path):
    program = Program(3)
    program.records += record(10, 0x1000, b"\xf3\xa4", [2]) + record(11, 0x1002, b"\x90", [1])
    program.records += record(12, 0x2000, b"\xe9\x00\x01\x00\x00", [5], offset=0x2000)
    program.records += record(13, 0xFFFFFFFF80002105, b"\x90", [1])
    pieces = [window_start(), [10, 10, 10, 11, *event(Event.RESET), 12, 13], window_stop()]
    assert check(tmp_path, program, pieces).is_sound
