"""Safe reading of files from untrusted folders, and writing of whole files.

An untrusted folder may hold a FIFO that blocks its reader, a link to ``/dev/zero``, or a file that fills all memory::

    read_plain(folder / "manifest.json", 64 << 20)

opens without blocking, follows no link, and reads at most the size allowed.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from pathlib import Path
from typing import BinaryIO


def open_plain(path: Path) -> BinaryIO:
    """The regular file at `path`, opened for reading; `OSError` for anything else, a link included."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", os.fspath(path))
    return os.fdopen(descriptor, "rb")


def read_plain(path: Path, limit_bytes: int) -> bytes:
    """All bytes of the regular file at `path`; `OSError` also where they are more than `limit_bytes`."""
    with open_plain(path) as file:
        data = file.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        raise OSError(errno.EFBIG, f"larger than {limit_bytes} bytes", os.fspath(path))
    return data


def file_state(path: Path) -> str:
    """Names a file and its state, in words: one that was replaced or written again is another. `OSError` where it is not there."""
    found = os.lstat(path)
    return f"{path} {found.st_dev} {found.st_ino} {found.st_size} {found.st_mtime_ns}"


def write_atomic(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write `content` to `path`, whose folder is made where it is missing: the whole of it or, with an `OSError`, nothing.

    `mode` is that of a new file, less what the umask takes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".part-{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with open(descriptor, "wb") as file:
            file.write(content)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
