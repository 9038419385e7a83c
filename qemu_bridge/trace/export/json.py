"""Every executed block as a line of JSON: vcpu, block, instruction, root, id, address, instructions.

Addresses are strings of hex: JavaScript, jq and others round numbers of 64 bits.
Large: some 130 bytes for each block, so for a boot 18 GB. ``trace export --format parquet`` has the same rows in a hundredth.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path

from ..analysis.naming import Naming
from ..file.reader import TraceReader
from .rows import ADDRESSES, RowWriter, block_rows


def write(trace: TraceReader, output: Path, naming: Naming) -> None:
    """Write `trace` into the new file `output`, by frames and in a frame by vCPU."""
    with (
        open(output, "xb") as file,
        tempfile.TemporaryDirectory(dir=output.parent, prefix=".glassbox-") as folder,
        contextlib.closing(RowWriter()) as writer,
    ):
        part = Path(folder) / "part.json"
        for frame in trace.frames():
            for vcpu in range(trace.vcpus):
                if len(frame.numbers(vcpu)):
                    writer.write(block_rows(frame, vcpu), part, "FORMAT json", ADDRESSES)
                    with open(part, "rb") as source:
                        shutil.copyfileobj(source, file, 1 << 20)
                    part.unlink()
