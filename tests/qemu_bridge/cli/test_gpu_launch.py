"""``glassbox gpu run --counts``."""

import json

import numpy as np
import pytest

from pixel_cpu.kernels import source
from qemu_bridge.cli import main
from qemu_bridge.cli.gpu_launch import DEVICES


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


@pytest.mark.parametrize("device", DEVICES)
def test_what_is_printed_is_counted_as_nothing_else_and_no_line_goes_in_silence(device, tmp_path, capsys):
    file = tmp_path / "say.gpk"
    file.write_text("GPU_KERNEL say\nGPU_PARAM x int[]\nGPU_THREAD_CODE:\nTHREAD_ID -> i\nPRINT i\nGPU_END\n")
    words = ["gpu", "run", str(file), "--new", "x=1", "--lanes", "10003", "--device", device]
    assert main(words) == 0
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 10_000 and "3 printed lines more are not shown" in said.err
    assert ("instructions" in said.err) == (device == "reference")
    assert main([*words, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["prints_dropped"] == 3 and (report["counters"] is not None) == (device == "reference")


def test_a_gpu_counts_nothing_and_says_so(words, capsys):
    assert main([*words, "--counts", "--device", "wgpu"]) == 2
    assert "device 'wgpu' has no option 'counts'" in capsys.readouterr().err
