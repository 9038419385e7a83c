"""The pager: for what is longer than the terminal, on a terminal, and only there."""

import contextlib
import os
import pty
import sys

import pytest

from qemu_bridge.cli import pager


@contextlib.contextmanager
def terminal(monkeypatch):
    """A real terminal of 10 lines as standard output; yields a function that gives what was written to it."""
    own, its = pty.openpty()
    monkeypatch.setenv("LINES", "10")
    monkeypatch.setenv("COLUMNS", "80")
    with os.fdopen(its, "w") as output:
        monkeypatch.setattr(sys, "stdout", output)
        yield lambda: os.read(own, 1 << 16).decode().replace("\r\n", "\n")
        monkeypatch.undo()
    os.close(own)


def test_what_fits_is_printed_and_what_does_not_goes_to_the_pager(monkeypatch, tmp_path):
    with terminal(monkeypatch) as read:
        monkeypatch.setenv("GLASSBOX_PAGER", f"tee {tmp_path / 'shown'}")
        with pager.paged("ps"):
            print("short")
            assert sys.stdout.isatty()
        assert read() == "short\n" and not (tmp_path / "shown").exists()
        with pager.paged("ps"):
            print("\n".join(f"line {number}" for number in range(30)))
    assert (tmp_path / "shown").read_text().splitlines()[-1] == "line 29"


@pytest.mark.parametrize(("verb", "program"), [("events", "false"), ("ps", ""), ("ps", "no-such-pager")])
def test_a_stream_and_who_wants_no_pager_have_none(monkeypatch, verb, program):
    with terminal(monkeypatch):
        monkeypatch.setenv("GLASSBOX_PAGER", program)
        with pager.paged(verb):
            assert not isinstance(sys.stdout, pager._Pages)


def test_a_pager_that_leaves_early_harms_nothing(monkeypatch):
    with terminal(monkeypatch):
        monkeypatch.setenv("GLASSBOX_PAGER", "true")
        with pager.paged("ps"):
            print("x\n" * 200_000)


def test_in_a_pipe_nothing_is_kept(capsys):
    with pager.paged("ps"):
        print("at once")
        assert capsys.readouterr().out == "at once\n"


def test_what_was_printed_before_an_error_is_shown(monkeypatch):
    with terminal(monkeypatch) as read:
        monkeypatch.setenv("GLASSBOX_PAGER", "cat")
        with pytest.raises(ZeroDivisionError), pager.paged("ps"):
            print("before")
            raise ZeroDivisionError
        assert read() == "before\n"
