"""Programs of Glass Box for the guest: C without a C library, compiled here, static, so that they run in any Linux guest of x86-64.

A folder ``NAME`` beside the recipes holds one: its C files become ``/usr/bin/NAME``. Files whose names begin with ``glassbox_`` are a
library for programs of the guest's own: its headers go to ``/usr/include``, an object to link with to ``/usr/lib/glassbox_….o``, modules
of Python to ``/usr/lib/glassbox``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FLAGS = (
    *("-std=gnu11", "-m64", "-Os", "-ffreestanding", "-fno-builtin", "-fno-stack-protector", "-fPIC"),
    *("-fno-asynchronous-unwind-tables", "-Wall", "-Wextra", "-Werror"),
)
LINKED = ("-static", "-nostdlib", "-no-pie", "-s", "-Wl,--build-id=none")
_LIBRARY = "glassbox_"
_TIME_S = 60.0


class ProgramError(Exception):
    """A program cannot be compiled here; the message ends with what to try."""


@dataclass(frozen=True, slots=True)
class GuestFile:
    """A file of the guest: its path without the slash in front, content and permissions."""

    path: str
    content: bytes
    permissions: int = 0o644


def sources(folder: Path) -> list[Path]:
    """The C files, headers and modules of Python of the program in `folder`, sorted."""
    return sorted(path for path in folder.iterdir() if path.suffix in (".c", ".h", ".py"))


def find_compiler() -> str | None:
    """The C compiler of this host: ``CC``, else ``cc``; None where there is none."""
    return shutil.which(os.environ.get("CC", "cc"))


def build_program(folder: Path) -> Iterator[GuestFile]:
    """Yield what the guest gets of the program in `folder`; `ProgramError` where it cannot be compiled."""
    compiler = find_compiler()
    if compiler is None:
        raise ProgramError("there is no C compiler; install one (Debian: gcc)")
    with tempfile.TemporaryDirectory(prefix="glassbox-program-") as out:
        made = [_compile(compiler, path, Path(out)) for path in sources(folder) if path.suffix == ".c"]
        program = Path(out, folder.name)
        _call(compiler, *LINKED, "-o", str(program), *map(str, made))
        yield GuestFile(f"usr/bin/{folder.name}", program.read_bytes(), 0o755)
        for path in sources(folder):
            if path.name.startswith(_LIBRARY) and path.suffix == ".h":
                yield GuestFile(f"usr/include/{path.name}", path.read_bytes())
            if path.name.startswith(_LIBRARY) and path.suffix == ".py":
                yield GuestFile(f"usr/lib/glassbox/{path.name}", path.read_bytes())
        for path in made:
            if path.name.startswith(_LIBRARY):
                yield GuestFile(f"usr/lib/{path.name}", path.read_bytes())


def _compile(compiler: str, source: Path, out: Path) -> Path:
    target = out / f"{source.stem}.o"
    _call(compiler, *FLAGS, "-c", "-o", str(target), str(source))
    return target


def _call(*words: str) -> None:
    try:
        subprocess.run(words, check=True, capture_output=True, text=True, timeout=_TIME_S)
    except subprocess.CalledProcessError as error:
        lines = [line for line in error.stderr.splitlines() if "error" in line] or [f"status {error.returncode}"]
        raise ProgramError(f"it does not compile ({lines[0]}); install gcc 11 or later") from None
    except (OSError, subprocess.SubprocessError) as error:
        raise ProgramError(f"it cannot be compiled ({error})") from None
