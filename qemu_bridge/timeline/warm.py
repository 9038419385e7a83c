"""What was kept of first boots, so that later starts of the same machine begin where its user space was up.

::

    kept.json     what was kept (`Kept`); written last, so a folder without one holds nothing
    ram, devices  the RAM, and the state of vCPUs and devices
    console       what the guest had printed

A folder each, called by a hash of all that a boot depends on. Together they have at most `LIMIT`: what was not used for longest goes.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from ..errors import HostError, UsageError
from ..host.folders import cache_folder, own_folder
from ..host.plain_file import file_state
from ..machine.config import Endpoints, MachineConfig, qemu_argv
from ..machine.requests import Moment, RamCopy
from ..wire.records import Record
from .moments import describe_copy

RECORD, RAM, DEVICES, CONSOLE = "kept.json", "ram", "devices", "console"
LIMIT = 1 << 30
"""Bytes of all that is kept."""
_DRAFT, _DRAFT_S = ".draft-", 3600.0


class Kept(Record, frozen=True):
    """What was kept of a boot.

    Attributes:
        parts: what the boot depended on, by name (`parts_of`).
        copy, devices: what the file of RAM holds; CRC-32 of that of vCPUs and devices.
        random: as in `Moment`.
    """

    parts: dict[str, str]
    copy: RamCopy
    devices: int
    random: tuple[tuple[int, int], ...]


def parts_of(config: MachineConfig, qemu: str) -> dict[str, str]:
    """All that a boot of `config` on the program `qemu` depends on, by names that are told where they differ.

    `UsageError` for a machine that holds state outside its RAM and QEMU.
    """
    outside = {"--net": config.net, "--gpu": config.gpu, "--learned": config.learned}
    for option, is_given in outside.items():
        if is_given:
            raise UsageError(f"a start with {option} is not kept, so it cannot be warm; leave out --warm")
    place = Path("x")
    words = qemu_argv("", config, Endpoints(place, place, place, 3, 4, 5))
    words[words.index("-name") + 1] = ""
    program = Path(shutil.which(qemu) or qemu).resolve()
    return {
        "image": f"{config.image} {config.image_id}",
        "kernel": _identity(config.kernel),
        "initrd": _identity(config.initrd),
        "command line": config.append,
        "memory": f"{config.memory >> 10} KiB",
        "vCPUs": str(config.smp),
        "machine type": config.machine,
        "accelerator": config.accelerator,
        "QEMU": _identity(program),
        "CPU": _cpu(),
        "arguments": " ".join(words),
    }


def _identity(path: Path | None) -> str:
    return "" if path is None else file_state(path.resolve())


def _cpu() -> str:
    """The host's processor: its model, stepping and features."""
    with open("/proc/cpuinfo") as file:
        wanted = ("vendor_id", "cpu family", "model", "stepping", "flags")
        rows = dict.fromkeys(line.strip() for line in file if line.split("\t")[0] in wanted)
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]


def _folder() -> Path:
    folder = cache_folder("warm")
    return own_folder(folder, f"folder {folder} of kept boots", "XDG_CACHE_HOME")


def _path(parts: Mapping[str, str]) -> Path:
    return _folder() / hashlib.sha256(msgspec.json.encode(sorted(parts.items()))).hexdigest()[:24]


def find_kept(parts: Mapping[str, str]) -> tuple[Moment | None, str]:
    """The moment that was kept of a boot with these `parts`; None with the reason where the machine has to boot."""
    path = _path(parts)
    if not (path / RECORD).is_file():
        return None, _reason(parts)
    try:
        kept = _read(path)
    except (OSError, ValueError):
        return None, "what was kept of its first boot is damaged"
    with contextlib.suppress(OSError):
        os.utime(path / RECORD)
    moment = Moment(path / RAM, path / DEVICES, kept.copy, kept.random, console=path / CONSOLE, checksum=kept.devices)
    return moment, ""


def _read(path: Path) -> Kept:
    """The record in folder `path`; `OSError` or `ValueError` where the rest is not what it says, as far as that is soon known."""
    kept = msgspec.json.decode((path / RECORD).read_bytes(), type=Kept)
    if zlib.crc32((path / DEVICES).read_bytes()) != kept.devices or (path / RAM).stat().st_size != kept.copy.size:
        raise ValueError
    return kept


def _is_whole(path: Path) -> bool:
    """Whether what is kept in folder `path` is what its record says, byte for byte."""
    try:
        return describe_copy(path / RAM) == _read(path).copy
    except (OSError, ValueError):
        return False


def _reason(parts: Mapping[str, str]) -> str:
    """Why nothing is kept of `parts`: in what the most similar one differs."""
    others = [
        tuple(name for name in parts if name != "arguments" and kept.parts.get(name) != parts[name])
        for _, kept in _iter_kept()
    ]
    nearest = min((names for names in others if names and "image" not in names), key=len, default=None)
    if nearest is None:
        return "no boot of it was kept yet"
    return f"what is kept differs in {', '.join(nearest)}"


def _iter_kept() -> Iterator[tuple[Path, Kept]]:
    """Yield folder and record of all that is kept."""
    for path in _records():
        with contextlib.suppress(OSError, msgspec.DecodeError):
            yield path.parent, msgspec.json.decode(path.read_bytes(), type=Kept)


def _records() -> list[Path]:
    """The records of all that is kept; drafts are not kept yet."""
    return [path for path in _folder().glob(f"*/{RECORD}") if not path.parent.name.startswith(_DRAFT)]


def forget(parts: Mapping[str, str]) -> None:
    """Remove what is kept of a boot with these `parts`, all of it at once for whoever looks for it."""
    left = make_draft()
    with contextlib.suppress(OSError):
        _path(parts).rename(left)
    shutil.rmtree(left, ignore_errors=True)


def make_draft() -> Path:
    """A new folder for what is to be kept, which `keep` gives its name; the caller removes it if that fails."""
    return Path(tempfile.mkdtemp(prefix=_DRAFT, dir=_folder()))


def check_size(size: int) -> None:
    """`HostError` for a state of `size` bytes that is more than all that is kept may be."""
    if size > LIMIT:
        raise HostError(
            f"its state has {size >> 20} MiB, and all that is kept may have {LIMIT >> 20} MiB; start it with less --memory"
        )


def keep(draft: Path, parts: dict[str, str], random: tuple[tuple[int, int], ...]) -> None:
    """Keep what lies in `draft` as the state of a boot with these `parts`, and remove what is too much then.

    What is kept of the same boot already stays if it is whole: machines may be loading it. `HostError` for what is too large.
    """
    check_size(_size(draft))
    kept = Kept(parts, describe_copy(draft / RAM), zlib.crc32((draft / DEVICES).read_bytes()), random)
    (draft / RECORD).write_bytes(msgspec.json.encode(kept))
    if not _is_whole(_path(parts)):
        forget(parts)
        with contextlib.suppress(OSError):  # another machine kept the same meanwhile
            draft.rename(_path(parts))
    _limit()


def _size(folder: Path) -> int:
    """The bytes on disk of what lies in `folder`."""
    return sum(512 * each.stat().st_blocks for each in folder.iterdir())


def _limit() -> None:
    """Remove what was not used for longest until the rest has at most `LIMIT` bytes; and drafts of killed processes."""
    for path in _folder().glob(f"{_DRAFT}*"):
        with contextlib.suppress(FileNotFoundError):  # another process does the same
            if time.time() - path.stat().st_mtime > _DRAFT_S:
                shutil.rmtree(path, ignore_errors=True)
    found = []
    for path in _records():
        with contextlib.suppress(FileNotFoundError):
            found.append((path.stat().st_mtime, _size(path.parent), path.parent))
    total = 0
    for _, size, path in sorted(found, reverse=True):
        total += size
        if total > LIMIT:
            shutil.rmtree(path, ignore_errors=True)
