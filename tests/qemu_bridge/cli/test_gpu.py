"""``glassbox gpu``: kernels on arrays from the command line, checked, bounded, with what they cost."""

import io
import json
from random import Random

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
        (("--set", "a=1e400", "--in", "x=x.npy", "--in", "y=y.npy"), "'1e400' is no f32"),
        (("--set", "a", "--in", "x=x.npy"), "'a' is not --set NAME=VALUE"),
        (("--set", "a=1", "--set", "a=2"), "'a' is given twice"),
        (("--set", "a=1", "--in", "x=none.npy"), "No such file"),
        (("--set", "a=1", "--in", "x=saxpy.ir"), "no array in NumPy's .npy format"),
        (("--set", "a=1", "--in", "x=x.npy", "--new", "z=4"), "has no such buffer"),
        (("--set", "a=1", "--in", "x=x.npy", "--new", "y=many"), "'many' is no number"),
        (("--set", "a=1", "--in", "x=x.npy", "--new", "y=99999999999"), "do not fit"),
        (("--set", "a=1", "--in", "x=x.npy", "--new", "y=12", "--out", "z=z.npy"), "no buffer 'z'"),
        (("--set", "a=1", "--in", "x=x.npy", "--new", f"y={'9' * 5000}"), "is no number"),
        (("--set", "a=1e39", "--in", "x=x.npy", "--new", "y=12"), "a is f32, which 1e+39 is not"),
        (("--set", "a=1", "--in", "x=x.npy", "--new", "y=12", "--seconds", "nan"), "0 seconds or more, not nan"),
        (("--out", "x=same.npy", "--out", "y=./same.npy"), "two outputs go to the same file"),
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


def npy(header: str) -> bytes:
    """A file in NumPy's form with that header and no data."""
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()


def of_shape(shape: str, kind: str = "'<f4'") -> bytes:
    return npy(f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}")


def archive() -> bytes:
    content = io.BytesIO()
    np.savez(content, x=np.ones(3, "f4"))
    return content.getvalue()


NO_ARRAYS = [b"", b"PK\x03\x04 no archive", b"PK\x05\x06" + bytes(18), b"\x80\x04.", archive()]
NO_ARRAYS += [
    npy(text) for text in ("{{((", "[1,2", "(" * 2000, "-" * 5000 + "1", "{[]: 1}", "{1: 2, 'a': 3}", "'\\x", "")
]
NO_ARRAYS += [
    of_shape(text) for text in ("(-1,)", f"({10**12},)", f"({10**30},)", f"({10**11}, {10**13})", "(1 << 9,)")
]
NO_ARRAYS += [
    of_shape("(5,)", kind) for kind in ("','", "5", "'|S0'", "'|V0'", "[('a',)]", "[('', '<f4', (-1,))]", "'|O'")
]


@pytest.mark.parametrize("content", NO_ARRAYS)
def test_a_file_that_is_no_array_is_an_error_and_no_crash(folder, content, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "bad.npy").write_bytes(content)
    assert main(["gpu", "run", "saxpy.ir", "--set", "a=1", "--in", "x=bad.npy", "--device", "reference"]) == 2
    assert capsys.readouterr().err.startswith("glassbox: ")


def test_a_damaged_header_never_crashes(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    whole, random = (folder / "x.npy").read_bytes(), Random(1)
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(random.randrange(1, 4)):
            damaged[random.randrange(70)] = random.choice(b"(){}[],:'-+0129fVOSU<>\\ ")
        (folder / "bad.npy").write_bytes(damaged)
        # Where it is an array still, y is missing.
        assert main(["gpu", "run", "saxpy.ir", "--set", "a=1", "--in", "x=bad.npy", "--device", "reference"]) == 2
    assert "Traceback" not in capsys.readouterr().err


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


def test_names_of_the_host_s_program_are_the_text_s_own(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    text = HOST.replace("[n]", "[seconds]").replace("start", "device").replace("BLOCKS 1", "BLOCKS self")
    (folder / "host.gpk").write_text(text)
    np.save("x1.npy", np.arange(5, dtype="f4"))
    words = ["gpu", "run", "host.gpk", "--device", "reference", "--set", "seconds=5", "--in", "device=x1.npy"]
    assert main([*words, "--set", "self=1", "--out", "result=out.npy"]) == 0
    assert np.load("out.npy").tolist() == [0, 2, 4, 6, 8]
    assert main([*words, "--in", "self=x1.npy"]) == 2
    assert "self is an array of shape (5,), where a whole number" in capsys.readouterr().err


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


@pytest.mark.parametrize("threads", ["0", "-3", "1025", "99999999999"])
def test_no_group_of_such_a_size_is_checked(folder, threads, capsys):
    assert main(["gpu", "check", str(folder / "saxpy.ir"), "--threads", threads]) == 2
    assert f"1 to 1024 lanes, not {threads}" in capsys.readouterr().err


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
