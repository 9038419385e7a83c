"""``--symbols SOURCE``: a file, nothing, or what is refused. Running machines: test_trace.py."""

import argparse

import pytest

from qemu_bridge.cli.trace_names import add_names, names_from
from qemu_bridge.errors import GlassBoxError, UsageError


def test_the_flag_is_optional():
    parser = argparse.ArgumentParser()
    add_names(parser)
    assert parser.parse_args([]).symbols is None and parser.parse_args(["--symbols", "demo"]).symbols == "demo"


def test_a_file_names_its_symbols_and_no_source_names_nothing(tmp_path):
    path = tmp_path / "System.map"
    path.write_text("ffffffff81000000 T _stext\nffffffff81000040 T schedule\nffffffff81001000 T _end\n")
    assert names_from(str(path)).symbol(0xFFFFFFFF81000044) == "schedule+0x4"
    assert names_from(None).symbol(0xFFFFFFFF81000044) == ""


def test_what_is_neither_a_file_nor_a_machine_is_refused(tmp_path):
    with pytest.raises(GlassBoxError, match="no-such-machine"):
        names_from("no-such-machine")
    path = tmp_path / "letter"
    path.write_text("Dear reader")
    with pytest.raises(UsageError, match="no symbols"):
        names_from(str(path))
