"""Translated programs in the user's cache, so that the next run of a module needs neither its decoder nor a compiler.

``$XDG_CACHE_HOME/glassbox/programs`` holds what modules became, by a digest of the module, the options and this package's own sources.
A file is read only where nobody but the user and root can have written it. The folder keeps the `MAX_FILES` that were used last.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from qemu_bridge.host.folders import cache_folder, keep_newest
from tcg_plugin.build import is_trusted

MAX_FILES = 512
"""Files that the cache keeps."""
_PACKAGE = Path(__file__).parents[1]
_FOLDERS = ("ir", "frontends/wasm", "backends/lane_c", "runtime")


@cache
def _version() -> bytes:
    """A digest of what translates."""
    found = hashlib.sha256(sys.version.encode())
    for folder in _FOLDERS:
        for path in sorted((_PACKAGE / folder).glob("*.[pch]*")):
            status = path.stat()
            found.update(f"{path} {status.st_size} {status.st_mtime_ns}\0".encode())
    return found.digest()


def key_of(data: bytes, *options: object) -> str:
    """The name of what a module's bytes become with these options."""
    return hashlib.sha256(_version() + repr(options).encode() + data).hexdigest()[:40]


def _file(key: str) -> Path:
    return cache_folder("programs") / f"{key}.program"


def fetch(key: str) -> Any | None:  # noqa: ANN401  # what was kept
    """What was kept under a name; None where there is nothing, or others could have written it."""
    path = _file(key)
    try:
        if not is_trusted(path):
            return None
        found = pickle.loads(path.read_bytes())  # written by this user alone
        os.utime(path)  # the ones that were used last are kept
    except (OSError, EOFError, pickle.UnpicklingError, AttributeError, ImportError):
        return None
    return found


def keep(key: str, what: object) -> None:
    """Keep something under a name; where the folder cannot be written, nothing is kept."""
    path = _file(key)
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        keep_newest(path.parent, MAX_FILES, ".program")
        with tempfile.TemporaryDirectory(dir=path.parent) as draft:
            out = Path(draft, path.name)
            out.write_bytes(pickle.dumps(what, pickle.HIGHEST_PROTOCOL))
            out.chmod(0o600)
            out.replace(path)
