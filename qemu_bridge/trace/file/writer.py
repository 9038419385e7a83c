"""Writing of a ``.gbt`` file, unit by unit; each is written in one piece or taken back.

>>> writer = TraceWriter(Path("boot.gbt"), vcpus=1, about={"machine": "demo"}, time_ns=time.time_ns())
>>> writer.write_frame(contents, roots, ids, blocks=8388608, instructions=41104100)
>>> writer.close({"seconds": 1.5})
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...errors import HostError, UsageError
from .format import END, FOOTER, FRAME, HEADER, INDEX, MAGIC, UNIT, VERSION, Content, Section, pack_unit


class TraceWriter:
    """Writes a trace file at `path`, which must not exist or must be a trace; `about` is kept as JSON in its header.

    What was written stays readable: a unit that does not fit on the disk is removed.
    """

    def __init__(self, path: Path, vcpus: int, about: Mapping[str, object], time_ns: int) -> None:
        if _is_something_else(path):
            raise UsageError(f"{path} exists and is not a trace; give -o another name")
        text = json.dumps(dict(about)).encode()
        header = np.zeros((), HEADER)
        header["magic"], header["version"], header["vcpus"] = MAGIC, VERSION, vcpus
        header["time_ns"], header["json_bytes"] = time_ns, len(text)
        header["crc"] = zlib.crc32(header.tobytes()[:-4] + text)
        self.path = path
        try:
            self._file = open(path, "wb", buffering=0)  # closed by close()
        except OSError as error:
            raise HostError(f"{path} cannot be written ({error.strerror}); give -o another name") from None
        self.size = 0
        self._units: list[tuple[int, npt.NDArray[np.void]]] = []
        self._roots: list[npt.NDArray[np.uint64]] = []
        self._ids: list[bytes] = []
        try:
            self._write([header.tobytes(), text])
        except HostError:
            self._file.close()
            raise

    @property
    def frames(self) -> int:
        """Frames written so far."""
        return len(self._units)

    @property
    def is_closed(self) -> bool:
        """Whether nothing more can be written."""
        return self._file.closed

    def write_frame(
        self, contents: Sequence[Content], roots: npt.NDArray[np.uint64], ids: npt.NDArray[np.uint32], **fields: int
    ) -> None:
        """Append a frame; `roots` and `ids` (page-table roots and blocks in it) go into the index."""
        header, pieces = pack_unit(FRAME, contents, number=len(self._units), **fields)
        offset = self.size
        self._write([header.tobytes(), *pieces])
        self._units.append((offset, header))
        self._roots.append(np.unique(roots))
        self._ids.append(np.packbits(_bitmap(ids)).tobytes())

    def close(self, summary: Mapping[str, object]) -> None:
        """Write the index, with `summary` as JSON, and close the file."""
        if self._file.closed:
            return
        units = np.zeros(len(self._units), UNIT)
        for number, (_, header) in enumerate(self._units):
            units[number] = header
        offsets = np.array([offset for offset, _ in self._units], np.uint64)
        text = json.dumps(dict(summary)).encode()
        counts = np.array([len(roots) for roots in self._roots], np.uint64)
        lengths = np.array([len(ids) for ids in self._ids], np.uint64)
        contents = [
            Content(Section.UNITS, 0, np.concatenate([offsets.view(np.uint8), units.view(np.uint8)]), len(units)),
            Content(Section.ROOTS, 0, np.concatenate([counts, *self._roots]), len(units)),
            Content(Section.IDS, 0, lengths.tobytes() + b"".join(self._ids), len(units)),
            Content(Section.SUMMARY, 0, text, 1),
        ]
        try:
            at = self.size
            header, pieces = pack_unit(INDEX, contents, number=len(self._units))
            self._write([header.tobytes(), *pieces])
            footer = np.zeros((), FOOTER)
            footer["index_offset"], footer["frames"], footer["magic"] = at, len(self._units), END
            footer["crc"] = zlib.crc32(footer.tobytes()[:16])
            self._write([footer.tobytes()])
        finally:
            self._file.close()

    def abandon(self) -> None:
        """Close the file without an index."""
        self._file.close()

    def _write(self, pieces: Sequence[bytes]) -> None:
        try:
            for piece in pieces:
                left = memoryview(piece)
                while left:
                    left = left[self._file.write(left) :]
        except OSError as error:
            # The unit that did not fit goes; if truncating fails, a reader still stops before it.
            try:
                os.ftruncate(self._file.fileno(), self.size)
            except OSError:
                pass
            raise HostError(
                f"{self.path} cannot be extended ({error.strerror}); its {len(self._units)} frames can be read, "
                "free space to record more"
            ) from None
        self.size += sum(map(len, pieces))


def _is_something_else(path: Path) -> bool:
    """Whether something other than a trace is at `path`, which must not be overwritten.

    A pipe is not opened: that would block until its other end is.
    """
    try:
        if path.is_file():
            with open(path, "rb") as file:
                return file.read(len(MAGIC)) not in (b"", MAGIC)
        return path.is_fifo() or path.is_socket()
    except OSError:
        return False


def _bitmap(ids: npt.NDArray[np.uint32]) -> npt.NDArray[np.bool_]:
    used = np.zeros(int(ids.max()) + 1 if len(ids) else 0, np.bool_)
    used[ids] = True
    return used
