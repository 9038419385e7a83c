"""Checkpoints on disk: a folder each, with RAM, the state of the devices, and what they are of.

::

    checkpoint.json    what this is (`Checkpoint`); written last, so a folder without one is no checkpoint
    ram                the RAM, byte for byte; what was never touched is a hole
    devices.qcow2      the state of vCPUs and devices, as QEMU's ``snapshot-save`` writes it
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ..errors import HostError, UsageError
from ..memory.addresses import PAGE_SIZE
from ..memory.sparse import iter_data
from ..wire import connection
from ..wire.records import Checkpoint

RECORD, RAM, DEVICES = "checkpoint.json", "ram", "devices.qcow2"
PIECE = 4 << 20
_DRAFT = ".draft-"
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")


def folder_of(name: str) -> Path:
    """The folder of the checkpoints of machine `name`; it may not exist."""
    return connection.state_path(name) / "checkpoints"


def validate_tag(tag: str) -> str:
    """`tag`, if it is a valid name of a checkpoint; `UsageError` otherwise."""
    if not _TAG.fullmatch(tag):
        raise UsageError(f"{tag[:80]!r} is no valid tag; use up to 40 letters, digits, '.', '_' and '-'")
    return tag


def list_checkpoints(name: str) -> tuple[Checkpoint, ...]:
    """The checkpoints of machine `name`, oldest first; empty where there are none."""
    found = []
    for path in folder_of(name).glob(f"*/{RECORD}"):
        try:
            found.append(msgspec.json.decode(path.read_bytes(), type=Checkpoint))
        except (OSError, msgspec.DecodeError):
            continue
    return tuple(sorted(found, key=lambda each: each.taken_at))


def find_checkpoint(name: str, tag: str) -> tuple[Path, Checkpoint]:
    """The folder and the record of checkpoint `tag`; `UsageError` names those that there are."""
    validate_tag(tag)
    found = {each.tag: each for each in list_checkpoints(name)}
    if tag in found:
        return folder_of(name) / tag, found[tag]
    known = f"there are {', '.join(found)}" if found else f"make one with 'glassbox checkpoint {name} {tag}'"
    raise UsageError(f"machine {name!r} has no checkpoint {tag!r}; {known}")


def remove_checkpoint(name: str, tag: str) -> Checkpoint:
    """Remove checkpoint `tag` and return its record; `UsageError` names those that there are, `HostError` where it cannot be removed."""
    folder, found = find_checkpoint(name, tag)
    try:
        # First it is no checkpoint any more; what is left of it where that fails is removed with the next one's draft.
        left = folder.rename(folder.with_name(f"{_DRAFT}{tag}"))
        shutil.rmtree(left)
    except OSError as error:
        raise HostError(f"{folder} cannot be removed ({error.strerror}); remove it yourself") from None
    return found


def make_draft(name: str, tag: str) -> Path:
    """A new folder for checkpoint `tag`, which `finish` gives its name; `UsageError` if there is one already.

    One at a time for a machine: what is left of a draft whose process was killed is removed.
    """
    validate_tag(tag)
    folder = folder_of(name)
    if (folder / tag).exists():
        raise UsageError(
            f"machine {name!r} has a checkpoint {tag!r} already; choose another tag, or remove it with 'glassbox forget {name} {tag}'"
        )
    for left in folder.glob(f"{_DRAFT}*"):
        shutil.rmtree(left, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=_DRAFT, dir=folder))


def finish(draft: Path, found: Checkpoint) -> None:
    """Write the record and give the folder its name: from now on it is a checkpoint."""
    (draft / RECORD).write_bytes(msgspec.json.encode(found))
    draft.rename(draft.parent / found.tag)


def private(path: str, flags: int) -> int:
    """An opener of files that nobody else may read."""
    return os.open(path, flags, 0o600)


@contextlib.contextmanager
def _reported(copy: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise HostError(f"{copy} cannot be used ({error.strerror}); make room, and look at the disk") from None


def save_ram(ram: Path, copy: Path) -> int:
    """Copy the touched pages of the file `ram` to the new file `copy`; returns their bytes. `HostError` if they do not fit."""
    with _reported(copy), open(ram, "rb") as source, open(copy, "xb", opener=private) as target:
        size = os.fstat(source.fileno()).st_size
        runs = list(iter_data(source.fileno(), 0, size))
        needed = sum(end - start for start, end in runs)
        if shutil.disk_usage(copy.parent).free < needed:
            raise HostError(f"{copy.parent} has no room for {needed >> 20} MiB of RAM; free space there")
        target.truncate(size)
        for start, end in runs:
            for at in range(start, end, PIECE):
                os.pwrite(target.fileno(), os.pread(source.fileno(), min(PIECE, end - at), at), at)
        return needed


def load_ram(copy: Path, ram: Path) -> list[int]:
    """Make the file `ram` equal to `copy`, writing only pages that differ; returns their numbers, ascending.

    Written in place: whoever has `ram` mapped, as QEMU has, sees it. `HostError` if one of them cannot be read or written.
    """
    changed = []
    with _reported(copy), open(copy, "rb") as source, open(ram, "r+b", buffering=0) as target:
        size = os.fstat(source.fileno()).st_size
        for at in range(0, size, PIECE):
            wanted, found = source.read(PIECE), os.pread(target.fileno(), PIECE, at)
            if wanted == found:
                continue
            for start in range(0, len(wanted), PAGE_SIZE):
                page = wanted[start : start + PAGE_SIZE]
                if page != found[start : start + PAGE_SIZE]:
                    os.pwrite(target.fileno(), page, at + start)
                    changed.append((at + start) // PAGE_SIZE)
    return changed
