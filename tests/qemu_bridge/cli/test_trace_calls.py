"""``trace syscalls``: lines as strace has them, a table, JSON, and what is chosen."""

import json

import pytest
from call_words import Callers, call, iret, returns, text, window
from trace_producer import Event, event
from trace_program import record_words

from qemu_bridge import cli

GUEST = {"guest": {"kernel": "k", "processes": [(0x4000, 70)], "modules": [], "names": ["sh"]}}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A shell makes a child, which fails to open a file; the shell waits, and reads."""
    words = window(
        *(call(57, at=1000), returns(77, at=3000), call(61, at=4000, stack=0x6000), event(Event.PAGE_TABLE, 0x6000, 0)),
        *(
            iret(0, at=5000),
            call(2, 0x10, 0o2, at=6000),
            text(0, b"/no\n"),
            returns(-2, at=9000),
            call(231, 3, at=10_000),
        ),
        *(event(Event.PAGE_TABLE, 0x4000, 0), returns(77, at=14_000, stack=0x6000), call(0, 3, 0x20, 5, at=15_000)),
    )
    return record_words(tmp_path_factory.mktemp("calls"), Callers, [words], **GUEST)


def run(capsys, *words):
    status = cli.main(["trace", "syscalls", *map(str, words)])
    return status, capsys.readouterr()


def test_calls_are_listed_as_strace_shows_them(path, capsys):
    status, answer = run(capsys, path)
    assert status == 0 and "5 system calls in" in answer.err
    assert [line.split(maxsplit=1)[1] for line in answer.out.splitlines()] == [
        "[70 sh] fork() = 77 <0.000002>",
        "[70 sh] wait4(0, NULL, 0, NULL) = 77 <0.000010>",
        '[77 sh] open("/no\\n", O_RDWR) = -1 ENOENT (No such file or directory) <0.000003>',
        "[77 sh] exit_group(3) = ?",
        "[70 sh] read(3, 0x20, 5) = <unfinished ...>",
    ]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("--pid", 77), ["open", "exit_group"]),
        (("--root", "0x4000"), ["fork", "wait4", "read"]),
        (("--name", "read,open"), ["open", "read"]),
        (("--failed",), ["open"]),
        (("--pid", 1), []),
    ],
)
def test_calls_are_chosen(path, capsys, words, names):
    status, answer = run(capsys, path, *words, "--json")
    assert status == 0 and [row["name"] for row in json.loads(answer.out)] == names


def test_json_has_what_a_line_leaves_out(path, capsys):
    row = json.loads(run(capsys, path, "--name", "open", "--json")[1].out)[0]
    known = {"number": 2, "gate": "syscall", "pid": 77, "root": 0x6000, "vcpu": 0, "duration_ns": 3000, "result": -2}
    assert row.items() >= known.items() and row["arguments"][:2] == [0x10, 2] and row["texts"] == {"0": '"/no\\n"'}
    assert row["outcome"] == "returned" and row["is_error"] and row["instructions"] == 1


def test_a_table_sums_calls_up(path, capsys):
    lines = run(capsys, path, "-c")[1].out.splitlines()
    assert lines[0].split() == ["CALLS", "ERRORS", "TOTAL", "US", "MEAN", "US", "LONGEST", "US", "NAME"]
    assert [line.split() for line in lines[1:4]] == [
        ["1", "0", "10", "10", "10", "wait4"],
        ["1", "1", "3", "3", "3", "open"],
        ["1", "0", "2", "2", "2", "fork"],
    ]
    rows = json.loads(run(capsys, path, "-c", "--json")[1].out)
    assert rows[0] == {
        "calls": 1,
        "errors": 0,
        "total_ns": 10_000,
        "mean_ns": 10_000,
        "longest_ns": 10_000,
        "name": "wait4",
    }
