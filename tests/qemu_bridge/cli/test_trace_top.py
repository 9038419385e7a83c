"""``trace top|export``: tables, and words that are refused."""

import numpy as np
import pytest
from trace_program import Program, pieces_of, record_words

from qemu_bridge import cli


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    program = Program(jumps={12: 10})
    ids = np.concatenate([program.walk(200), np.tile(np.array([10, 11, 12], np.uint32), 300)])
    return record_words(tmp_path_factory.mktemp("top"), program, pieces_of(ids))


def run(capsys, *words):
    status = cli.main(["trace", *map(str, words)])
    return status, capsys.readouterr()


def test_top_prints_processes_blocks_and_paths(path, capsys):
    status, answer = run(capsys, "top", path, "-n", "1")
    assert status == 0 and "hot blocks" in answer.out and "hot cyclic paths" in answer.out
    lines = answer.out[answer.out.index("hot cyclic paths") :].splitlines()
    assert "x 33 instructions, ring 0, root 0x1000" in lines[1] and lines[-1].endswith("… 21 more")
    assert "instructions counted" in answer.err


def test_what_only_the_kernel_executed_is_the_kernels_and_says_what_shares_are_of(path, capsys):
    status, answer = run(capsys, "top", path, "-n", "1")
    heading, row, *_ = answer.out.splitlines()
    assert status == 0 and heading.split()[:3] == ["SHARE", "USER", "KERNEL"] and heading.endswith("PAGE TABLE OF")
    assert row.split()[:3] == ["100.0%", "0.0%", "100.0%"] and "of all instructions executed" in answer.out


@pytest.mark.parametrize(
    "words", [("-n", "0"), ("--workers", "0"), ("--pid", "3"), ("--symbols", "no-such-machine")], ids=" ".join
)
def test_wrong_words_are_refused_in_a_sentence(words, path, capsys):
    status, answer = run(capsys, "top", path, *words)
    assert status and not answer.out and len(answer.err.splitlines()) == 1


def test_export_writes_the_file(path, tmp_path, capsys):
    status, answer = run(capsys, "export", path, "--format", "json", "-o", tmp_path / "rows")
    assert status == 0 and not answer.out and len((tmp_path / "rows").read_text().splitlines()) == 1100
    assert run(capsys, "export", path, "--format", "json", "-o", tmp_path / "rows")[0] == 2
