"""What was learnt of a kernel build, kept for the next machine that boots it.

``$XDG_CACHE_HOME/glassbox/symbols`` (or ``$GLASSBOX_SYMBOL_CACHE``) holds, per build::

    KEY.r1.npz             decoded symbols
    KEY.types.r1.npz       the places of type records
    KEY.r1.json.gz         Volatility symbol file, for its own command line and `volatility_adapter`

KEY is the build id followed by a hash of the kernel's own tables: a guest that claims another's build id cannot
leave its own symbols under that name. The places of type records go by the hash of the symbols, and are used only
where the types bear them out. Addresses are link-time ones, so KASLR changes nothing. Both formats carry checksums; a
file that fails them is rebuilt. Nothing here is ever unpickled.
"""

from __future__ import annotations

import atexit
import contextlib
import gzip
import io
import json
import logging
import os
import re
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from ...host import folders
from ...host.json_types import JsonValue
from ...host.plain_file import read_plain

logger = logging.getLogger(__name__)

_ODD = (MemoryError, NotImplementedError, RuntimeError, TypeError)
"""What a file that was made to do harm may also raise, out of `zipfile` and NumPy."""

REVISION = 1
"""Counts up when the same kernel gives other files, so that those of an older release are not taken for ours."""

KEPT_FILES = 64
"""Files that stay in the folder, the newest: some three a kernel build."""

_MAX_FILE_BYTES = 256 << 20
_OURS = re.compile(r".+\.r\d+\.(npz|json\.gz)")

Columns = Mapping[str, npt.NDArray[np.generic]]

_folder: Path | None = None
_is_fixed = False


def read_only_in(folder: Path) -> None:
    """Read from `folder` only, and never write there: it came from elsewhere and is not trusted."""
    global _folder, _is_fixed
    _folder, _is_fixed = folder, True


@contextlib.contextmanager
def kept_in(folder: Path) -> Iterator[None]:
    """Use `folder` as the cache of this process while the body runs."""
    global _folder
    before, _folder = _folder, folder
    try:
        yield
    finally:
        _folder = before


def cache_folder() -> Path:
    """Where files are kept; it may not exist yet."""
    if _folder is not None:
        return _folder
    if chosen := os.environ.get("GLASSBOX_SYMBOL_CACHE"):
        return Path(chosen)
    return folders.cache_folder("symbols")


def load_columns(key: str, names: tuple[str, ...]) -> dict[str, npt.NDArray[np.generic]] | None:
    """The arrays that `store_columns` kept under `key`; None when there are none or they are damaged."""
    path = cache_folder() / f"{key}.r{REVISION}.npz"
    try:
        with np.load(io.BytesIO(_read(path)), allow_pickle=False) as file:
            if sum(member.file_size for member in file.zip.infolist()) > _MAX_FILE_BYTES:
                raise ValueError("it unpacks to more than the limit")
            return {name: file[name] for name in names}
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, ArithmeticError, LookupError, EOFError, BadZipFile, zlib.error, *_ODD) as error:
        logger.warning("symbol cache file %s is damaged (%s); it is rebuilt", path, error)
        return None


def store_columns(key: str, columns: Columns) -> None:
    """Keep `columns` under `key`; a folder that cannot be written is logged, not an error."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **columns)
    try:
        _write(cache_folder() / f"{key}.r{REVISION}.npz", buffer.getvalue())
    except OSError as error:
        logger.warning("symbols of this kernel are not cached: %s", error)


def find_or_make_json(name: str, make: Callable[[], Mapping[str, JsonValue]]) -> Path:
    """The path of the compressed JSON document `name`, made by `make` unless an intact one is there.

    Where the cache folder cannot be written, the file is in a temporary folder that is removed with this process.
    """
    path = cache_folder() / f"{name}.r{REVISION}.json.gz"
    if _is_intact(path):
        return path
    data = gzip.compress(json.dumps(make(), separators=(",", ":")).encode(), compresslevel=1, mtime=0)
    try:
        return _write(path, data)
    except OSError as error:
        logger.warning("symbols of this kernel are not cached: %s", error)
        return _write(_temporary_folder() / path.name, data)


def _is_intact(path: Path) -> bool:
    """Whether the file is there and its checksum, at its end, fits."""
    size = 0
    try:
        with gzip.open(io.BytesIO(_read(path))) as file:
            while part := file.read(1 << 20):
                size += len(part)
                if size > _MAX_FILE_BYTES:
                    raise OSError("it unpacks to more than the limit")
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, EOFError, zlib.error) as error:
        logger.warning("symbol cache file %s is damaged (%s); it is rebuilt", path, error)
        return False
    return size > 0


def _read(path: Path) -> bytes:
    if _is_fixed and path.parent.is_symlink():
        raise NotADirectoryError
    return read_plain(path, _MAX_FILE_BYTES)


def _write(path: Path, data: bytes) -> Path:
    """Write `data` to `path` atomically."""
    if _is_fixed and path.parent == _folder:
        raise PermissionError(f"{path.parent} belongs to another user")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    _evict(path.parent)
    return path


def _evict(folder: Path) -> None:
    # A guest that shows another kernel every time must not fill the disk. Other files in the folder are kept.
    files = sorted((found for found in folder.iterdir() if _OURS.fullmatch(found.name)), key=_age)
    for found in files[KEPT_FILES:]:
        found.unlink(missing_ok=True)


def _age(path: Path) -> float:
    try:
        return -path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


@cache
def _temporary_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="glassbox-symbols-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
