"""The hosts of lanes."""

from __future__ import annotations

import numpy as np
import pytest

from pixel_cpu.errors import GlassBoxError
from pixel_cpu.gpu_run.hosts import LaneHosts
from pixel_cpu.gpu_run.parser import make_parser
from pixel_cpu.runtime.printed import Part, Printed


def hosts(*words, rest=()):
    options = make_parser().parse_args(["some/m.wasm", *map(str, words)])
    options.rest = list(rest)
    return LaneHosts(options)


def test_a_wave_gets_what_its_lanes_have(tmp_path):
    for lane in range(4):
        (tmp_path / f"{lane}.in").write_text(f"in {lane}")
    given = ("--lanes", 4, "--env", "ID=n{lane}", "--stdin", tmp_path / "{lane}.in", "--out-dir", tmp_path / "o/{lane}")
    found = hosts(*given, rest=["--lane={lane}"])
    lanes = np.array([2, 3])
    with found.make(lanes, Part(Printed(), lanes)) as wasi:
        assert wasi.lanes == 2 and [path.name for path in sorted((tmp_path / "o").iterdir())] == ["2", "3"]
    assert found.arguments[3] == ["m.wasm", "--lane=3"] and found.folder(0) == tmp_path / "o/0"


def test_a_folder_that_cannot_be_made_says_so(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(GlassBoxError, match=r"--out-dir .*file"):
        hosts("--out-dir", tmp_path / "file/{lane}").folder(0)
