"""Files that pictures are written to."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from qemu_bridge.errors import GlassBoxError


def validate_output(path: Path, kind: str = "picture") -> None:
    """Raise `GlassBoxError` where `path` cannot be written, before anything is drawn for it. Writes nothing."""
    folder = path.parent
    if path.is_dir() or not path.name:
        problem = errno.EISDIR
    elif not folder.is_dir():
        problem = errno.ENOTDIR if folder.exists() else errno.ENOENT
    elif not os.access(path if path.exists() else folder, os.W_OK):
        problem = errno.EACCES
    else:
        return
    raise cannot_write(kind, path, os.strerror(problem))


def write_picture(picture: npt.NDArray[np.uint8], path: Path) -> None:
    """Write `picture` to `path` as PNG; `GlassBoxError` where the file cannot be written."""
    try:
        content = io.BytesIO()
        Image.fromarray(picture).save(content, format="PNG", optimize=True)
        path.write_bytes(content.getbuffer())  # at once: who is ended meanwhile leaves no half of it
    except OSError as error:
        raise cannot_write("picture", path, error.strerror or str(error)) from None


def cannot_write(kind: str, path: Path, reason: str) -> GlassBoxError:
    """The error for a file of a `kind`, such as ``picture``, that cannot be written."""
    return GlassBoxError(f"cannot write the {kind} {path} ({reason}); choose another path with -o")
