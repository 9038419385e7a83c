"""``glassbox gpu run --counts``."""

import json

import numpy as np
import pytest

from pixel_cpu.kernels import source
from qemu_bridge.cli import main


@pytest.fixture
def words(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "saxpy.gpk").write_text(source("saxpy"))
    np.save("x.npy", np.arange(1000, dtype="f4"))
    return ["gpu", "run", "saxpy.gpk", "--set", "a=2", "--in", "x=x.npy", "--new", "y=1000", "--json"]


def test_what_lanes_do_is_counted_where_that_is_asked_for(words, capsys):
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["counters"] is None
    for device in ("cpu", "reference"):
        assert main([*words, "--counts", "--device", device]) == 0
        report = json.loads(capsys.readouterr().out)
        assert report["counters"]["stores"] == 1000 and report["timeline"] is None


def test_a_gpu_counts_nothing_and_says_so(words, capsys):
    assert main([*words, "--counts", "--device", "wgpu"]) == 2
    assert "device 'wgpu' has no option 'counts'" in capsys.readouterr().err
