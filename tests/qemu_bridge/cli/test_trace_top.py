"""``trace top|export``: tables, and words that are refused."""

from dataclasses import replace

import numpy as np
import pytest
from learn_samples import record_checksum
from trace_program import Program, pieces_of, record_words

from pixel_cpu.learn.loop_library import write_library, write_loop
from pixel_cpu.learn.mine import find_loops
from qemu_bridge import cli
from qemu_bridge.trace.analysis.mining import mine


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


def test_code_of_a_library_is_marked_with_what_is_proved_of_it(tmp_path, capsys):
    trace = record_checksum(tmp_path)
    with mine(trace, workers=1) as found:
        (loop,) = write_library(tmp_path / "library", find_loops(found))
    write_loop(tmp_path / "library", replace(loop, facts={"verdict": "proved", "speed": "slices 3.1 x"}))
    status, answer = run(capsys, "top", trace, "-n", "2", "--learned", tmp_path / "library")
    marks = [line.strip() for line in answer.out.splitlines() if "learned as" in line]
    assert status == 0 and marks and {*marks} == {f"learned as {loop.name}, proved, slices 3.1 x"}
    status, answer = run(capsys, "top", trace, "--json", "--learned", tmp_path / "library")
    assert status != 0 and "leave out --json" in answer.err
