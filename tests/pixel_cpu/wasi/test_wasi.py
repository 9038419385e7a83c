"""Programs in C do with `Wasi` what they do with wasmtime's own; mistakes of the host are told."""

import logging
from pathlib import Path

import numpy as np
import pytest
import wasmtime
from wasi_runs import ENGINE, Ours, number, put, run_ours, run_theirs, tree, wasi

import pixel_cpu as px
from pixel_cpu.errors import UsageError
from pixel_cpu.runtime.rounds import LaneState, Request, Rounds
from pixel_cpu.wasi import Preopen, Wasi
from pixel_cpu.wasi.abi import PREFIX, Errno

PROGRAMS = Path(__file__).parents[1] / "wasi_programs"
WORDS = b"apple banana cherry\n"


def folders(top: Path) -> list[Preopen]:
    (top / "rw").mkdir(parents=True)
    (top / "ro").mkdir()
    (top / "rw" / "outside").symlink_to("/etc")
    (top / "ro" / "words").write_bytes(WORDS)
    return [Preopen(top / "rw", "/", True), Preopen(top / "ro", "/data")]


def program(name: str) -> wasmtime.Module:
    return wasmtime.Module.from_file(ENGINE, str(PROGRAMS / f"{name}.wasm"))


def test_a_program_reports_what_it_was_given_as_with_wasmtime(tmp_path):
    options = {
        "arguments": ["report", "four", ""],
        "environment": {"COLOUR": "blau", "EMPTY": ""},
        "stdin": b"one\ntwo\nthree",
    }
    theirs = run_theirs(program("report"), tmp_path, [], **options)
    with wasi(1, options["arguments"], options["environment"], stdin=options["stdin"]) as host:
        ours = run_ours(program("report"), host)
    assert ours == theirs and ours.code == 4 and b"3 lines" in ours.stdout and b"3: three" in ours.stderr


def test_a_program_with_files_leaves_what_it_leaves_with_wasmtime(tmp_path):
    theirs = run_theirs(program("files"), tmp_path, folders(tmp_path / "theirs"))
    with wasi(1, ["files"], directories=folders(tmp_path / "ours")) as host:
        ours = run_ours(program("files"), host)
    assert ours.stdout.decode() == theirs.stdout.decode() and ours == theirs and ours.code == 3
    assert tree(tmp_path / "ours") == tree(tmp_path / "theirs")
    assert b"escape by a link: -1 Operation not permitted" in ours.stdout


ECHO = """(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 32) "copy")
  (func (export "_start")
    (drop (call $sizes (i32.const 0) (i32.const 4)))
    (drop (call $args (i32.const 64) (i32.const 256)))
    (i32.store (i32.const 8) (i32.const 256)) (i32.store (i32.const 12) (i32.load (i32.const 4)))
    (drop (call $write (i32.const 2) (i32.const 8) (i32.const 1) (i32.const 16)))
    (drop (call $open (i32.const 3) (i32.const 0) (i32.const 32) (i32.const 4) (i32.const 1) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 20)))
    (i32.store (i32.const 8) (i32.const 1024))
    (block $end
      (loop $more
        (i32.store (i32.const 12) (i32.const 7))
        (drop (call $read (i32.const 0) (i32.const 8) (i32.const 1) (i32.const 16)))
        (br_if $end (i32.eqz (i32.load (i32.const 16))))
        (i32.store (i32.const 12) (i32.load (i32.const 16)))
        (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 16)))
        (drop (call $write (i32.load (i32.const 20)) (i32.const 8) (i32.const 1) (i32.const 16)))
        (br $more)))
    (if (i32.load8_u (i32.const 256)) (then (call $exit (i32.load (i32.const 0)))))))"""
"""Arguments to stderr; stdin to stdout and to a file; ends with the number of arguments, unless the first one is empty."""


def test_lanes_run_a_program_each_with_its_own_arguments_input_and_folder(tmp_path):
    lanes = 4
    arguments = [["echo", *"abc"[:lane]] for lane in range(lanes - 1)] + [[""]]
    stdin = [b"%d bytes of input " % lane * lane for lane in range(lanes)]
    code = bytes(wasmtime.wat2wasm(ECHO))
    with wasi(lanes, arguments, stdin=stdin, directories=[Preopen(tmp_path / "lane-{id}", "/", True)]) as host:
        rounds = Rounds(px.wasm(code, pages=1).instances(lanes), "_start", host=host)
        rounds.run()
        assert host.exit_codes.tolist() == [1, 2, 3, 0] and host.stdout == stdin
        assert [LaneState(state).name for state in rounds.states] == ["EXITED"] * 3 + ["RETURNED"]
        assert host.stderr == [b"".join(text.encode() + b"\0" for text in each) for each in arguments]
    assert tree(tmp_path) == {f"lane-{lane}": "directory" for lane in range(lanes)} | {
        f"lane-{lane}/copy": stdin[lane] for lane in range(lanes)
    }


def test_programs_on_lanes_do_what_they_do_with_wasmtime_one_by_one(tmp_path):
    lanes = 30
    arguments = [["echo", "é" * lane, *map(str, range(lane % 7))] for lane in range(lanes)]
    with wasi(lanes, arguments, directories=[Preopen(tmp_path / "ours-{id}", "/", True)]) as host:
        Rounds(px.wasm(PROGRAMS / "echo.wasm").instances(lanes), "_start", host=host).run()
        for lane in range(lanes):
            folder = tmp_path / f"theirs-{lane}"
            folder.mkdir()
            theirs = run_theirs(program("echo"), tmp_path, [Preopen(folder, "/", True)], arguments=arguments[lane])
            assert (host.exit_codes[lane], host.stdout[lane]) == (theirs.code, theirs.stdout) and theirs.code == len(
                arguments[lane]
            )
            assert tree(tmp_path / f"ours-{lane}") == tree(folder) != {}


def test_a_host_s_mistakes_are_told(tmp_path):
    for options, message in (
        ({"arguments": ["a\0b"]}, "has a NUL"),
        ({"arguments": [["a"], ["b"], ["c"]]}, "for 3 lanes, but there are 2"),
        ({"arguments": ["a", ["b"]]}, "not both"),
        ({"environment": {"A=B": "1"}}, "is no name of a variable"),
        ({"environment": {"A": "\0"}}, "has a NUL"),
        ({"stdin": [b"a"]}, "for 1 lanes, but there are 2"),
        ({"directories": [Preopen(tmp_path / "missing", "/")]}, "missing: No such file or directory; make it first"),
        ({"directories": [Preopen(tmp_path / "lane-{id}", "/")]}, "lane-0: not there"),
        ({"directories": [Preopen(tmp_path, "")]}, "is no name of a directory"),
    ):
        with pytest.raises(UsageError, match=message):
            Wasi(2, **options)
    with pytest.raises(UsageError, match="give one at least"):
        Wasi(0)


def test_calls_that_are_not_served_get_enosys_and_one_warning(caplog):
    with wasi(2) as host, caplog.at_level(logging.WARNING):
        for _ in range(2):
            request = Request(
                PREFIX + "sock_accept",
                np.arange(2),
                (np.zeros(2, "i4"),) * 3,
                np.zeros((2, 8), np.uint8),
                np.full(2, 8),
            )
            assert host.serve(request).results[0].tolist() == [Errno.NOSYS] * 2
    assert [record.message for record in caplog.records] == [
        "sock_accept is not supported; programs that call it get ENOSYS"
    ]


def test_imports_of_others_and_wrong_operands_are_refused():
    with wasi(1) as host:
        for name, message in (("env.log", "does not have"), (PREFIX + "fd_close", "with operands 'I'")):
            with pytest.raises(UsageError, match=message):
                host.serve(Request(name, np.arange(1), (np.zeros(1, "i8"),), np.zeros((1, 8), np.uint8), np.full(1, 8)))


def test_a_lane_that_is_over_has_nothing_open_and_may_begin_anew(tmp_path):
    with wasi(2, directories=[Preopen(tmp_path, "/", True)]) as host:
        ours = Ours(host, 2)
        size = [put(ours, 0, b"file"), ours.rows.__setitem__((1, slice(0, 4)), ours.rows[0, :4])][0]
        assert ours.call_all("path_open", 3, 0, 0, size, 1, 66, 0, 0, 64).tolist() == [0, 0] and number(ours, 64) == 4
        assert host.files.opened == 2
        ours.call_all("proc_exit", 7)
        assert host.files.opened == 1 and host.exit_codes.tolist() == [7, 7] and ours.reply.ended.all()
        host.restart(np.array([1]))
        assert ours.call_all("fd_prestat_get", 3, 64).tolist() == [Errno.BADF, 0] and host.exit_codes.tolist() == [7, 0]
