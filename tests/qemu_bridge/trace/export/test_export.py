"""What all exports have in common: the list of formats, and that nothing is overwritten."""

import importlib

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


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("the disk is full"), MemoryError])
def test_an_export_that_does_not_end_leaves_nothing(form, error, two, tmp_path, monkeypatch):
    """So the next one finds its place free."""
    output = tmp_path / "out"
    module = importlib.import_module(f"qemu_bridge.trace.export.{form}")
    write = module.write

    def fail(*arguments):
        write(*arguments)
        raise error

    monkeypatch.setattr(module, "write", fail)
    with pytest.raises(HostError if isinstance(error, OSError) else error):
        export(two[0], form, output)
    assert not list(tmp_path.iterdir())
    monkeypatch.undo()
    export(two[0], form, output)
    made = sorted(path.name for path in tmp_path.iterdir())
    assert made == (["out.0", "out.1"] if form == "bbv" else ["out"])


def test_no_part_of_an_export_overwrites(two, tmp_path):
    (tmp_path / "out.1").write_text("mine")
    with pytest.raises(UsageError, match=r"out\.1 exists"):
        export(two[0], "bbv", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out.1"]
