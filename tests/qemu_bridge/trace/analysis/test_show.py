"""The instruction stream around a point: exactly the instructions that began, events between them."""

import pytest
from trace_producer import Event, event, split64, window_start, window_stop
from trace_program import LENGTHS, Program, pieces_of, record_words

from qemu_bridge.errors import TraceError
from qemu_bridge.trace.analysis.show import disassemble, show
from qemu_bridge.trace.file.reader import TraceReader


@pytest.fixture(scope="module")
def program():
    return Program()


@pytest.mark.parametrize("first", [0, 5, 11, 5493, 5500, 10_989])
def test_the_stream_is_the_same_wherever_one_begins(program, tmp_path, first):
    ids = program.walk(1000)
    starts = [sum(LENGTHS[:place]) for place in range(len(LENGTHS))]
    truth = [program.address(block_id) + start for block_id in ids.tolist() for start in starts]
    with TraceReader(record_words(tmp_path, program, pieces_of(ids, 300), 100)) as trace:
        lines = [line for line in show(trace, 0, first, 30, hex) if line.kind == "instruction"]
    assert [line.address for line in lines] == truth[first : first + 30]
    assert [line.instruction for line in lines] == list(range(first, min(first + 30, len(truth))))
    assert all(line.symbol == hex(line.address) and line.root == 0x1000 for line in lines)
    assert {line.text.split()[0] for line in lines} == {"nop", "je"}


def test_a_block_that_was_cut_shows_what_began_and_then_why(program, tmp_path):
    fault = event(Event.EXCEPTION, *split64(program.address(1) + 2), 0, 0, small=14)
    with TraceReader(record_words(tmp_path, program, [window_start(), [1, *fault, 100], window_stop()])) as trace:
        lines = list(show(trace, 0, 0, 5))
        assert [line.kind for line in lines] == [
            "window_start",
            *["instruction"] * 3,
            "exception",
            *["instruction"] * 2,
        ]
        assert lines[4].text == f"exception 14 at {program.address(1) + 2:#x}"
        with pytest.raises(TraceError, match="smaller"):
            list(show(trace, 0, 100, 5))


def test_bytes_that_are_no_code_are_shown_as_such():
    assert disassemble(b"\x90\x06", 0x1000, 64) == ["nop", ".byte 06"]
    assert disassemble(b"\xb8\x34\x12", 0x7C00, 16) == ["mov ax, 0x1234"]


def test_where_a_page_of_code_lies_is_said_in_words(program, tmp_path):
    page = event(Event.CODE_PAGE, 0x283E, *split64(0x7F1234567))
    path = record_words(tmp_path / "page", program, [[*window_start(), *page, 1, *window_stop()]])
    with TraceReader(path) as trace:
        texts = [line.text for line in show(trace, 0, 0, 20)]
    assert "code page 0x283e of RAM is at 0x7f1234567000" in texts
