"""``glassbox gpu trace``: a launch as a file that Perfetto opens."""

import json

import numpy as np
import pytest
from perfetto.protos.perfetto.trace import perfetto_trace_pb2

from pixel_cpu.kernels import source
from qemu_bridge.cli import main

COPY = """
GPU_KERNEL copy
    GPU_PARAM x float[]
    GPU_PARAM y float[]
    GPU_THREAD_CODE:
        THREAD_ID -> i
        STORE x[i] -> y[i]
GPU_END
"""
HOST = """
GPU_KERNEL double
    GPU_PARAM x float[]
    GPU_THREAD_CODE:
        TRANSFORM x -> x BY x * 2
GPU_END

GPU_ALLOC data float[n]
GPU_LAUNCH double BLOCKS 1 THREADS 32 x=data
GPU_LAUNCH double BLOCKS 1 THREADS 32 x=data
GPU_COPY data -> result
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "saxpy.gpk").write_text(source("saxpy"))
    np.save("x.npy", np.arange(5000, dtype="f4"))
    return tmp_path


WORDS = ["saxpy.gpk", "--set", "a=2", "--in", "x=x.npy", "--new", "y=5000"]


def slices(path):
    """Names of the slices of each track."""
    trace = perfetto_trace_pb2.Trace()
    trace.ParseFromString(path.read_bytes())
    names = {p.track_descriptor.uuid: p.track_descriptor.name for p in trace.packet if p.HasField("track_descriptor")}
    found = {}
    for packet in trace.packet:
        own = packet.track_event
        if packet.HasField("track_event") and own.type == own.TYPE_SLICE_BEGIN:
            found.setdefault(names[own.track_uuid], []).append(own.name)
    return found


@pytest.mark.parametrize(
    ("device", "inner"), [("cpu", "thread 0"), ("reference", "all lanes in step"), ("wgpu", "queue")]
)
def test_a_launch_is_traced_on_every_device(folder, device, inner, capsys):
    words = [*WORDS, "--device", device, "--out", "y=y.npy", "-o", "out.pftrace"]
    assert main(["gpu", "trace", *words]) == 0
    assert "out.pftrace written; open it at ui.perfetto.dev" in capsys.readouterr().err
    assert (np.load("y.npy") == 2 * np.arange(5000)).all()
    found = slices(folder / "out.pftrace")
    assert found["program"] == ["load saxpy.gpk", "copy arrays in", "build", "launch saxpy", "write y"]
    assert found[inner] and ["saxpy"] in found.values()
    assert main(["gpu", "trace", *words]) == 2 and "out.pftrace exists" in capsys.readouterr().err
    assert main(["gpu", "trace", *words, "--force", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["timeline"]["kernel"] == "saxpy"


def test_a_launch_that_traps_is_traced_and_an_error(folder, capsys):
    (folder / "copy.gpk").write_text(COPY)
    words = ["--in", "x=x.npy", "--new", "y=4000", "-o", "out.pftrace"]
    assert main(["gpu", "trace", "copy.gpk", *words]) == 1
    assert "kernel copy, lane 4000, line 7: index 4000 outside y[4000]" in capsys.readouterr().err
    content = (folder / "out.pftrace").read_bytes()
    assert b"trap of lane 4000, line 7: index 4000 outside y[4000]" in content and b"lanes that trapped" in content


def test_a_program_of_the_host_has_all_its_launches_on_one_timeline(folder):
    (folder / "host.gpk").write_text(HOST)
    assert main(["gpu", "trace", "host.gpk", "--set", "n=64", "-o", "out.pftrace"]) == 0
    found = slices(folder / "out.pftrace")
    assert ["double", "double"] in found.values() and "run the host's program" in found["program"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--threads", "0"], "a group has 1 to"),
        (["--threads", "100000"], "a group has 1 to"),
        (["--kernel", "other"], "there is no kernel 'other'"),
        (["-o", "none/there/out.pftrace"], ""),
    ],
)
def test_what_is_wrong_is_named(words, sentence, capsys):
    status = main(["gpu", "trace", *WORDS, "-o", "out.pftrace", *words])
    said = capsys.readouterr().err
    assert sentence in said and "Traceback" not in said and (status == 2) is bool(sentence)
