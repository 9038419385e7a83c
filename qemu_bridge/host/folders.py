"""Where Glass Box keeps what it can make again, and where its programs find each other while they run.

Relative paths in ``XDG_CACHE_HOME`` and its like are ignored, as the XDG Base Directory Specification demands.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from pathlib import Path

from ..errors import HostError


def cache_folder(name: str) -> Path:
    """Folder `name` in ``$XDG_CACHE_HOME/glassbox``; it may not exist yet."""
    return (base_folder("XDG_CACHE_HOME") or Path.home() / ".cache") / "glassbox" / name


def config_folder() -> Path:
    """``$XDG_CONFIG_HOME/glassbox``, ``~/.config/glassbox`` where that is not set; it may not exist yet."""
    return (base_folder("XDG_CONFIG_HOME") or Path.home() / ".config") / "glassbox"


def runtime_path() -> Path:
    """The folder of connection files and sockets; it may not exist yet, or not be ours."""
    base = base_folder("XDG_RUNTIME_DIR")
    return base / "glassbox" if base else Path(f"/tmp/glassbox-{os.getuid()}")


def runtime_folder() -> Path:
    """The folder of connection files and sockets, mode 0700, created when missing."""
    folder = runtime_path()
    return own_folder(folder, f"runtime folder {folder}", "XDG_RUNTIME_DIR")


def own_folder(folder: Path, what: str, variable: str) -> Path:
    """`folder`, with mode 0700 whatever the umask, as are those above it that are missing; `HostError` if it is not ours."""
    try:
        if not os.path.lexists(folder):
            for missing in reversed([path for path in (folder, *folder.parents) if not os.path.lexists(path)]):
                missing.mkdir(mode=0o700, exist_ok=True)
        # Links are not followed: in a folder that others may write to, another user may have put one in its place.
        status = folder.lstat()
        if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid():
            if status.st_mode & 0o077:
                folder.chmod(0o700)
            return folder
    except OSError as error:
        raise HostError(f"cannot make the {what} ({error.strerror}); set {variable} to a folder of yours") from None
    raise HostError(f"the {what} is not a folder of yours; remove it or set {variable} to one that is")


def keep_newest(folder: Path, most: int, suffix: str = "") -> None:
    """Leave half of `most` entries of a cache whose names end with `suffix`, those modified last, where there are `most` or more."""
    entries = [entry for entry in os.scandir(folder) if entry.name.endswith(suffix)]
    if len(entries) < most:
        return
    ages = []
    for entry in entries:
        with contextlib.suppress(FileNotFoundError):  # another process does the same
            ages.append((entry.stat().st_mtime_ns, entry.path, entry.is_dir(follow_symlinks=False)))
    for _, path, is_folder in sorted(ages)[: len(ages) - most // 2]:
        if is_folder:
            shutil.rmtree(path, ignore_errors=True)
        else:
            Path(path).unlink(missing_ok=True)


def base_folder(variable: str) -> Path | None:
    """The folder that an environment variable names; None where it names none, or a relative one."""
    path = Path(os.environ.get(variable, ""))
    return path if path.is_absolute() else None
