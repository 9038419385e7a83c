"""What Valgrind's cachegrind counts on a known stream of references: an oracle of caches that somebody else wrote.

Its tool lackey prints each reference of a program, cachegrind counts the misses of the same program. Both are recorded in
``references/cachegrind.npz``, so that the comparison needs no Valgrind; ``PYTHONPATH=. python tests/cachegrind.py`` records them anew.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from qemu_bridge.images.fetch import Unavailable
from qemu_bridge.images.packages import fetch_package, iter_package_files
from qemu_bridge.trace.analysis.caches import Cache, Caches, Kind

REFERENCE = Path(__file__).parent / "references" / "cachegrind.npz"
PROGRAM = Path(__file__).with_suffix(".c")
LEVELS = (
    Caches(Cache(1024, 2), Cache(512, 1), ll=Cache(16384, 4), line_bytes=64),
    Caches(Cache(4096, 4), Cache(1024, 4), ll=Cache(32768, 32), line_bytes=32),
    Caches(Cache(2048, 32), Cache(2048, 2), ll=Cache(8192, 1), line_bytes=64),
    Caches(Cache(32 << 10, 8), Cache(32 << 10, 8), ll=Cache(1 << 20, 16), line_bytes=128),
)
"""What is compared."""
_KINDS = {"I": Kind.FETCH, "L": Kind.LOAD, "S": Kind.STORE, "M": Kind.LOAD}
"""By lackey's letters; what one instruction loads and stores again is a load to cachegrind, and a store that hits."""
_REFERENCE = re.compile(r"^ ?([ILSM]) +([0-9a-f]+),(\d+)$", re.MULTILINE)
_SUMMARY = re.compile(r"^summary: (.*)$", re.MULTILINE)
_TIMEOUT_S = 300


def find_valgrind(folder: Path) -> tuple[list[str], dict[str, str]]:
    """Command and environment of Valgrind: what is installed, else Debian's package, unpacked into `folder`.

    `Unavailable` if there is neither.
    """
    if found := shutil.which("valgrind"):
        return [found], dict(os.environ)
    return unpack_valgrind(folder)


def unpack_valgrind(folder: Path) -> tuple[list[str], dict[str, str]]:
    """The same from Debian's package."""
    wanted = ("usr/bin/valgrind.bin", "usr/libexec/valgrind/")
    for name, content in iter_package_files(
        fetch_package("valgrind", folder, print), lambda name: name.startswith(wanted)
    ):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod(0o755)
    return [str(folder / wanted[0])], os.environ | {"VALGRIND_LIB": str(folder / wanted[1])}


def compile_program(folder: Path) -> Path:
    """The program, which needs no library and lies at fixed addresses."""
    program = folder / "program"
    flags = ["-O1", "-nostdlib", "-static", "-no-pie", "-fno-pic", "-fno-stack-protector", "-fcf-protection=none"]
    subprocess.run(["cc", *flags, "-o", program, PROGRAM], check=True, timeout=_TIMEOUT_S)
    return program


def record_stream(
    valgrind: tuple[list[str], dict[str, str]], program: Path
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Addresses, sizes and kinds of the program's references, in order."""
    log = program.parent / "lackey"
    _run(valgrind, "--tool=lackey", "--trace-mem=yes", f"--log-file={log}", program)
    rows = _REFERENCE.findall(log.read_text())
    addresses = np.array([int(address, 16) for _, address, _ in rows], np.uint64)
    sizes = np.array([int(size) for *_, size in rows], np.uint8)
    return addresses, sizes, np.array([_KINDS[letter] for letter, *_ in rows], np.uint8)


def count_misses(valgrind: tuple[list[str], dict[str, str]], program: Path, caches: Caches) -> list[int]:
    """Cachegrind's own counts: for fetches, loads and stores the references, misses of the first and of the last level."""
    out = program.parent / "cachegrind"
    levels = {"I1": caches.l1i, "D1": caches.l1, "LL": caches.ll}
    flags = [f"--{name}={level.size_bytes},{level.ways},{caches.line_bytes}" for name, level in levels.items()]
    _run(valgrind, "--tool=cachegrind", "--cache-sim=yes", f"--cachegrind-out-file={out}", *flags, program)
    return [int(number) for number in _SUMMARY.search(out.read_text())[1].split()]


def _run(valgrind: tuple[list[str], dict[str, str]], *words: object) -> None:
    command, environment = valgrind
    subprocess.run([*command, *map(str, words)], env=environment, check=True, capture_output=True, timeout=_TIMEOUT_S)


def main() -> None:
    """Record the reference."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        valgrind, program = find_valgrind(folder), compile_program(folder)
        addresses, sizes, kinds = record_stream(valgrind, program)
        counts = np.array([count_misses(valgrind, program, caches) for caches in LEVELS])
    np.savez_compressed(
        REFERENCE, addresses=addresses.astype(np.uint32), sizes=sizes, kinds=kinds, counts=counts.astype(np.uint32)
    )
    print(f"{REFERENCE}: {len(addresses)} references, {REFERENCE.stat().st_size} bytes\n{counts}")


if __name__ == "__main__":
    try:
        main()
    except Unavailable as error:
        raise SystemExit(str(error)) from None
