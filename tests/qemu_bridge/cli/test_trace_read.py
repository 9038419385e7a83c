"""``trace info|check|show|diff``: what they print of a trace whose truth is known."""

import json

import numpy as np
import pytest
from trace_program import LENGTHS, Program, pieces_of, record_words

from qemu_bridge import cli


@pytest.fixture(scope="module")
def program():
    return Program()


@pytest.fixture(scope="module")
def recorded(program, tmp_path_factory):
    """(trace, its ids)."""
    ids = program.walk(2000)
    return record_words(tmp_path_factory.mktemp("read"), program, pieces_of(ids), 700, machine="demo"), ids


def run(capsys, *words):
    status = cli.main(["trace", *map(str, words)])
    return status, capsys.readouterr()


def test_info_prints_sums_sections_and_what_the_recorder_said(recorded, capsys):
    status, answer = run(capsys, "info", recorded[0])
    rows = {name: " ".join(value) for name, *value in map(str.split, answer.out.splitlines())}
    assert status == 0 and rows["blocks"] == "2000" and rows["instructions"] == str(2000 * len(LENGTHS))
    assert rows["about.machine"] == "demo" and rows["summary.blocks"] == "2000" and int(rows["runs_bytes"]) > 0
    assert rows["gaps"] == "0, of 0 words" and rows["is_complete"] == "True"


def test_check_says_what_it_looked_at_and_its_status_is_the_verdict(recorded, tmp_path, program, capsys):
    status, answer = run(capsys, "check", recorded[0])
    assert status == 0 and "0 findings in 22000 instructions, 2000 blocks" in answer.err and not answer.out
    wrong = record_words(tmp_path, program, pieces_of(np.array([1, 250, 3, 199])))
    status, answer = run(capsys, "check", wrong)
    assert status == 1 and "does not follow from the block before" in answer.out


def test_show_prints_the_instructions_that_were_asked_for(recorded, program, capsys):
    status, answer = run(capsys, "show", recorded[0], "--at", "11", "--count", "11")
    lines = answer.out.splitlines()
    first = [int(line.split()[0]) for line in lines]
    assert status == 0 and first == list(range(11, 22)) and all("nop" in line for line in lines[:10])
    assert f"{program.address(int(recorded[1][1])):x}" in lines[0]
    assert run(capsys, "show", recorded[0], "--count", "0")[0] == 2


def test_diff_finds_the_first_divergence(recorded, program, tmp_path, capsys):
    other = recorded[1].copy()
    end = 1500
    path = record_words(tmp_path, program, pieces_of(other[:end]))
    status, answer = run(capsys, "diff", recorded[0], path)
    assert status == 1 and f"the same for {end} blocks, {end * len(LENGTHS)} instructions" in answer.out
    status, answer = run(capsys, "diff", recorded[0], recorded[0], "--json")
    assert status == 0 and json.loads(answer.out)["is_same"]
