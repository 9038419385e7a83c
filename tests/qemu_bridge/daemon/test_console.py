"""What the console means is told once, and what was not read yet can be looked at."""

import contextlib

import pytest

from qemu_bridge.daemon import console
from qemu_bridge.daemon.console import Console


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "console.log"
    path.touch()
    return path


def write(log, text: bytes) -> None:
    with open(log, "ab") as file:
        file.write(text)


def test_a_line_is_found_across_two_reads_and_told_once(log):
    with contextlib.closing(Console(log)) as found:
        write(log, b"boots\nglassbox: re")
        found.read()
        assert not found.is_ready
        write(log, b"ady\nKernel panic - not syncing: out of \x1bmemory\n")
        found.read()
        assert found.is_ready
        panic = found.take_panic()
        assert panic.startswith("out of ") and "\x1b" not in panic and found.is_ready
        write(log, b"glassbox: ready\n")
        found.read()
        found.take_ready()
        assert not found.is_ready and not found.take_panic()


def test_what_was_not_read_is_in_the_rest_and_another_reads_it(log, tmp_path):
    with contextlib.closing(Console(log)) as found:
        write(log, b"glassbox: re")
        found.read()
        write(log, b"ady\n")
        assert console.READY_LINE in found.rest() and not found.is_ready, "looking at it reads nothing"
        (tmp_path / "other").write_bytes(found.rest())
        with contextlib.closing(Console(tmp_path / "other")) as other:
            other.read()
            assert other.is_ready
        found.read()
        found.take_ready()
        assert console.READY_LINE not in found.rest(), "it is told once"


def test_a_log_that_is_full_starts_over(log, monkeypatch):
    monkeypatch.setattr(console, "CONSOLE_LIMIT", 1000)
    with contextlib.closing(Console(log)) as found:
        for _ in range(3):
            write(log, b"x" * 700)
            found.read()
            found.rest()
        assert log.stat().st_size < 1000
