"""The numbers of WASI preview 1: errors, kinds of files, flags, rights, layouts."""

from __future__ import annotations

import errno
import os
import stat
from enum import IntEnum, IntFlag

import numpy as np
from numpy.typing import NDArray

PREFIX = "wasi_snapshot_preview1."


class Errno(IntEnum):
    """Errors, by the names of the host without their E."""

    SUCCESS = 0
    TOOBIG = 1
    ACCES = 2
    ADDRINUSE = 3
    ADDRNOTAVAIL = 4
    AFNOSUPPORT = 5
    AGAIN = 6
    ALREADY = 7
    BADF = 8
    BADMSG = 9
    BUSY = 10
    CANCELED = 11
    CHILD = 12
    CONNABORTED = 13
    CONNREFUSED = 14
    CONNRESET = 15
    DEADLK = 16
    DESTADDRREQ = 17
    DOM = 18
    DQUOT = 19
    EXIST = 20
    FAULT = 21
    FBIG = 22
    HOSTUNREACH = 23
    IDRM = 24
    ILSEQ = 25
    INPROGRESS = 26
    INTR = 27
    INVAL = 28
    IO = 29
    ISCONN = 30
    ISDIR = 31
    LOOP = 32
    MFILE = 33
    MLINK = 34
    MSGSIZE = 35
    MULTIHOP = 36
    NAMETOOLONG = 37
    NETDOWN = 38
    NETRESET = 39
    NETUNREACH = 40
    NFILE = 41
    NOBUFS = 42
    NODEV = 43
    NOENT = 44
    NOEXEC = 45
    NOLCK = 46
    NOLINK = 47
    NOMEM = 48
    NOMSG = 49
    NOPROTOOPT = 50
    NOSPC = 51
    NOSYS = 52
    NOTCONN = 53
    NOTDIR = 54
    NOTEMPTY = 55
    NOTRECOVERABLE = 56
    NOTSOCK = 57
    NOTSUP = 58
    NOTTY = 59
    NXIO = 60
    OVERFLOW = 61
    OWNERDEAD = 62
    PERM = 63
    PIPE = 64
    PROTO = 65
    PROTONOSUPPORT = 66
    PROTOTYPE = 67
    RANGE = 68
    ROFS = 69
    SPIPE = 70
    SRCH = 71
    STALE = 72
    TIMEDOUT = 73
    TXTBSY = 74
    XDEV = 75
    NOTCAPABLE = 76


_FROM_HOST = {
    getattr(errno, "E" + each.name.replace("TOOBIG", "2BIG")): int(each)
    for each in Errno
    if hasattr(errno, "E" + each.name.replace("TOOBIG", "2BIG"))
}


def errno_of(error: OSError) -> int:
    """The number for an error of the host; EIO for what WASI has no number for."""
    return _FROM_HOST.get(error.errno or 0, int(Errno.IO))


class Filetype(IntEnum):
    """Kinds of files."""

    UNKNOWN = 0
    BLOCK_DEVICE = 1
    CHARACTER_DEVICE = 2
    DIRECTORY = 3
    REGULAR_FILE = 4
    SOCKET = 6
    SYMBOLIC_LINK = 7


_FILETYPES = {
    stat.S_IFBLK: Filetype.BLOCK_DEVICE,
    stat.S_IFCHR: Filetype.CHARACTER_DEVICE,
    stat.S_IFDIR: Filetype.DIRECTORY,
    stat.S_IFREG: Filetype.REGULAR_FILE,
    stat.S_IFSOCK: Filetype.SOCKET,
    stat.S_IFLNK: Filetype.SYMBOLIC_LINK,
}


def filetype_of(mode: int) -> int:
    """The kind of file that a mode of the host says."""
    return int(_FILETYPES.get(stat.S_IFMT(mode), Filetype.UNKNOWN))


class Fdflags(IntFlag):
    """What a descriptor is set to."""

    APPEND = 1
    DSYNC = 2
    NONBLOCK = 4
    RSYNC = 8
    SYNC = 16


class Oflags(IntFlag):
    """How a path is opened."""

    CREAT = 1
    DIRECTORY = 2
    EXCL = 4
    TRUNC = 8


class Fstflags(IntFlag):
    """Which times are set, and to what."""

    ATIM = 1
    ATIM_NOW = 2
    MTIM = 4
    MTIM_NOW = 8


class Rights(IntFlag):
    """What may be done with a descriptor."""

    FD_DATASYNC = 1 << 0
    FD_READ = 1 << 1
    FD_SEEK = 1 << 2
    FD_FDSTAT_SET_FLAGS = 1 << 3
    FD_SYNC = 1 << 4
    FD_TELL = 1 << 5
    FD_WRITE = 1 << 6
    FD_ADVISE = 1 << 7
    FD_ALLOCATE = 1 << 8
    PATH_CREATE_DIRECTORY = 1 << 9
    PATH_CREATE_FILE = 1 << 10
    PATH_LINK_SOURCE = 1 << 11
    PATH_LINK_TARGET = 1 << 12
    PATH_OPEN = 1 << 13
    FD_READDIR = 1 << 14
    PATH_READLINK = 1 << 15
    PATH_RENAME_SOURCE = 1 << 16
    PATH_RENAME_TARGET = 1 << 17
    PATH_FILESTAT_GET = 1 << 18
    PATH_FILESTAT_SET_SIZE = 1 << 19
    PATH_FILESTAT_SET_TIMES = 1 << 20
    FD_FILESTAT_GET = 1 << 21
    FD_FILESTAT_SET_SIZE = 1 << 22
    FD_FILESTAT_SET_TIMES = 1 << 23
    PATH_SYMLINK = 1 << 24
    PATH_REMOVE_DIRECTORY = 1 << 25
    PATH_UNLINK_FILE = 1 << 26
    POLL_FD_READWRITE = 1 << 27
    SOCK_SHUTDOWN = 1 << 28
    SOCK_ACCEPT = 1 << 29


ALL_RIGHTS = (1 << 30) - 1
_ON_DIRECTORIES = (
    Rights.PATH_CREATE_DIRECTORY | Rights.PATH_CREATE_FILE | Rights.PATH_LINK_SOURCE | Rights.PATH_LINK_TARGET
    | Rights.PATH_OPEN | Rights.FD_READDIR | Rights.PATH_READLINK | Rights.PATH_RENAME_SOURCE | Rights.PATH_RENAME_TARGET
    | Rights.PATH_SYMLINK | Rights.PATH_REMOVE_DIRECTORY | Rights.PATH_UNLINK_FILE | Rights.PATH_FILESTAT_GET
    | Rights.PATH_FILESTAT_SET_TIMES | Rights.FD_FILESTAT_GET | Rights.FD_FILESTAT_SET_TIMES
)  # fmt: skip
PREOPEN_RIGHTS = int(_ON_DIRECTORIES)
PREOPEN_INHERITING = int(
    _ON_DIRECTORIES
    | Rights.FD_DATASYNC | Rights.FD_READ | Rights.FD_SEEK | Rights.FD_FDSTAT_SET_FLAGS | Rights.FD_SYNC | Rights.FD_TELL
    | Rights.FD_WRITE | Rights.FD_ADVISE | Rights.FD_ALLOCATE | Rights.FD_FILESTAT_SET_SIZE | Rights.POLL_FD_READWRITE
)  # fmt: skip
"""Preopens say that all rights may be had, as wasmtime's do: what is refused in a read-only one says so when it is tried."""

SYMLINK_FOLLOW = 1

FDSTAT = np.dtype({"names": ["filetype", "flags", "rights", "inheriting"], "formats": ["u1", "<u2", "<u8", "<u8"], "offsets": [0, 2, 8, 16], "itemsize": 24})  # fmt: skip
FILESTAT = np.dtype(
    {
        "names": ["dev", "ino", "filetype", "nlink", "size", "atim", "mtim", "ctim"],
        "formats": ["<u8", "<u8", "u1", "<u8", "<u8", "<u8", "<u8", "<u8"],
        "offsets": [0, 8, 16, 24, 32, 40, 48, 56],
        "itemsize": 64,
    }
)
SUBSCRIPTION = np.dtype(
    {
        "names": ["userdata", "tag", "fd", "clock", "timeout", "flags"],
        "formats": ["<u8", "u1", "<u4", "<u4", "<u8", "<u2"],
        "offsets": [0, 8, 16, 16, 24, 40],
        "itemsize": 48,
    }
)
EVENT = np.dtype({"names": ["userdata", "error", "type", "bytes", "flags"], "formats": ["<u8", "<u2", "u1", "<u8", "<u2"], "offsets": [0, 8, 10, 16, 24], "itemsize": 32})  # fmt: skip
DIRENT = np.dtype([("next", "<u8"), ("ino", "<u8"), ("length", "<u4"), ("type", "u1"), ("", "V3")])


def filestat_of(found: os.stat_result) -> NDArray[np.void]:
    """What the host says of a file, as WASI lays it out."""
    row = np.zeros(1, FILESTAT)
    row[0] = (found.st_dev & (1 << 64) - 1, found.st_ino, filetype_of(found.st_mode), found.st_nlink, found.st_size,
              max(0, found.st_atime_ns), max(0, found.st_mtime_ns), max(0, found.st_ctime_ns))  # fmt: skip
    return row
