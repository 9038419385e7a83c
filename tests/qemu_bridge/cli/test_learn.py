"""``glassbox learn``: from a trace and from a machine to a library, and the table of what is in it."""

from __future__ import annotations

import json
import sys
import threading

import pytest
from learn_samples import record_checksum

from pixel_cpu.frontends.x86 import pcode
from pixel_cpu.learn.mine import find_loops
from qemu_bridge.cli.learn import spell_out


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    return record_checksum(tmp_path_factory.mktemp("trace"))


def test_the_loops_of_a_trace_become_a_library_that_is_shown(trace, tmp_path, command):
    library = tmp_path / "library"
    learned = command("learn", trace, "-o", library, "--json")
    assert learned.status == 0 and "instructions counted" in learned.err and "1 loops" in learned.err
    (row,) = json.loads(learned.out)
    assert row["where"] == "0x55aa00001000" and row["share"] > 0.9 and row["process"] == "root 0x1000"
    shown = command("learn", "show", library)
    heading, line = shown.out.splitlines()
    assert heading.split()[:4] == ["SHARE", "WHERE", "PROCESS", "CLASS"] and "0x55aa00001000" in line
    assert json.loads(command("learn", "show", library, "--json").out) == [row]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("show", "none"), "no library"),
        (("nobody", "-o", "library"), "nobody"),
        (("TRACE", "-o", "library", "-n", "0"), "-n 1"),
        (("TRACE", "-o", "library", "--seconds", "3"), "recorded already"),
        (("nobody", "-o", "library", "--seconds", "0"), "--seconds above 0"),
    ],
)
def test_wrong_words_are_refused_in_a_sentence(words, sentence, trace, tmp_path, command, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = command("learn", *(trace if word == "TRACE" else word for word in words))
    assert answer.status and not answer.out and sentence in answer.err and len(answer.err.splitlines()) == 1


def test_without_pypcode_the_way_out_is_said(trace, tmp_path, command, monkeypatch):
    monkeypatch.setitem(sys.modules, "pypcode", None)
    pcode._context.cache_clear()
    answer = command("learn", trace, "-o", tmp_path / "library")
    pcode._context.cache_clear()
    assert answer.status and "[learn]" in answer.err


def test_what_is_finished_stays_when_it_is_interrupted(trace, tmp_path, command, monkeypatch):
    def interrupted(*arguments):
        yield from find_loops(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr("pixel_cpu.learn.mine.find_loops", interrupted)
    answer = command("learn", trace, "-o", tmp_path / "library")
    assert answer.status == 130 and "the 1 loops that were finished" in answer.err
    assert len(list((tmp_path / "library").glob("*.json"))) == 1


def test_a_machine_called_like_an_action_needs_the_long_form():
    assert spell_out(["learn", "demo", "-o", "x"]) == ["learn", "from", "demo", "-o", "x"]
    for words in (["learn", "show", "library"], ["learn", "--help"], ["learn"], ["trace", "demo"]):
        assert spell_out(words) == words


@pytest.mark.guest
@pytest.mark.long
@pytest.mark.timeout(900)
def test_loops_of_a_guest_have_names(machine, tmp_path, command):
    done = threading.Event()

    def work():
        while not done.is_set():
            machine.exec("for i in 1 2 3 4 5 6 7 8; do cat /bin/busybox; done | md5sum", timeout_s=60)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        answer = command("learn", machine.name, "--seconds", "1", "-n", "3", "-o", tmp_path / "library", "--json")
    finally:
        done.set()
        worker.join()
    assert answer.status == 0, answer.err
    rows = json.loads(answer.out)
    assert any(row["where"].startswith("busybox+0x") and row["ring"] == 3 for row in rows)
    assert all(row["where"].partition("+")[0].isidentifier() for row in rows)
