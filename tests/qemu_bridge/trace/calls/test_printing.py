"""A system call as text."""

import pytest

from qemu_bridge.trace.calls.printing import format_call, quote
from qemu_bridge.trace.calls.processes import Pid, Running
from qemu_bridge.trace.calls.system_call import Outcome, SystemCall
from qemu_bridge.trace.calls.table import call_of
from tcg_plugin.layout import Gate

NUMBERS = {"open": 2, "mmap": 9, "write": 1, "exit_group": 231, "nanosleep": 35, "openat": 257, "read": 0}


def made(name, arguments, result=None, outcome=Outcome.RETURNED, texts=None):
    call = call_of(Gate.SYSCALL, NUMBERS[name])
    where = (1, 2, 0, 0x1000, Running(Pid(7), "sh"))
    return SystemCall(call, NUMBERS[name], Gate.SYSCALL, arguments, texts or {}, *where, result, outcome)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            made("openat", (2**64 - 100, 0x5000, 0o100, 0o644), 3, texts={1: (b"/a b", False)}),
            'openat(AT_FDCWD, "/a b", O_RDONLY|O_CREAT, 0644) = 3',
        ),
        (
            made("open", (0x5000, 0o2000000, 0xDEAD), -2),
            "open(0x5000, O_RDONLY|O_CLOEXEC) = -1 ENOENT (No such file or directory)",
        ),
        (
            made("write", (1, 0x5000, 200), 200, texts={1: (b'"x"\n\x01\xff', True)}),
            'write(1, "\\"x\\"\\n\\x01\\xff"..., 200) = 200',
        ),
        (
            made("mmap", (0, 4096, 3, 0x22, 0xFFFFFFFF, 0), 0x7F0000000000),
            "mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0x0) = 0x7f0000000000",
        ),
        (made("exit_group", (1,), None, Outcome.NO_RETURN), "exit_group(1) = ?"),
        (
            made("nanosleep", (0x10, 0), None, Outcome.RESTARTED),
            "nanosleep(0x10, NULL) = ? (interrupted, and made again)",
        ),
        (made("read", (0, 0x10, 1), None, Outcome.OPEN), "read(0, 0x10, 1) = <unfinished ...>"),
        (made("read", (0, 0x10, 1), -4000), "read(0, 0x10, 1) = -1 4000 (Unknown error 4000)"),
    ],
)
def test_a_call_as_strace_shows_it(call, text):
    assert format_call(call) == text


def test_a_call_that_began_before_has_a_result_only():
    call = made("read", (), 17, Outcome.BEGAN_BEFORE)
    call.call = None
    assert format_call(call) == "<... resumed> = 17"


def test_quotes_hold_whatever_the_guest_wrote():
    assert quote(bytes(range(256)), False).isprintable()
