"""``trace functions``: a table, one function with its callers and callees, JSON."""

import json

import pytest
from trace_calls import BASE, NAMES, Calls
from trace_producer import window_start, window_stop
from trace_program import record_words

from qemu_bridge import cli


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    words = [*window_start(), 1, 3, 5, 4, 2, 1, 3, 5, 4, 2, *window_stop()]
    return record_words(tmp_path_factory.mktemp("functions"), Calls, [words])


@pytest.fixture(scope="module")
def symbols(tmp_path_factory):
    found = tmp_path_factory.mktemp("symbols") / "System.map"
    rows = {BASE - 0x100: "_stext"} | NAMES
    found.write_text("".join(f"{address:016x} T {name}\n" for address, name in rows.items()))
    return found


def run(capsys, *words):
    status = cli.main(["trace", "functions", *map(str, words)])
    return status, capsys.readouterr()


def test_the_table_has_calls_own_and_inclusive_instructions(path, symbols, capsys):
    status, answer = run(capsys, path, "--symbols", symbols, "--sort", "calls", "-n", "2")
    lines = [line.split() for line in answer.out.splitlines()]
    assert status == 0 and lines[0] == ["CALLS", "OWN", "SHARE", "INCLUSIVE", "SHARE", "FUNCTION"]
    assert {line[5]: line[:5] for line in lines[1:]} == {
        "leaf": ["2", "8", "40.0%", "8", "40.0%"],
        "inner": ["2", "4", "20.0%", "12", "60.0%"],
    }
    assert "1 more functions" in answer.err and "20 instructions counted" in answer.err


def test_one_function_with_its_callers_and_callees(path, symbols, capsys):
    status, answer = run(capsys, path, "--symbols", symbols, "--of", "inner")
    assert status == 0 and answer.out.splitlines()[0].startswith(
        "inner: 2 calls, 4 instructions of its own, 12 inclusive"
    )
    assert [line.split() for line in answer.out.splitlines()[1:]] == [
        ["called", "by"],
        ["2", "x", "12", "main"],
        ["calls"],
        ["2", "x", "8", "leaf"],
    ]


def test_json_names_processes_by_root(path, capsys):
    rows = json.loads(run(capsys, path, "--by-process", "--json")[1].out)
    leaf = next(row for row in rows if row["name"] == f"{BASE + 0x200:#x}")
    inner = {"name": f"{BASE + 0x100:#x}", "calls": 2, "inclusive": 8}
    assert leaf == {"name": leaf["name"], "process": "root 0x1000", "calls": 2, "own": 8, "inclusive": 8} | {
        "callers": [inner],
        "callees": [],
    }


def test_what_was_not_executed_is_said(path, capsys):
    assert run(capsys, path, "--of", "nowhere")[0] == 1
    status, answer = run(capsys, path, "--root", "0x7000")
    assert status == 1 and "no function" in answer.err
    assert run(capsys, path, "-n", "0")[0] == 2
