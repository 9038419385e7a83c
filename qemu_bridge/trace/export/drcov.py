"""Which blocks ran, as drcov version 2: a text header, a table of modules, and 8 bytes for each block.

An entry is the offset in its module (u32), the size in bytes (u16) and the module's number (u16), little endian; that is
DynamoRIO's ``ext/drcovlib`` format, which Lighthouse and others read. A trace knows no files, so a module is a stretch of
addresses of one privilege with no hole larger than `HOLE`: ``kernel-0`` is the kernel's image. Code that ran at several
addresses stands at each, and a block that was translated but never ran at none.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..analysis.naming import Naming
from ..file.native import U64
from ..file.reader import TraceReader

HOLE = 64 << 20
_ENTRY = np.dtype([("start", "<u4"), ("size", "<u2"), ("module", "<u2")])
_RAN = np.dtype([("is_user", "?"), ("address", "<u8"), ("bytes", "<u2")])
_PAGE = 4096
_MOST_MODULES = 0xFFFF


def write(trace: TraceReader, output: Path, naming: Naming) -> None:
    """Write the blocks that ran in `trace` into the new file `output`, each once for each address at which it ran."""
    ran = executed_blocks(trace)
    addresses, sizes, user = ran["address"], ran["bytes"], ran["is_user"]
    first = _module_starts(addresses, user)
    module = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(addresses))))
    keep = module < _MOST_MODULES
    base = addresses[first] & ~np.uint64(_PAGE - 1)
    entries = np.empty(len(addresses), _ENTRY)
    entries["start"], entries["size"], entries["module"] = addresses - base[module], sizes, module
    ends = np.maximum.reduceat(addresses + sizes, first) if len(first) else base
    lines = ["DRCOV VERSION: 2", "DRCOV FLAVOR: glassbox"]
    lines.append(f"Module Table: version 2, count {min(len(first), _MOST_MODULES)}")
    lines.append("Columns: id, base, end, entry, checksum, timestamp, path")
    count = [0, 0]
    for number, (start, low, high) in enumerate(zip(first, base.tolist(), ends.tolist(), strict=True)):
        if number == _MOST_MODULES:
            break
        kind = int(user[start])
        name = f"{('kernel', 'user')[kind]}-{count[kind]}"
        count[kind] += 1
        lines.append(f"{number:3}, {low:#018x}, {high:#018x}, {0:#018x}, {0:#010x}, {0:#010x}, {name}")
    lines.append(f"BB Table: {int(keep.sum())} bbs")
    with open(output, "xb") as file:
        file.write("\n".join(lines).encode() + b"\n" + entries[keep].tobytes())


def executed_blocks(trace: TraceReader) -> npt.NDArray[np.void]:
    """Each block that ran, once for each address: columns is_user, address, bytes; sorted by these."""
    found = np.empty(0, _RAN)
    for frame in trace.frames():
        for vcpu in range(trace.vcpus):
            blocks = frame.blocks(vcpu)
            # Integers sort fast and there are few distances, so a block and its distance become one number.
            distances, which = np.unique(blocks.addresses - blocks.table.addresses[blocks.numbers], return_inverse=True)
            pairs = np.unique(blocks.numbers.astype(np.int64) * max(len(distances), 1) + which)
            numbers, which = np.divmod(pairs, max(len(distances), 1))
            rows = np.empty(len(pairs), _RAN)
            rows["is_user"] = blocks.table.rings[numbers] == 3
            rows["address"] = blocks.table.addresses[numbers] + distances[which]
            rows["bytes"] = blocks.table.bytes[numbers]
            found = np.union1d(found, rows)
    return found


def _module_starts(addresses: U64, user: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Where a module begins: behind a hole, at the other privilege, and where an offset would not fit 32 bits."""
    if not len(addresses):
        return np.zeros(0, np.intp)
    holes = (np.diff(addresses) > HOLE) | (user[1:] != user[:-1]) | (np.diff(addresses >> np.uint64(31)) > 0)
    return np.append(0, np.flatnonzero(holes) + 1)
