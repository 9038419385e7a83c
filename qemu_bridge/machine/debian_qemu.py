"""A QEMU of one's own, newer than the system's: put together from Debian's packages in the cache, without root.

``just qemu11`` calls this module. The QEMU comes with its own C library, loader and libraries, so it runs on an older Debian too::

    ~/.cache/glassbox/qemu/11/qemu-system-x86_64    what GLASSBOX_QEMU names: a script that starts it with its own loader
    ~/.cache/glassbox/qemu/11/root/                 the packages, unpacked
    ~/.cache/glassbox/qemu/11/packages.json         their names and SHA-256

>>> find_private_qemu()
PosixPath('/home/me/.cache/glassbox/qemu/11/qemu-system-x86_64')
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

from tcg_plugin import abi

from ..errors import HostError
from ..host import folders
from ..images.fetch import Progress, Unavailable
from ..images.suites import download_packages, read_suites

MAJOR = 11
"""The release that is put together: the first whose plugins may set registers and the program counter."""
SUITES = ("trixie", "trixie-updates", "trixie-backports")
PACKAGE = "qemu-system-x86"
PROGRAM = "qemu-system-x86_64"
_LIBRARIES = "usr/lib/x86_64-linux-gnu"
_ADVICE = f"mend that and run 'just qemu11' again, or point GLASSBOX_QEMU at a QEMU {MAJOR} of yours"


def private_folder() -> Path:
    """Where the private QEMU is, or would be."""
    return folders.cache_folder("qemu") / str(MAJOR)


def find_private_qemu() -> Path | None:
    """The private QEMU's program if it has been put together, None otherwise; fetches nothing."""
    program = private_folder() / PROGRAM
    return program if os.access(program, os.X_OK) else None


def find_or_build_private_qemu(progress: Progress) -> Path:
    """The private QEMU's program, put together now unless it has been; `progress` gets a line for each step that takes time.

    Raises `HostError` when Debian's archive cannot be reached, or has another QEMU, or the cache cannot be written.
    """
    if (found := find_private_qemu()) is not None:
        return found
    folder = private_folder()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with open(folder.parent / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Another process may have put it together while this one waited.
            if find_private_qemu() is None:
                for left in folder.parent.glob(".part-*"):
                    shutil.rmtree(left)
                _build(folder, progress)
    except Unavailable as error:
        raise HostError(f"QEMU {MAJOR} cannot be put together: {error}; {_ADVICE}") from None
    except OSError as error:
        reason = f"{error.strerror or error}: {error.filename or folder}"
        raise HostError(f"QEMU {MAJOR} cannot be put together ({reason}); {_ADVICE}") from None
    return folder / PROGRAM


def _build(folder: Path, progress: Progress) -> None:
    """Fetch, unpack and try it in a draft, which then gets its name at once."""
    part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".part-"))
    try:
        apt, root = part / "apt", part / "root"
        for made in (apt, root):
            made.mkdir()
        packages = download_packages(read_suites(SUITES, apt, progress), PACKAGE, SUITES[-1], apt, progress)
        check_release(packages)
        progress(f"unpacking {len(packages)} packages")
        digests = {}
        for package in packages:
            digests[package.name] = sha256(package.read_bytes()).hexdigest()
            _run("dpkg-deb", "--extract", str(package), str(root))
        shutil.rmtree(apt)
        (part / "packages.json").write_text(json.dumps(digests, indent=2) + "\n")
        # Tried where it is, then told its place: the loader finds everything by absolute paths.
        for place in (part, folder):
            (part / PROGRAM).write_text(_script(place / "root"))
            (part / PROGRAM).chmod(0o755)
            if place is part:
                progress(_run(str(part / PROGRAM), "--version").splitlines()[0])
        part.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def check_release(packages: list[Path]) -> None:
    """`Unavailable` unless it is the QEMU that is wanted and that the plugin knows: backports go on to newer ones."""
    names = " ".join(package.name for package in packages)
    match = re.search(r"\bqemu-system-x86_(?:\d+%3a)?(\d+)\.(\d+)", names)
    release = (int(match[1]), int(match[2])) if match else (0, 0)
    if not (MAJOR, 0) <= release <= abi.NEWEST_RELEASE:
        newest = ".".join(map(str, abi.NEWEST_RELEASE))
        raise Unavailable(
            f"Debian's archive has QEMU {release[0]}.{release[1]} now, and the trace plugin knows up to {newest}"
        )


def _script(root: Path) -> str:
    """The program: QEMU by its own loader, told where its firmware and modules are."""
    libraries = root / _LIBRARIES
    loader = libraries / "ld-linux-x86-64.so.2"
    words = [
        str(loader),
        "--library-path",
        str(libraries),
        str(root / "usr/bin" / PROGRAM),
        "-L",
        f"{root}/usr/share/qemu",
    ]
    modules = shlex.quote(str(libraries / "qemu"))
    return f'#!/bin/sh\nQEMU_MODULE_DIR={modules} exec {shlex.join(words)} "$@"\n'


def _run(*command: str) -> str:
    """Output of `command`; `Unavailable` with its last words when it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=120, check=True)
    except subprocess.CalledProcessError as error:
        raise Unavailable(f"{command[0]} failed: {error.stderr.strip()[-200:] or error.returncode}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{command[0]} does not run ({error})") from None
    return done.stdout


def main() -> int:
    """Entry point of ``python -m qemu_bridge.machine.debian_qemu``: find or build it, and print where it is."""
    parser = argparse.ArgumentParser(
        prog="just qemu11", description=f"Put QEMU {MAJOR} together, and print where it is."
    )
    parser.add_argument("--json", action="store_true", help="print an object with the program and its packages")
    options = parser.parse_args()
    try:
        program = find_or_build_private_qemu(lambda line: print(f"qemu11: {line}", file=sys.stderr))
    except HostError as error:
        print(f"qemu11: {error}", file=sys.stderr)
        return error.exit_status
    if options.json:
        packages = json.loads(program.with_name("packages.json").read_text())
        print(json.dumps({"program": str(program), "packages": packages}, indent=2))
    else:
        print(program)
        print(f"qemu11: use it with GLASSBOX_QEMU={shlex.quote(str(program))}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
