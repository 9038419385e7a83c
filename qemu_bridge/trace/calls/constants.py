"""Names of the constants in arguments of system calls, by the letter of `table.Call.kinds`.

>>> name_constant("n", 0o101)
'O_WRONLY|O_CREAT'
"""

from __future__ import annotations

import signal
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Set:
    """Values under `mask` are one of `names`; the bits above are `flags`."""

    names: dict[int, str]
    flags: dict[int, str]
    mask: int = 0


def _bits(prefix: str, words: str, first: int = 1) -> dict[int, str]:
    """Names of ascending bits from `first` on; a dash stands for one without a name."""
    return {first << place: prefix + word for place, word in enumerate(words.split()) if word != "-"}


def _numbered(prefix: str, words: str) -> dict[int, str]:
    return {number: prefix + word for number, word in enumerate(words.split()) if word != "-"}


_OPEN_FLAGS = {0o4010000: "O_SYNC", 0o20200000: "O_TMPFILE"} | _bits(
    "O_",
    "CREAT EXCL NOCTTY TRUNC APPEND NONBLOCK DSYNC - DIRECT LARGEFILE DIRECTORY NOFOLLOW NOATIME CLOEXEC - PATH",
    0o100,
)
_CLONE_FLAGS = _bits(
    "CLONE_",
    "NEWTIME VM FS FILES SIGHAND PIDFD PTRACE VFORK PARENT THREAD NEWNS SYSVSEM SETTLS PARENT_SETTID CHILD_CLEARTID DETACHED"
    " UNTRACED CHILD_SETTID NEWCGROUP NEWUTS NEWIPC NEWUSER NEWPID NEWNET IO",
    0x80,
)
_AT_FLAGS = _bits("AT_", "SYMLINK_NOFOLLOW REMOVEDIR SYMLINK_FOLLOW NO_AUTOMOUNT EMPTY_PATH", 0x100)
_SIGNALS = {0: "0"} | {int(each): each.name for each in signal.Signals}
_FUTEX = "WAIT WAKE FD REQUEUE CMP_REQUEUE WAKE_OP LOCK_PI UNLOCK_PI TRYLOCK_PI WAIT_BITSET WAKE_BITSET WAIT_REQUEUE_PI CMP_REQUEUE_PI LOCK_PI2"

_SETS = {
    "n": _Set({0: "O_RDONLY", 1: "O_WRONLY", 2: "O_RDWR", 3: "O_ACCMODE"}, _OPEN_FLAGS, 3),
    "e": _Set({}, _OPEN_FLAGS),
    "P": _Set({0: "PROT_NONE"}, _bits("PROT_", "READ WRITE EXEC")),
    "M": _Set(
        {1: "MAP_SHARED", 2: "MAP_PRIVATE", 3: "MAP_SHARED_VALIDATE"},
        _bits(
            "MAP_",
            "FIXED ANONYMOUS 32BIT - GROWSDOWN - - DENYWRITE EXECUTABLE LOCKED NORESERVE POPULATE NONBLOCK STACK HUGETLB SYNC"
            " FIXED_NOREPLACE",
            0x10,
        ),
        15,
    ),
    "A": _Set({0: "F_OK"}, _bits("", "X_OK W_OK R_OK")),
    "w": _Set(_numbered("SEEK_", "SET CUR END DATA HOLE"), {}, ~0),
    "T": _Set({}, _AT_FLAGS),
    "R": _Set({}, _AT_FLAGS),
    "E": _Set({}, _AT_FLAGS | {0x200: "AT_EACCESS"}),
    "K": _Set(_SIGNALS | {0: ""}, _CLONE_FLAGS, 0x7F),
    "H": _Set(_numbered("SIG_", "BLOCK UNBLOCK SETMASK"), {}, ~0),
    "S": _Set(_SIGNALS, {}, ~0),
    "F": _Set(
        _numbered("F_", "DUPFD GETFD SETFD GETFL SETFL GETLK SETLK SETLKW SETOWN GETOWN SETSIG GETSIG")
        | {12: "F_GETLK64", 13: "F_SETLK64", 14: "F_SETLKW64", 15: "F_SETOWN_EX", 16: "F_GETOWN_EX"}
        | {36: "F_OFD_GETLK", 37: "F_OFD_SETLK", 38: "F_OFD_SETLKW", 1024: "F_SETLEASE", 1025: "F_GETLEASE"}
        | {
            1030: "F_DUPFD_CLOEXEC",
            1031: "F_SETPIPE_SZ",
            1032: "F_GETPIPE_SZ",
            1033: "F_ADD_SEALS",
            1034: "F_GET_SEALS",
        },
        {},
        ~0,
    ),
    "U": _Set(_numbered("FUTEX_", _FUTEX), {128: "FUTEX_PRIVATE_FLAG", 256: "FUTEX_CLOCK_REALTIME"}, 127),
    "N": _Set(
        _numbered("AF_", "UNSPEC UNIX INET - - - - - - - INET6")
        | {16: "AF_NETLINK", 17: "AF_PACKET", 38: "AF_ALG", 40: "AF_VSOCK"},
        {},
        ~0,
    ),
}


def name_constant(kind: str, value: int) -> str | None:
    """`value` in words, what has no name in hex; None if there are no names for arguments of this `kind`."""
    known = _SETS.get(kind)
    if known is None:
        return None
    value &= 0xFFFFFFFF
    chosen = value & known.mask
    rest = value & ~known.mask
    words = [known.names.get(chosen, f"{chosen:#x}")] if known.mask else []
    if not known.mask and not rest:
        return known.names.get(0, "0")
    for bits, name in known.flags.items():
        if rest & bits == bits:
            words.append(name)
            rest &= ~bits
    words += [f"{rest:#x}"] if rest else []
    return "|".join(filter(None, words)) or "0"
