"""What the verbs share: a verb, a table, JSON, talk."""

from __future__ import annotations

import argparse
import io
import json
import signal

import pytest

from qemu_bridge.cli import options
from qemu_bridge.wire.records import Answer, Grade, Symbol


def make_parser():
    parser = argparse.ArgumentParser()
    return parser, parser.add_subparsers(dest="verb")


def look(options):
    """Look at it.

    And more that help does not show.
    """


def test_a_verb_says_the_first_line_of_its_function_its_example_and_its_older_names():
    parser, verbs = make_parser()
    verb = options.add_verb(verbs, "look", look, "glassbox look demo", aliases=("peer",))
    options.add_name(verb)
    assert verb.description == "Look at it. Older name: peer." and "glassbox look demo" in verb.format_help()
    for word in ("look", "peer"):
        found = parser.parse_args([word, "demo"])
        assert found.function is look and found.name == "demo"


def test_a_table_has_headings_and_numbers_on_the_right_and_no_blanks_behind():
    lines = options.format_table([[1, "init", None], [23456, "a", ("x", "y")]], ("pid", "name", "used_by"))
    assert lines == ["  PID  NAME  USED BY", "    1  init  -", "23456  a     x,y"]
    assert options.format_table([], ("pid",)) == ["PID"]


def test_what_a_guest_says_cannot_drive_the_terminal(capsys):
    assert options.format_table([["\x1b[2J", 1]], ("name", "n"))[1] == "?[2J  1"
    options.say("a \x1b]0;title\x07 of a guest")
    assert capsys.readouterr().err == "glassbox: a ?]0;title? of a guest\n"


def test_rows_are_json_with_all_fields_or_a_table_of_some(capsys):
    rows = [Symbol("init_task", 0x1000, "D"), Symbol("gone", 0x2000, "T", 4, "fat")]
    options.print_rows(rows, ("name", "offset"), as_json=False)
    assert capsys.readouterr().out == "NAME       OFFSET\ninit_task       0\ngone            4\n"
    options.print_rows(rows, (), as_json=True)
    printed = json.loads(capsys.readouterr().out)
    assert printed[1] == {"name": "gone", "address": "0x2000", "symbol_type": "T", "offset": 4, "module": "fat"}
    options.print_rows([{"a": 1}], ("a",), as_json=False)
    assert capsys.readouterr().out == "A\n1\n"


def test_json_is_one_line_unless_people_look_at_it(capsys, monkeypatch):
    options.print_json({"a": [1]})
    assert capsys.readouterr().out == '{"a":[1]}\n'
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    options.print_json({"a": [1]})
    assert len(capsys.readouterr().out.splitlines()) > 1


def test_each_sentence_about_what_is_left_out_is_a_line_of_talk(capsys):
    options.say_skipped(Answer((), Grade.LIVE, 0, ("one is missing", "another is")))
    assert capsys.readouterr().err.splitlines() == [
        "glassbox: incomplete: one is missing",
        "glassbox: incomplete: another is",
    ]


@pytest.mark.parametrize("width", [80, 60, 30])
def test_a_table_on_a_terminal_is_as_wide_as_that_and_no_number_is_cut(width):
    rows = [[number, "0xffffffff81000000", "x" * 50, "words " * 20] for number in (1, 134217728)]
    lines = options.format_table(rows, ("size", "address", "name", "command"), width)
    assert max(map(len, lines)) <= max(width, 9 + 18 + 6 + 6 + 6)
    assert all("0xffffffff81000000" in line for line in lines[1:]) and "134217728" in lines[2]
    assert lines[1].endswith("…") and options.format_table(rows, ("a", "b", "c", "d"))[1].endswith("words")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_headings_are_bold_on_a_terminal_only_and_not_without_colours(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert options.bold("PID", Terminal()) == "\x1b[1mPID\x1b[0m" and options.bold("PID", io.StringIO()) == "PID"
    monkeypatch.setenv("TERM", "dumb")
    assert options.bold("PID", Terminal()) == "PID"
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert options.bold("PID", Terminal()) == "PID"


@pytest.fixture
def handlers():
    kept = {number: signal.getsignal(number) for number in options.END_SIGNALS}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def test_every_signal_that_ends_a_program_does_so_as_ctrl_c_unless_it_is_ignored(handlers):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    options.end_tidily()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


@pytest.mark.guest
def test_a_machine_is_reached_by_its_name(machine):
    with options.connect(argparse.Namespace(name=machine.name)) as client:
        assert client.status().name == machine.name


def test_progress_is_a_line_that_is_written_over_and_ended(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr("qemu_bridge.cli.options._REDRAW_S", 0.0)
    show = options.progress_line("copied")
    show(1 << 20, 4 << 20)
    show(4 << 20, 4 << 20)
    assert capsys.readouterr().err == "\rglassbox: copied 1 of 4 MiB\rglassbox: copied 4 of 4 MiB\n"


def test_progress_is_not_redrawn_more_often_than_people_see_but_the_end_is_shown(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr("qemu_bridge.cli.options._REDRAW_S", 60.0)
    show = options.progress_line("copied")
    for done in range(1, 5):
        show(done << 20, 4 << 20)
    assert capsys.readouterr().err == "\rglassbox: copied 4 of 4 MiB\n"


def test_progress_is_silent_where_nobody_looks(capsys):
    options.progress_line("copied")(1, 1)
    assert capsys.readouterr().err == ""
