"""``glassbox gpu``: kernels on arrays from the command line, checked, bounded, with what they cost."""

import json

import numpy as np
import pytest
from support import glassbox

from pixel_cpu.runtime.backends import MODULES
from qemu_bridge.cli import gpu_launch, main

SAXPY = """
kernel saxpy(%a: f32) {
  buffer @x: f32 read
  buffer @y: f32
  %i = global_id : u32
  %n = length @x : u32
  %c = lt %i, %n : bool
  if %c {
    %1 = load @x %i trap : f32 !3
    %2 = mul %a, %1 : f32
    %3 = load @y %i trap : f32 !4
    %4 = add %2, %3 : f32
    store @y %i, %4 trap !5
    yield
  } else {
    print "beyond" %i
    yield
  }
  return
}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "saxpy.ir").write_text(SAXPY)
    np.save(tmp_path / "x.npy", np.arange(12, dtype="f4").reshape(3, 4))
    np.save(tmp_path / "y.npy", np.ones(12, "f4"))
    return tmp_path


def run(folder, *words):
    pairs = [word.replace("=", f"={folder}/") if word.endswith(".npy") else word for word in words]
    return glassbox("gpu", "run", str(folder / "saxpy.ir"), "--device", "reference", *pairs)


def test_arrays_go_in_and_come_out_in_their_shape(folder):
    words = ("--set", "a=2.0", "--in", "x=x.npy", "--in", "y=y.npy", "--out", "y=out.npy")
    answer = run(folder, *words)
    assert answer.returncode == 0 and "saxpy ran on reference in" in answer.stderr
    assert (np.load(folder / "out.npy") == np.arange(12) * 2 + 1).all()
    again = run(folder, *words)
    assert again.returncode == 2 and "out.npy exists" in again.stderr and "--force" in again.stderr
    assert run(folder, *words, "--force").returncode == 0
    assert sorted(path.name for path in folder.iterdir()) == ["out.npy", "saxpy.ir", "x.npy", "y.npy"]


def test_what_a_launch_did_is_json_and_prints_come_in_order(folder):
    words = ("--set", "a=1", "--in", "x=x.npy", "--new", "y=12", "--lanes", "14")
    report = json.loads(run(folder, *words, "--json").stdout)
    assert report["backend"] == "reference" and report["trap"] is None and report["counters"]["stores"] == 12
    assert run(folder, *words).stdout.splitlines() == ["lane 12: beyond 12", "lane 13: beyond 13"]


def test_a_trap_is_an_error_with_lane_and_line_and_writes_nothing(folder):
    answer = run(folder, "--set", "a=1", "--in", "x=x.npy", "--new", "y=5", "--lanes", "12", "--out", "y=out.npy")
    assert answer.returncode == 1 and "kernel saxpy, lane 5, line 4: index 5 outside y[5]" in answer.stderr
    assert "7 lanes ended by a trap" in answer.stderr and not (folder / "out.npy").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--in", "x=x.npy", "--in", "y=y.npy"), "scalar a is missing"),
        (("--set", "a=2", "--in", "x=x.npy"), "buffer y is missing"),
        (("--set", "a=two", "--in", "x=x.npy", "--in", "y=y.npy"), "'two' is no f32"),
        (("--set", "a", "--in", "x=x.npy"), "'a' is not --set NAME=VALUE"),
        (("--set", "a=1", "--set", "a=2"), "'a' is given twice"),
        (("--set", "a=1", "--in", "x=none.npy"), "No such file"),
        (("--set", "a=1", "--in", "x=saxpy.ir"), "no array in NumPy's .npy format"),
        (("--set", "a=1", "--in", "x=x.npy", "--new", "z=4"), "has no such buffer"),
        (("--set", "a=1", "--in", "x=x.npy", "--new", "y=many"), "'many' is no number"),
        (("--set", "a=1", "--in", "x=x.npy", "--new", "y=99999999999"), "do not fit"),
        (("--set", "a=1", "--in", "x=x.npy", "--new", "y=12", "--out", "z=z.npy"), "no buffer 'z'"),
        (("--kernel", "other"), "there is no kernel 'other'; the program has saxpy"),
        (("--device", "cuda"), "invalid choice"),
    ],
)
def test_what_is_wrong_is_named(folder, words, sentence, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    try:
        status = main(["gpu", "run", "saxpy.ir", "--device", "reference", *words])
    except SystemExit as stop:  # argparse's own
        status = stop.code
    said = capsys.readouterr().err
    assert status in (1, 2) and sentence in said and "Traceback" not in said


HOST = """
GPU_KERNEL double
    GPU_PARAM x float[]
    GPU_THREAD_CODE:
        TRANSFORM x -> x BY x * 2
GPU_END

GPU_ALLOC data float[n]
GPU_COPY start -> data
GPU_LAUNCH double BLOCKS 1 THREADS 32 x=data
GPU_COPY data -> result
"""


def test_a_program_of_the_host_runs_as_it_stands(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    (folder / "host.gpk").write_text(HOST)
    words = ["gpu", "run", "host.gpk", "--set", "n=12", "--in", "start=x.npy"]
    assert main([*words, "--out", "result=out.npy"]) == 0
    assert "1 launches on cpu in" in capsys.readouterr().err
    assert (np.load(folder / "out.npy") == np.arange(12) * 2).all()
    for more, sentence in (
        (["--out", "other=o.npy"], "copies no 'other' back; it copies result"),
        (["--lanes", "4"], "--lanes is of a launch"),
    ):
        assert main([*words, *more]) == 2 and sentence in capsys.readouterr().err
    assert main(["gpu", "run", "host.gpk", "--kernel", "double", "--in", "x=x.npy"]) == 0


def test_a_file_is_formatted_in_place_and_checked(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    odd = HOST.replace("    GPU_PARAM x float[]", "  GPU_PARAM   x   float[]  # what is doubled").replace("->", "→")
    (folder / "odd.gpk").write_text(odd)
    (folder / "odd.gpk").chmod(0o640)
    assert main(["gpu", "format", "--check", "odd.gpk"]) == 1 and (folder / "odd.gpk").read_text() == odd
    assert main(["gpu", "format", "odd.gpk"]) == 0
    assert (folder / "odd.gpk").stat().st_mode & 0o777 == 0o640
    text = (folder / "odd.gpk").read_text()
    assert "    GPU_PARAM x float[]" in text and "# what is doubled" in text and "→" not in text
    assert main(["gpu", "format", "--check", "odd.gpk"]) == 0
    latin = b"# Gr\xfc\xdfe\n" + text.encode()
    (folder / "odd.gpk").write_bytes(latin)
    assert main(["gpu", "format", "odd.gpk"]) == 2 and (folder / "odd.gpk").read_bytes() == latin
    (folder / "odd.gpk").write_text("GPU_KERNEL k\n  LOD x -> y\n")
    capsys.readouterr()
    assert main(["gpu", "format", "odd.gpk"]) == 2 and "odd.gpk:" in capsys.readouterr().err
    assert (folder / "odd.gpk").read_text() == "GPU_KERNEL k\n  LOD x -> y\n"


def test_check_says_what_is_proved_and_why(folder):
    answer = glassbox("gpu", "check", str(folder / "saxpy.ir"))
    assert (
        "saxpy: line 3: load x[0..2147483646]: proved: the index is compared with the length of x before"
        in answer.stdout
    )
    assert "line 5: store y" in answer.stdout and "checked, traps" in answer.stdout
    assert "1 of 3 accesses are proved" in answer.stderr
    rows = json.loads(glassbox("gpu", "check", str(folder / "saxpy.ir"), "--json").stdout)
    assert [row["verdict"] for row in rows] == ["proved", "trap", "trap"]


def test_show_prints_ir_that_reads_back(folder):
    first = glassbox("gpu", "show", str(folder / "saxpy.ir")).stdout
    (folder / "again.ir").write_text(first)
    assert glassbox("gpu", "show", str(folder / "again.ir")).stdout == first


def test_devices_are_listed_with_what_stands_behind_them():
    rows = json.loads(glassbox("gpu", "devices", "--json").stdout)
    assert {"name": "reference", "reason": ""}.items() <= next(
        row for row in rows if row["name"] == "reference"
    ).items()
    assert "reference" in glassbox("gpu", "devices").stdout


def test_every_back_end_is_a_device_of_the_command_line():
    assert tuple(MODULES) == gpu_launch.DEVICES
