"""Safe reading of files from untrusted folders, and writing of whole files.

An untrusted folder may hold a FIFO that blocks its reader, a link to ``/dev/zero``, or a file that fills all memory::

    read_plain(folder / "manifest.json", 64 << 20)

opens without blocking, follows no link, and reads at most the size allowed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..errors import HostError, UsageError


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
    with _draft(path, mode) as file:
        file.write(content)


@contextlib.contextmanager
def output_file(path: Path, *, force: bool = False) -> Iterator[BinaryIO]:
    """A new file of this user's own that becomes `path` when the body ends; whatever interrupts it leaves nothing.

    `UsageError` where `path` exists, unless `force`; `HostError` where it cannot be written.
    """
    if path.is_dir() or (path.exists() and not force):
        raise UsageError(f"{path} exists; give another name" + ("" if path.is_dir() else ", or --force to replace it"))
    try:
        with _draft(path, 0o600) as file:
            yield file
    except OSError as error:
        raise HostError(f"cannot write {path} ({error.strerror}); make room, or give another name") from None


@contextlib.contextmanager
def _draft(path: Path, mode: int) -> Iterator[BinaryIO]:
    draft = path.with_name(f".part-{secrets.token_hex(8)}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as file:
            yield file
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
