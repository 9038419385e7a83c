"""What all exports have in common: the list of formats, and that nothing is overwritten."""

import pytest

from qemu_bridge.cli import trace_top
from qemu_bridge.errors import HostError, UsageError
from qemu_bridge.trace.export import FORMATS, export


def test_the_command_knows_every_format():
    assert trace_top.FORMATS == FORMATS


def test_nothing_is_overwritten_and_bad_places_are_named(walk, tmp_path):
    (tmp_path / "there").write_text("mine")
    with pytest.raises(UsageError, match="there"):
        export(walk[0], "drcov", tmp_path / "there")
    with pytest.raises(UsageError, match="format"):
        export(walk[0], "xml", tmp_path / "new")
    for form in set(FORMATS) - {"parquet"}:  # parquet makes its folder
        with pytest.raises(HostError):
            export(walk[0], form, tmp_path / "no" / "folder")
    assert (tmp_path / "there").read_text() == "mine"
