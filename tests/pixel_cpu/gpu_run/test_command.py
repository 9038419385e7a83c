"""The command on real programs, beside wasmtime: output, exit codes and files are equal, lane by lane."""

from __future__ import annotations

import json
import shlex

import pytest
from gpu_lanes import MANY, in_wasmtime

from pixel_cpu.gpu_run import command, main

FATES = [
    ["echo", "a", "b c"],
    ["exit", "3"],
    ["trap"],
    ["both"],
    ["deep"],
    ["bomb"],
    ["mix", "1000", "5"],
    ["exit", "125"],
    ["echo", "ä{}"],
    ["env", "NAME"],
    ["env", "OTHER"],
    ["in"],
    ["mix", "20", "9"],
]
"""What lanes do beside each other."""


@pytest.fixture
def run(capfdbinary):
    """Runs the command; gives the exit status and what it printed: standard output, and standard error as text."""

    def run(*words):
        try:
            status = main(["--device", "cpu", *map(str, words)])
        except SystemExit as ended:
            status = ended.code
        out, err = capfdbinary.readouterr()
        return status, out, err.decode()

    return run


def lines(tmp_path, fates):
    file = tmp_path / "in.txt"
    file.write_text("".join(shlex.join(words) + "\n" for words in fates))
    return file


def test_every_lane_does_what_it_does_in_wasmtime(run, tmp_path):
    (tmp_path / "stdin").write_bytes(b"one\ntwo\n" * 30)
    given = ("--args-file", lines(tmp_path, FATES), "--env", "NAME=value", "--stdin", tmp_path / "stdin")
    status, out, _ = run(MANY, *given, "--stdout", "jsonl")
    found = [json.loads(line) for line in out.splitlines()]
    assert status == 1 and len(found) == len(FATES)
    for words, lane in zip(FATES, found, strict=True):
        stdin = (tmp_path / "stdin").read_bytes()
        wanted = in_wasmtime(words, environment={"NAME": "value"}, stdin=stdin)
        assert (lane["exit_code"], lane["stdout"].encode(), lane["stderr"].encode()) == (
            wanted.code,
            wanted.stdout,
            wanted.stderr,
        ), words
    status, merged, err = run(MANY, *given)
    assert status == 1 and merged == b"".join(lane["stdout"].encode() for lane in found)
    assert "lane 2: unreachable in inner" in err and "lane 4: call stack exhausted in deep" in err


def test_the_backtrace_names_functions(run):
    status, out, err = run(MANY, "--", "trap")
    assert status == 134 and out == b"before\n"
    assert [line.split()[-1] for line in err.splitlines() if line.startswith("gpu-run:     ")] == [
        "inner",
        "outer",
        "start",
    ]


def test_a_single_lane_gives_its_own_exit_code(run):
    assert run(MANY, "--", "exit", "42")[:2] == (42, b"leaving\n")
    assert run(MANY, "--", "echo", "{lane}")[:2] == (0, b"0\n")


def test_lanes_that_never_end_are_ended_by_their_fuel_and_the_others_are_unharmed(run, tmp_path):
    fates = [["spin"], ["echo", "x"], ["spin"], ["echo", "y"]]
    status, out, err = run(MANY, "--args-file", lines(tmp_path, fates), "--fuel", 200000)
    assert status == 1 and out == b"spinning\nx\nspinning\ny\n"
    assert "lane 0: out of fuel" in err and "lane 2: out of fuel" in err and "lane 1" not in err


def test_a_loop_that_the_host_cannot_stop_ends_by_a_trap_too(run, tmp_path):
    fates = [["stuck"], ["echo", "x"]]
    status, out, err = run(MANY, "--args-file", lines(tmp_path, fates), "--fuel", 200000)
    assert status == 1 and out == b"x\n" and "lane 0: out of fuel" in err


def test_the_time_ends_the_run_and_what_has_ended_is_whole(run, tmp_path):
    fates = [["echo", "x"], ["spin"], ["echo", "y"]]
    status, out, err = run(MANY, "--args-file", lines(tmp_path, fates), "--timeout", 5)
    assert status == 124 and out == b"x\nspinning\ny\n" and "Traceback" not in err


def test_more_lanes_than_fit_run_in_waves(run):
    words = ("--lanes", 20, "--pages", 1, "--memory", "1M", "--json", "--stdout", "merge")
    status, out, err = run(MANY, *words, "--", "echo", "{lane}")
    total = json.loads(err.splitlines()[-1])
    assert status == 0 and out == b"".join(b"%d\n" % lane for lane in range(20))
    assert total["waves"] > 1 and total["waves"] == -(-20 // total["lanes_of_a_wave"])


def test_each_lane_has_a_folder_of_its_own_and_sees_the_shared_one(run, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.txt").write_text("shared\n")
    folders = ("--dir", f"{tmp_path}/data:/", "--out-dir", f"{tmp_path}/lane-{{id}}/")
    waves = ("--pages", 1, "--memory", "300K")
    status, _, err = run(MANY, "--lanes", 6, *folders, *waves, "--", "save", "made", "of {lane}")
    assert status == 0, err
    assert [(tmp_path / f"lane-{lane}/made").read_text() for lane in range(6)] == [f"of {lane}" for lane in range(6)]
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["a.txt"]
    status, out, _ = run(MANY, "--lanes", 2, *folders, "--stdout", "dir", "--", "cat", "a.txt")
    assert status == 0 and out == b"" and (tmp_path / "lane-1/stdout").read_text() == "shared\n"


def test_shared_folders_are_written_with_rw_only(run, tmp_path):
    status, _, err = run(MANY, "--dir", f"{tmp_path}:/", "--", "save", "made", "text")
    wanted = in_wasmtime(["save", "made", "text"], folders={"/": tmp_path})
    assert status == wanted.code and not (tmp_path / "made").exists() and "cannot open made" in err
    assert run(MANY, "--dir", f"{tmp_path}:/", "--rw", "--", "save", "made", "text")[0] == 0
    assert (tmp_path / "made").read_text() == "text"


def test_a_seed_gives_all_lanes_the_same_numbers(run):
    words = ("--lanes", 3, "--", "random")
    one, other = (run(MANY, "--seed", seed, *words)[1].splitlines() for seed in (1, 2))
    assert len(set(one)) == 1 == len(set(other)) and one != other
    assert len(set(run(MANY, *words)[1].splitlines())) == 3


def test_the_table_of_lanes(run):
    status, out, err = run(MANY, "--lanes", 2, "--ps", "--", "exit", "{lane}")
    rows = [line.split() for line in err.splitlines() if not line.startswith("gpu-run:")]
    assert status == 1 and out == b"leaving\n" * 2
    assert rows[0][:4] == ["LANE", "PID", "STATUS", "EXIT"]
    assert [row[:4] for row in rows[1:]] == [["0", "1", "exited", "0"], ["1", "2", "exited", "1"]]
    status, out, _ = run(MANY, "--lanes", 2, "--ps", "--json", "--", "exit", "{lane}")
    total = json.loads(out.splitlines()[-1])
    assert [row["exit_code"] for row in total["processes"]] == [0, 1] and total["exit_codes"] == {"0": 1, "1": 1}
    assert total["device"] == "cpu" and len(out.splitlines()) == 3


def test_explain_says_what_runs_how(run):
    status, out, _ = run(MANY, "--explain", "--lanes", 5000)
    text = out.decode()
    assert status == 0 and "lanes fit at once, so 5,000 run in 3" in text
    plan = json.loads(run(MANY, "--explain", "--json", "--lanes", 5000)[1])
    how = {each["name"]: (each["how"], each["suspends"]) for each in plan["functions"]}
    assert how["inner"] == ("direct", False) and how["outer"] == ("block machine", True)
    assert {each["support"] for each in plan["imports"]} == {"yes"} and plan["waves"] == 3


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--lanes", "3", "--args-file", "in.txt"], "in.txt has 1 lines for 3 lanes"),
        (["--dir", "nowhere:/"], "there is no such folder"),
        (["--lanes", "2", "--out-dir", "x"], "2 lanes need a folder each"),
        (["--stdout", "dir"], "name it with --out-dir"),
        (["--args-file", "-", "--stdin", "-"], "both want standard input"),
        (["--memory", "10K"], "a lane needs"),
        (["--env", "=x"], "has no name"),
    ],
)
def test_what_cannot_be_says_what_to_do(run, tmp_path, monkeypatch, words, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.txt").write_text("one line\n")
    status, out, err = run(MANY, *words)
    assert (
        status in (1, 2) and out == b"" and err.startswith("gpu-run: ") and says in err and len(err.splitlines()) == 1
    )


def test_a_module_that_is_no_program(run, tmp_path):
    (tmp_path / "m.wasm").write_bytes(b"\0asm\1\0\0\0")
    status, _, err = run(tmp_path / "m.wasm")
    assert status == 2 and "exports no _start" in err
    (tmp_path / "m.wasm").write_bytes(b"#!/bin/sh")
    assert "m.wasm: byte 0x0" in run(tmp_path / "m.wasm")[2]


def test_what_the_gpu_does_not_take_runs_on_the_processor_where_nobody_named_a_device(run, monkeypatch):
    monkeypatch.setattr(command, "best_device", lambda: "wgpu")
    for name in ("VK_DRIVER_FILES", "VK_ICD_FILENAMES"):
        monkeypatch.setenv(name, "/nonexistent")  # no adapter is found: the device fails at its first launch
    status, out, err = run(
        "--device", "auto", "--lanes", 2, "--json", "--stdout", "merge", MANY, "--", "echo", "a{lane}"
    )
    assert status == 0 and out == b"a0\na1\n" and "runs on the processor" in err
    assert json.loads(err.splitlines()[-1])["device"] == "cpu"
    status, out, err = run("--device", "webgpu", MANY, "--", "echo", "a")
    assert status == 1 and out == b"" and "runs on the processor" not in err and err.count("\n") == 1
