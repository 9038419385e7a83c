"""Constants have the names that the C library of this host gives them."""

import mmap
import os
import signal

import pytest

from qemu_bridge.trace.calls.constants import name_constant


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        ("n", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, "O_RDWR|O_CREAT|O_EXCL|O_CLOEXEC"),
        ("n", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, "O_RDONLY|O_DIRECTORY|O_NOFOLLOW"),
        ("n", os.O_WRONLY | os.O_SYNC | os.O_APPEND, "O_WRONLY|O_SYNC|O_APPEND"),
        ("n", os.O_RDWR | os.O_TMPFILE, "O_RDWR|O_TMPFILE"),
        ("n", os.O_RDONLY | os.O_PATH | 1 << 30, "O_RDONLY|O_PATH|0x40000000"),
        ("e", 0, "0"),
        ("P", mmap.PROT_READ | mmap.PROT_EXEC, "PROT_READ|PROT_EXEC"),
        ("P", 0, "PROT_NONE"),
        ("M", mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE, "MAP_PRIVATE|MAP_ANONYMOUS|MAP_POPULATE"),
        ("A", os.R_OK | os.X_OK, "X_OK|R_OK"),
        ("A", os.F_OK, "F_OK"),
        ("w", os.SEEK_END, "SEEK_END"),
        ("w", 77, "0x4d"),
        ("S", signal.SIGKILL, "SIGKILL"),
        ("K", 0x4000 | 0x100 | signal.SIGCHLD, "SIGCHLD|CLONE_VM|CLONE_VFORK"),
        ("K", 0x10000000, "CLONE_NEWUSER"),
        ("F", 1030, "F_DUPFD_CLOEXEC"),
        ("U", 0x80 | 1, "FUTEX_WAKE|FUTEX_PRIVATE_FLAG"),
        ("R", 0x200, "AT_REMOVEDIR"),
        ("E", 0x200, "AT_EACCESS"),
        ("N", 10, "AF_INET6"),
        ("p", 5, None),
    ],
)
def test_a_value_in_words(kind, value, words):
    assert name_constant(kind, int(value)) == words
