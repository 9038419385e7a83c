"""Debian packages as a source of files: download without root, unpack without dpkg.

``apt-get download`` needs no privilege and fetches only what the distribution has signed. A ``.deb`` is an
``ar`` archive (magic ``!<arch>\\n``, then members of a 60-byte header and data padded to an even length)
whose member ``data.tar.*`` holds the files, compressed with xz (Debian) or zstd (Ubuntu).
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from hashlib import sha256, sha512
from pathlib import Path
from typing import IO, cast

import zstandard

from ..host.plain_file import write_atomic
from .fetch import SIZE_LIMIT, Progress, Unavailable

APT_TIMEOUT_S = 600.0
_AR_MAGIC = b"!<arch>\n"
_HASHES = {"SHA512": sha512, "SHA256": sha256}

ARCHIVE_ERRORS = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError, OSError, ValueError)
"""What reading a damaged archive may raise."""


def resolve_kernel_packages(names: tuple[str, ...]) -> tuple[str, ...]:
    """The packages with the kernel and modules of the first of `names` that apt knows; `Unavailable` if it knows none.

    A name is that of a metapackage or of a kernel package: ``linux-image-cloud-amd64`` leads to, for instance,
    ``linux-image-6.1.0-18-cloud-amd64``. Since release 6.19 that only depends on ``linux-binary-…`` with the kernel and on
    ``linux-modules-…``, of which the second may be missing in the archive.
    """
    for name in names:
        with contextlib.suppress(Unavailable):
            kernel, dependencies = name, _dependencies(name)
            if found := _find_dependency(dependencies, "image"):
                kernel, dependencies = found, _dependencies(found)
            if binary := _find_dependency(dependencies, "binary"):
                modules = _find_dependency(dependencies, "modules")
                return (binary, modules) if modules else (binary,)
            if re.match(r"linux-image-(unsigned-)?\d", kernel):
                return (kernel,)
    raise Unavailable(f"apt finds no kernel package for {' or '.join(names) or 'an empty list'}")


def _dependencies(name: str) -> str:
    return run_apt("apt-cache", "depends", "--important", name)


def _find_dependency(dependencies: str, kind: str) -> str | None:
    """The package ``linux-KIND-`` of a release in apt's list; those in angle brackets are not in the archive."""
    match = re.search(rf"^\W*Depends: (linux-{kind}-(?:unsigned-)?\d\S*)$", dependencies, re.MULTILINE)
    return match and match[1]


def fetch_package(name: str, folder: Path, progress: Progress) -> bytes:
    """The ``.deb`` of package `name`, from the cache in `folder` or through apt; `Unavailable` with apt's reason.

    The cached one serves as long as its hash is that of the version apt would download.
    """
    row = run_apt("apt-get", "download", "--print-uris", name)
    match = re.search(r"^'[^']+' (\S+\.deb) (\d+) (SHA512|SHA256):([0-9a-f]+)$", row, re.MULTILINE)
    if match is None:
        raise Unavailable(f"apt offers no package {name}")
    kept = folder / os.path.basename(match[1])
    if kept.is_file() and _HASHES[match[3]](content := kept.read_bytes()).hexdigest() == match[4]:
        return content
    progress(f"downloading package {name} ({int(match[2]) / 1e6:.0f} MB) with apt-get")
    try:
        content = _download_package(name)
    except Unavailable as error:
        progress(f"that failed: {error}")
        raise
    write_atomic(kept, content)
    return content


def _download_package(name: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="glassbox-apt-") as folder:
        run_apt("apt-get", "download", "--quiet", name, folder=folder)
        found = list(Path(folder).glob("*.deb"))
        if len(found) != 1 or found[0].stat().st_size > SIZE_LIMIT:
            raise Unavailable(f"apt-get download {name} left no package of at most {SIZE_LIMIT >> 20} MiB")
        return found[0].read_bytes()


def run_apt(tool: str, *arguments: str, folder: str = "/", configuration: Path | None = None) -> str:
    """Output of an apt tool; `Unavailable` with its own message when it is missing, fails or hangs.

    `configuration` is that of `suites.read_suites`; None: this machine's own.
    """
    if shutil.which(tool) is None:
        raise Unavailable(f"{tool} is not on this machine")
    options = ["-o", "Acquire::http::Timeout=10", "-o", "Acquire::https::Timeout=10", "-o", "Acquire::Retries=1"]
    if os.geteuid() == 0:
        # apt's own user could not write to a folder of root, and apt would say so on every call.
        options += ["-o", "APT::Sandbox::User=root"]
    environment = {**os.environ, "LC_ALL": "C"}
    if configuration is not None:
        environment["APT_CONFIG"] = str(configuration)
    try:
        done = subprocess.run(
            [tool, *options, *arguments], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, errors="replace", timeout=APT_TIMEOUT_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{tool} {arguments[0]} did not end within {APT_TIMEOUT_S:.0f} s") from None
    if done.returncode:
        said = " ".join(line[2:].strip() for line in done.stderr.splitlines() if line.startswith("E:"))
        raise Unavailable(f"{tool} {arguments[0]} {arguments[-1]}: {said or f'exit status {done.returncode}'}")
    return done.stdout


def iter_package_files(package: bytes, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Yield (path, content) of each regular file of a ``.deb`` whose path is `wanted`; `Unavailable` on damage.

    Paths come without a leading ``./``.
    """
    try:
        with tarfile.open(fileobj=_open_data(package), mode="r|") as tar:
            for member in tar:
                path = member.name.removeprefix("./")
                if member.isreg() and wanted(path):
                    if member.size > SIZE_LIMIT:
                        raise ValueError(f"{path} is larger than {SIZE_LIMIT >> 20} MiB")
                    yield path, cast(IO[bytes], tar.extractfile(member)).read()
    except ARCHIVE_ERRORS as error:
        raise Unavailable(f"the package is damaged ({error})") from None


def _open_data(package: bytes) -> IO[bytes]:
    """Decompressing stream of the member ``data.tar.*`` of an ar archive."""
    if not package.startswith(_AR_MAGIC):
        raise ValueError("not an ar archive")
    position = len(_AR_MAGIC)
    while position + 60 <= len(package):
        header = package[position : position + 60]
        name, size = header[:16].decode("ascii", "replace").strip(" /"), int(header[48:58])
        body = io.BytesIO(memoryview(package)[position + 60 : position + 60 + max(size, 0)])
        if name.startswith("data.tar"):
            return decompress_stream(body, name)
        position += 60 + max(size, 0) + (size & 1)
    raise ValueError("no data.tar in it")


def decompress_stream(stream: IO[bytes], name: str) -> IO[bytes]:
    """`stream` decompressed as the ending of `name` says: .gz, .xz, .bz2, .zst; any other is read as it is."""
    match name.rsplit(".", 1)[-1]:
        case "gz" | "tgz":
            return cast(IO[bytes], gzip.GzipFile(fileobj=stream))
        case "xz":
            return lzma.LZMAFile(stream)
        case "bz2":
            return bz2.BZ2File(stream)
        case "zst":
            return cast(IO[bytes], zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True))
        case _:
            return stream
