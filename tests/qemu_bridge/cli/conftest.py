"""The command line in this process, which is sooner than in one of its own."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from qemu_bridge import cli


class Ended(NamedTuple):
    """What a command gave: its exit status, its data and its talk."""

    status: int
    out: str
    err: str


@pytest.fixture
def command(capsys):
    """A function that runs one command line; ``glassbox`` in front is left out."""

    def run(*words):
        capsys.readouterr()
        try:
            status = cli.main([str(word) for word in words])
        except SystemExit as ending:
            status = int(ending.code or 0)
        return Ended(status, *capsys.readouterr())

    return run
