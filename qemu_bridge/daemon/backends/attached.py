"""RAM that others made: a QEMU that somebody else started, or a file with RAM in it and nothing else.

A QEMU is joined over its QMP socket. It says itself where its RAM lies (``query-memdev`` and the backend's properties),
how it appears in the guest (``info mtree -f``) and what machine it is; all that is asked of it is that the RAM is one
shared file::

    qemu-system-x86_64 -m 2G -machine q35,memory-backend=ram \\
        -object memory-backend-file,id=ram,size=2G,mem-path=/dev/shm/mine,share=on -qmp unix:mine.qmp,server=on,wait=off

Nothing is done to it but what `pause` and `resume` ask for, and it outlives us.

A raw image says nothing about itself. Up to the point where a machine splits its RAM (`RamLayout.from_rule`) there is but
one way to lay it out; beyond, the kernel in it decides: laid out rightly, RAM ends where ``max_pfn`` says.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import socket
import stat
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from ...errors import GlassBoxError, MachineError, UsageError
from ...machine.config import MACHINES, MachineConfig
from ...machine.monitor import Monitor
from ...memory.addresses import (
    PAGE_SHIFT,
    PAGE_SIZE,
    PhysicalAddress,
    RamLayout,
    RamOffset,
    RamRegion,
    format_size,
    parse_mtree,
)
from .started import Origin, Shell

logger = logging.getLogger(__name__)

LAYOUTS = (*MACHINES, "flat")
"""How a raw image may be laid out: as on a machine type, or without a hole."""

_GREETING_TIMEOUT_S = 5.0
_HOW_TO_START = "start QEMU with -machine TYPE,memory-backend=ram -object memory-backend-file,id=ram,size=SIZE,mem-path=FILE,share=on"
_OTHER_FORMATS = {b"\x7fELF": "an ELF core", b"EMiL": "a LiME dump", b"KDUMP": "a kdump file", b"QEVM": "a saved state"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to attach to: a QMP socket, a capture's folder, or a RAM image laid out as `machine` says (empty: find out)."""

    name: str
    qmp: Path | None = None
    ram: Path | None = None
    machine: str = ""
    capture: Path | None = None

    @classmethod
    def from_json(cls, record: dict[str, str]) -> Wanted:
        """What `launch.attach` sent."""
        qmp, ram, capture = (Path(record[key]) if record.get(key) else None for key in ("qmp", "ram", "capture"))
        return cls(record["name"], qmp, ram, record.get("machine", ""), capture)


def find(wanted: Wanted) -> tuple[Origin, MachineConfig, Path, RamLayout]:
    """What is behind `wanted`, what machine it is, and the file and layout of its RAM.

    Raises `UsageError` for a file or socket that cannot be it, `MachineError` when QEMU does not answer or its RAM cannot
    be read.
    """
    if wanted.qmp is not None:
        return asyncio.run(_find_qemu(wanted.name, wanted.qmp))
    if wanted.capture is not None:
        return _find_capture(wanted.name, wanted.capture)
    assert wanted.ram is not None
    size = image_size(wanted.ram)
    machine = wanted.machine or detect_machine(wanted.ram, size)
    config = MachineConfig(name=wanted.name, memory=size, smp=0, machine=machine, accelerator="none")
    return RamImage(wanted.ram), config, wanted.ram, image_layout(machine, size)


# --- a QEMU that runs already ----------------------------------------------------------------------------


def open_qmp(path: Path) -> socket.socket:
    """A connection to the QMP socket at `path`; `UsageError` when there is none, `MachineError` when nobody listens."""
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise UsageError(f"{path} is not a socket; give the path behind QEMU's -qmp unix:")
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    except OSError as error:
        raise UsageError(f"cannot reach {path} ({error.strerror}); give the path behind QEMU's -qmp unix:") from None
    try:
        # Blocking for no longer than this: a full backlog, too, means that somebody else is being served.
        sock.settimeout(_GREETING_TIMEOUT_S)
        sock.connect(os.fspath(path))
    except TimeoutError:
        sock.close()
        raise _taken(path) from None
    except OSError as error:
        sock.close()
        raise MachineError(
            f"nobody listens at {path} ({error.strerror or error}); has that QEMU ended? start it again"
        ) from None
    return sock


def _taken(path: Path) -> MachineError:
    return MachineError(
        f"{path} does not greet within {_GREETING_TIMEOUT_S:g} s; a QMP socket serves one client at a time: end the other,"
        " or give QEMU a second -qmp"
    )


@contextlib.asynccontextmanager
async def _joined(name: str, path: Path) -> AsyncIterator[Monitor]:
    """The QMP connection at `path`; `MachineError` when nobody greets us, as when somebody else is connected."""
    sock = open_qmp(path)
    greeted = False
    try:
        async with Monitor.connect(sock, name, _GREETING_TIMEOUT_S) as monitor:
            greeted = True
            yield monitor
    except MachineError as error:
        if greeted:
            raise
        if isinstance(error.__context__, TimeoutError):
            raise _taken(path) from None
        raise MachineError(f"what listens at {path} is no QMP socket; give the path behind QEMU's -qmp unix:") from None
    finally:
        sock.close()


async def _find_qemu(name: str, path: Path) -> tuple[Origin, MachineConfig, Path, RamLayout]:
    async with _joined(name, path) as monitor:
        ram, layout = await find_ram(monitor)
        kvm = await monitor.execute("query-kvm")
        config = MachineConfig(
            name=name,
            memory=layout.size,
            smp=len(await monitor.execute("query-cpus-fast")),
            machine=await _machine_type(monitor),
            accelerator="kvm" if kvm.get("enabled") else "tcg",
        )
    return JoinedQemu(path), config, ram, layout


async def _machine_type(monitor: Monitor) -> str:
    """``pc`` or ``q35``, else the type's own name; `MachineError` for a machine that is no x86-64."""
    target = (await monitor.execute("query-target"))["arch"]
    if target != "x86_64":
        raise MachineError(f"that QEMU emulates {target}; Glass Box reads x86-64 guests only: attach to one of those")
    told = str(await monitor.execute("qom-get", {"path": "/machine", "property": "type"}))
    return {"pc-i440fx": "pc", "pc-q35": "q35"}.get("-".join(told.split("-")[:2]), told.removesuffix("-machine"))


async def find_ram(monitor: Monitor) -> tuple[Path, RamLayout]:
    """The file that holds a QEMU's RAM and its layout; `MachineError` says why it cannot be read and what to start."""
    tree = await monitor.hmp("info mtree -f")
    used = [(device, layout) for device in await monitor.execute("query-memdev") if (layout := _rows(tree, device))]
    if not used:
        raise MachineError(f"that QEMU keeps its RAM in no memory backend of its own; {_HOW_TO_START}")
    if len(used) > 1:
        names = ", ".join(str(device.get("id", "?")) for device, _ in used)
        raise MachineError(f"that QEMU's RAM is spread over {len(used)} backends ({names}); {_HOW_TO_START}")
    (device, layout), *_ = used
    path = await _backing_file(monitor, device)
    return path, fill_gaps(layout, int(device["size"]))


def _rows(tree: str, device: dict[str, Any]) -> RamLayout | None:
    """Where memory device `device` appears in the guest, None where it does not."""
    name = str(device.get("id", ""))
    # Machine types before 4.0 call the region by the whole path of the object.
    for region in (name, f"/objects/{name}"):
        with contextlib.suppress(MachineError):
            return parse_mtree(tree, region)
    return None


async def _backing_file(monitor: Monitor, device: dict[str, Any]) -> Path:
    """The file behind a memory backend, if it is shared and whole."""
    name = str(device["id"])
    if not device.get("share"):
        raise MachineError(f"that QEMU's RAM ({name}) is its own and not shared; {_HOW_TO_START}")
    try:
        told = await monitor.execute("qom-get", {"path": f"/objects/{name}", "property": "mem-path"})
    except MachineError:
        raise MachineError(f"that QEMU's RAM ({name}) is shared but in no file; {_HOW_TO_START}") from None
    offset = 0
    with contextlib.suppress(MachineError):  # a property of QEMU 8.1 and later
        offset = int(await monitor.execute("qom-get", {"path": f"/objects/{name}", "property": "offset"}))
    path = Path(told)
    if offset:
        raise MachineError(f"that QEMU's RAM starts {offset:#x} bytes into {path}; start it with a file of its own")
    if not path.is_file() or not os.access(path, os.R_OK):
        raise MachineError(
            f"cannot read that QEMU's RAM {path} as a file (another user's, a folder, or another mount namespace?);"
            f" {_HOW_TO_START}"
        )
    if path.stat().st_size < int(device["size"]):
        raise MachineError(f"{path} is smaller than that QEMU's RAM of {device['size']} bytes; {_HOW_TO_START}")
    return path


def fill_gaps(layout: RamLayout, size_bytes: int) -> RamLayout:
    """`layout` of a file of `size_bytes` with each region reaching up to where the next begins in the file.

    Parts of RAM may be hidden behind devices or firmware (``tseg`` on q35); their bytes still lie in the file.
    `MachineError` where the regions do not fit together.
    """
    ends = [*(region.offset for region in layout.regions[1:]), size_bytes]
    regions = tuple(
        RamRegion(region.start, region.offset, end - region.offset)
        for region, end in zip(layout.regions, ends, strict=True)
    )
    overlap = any(first.start + first.size > then.start for first, then in itertools.pairwise(regions))
    shrunk = any(region.size < told.size for region, told in zip(regions, layout.regions, strict=True))
    if regions[0].offset or overlap or shrunk:
        raise MachineError(
            f"that QEMU lays out RAM as {layout.regions}, which is not understood; use machine type pc or q35"
        )
    return RamLayout(regions)


class JoinedQemu:
    """A QEMU that somebody else started and goes on with."""

    kind = "attached"
    pid: int | None = None
    exit_status: int | None = None

    def __init__(self, path: Path) -> None:
        self._path = path
        self._monitor: Monitor | None = None

    @contextlib.asynccontextmanager
    async def connect(self, name: str) -> AsyncIterator[Monitor]:
        """Its QMP socket; `MachineError` when it is taken or gone."""
        async with _joined(name, self._path) as self._monitor:
            yield self._monitor

    def shell(self) -> Shell:
        """None: we put no init into that guest."""
        return NoShell("was attached to, and no shell of ours runs inside; log in on its own console")

    async def wait(self) -> None:
        """Return when QEMU has closed the socket."""
        assert self._monitor is not None
        await self._monitor.closed()

    async def end(self, monitor: Monitor) -> None:
        """Let go of it: it runs on."""

    def describe_exit(self, asked: bool) -> str:
        """Whether we went or it did."""
        return "it was detached; its QEMU runs on" if asked else "its QEMU ended or closed the QMP socket"


# --- a file with RAM in it -------------------------------------------------------------------------------


def image_size(path: Path) -> int:
    """Bytes of the raw RAM image at `path`; `UsageError` for what cannot be one."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise UsageError(f"{path} is not a regular file; give a raw image of guest RAM")
        with open(path, "rb") as file:
            magic = file.read(5)
    except OSError as error:
        raise UsageError(f"cannot read {path} ({error.strerror}); give a raw image of guest RAM") from None
    for mark, what in _OTHER_FORMATS.items():
        if magic.startswith(mark):
            raise UsageError(f"{path} is {what}, not a raw image; write one with QEMU's pmemsave from address 0")
    if found.st_size == 0:
        raise UsageError(f"{path} is empty; give a raw image of guest RAM")
    if found.st_size % PAGE_SIZE:
        raise UsageError(
            f"{path} has {found.st_size} bytes, which is no whole number of {PAGE_SIZE}-byte pages; give a raw image of"
            " guest RAM that was not cut short"
        )
    return found.st_size


def image_layout(machine: str, size_bytes: int) -> RamLayout:
    """How `size_bytes` of RAM lie in the guest; `UsageError` for a `machine` that is not one of `LAYOUTS`."""
    if machine == "flat":
        return RamLayout((RamRegion(PhysicalAddress(0), RamOffset(0), size_bytes),))
    return RamLayout.from_rule(machine, size_bytes)


def detect_machine(path: Path, size_bytes: int) -> str:
    """Which of `LAYOUTS` makes sense of the raw image at `path`; ``pc`` where all do or none does.

    RAM that continues above 4 GiB ends at page frame ``max_pfn`` (``arch/x86/kernel/e820.c``), a number that the kernel
    keeps; where the hole is decides where that is.
    """
    layouts = {machine: image_layout(machine, size_bytes) for machine in LAYOUTS}
    if len({layout.regions for layout in layouts.values()}) == 1:
        return MACHINES[0]
    ends = {machine: _told_end(path, layout) for machine, layout in layouts.items()}
    for machine, end in ends.items():
        if end == layouts[machine].end:
            return machine
    logger.warning("no layout of %s (%s) fits its kernel: %s", path, format_size(size_bytes), ends)
    return next((machine for machine, end in ends.items() if end), MACHINES[0])


def _told_end(path: Path, layout: RamLayout) -> int:
    """Where RAM ends according to the kernel in an image that is laid out as `layout`; 0 where no kernel is found."""
    # Imported here: only large images need it.
    from ...kernel.symbols import KernelSymbols
    from ...memory.ram import GuestRam

    try:
        with GuestRam(path, layout) as ram:
            kernel = KernelSymbols.load(ram)
            return int.from_bytes(kernel.page_tables.read(kernel.address_of("max_pfn"), 8), "little") << PAGE_SHIFT
    except GlassBoxError as error:
        logger.debug("%s as %s: %s", path, layout.regions, error)
        return 0


class RamImage:
    """A file with RAM in it, which stands still for ever."""

    kind = "image"
    pid: int | None = None
    exit_status: int | None = None

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextlib.asynccontextmanager
    async def connect(self, name: str) -> AsyncIterator[Monitor]:
        """A monitor that says that there is none."""
        yield NoMonitor(self._path)

    def shell(self) -> Shell:
        """None."""
        return NoShell("is a RAM image; start a machine to run commands in one")

    async def wait(self) -> None:
        """Never return."""
        await asyncio.Event().wait()

    async def end(self, monitor: Monitor) -> None:
        """Close the file, which stays."""

    def describe_exit(self, asked: bool) -> str:
        """That the file was closed."""
        return "the RAM image was closed"


class Capture(RamImage):
    """A capture, which nobody need let go of: its daemon ends when nobody has looked for a while."""

    kind = "capture"

    def shell(self) -> Shell:
        """None."""
        return NoShell("is a capture, which stands still; start a machine to run commands in one")

    def describe_exit(self, asked: bool) -> str:
        """That nobody looked any more."""
        return "the capture was closed"


def _find_capture(name: str, folder: Path) -> tuple[Origin, MachineConfig, Path, RamLayout]:
    from ...captures.capture import RAM, read_manifest

    manifest = read_manifest(folder)
    config = MachineConfig(
        name=name, memory=manifest.ram_bytes, smp=0, machine=manifest.machine, accelerator="none", image=manifest.image
    )
    return Capture(folder / RAM), config, folder / RAM, manifest.layout


class NoMonitor(Monitor):
    """The monitor of a RAM image: nothing runs, nothing happens."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def execute(self, command: str, arguments: dict[str, Any] | None = None, timeout_s: float = 0.0) -> Any:  # noqa: ANN401  # as Monitor's
        """Say that it stands still; `MachineError` for anything else."""
        if command == "query-status":
            return {"status": "paused", "running": False}
        raise MachineError(f"{self._path} stands still, for no machine belongs to it; only what reads RAM works on it")

    async def events(self) -> AsyncIterator[Any]:
        """Nothing, for ever."""
        await asyncio.Event().wait()
        yield {}


class NoShell:
    """Where there is no shell: says why."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    async def run(self, command: str | Sequence[str], timeout_s: float) -> NoReturn:
        """Raise `MachineError`."""
        raise MachineError(f"the machine {self._reason}")

    def forget(self) -> None:
        """There is nothing to forget."""
