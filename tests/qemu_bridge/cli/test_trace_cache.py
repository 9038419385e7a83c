"""``trace cache``: tables, and words that are refused."""

import json

import numpy as np
import pytest
from trace_producer import window_start, window_stop
from trace_program import Program, pieces_of, record_words

from qemu_bridge import cli

LOAD, STORE = 2 << 30 | 3 << 25 | 3 << 16, 2 << 30 | 1 << 29 | 3 << 25 | 4 << 16


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A loop of two blocks that copies 100 words of 8 bytes."""
    words = [[1, LOAD, 0x10000 + 8 * n, STORE, 0x20000 + 8 * n, 2] for n in range(100)]
    folder = tmp_path_factory.mktemp("cache")
    return record_words(folder, Program(), [window_start(), *words, window_stop()], features=7)


def run(capsys, *words):
    status = cli.main(["trace", *map(str, words)])
    return status, capsys.readouterr()


def test_the_table_says_what_missed_where_and_how_regular_it_was(path, capsys):
    status, answer = run(capsys, "cache", path, "--l1", "1K,2", "--l2", "4K,4", "--by", "instruction", "--top", "2")
    assert status == 0
    head, _, titles, fetches, loads, stores, _, columns, first, second = answer.out.splitlines()
    assert head == "l1i 1 KiB in 2 ways, l1 1 KiB in 2 ways, l2 4 KiB in 4 ways; lines of 64 bytes"
    assert titles.split() == ["REFERENCES", "L1", "MISSES", "L2", "MISSES"]
    assert fetches.split()[:2] == ["fetches", "2200"]
    assert loads.split() == ["loads", "100", "13", "(13.0%)", "13", "(13.0%)"]
    assert stores.split() == ["stores", "100", "13", "(13.0%)", "13", "(13.0%)"]
    assert columns.split()[:3] == ["SHARE", "FETCH", "MISSES"]
    for line in (first, second):
        assert line.split()[1:8] == ["0", "100", "13", "13", "98.0%", "100.0%", "8"] and line.endswith(" nop")
    assert "more rows; --top N lists more" in answer.err and "2400 fetches, loads and stores" in answer.err


def test_every_order_has_a_table_and_json(path, capsys):
    for order in ("symbol", "process", "instruction"):
        status, answer = run(capsys, "cache", path, "--ll", "8K,4", "--line", "32", "--by", order)
        assert status == 0 and "LL MISSES" in answer.out and "lines of 32 bytes" in answer.out
        found = json.loads(run(capsys, "cache", path, "--ll", "8K,4", "--by", order, "--json")[1].out)
        assert found["levels"] == ["l1", "ll"] and found["total"]["loads"] == 100
        assert found["caches"]["ll"] == {"size_bytes": 8192, "ways": 4} and found["rows"]
    assert found["rows"][0]["address"].startswith("0xffffffff8100")


@pytest.mark.parametrize(
    "words",
    [("--l1", "32K"), ("--l1", "32K,x"), ("--l2", "3000,2"), ("--ll", "big,2"), ("--line", "48"), ("--top", "0")],
    ids=" ".join,
)
def test_wrong_words_are_refused_in_a_sentence(words, path, capsys):
    status, answer = run(capsys, "cache", path, *words)
    assert status == 2 and not answer.out and len(answer.err.splitlines()) == 1


def test_a_trace_without_addresses_is_refused_with_the_way_out(tmp_path, capsys):
    plain = record_words(tmp_path, Program(), pieces_of(np.array([1, 2, 3], np.uint32)))
    status, answer = run(capsys, "cache", plain)
    assert status == 2 and "record it with --mem" in answer.err and len(answer.err.splitlines()) == 1
