"""This host's Python for a guest: its program, libraries and standard library as an archive that the kernel unpacks beside an image's."""

from __future__ import annotations

import io
import os
import re
import subprocess
import zipfile
from pathlib import Path

from qemu_bridge.images.initramfs import Tree, compress

PROGRAM = Path("/usr/bin/python3")
_MODULES = ("_ctypes", "mmap")
_LEFT_OUT = (
    "test",
    "idlelib",
    "lib2to3",
    "ensurepip",
    "distutils",
    "tkinter",
    "site-packages",
    "dist-packages",
    "config-",
)


def python_archive() -> bytes:
    """An archive with ``/usr/bin/python3``, to append to an initrd; `FileNotFoundError` where this host has none of its own."""
    program = PROGRAM.resolve(strict=True)
    version = program.name.removeprefix("python")
    library = Path("/usr/lib", f"python{version}")
    tree = Tree()
    tree.add_file("usr/bin/python3", program.read_bytes(), 0o755)
    found = [path for name in _MODULES for path in (library / "lib-dynload").glob(f"{name}.*.so")]
    for path in found:
        tree.add_file(str(path).lstrip("/"), path.read_bytes(), 0o755)
    for path in {library for binary in (program, *found) for library in _libraries(binary)}:
        tree.add_file(path.lstrip("/"), Path(path).read_bytes(), 0o755)
    # The path of the standard library begins with this file.
    tree.add_file(f"usr/lib/python{version.replace('.', '')}.zip", _zip(library))
    tree.add_file(f"usr/lib/python{version}/os.py", (library / "os.py").read_bytes())  # by which it finds the rest
    return compress(tree.to_cpio())


def _libraries(binary: Path) -> list[str]:
    told = subprocess.run(["ldd", binary], capture_output=True, text=True, check=True).stdout
    return re.findall(r"(/\S+) \(0x", told)


def _zip(library: Path) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(library.rglob("*.py")):
            name = os.fspath(path.relative_to(library))
            if not name.startswith(_LEFT_OUT):
                file.write(path, name)
    return content.getvalue()
