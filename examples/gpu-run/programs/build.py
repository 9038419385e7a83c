"""Builds the programs of this folder: their modules go to modules.tar.xz, digests of sources and modules to modules.json.
The examples in folders beside this one have theirs beside their sources.

``just wasm-programs`` calls it; ``--unpack FOLDER`` only puts the modules into a folder. Rust comes from Debian's packages,
unpacked in the cache with a C library of their own (some 300 MB to fetch, 1 GB on disk); C needs zig, such as
``pip install ziglang`` in an environment of its own, named by ZIG (``python -m ziglang`` unless it is set).
"""

from __future__ import annotations

import argparse
import io
import json
import lzma
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
from hashlib import sha256
from pathlib import Path

from qemu_bridge.host import folders
from qemu_bridge.images.fetch import Progress, Unavailable
from qemu_bridge.images.suites import download_packages, read_suites

HERE = Path(__file__).resolve().parent
ARCHIVE, DIGESTS = HERE / "modules.tar.xz", HERE / "modules.json"
PLAIN_DIGEST = HERE.parent / "modules.sha256"
"""Of what lies beside its source."""
SUITES = ("trixie", "trixie-updates")
PACKAGES = "rustc libstd-rust-dev-wasm32 lld-19"
RELEASE = "rustc 1.85.1"
STACK = 16384
"""Bytes of the stack in linear memory: small, so that a program begins with two pages, and thousands of lanes fit."""
RUST = ("--edition", "2021", "--target", "wasm32-wasip1", "-C", "opt-level=z", "-C", "lto", "-C", "codegen-units=1")
RUST += ("-C", "panic=abort", "-C", "strip=symbols", "-C", f"link-arg=-zstack-size={STACK}")
UNKNOWN = ("--edition", "2021", "--target", "wasm32-unknown-unknown", "-C", "opt-level=z", "-C", "codegen-units=1")
UNKNOWN += ("-C", "panic=abort", "-C", "strip=debuginfo")
LIBRARY = (*UNKNOWN, "-C", "lto", "-C", f"link-arg=-zstack-size={STACK // 2}", "--crate-type", "cdylib")
FREE_C = ("cc", "-target", "wasm32-freestanding", "-Oz", "-nostdlib", "-fno-sanitize=undefined", "-DGLASSBOX_RECORDS")
FREE_C += ("-Wl,--no-entry", f"-Wl,-z,stack-size={STACK // 2}")
CRATE = HERE.parent / "glassbox/src/lib.rs"
C = ("cc", "-target", "wasm32-wasi", "-Oz", "-s", "-fno-sanitize=undefined", f"-Wl,-z,stack-size={STACK}")


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return sha256(data).hexdigest()


def sources() -> list[Path]:
    """Every program's source, by name."""
    return sorted([*HERE.glob("*.rs"), *HERE.glob("*.c")])


def find_rust(progress: Progress) -> Path:
    """rustc for wasm32-wasip1: a script in the cache, put together now unless it has been. Raises `Unavailable`."""
    folder = folders.cache_folder("rust-wasm")
    if not (folder / "rustc").exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".rust-") as draft:
            apt, root = Path(draft) / "apt", Path(draft) / "rust" / "root"
            apt.mkdir()
            root.mkdir(parents=True)
            packages = download_packages(read_suites(SUITES, apt, progress), PACKAGES, SUITES[0], apt, progress)
            progress(f"unpacking {len(packages)} packages")
            for package in packages:
                subprocess.run(["dpkg-deb", "--extract", package, root], check=True, timeout=300)
            # The scripts name the place that the draft gets at the end.
            libraries = folder / "root/usr/lib/x86_64-linux-gnu"
            start = shlex.join(
                [f"{libraries}/ld-linux-x86-64.so.2", "--library-path", f"{libraries}:{folder}/root/usr/lib"]
            )
            usr = shlex.quote(f"{folder}/root/usr")
            path = f"export PATH={shlex.quote(str(folder))}:$PATH"
            for name, words in (("rust-lld", "lib/llvm-19/bin/lld"), ("rustc", f"bin/rustc --sysroot {usr}")):
                script = root.parent / name
                script.write_text(f'#!/bin/sh\n{path}\nexec {start} {usr}/{words} "$@"\n')
                script.chmod(0o755)
            (root.parent / "packages.json").write_text(
                json.dumps({each.name: digest(each.read_bytes()) for each in packages}, indent=2) + "\n"
            )
            shutil.rmtree(folder, ignore_errors=True)
            root.parent.rename(folder)
    found = subprocess.run([folder / "rustc", "--version"], capture_output=True, text=True, timeout=60)
    if not found.stdout.startswith(RELEASE + " "):
        raise Unavailable(f"{folder / 'rustc'} is not {RELEASE}: {found.stdout or found.stderr}")
    return folder / "rustc"


def find_zig() -> list[str]:
    """The command of zig. Raises `Unavailable` where it does not run."""
    command = shlex.split(os.environ.get("ZIG", f"{shlex.quote(sys.executable)} -m ziglang"))
    found = subprocess.run([*command, "version"], capture_output=True, text=True, timeout=60)
    if found.returncode:
        raise Unavailable(
            "zig does not run; in an environment of its own `pip install ziglang`, then ZIG='PYTHON -m ziglang'"
        )
    return command


def build(source: Path, module: Path, rust: Path, zig: list[str]) -> None:
    """Compile one program. `Unavailable` with the compiler's words where it fails."""
    if source.suffix == ".rs":
        _run([str(rust), *RUST, str(source), "-o", str(module)])
    else:
        _run([*zig, *C, str(source), "-o", str(module)])


def plain_sources() -> list[Path]:
    """Sources of modules that lie beside them."""
    return sorted(path for path in HERE.parent.glob("*/*.*") if path.suffix in (".rs", ".c") and path.parent != HERE)


def build_plain(rust: Path, zig: list[str]) -> None:
    """The modules that lie beside their sources."""
    with tempfile.TemporaryDirectory() as draft:
        crate = f"{draft}/libglassbox.rlib"
        features = ["--cfg", 'feature="records"']
        _run(
            [
                str(rust),
                *UNKNOWN,
                "--crate-type",
                "rlib",
                "--crate-name",
                "glassbox",
                *features,
                str(CRATE),
                "-o",
                crate,
            ]
        )
        for source in plain_sources():
            module = str(source.with_suffix(".wasm"))
            if source.suffix == ".c":
                _run([*zig, *FREE_C, str(source), "-o", module])
            else:
                _run([str(rust), *LIBRARY, "--extern", f"glassbox={crate}", str(source), "-o", module])
            os.chmod(module, 0o644)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE)
    if done.returncode:
        raise Unavailable(f"{command[0]}: {done.stderr}")


def plain_digest() -> str:
    """Of the sources of modules that lie beside them, the crate and the header, and of the modules."""
    others = [CRATE, HERE.parent / "glassbox/glassbox.h"]
    modules = [each.with_suffix(".wasm") for each in plain_sources()]
    return digest(b"".join(each.read_bytes() for each in (*plain_sources(), *others, *modules)))


def write_archive(modules: dict[str, bytes]) -> None:
    """All modules in one archive, the same bytes for the same modules."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, data in sorted(modules.items()):
            member = tarfile.TarInfo(f"{name}.wasm")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    ARCHIVE.write_bytes(lzma.compress(packed.getvalue(), preset=9 | lzma.PRESET_EXTREME))


def read_archive() -> dict[str, bytes]:
    """The modules by name."""
    with tarfile.open(ARCHIVE) as archive:
        return {Path(each.name).stem: archive.extractfile(each).read() for each in archive}  # type: ignore[union-attr]


def main() -> int:
    """Build what changed, or with ``--all`` everything."""
    parser = argparse.ArgumentParser(prog="just wasm-programs", description=__doc__)
    parser.add_argument("--all", action="store_true", help="build programs whose sources did not change, too")
    parser.add_argument(
        "--unpack", metavar="FOLDER", type=Path, help="put the modules into a folder, and build nothing"
    )
    options = parser.parse_args()
    modules = read_archive() if ARCHIVE.exists() else {}
    if options.unpack:
        options.unpack.mkdir(parents=True, exist_ok=True)
        for name, data in modules.items():
            (options.unpack / f"{name}.wasm").write_bytes(data)
        print(f"{len(modules)} modules in {options.unpack}")
        return 0
    before = json.loads(DIGESTS.read_text()) if DIGESTS.exists() else {}
    old = {
        each.stem: each for each in sources() if before.get(each.stem, {}).get("source") == digest(each.read_bytes())
    }
    wanted = [each for each in sources() if options.all or each.stem not in old or each.stem not in modules]
    modules = {each.stem: modules[each.stem] for each in sources() if each not in wanted}
    is_plain_old = not PLAIN_DIGEST.exists() or PLAIN_DIGEST.read_text().strip() != plain_digest() or options.all
    try:
        needed = {each.suffix for each in wanted} | ({".rs", ".c"} if is_plain_old else set())
        rust = find_rust(lambda line: print(f"wasm-programs: {line}", file=sys.stderr)) if ".rs" in needed else Path()
        zig = find_zig() if ".c" in needed else []
        if is_plain_old:
            build_plain(rust, zig)
        with tempfile.TemporaryDirectory() as draft:
            for source in wanted:
                module = Path(draft) / f"{source.stem}.wasm"
                build(source, module, rust, zig)
                modules[source.stem] = module.read_bytes()
                print(f"{source.name}: {len(modules[source.stem])} bytes", flush=True)
    except (Unavailable, OSError, subprocess.SubprocessError) as error:
        print(f"wasm-programs: nothing was changed: {error}", file=sys.stderr)
        return 1
    write_archive(modules)
    rows = {
        each.stem: {"source": digest(each.read_bytes()), "module": digest(modules[each.stem])} for each in sources()
    }
    DIGESTS.write_text(json.dumps(rows, indent=1) + "\n")
    PLAIN_DIGEST.write_text(plain_digest() + "\n")
    print(f"{len(modules)} modules, {ARCHIVE.stat().st_size >> 10} KiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
