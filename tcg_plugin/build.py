"""Compile what is written in C: the plugin that QEMU loads, and the codec of traces.

A wheel brings the libraries in this folder. A checkout has none, so `find_library` compiles on first use, into the
user's cache and under a name that holds a hash of the sources: changed sources make a new library, unchanged ones cost
a read. ``just plugin`` does it beforehand. Neither QEMU's headers nor glib's are needed.

>>> find_library("glassbox_trace").name
'glassbox_trace.so'
"""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent
FLAGS = (
    "-std=c11",
    "-O2",
    "-fPIC",
    "-shared",
    "-pthread",
    "-fvisibility=hidden",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-D_GNU_SOURCE",
)
_PLUGIN = (
    "trace_plugin.c", "translate.c", "blocks.c", "hooks.c", "window.c", "memory.c", "locked.c", "calls.c", "heat.c", "loops.c", "state.c",
    "ring.c", "dictionary.c", "guest.c", "values.c", "learned.c", "shadow.c", "paging.c", "direction.c", "returns.c", "entry.c",
)  # fmt: skip
SOURCES: dict[str, tuple[str, ...]] = {
    "glassbox_trace": _PLUGIN,
    "glassbox_trace_v7": _PLUGIN,
    "glassbox_codec": (
        "chunks.c",
        "split.c",
        "accesses.c",
        "block_streams.c",
        "records.c",
        "begun.c",
        "endings.c",
        "check.c",
    ),
    "glassbox_mining": ("cycles.c", "stacks.c", "caches.c"),
}
"""Of each library; every header of this folder counts as a source too."""

LIBRARIES: dict[str, tuple[str, ...]] = {"glassbox_trace_v7": ("-DGB_PLUGIN_API=7",), "glassbox_codec": ("-O3",)}
"""Flags of one library alone."""


class BuildError(Exception):
    """A library is missing and cannot be compiled; the message ends with what to try."""


def find_library(name: str) -> Path:
    """Path of library `name` of `SOURCES`, compiled if needed; `BuildError` when it cannot be compiled."""
    built = FOLDER / f"{name}.so"
    if built.exists() and built.stat().st_mtime >= max(path.stat().st_mtime for path in sources(name)):
        return built
    cached = cache_folder(name) / f"{name}.so"
    if not is_trusted(cached):
        compile_library(name, cached)
    return cached


def sources(name: str) -> list[Path]:
    """The source files of library `name`."""
    return [*(FOLDER / source for source in SOURCES[name]), *sorted(FOLDER.glob("*.h"))]


def cache_folder(name: str) -> Path:
    """Cache folder of library `name` of these sources; it may not exist yet."""
    digest = hashlib.sha256(repr((FLAGS, LIBRARIES.get(name))).encode())
    for path in sources(name):
        digest.update(path.read_bytes())
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    base = base if base.is_absolute() else Path.home() / ".cache"
    return base / "glassbox" / "plugin" / digest.hexdigest()[:16]


def compile_library(name: str, target: Path) -> None:
    """Compile library `name` into `target`, all at once; `BuildError` with the compiler's message when it fails."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        raise BuildError("there is no C compiler; install one (Debian: gcc libc6-dev) or use the wheel")
    try:
        _make_folder(target.parent)
        with tempfile.TemporaryDirectory(dir=target.parent) as draft:
            out = Path(draft, target.name)
            files = [str(FOLDER / source) for source in SOURCES[name]]
            command = [compiler, *FLAGS, "-o", str(out), *files, *LIBRARIES.get(name, ())]
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
            out.chmod(0o755)
            out.replace(target)
    except subprocess.CalledProcessError as error:
        lines = [line for line in error.stderr.splitlines() if "error" in line] or [f"status {error.returncode}"]
        raise BuildError(f"{name} does not compile ({lines[0]}); install gcc 11 or later and libc6-dev") from None
    except (OSError, subprocess.SubprocessError) as error:
        raise BuildError(f"{name} cannot be compiled ({error}); set XDG_CACHE_HOME to a folder of yours") from None
    if not is_trusted(target):
        raise BuildError(
            f"other users can change {target}, so it is not loaded; set XDG_CACHE_HOME to a folder of yours"
        )


def is_trusted(path: Path) -> bool:
    """Whether only this user and root can change what is at `path`: its code will run in this user's QEMU."""
    try:
        path = path.parent.resolve(strict=True) / path.name
        return path.is_file() and all(_is_ours(found) for found in (path, *path.parents))
    except OSError:
        return False


def _is_ours(path: Path) -> bool:
    status = path.lstat()
    # Debian gives each user a group of their own and the umask 002, so that ~/.cache is writable by the group.
    others = 0o002 if _is_private_group(status.st_gid) else 0o022
    is_open = status.st_mode & others and not status.st_mode & stat.S_ISVTX
    return not stat.S_ISLNK(status.st_mode) and status.st_uid in (0, os.geteuid()) and not is_open


def _is_private_group(number: int) -> bool:
    """Whether the group is that of this user alone: it has the user's name and no other member."""
    try:
        name, group = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(number)
    except KeyError:
        return False
    return group.gr_name == name and set(group.gr_mem) <= {name}


def _make_folder(folder: Path) -> None:
    """Make `folder` and the two above it in the cache writable by nobody else, whatever the umask."""
    folder.mkdir(parents=True, exist_ok=True)
    for found in (folder.parent.parent, folder.parent, folder):
        mode = stat.S_IMODE(found.stat().st_mode)
        if mode & 0o022:
            found.chmod(mode & ~0o022)


def main() -> int:
    """Entry point of ``python -m tcg_plugin.build``: compile everything and say where it is."""
    try:
        for name in SOURCES:
            print(find_library(name))
    except BuildError as error:
        print(f"tcg_plugin.build: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
