"""An attached QEMU, started by somebody else and reached over its QMP socket.

QEMU itself reports where its RAM is (``query-memdev`` and the backend's properties), where it appears in the guest
(``info mtree -f``) and its machine type. The only requirement is that RAM is one shared file::

    qemu-system-x86_64 -m 2G -machine q35,memory-backend=ram \\
        -object memory-backend-file,id=ram,size=2G,mem-path=/dev/shm/mine,share=on -qmp unix:mine.qmp,server=on,wait=off

Only `pause` and `resume` change anything in it, and it outlives the daemon.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from ...errors import MachineError, UsageError
from ...machine.config import MachineConfig
from ...machine.monitor import Monitor
from ...memory.addresses import (
    RamLayout,
    RamRegion,
    parse_mtree,
)
from ...wire.records import Origin
from .backend import Backend, NoShell, Shell

_GREETING_TIMEOUT_S = 5.0
_HOW_TO_START = "start QEMU with -machine TYPE,memory-backend=ram -object memory-backend-file,id=ram,size=SIZE,mem-path=FILE,share=on"


def open_qmp(path: Path) -> socket.socket:
    """A connection to the QMP socket at `path`; `UsageError` when there is none, `MachineError` when no process listens."""
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise UsageError(f"{path} is not a socket; give the path behind QEMU's -qmp unix:")
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    except OSError as error:
        raise UsageError(f"cannot reach {path} ({error.strerror}); give the path behind QEMU's -qmp unix:") from None
    try:
        # Blocks no longer than this: a full backlog, too, means that another client is connected.
        sock.settimeout(_GREETING_TIMEOUT_S)
        sock.connect(os.fspath(path))
    except TimeoutError:
        sock.close()
        raise _taken(path) from None
    except OSError as error:
        sock.close()
        raise MachineError(
            f"no process listens at {path} ({error.strerror or error}); has that QEMU ended? start it again"
        ) from None
    return sock


def _taken(path: Path) -> MachineError:
    return MachineError(
        f"{path} sent no QMP greeting within {_GREETING_TIMEOUT_S:g} s; a QMP socket serves one client at a time:"
        " disconnect the other, or give QEMU a second -qmp"
    )


@contextlib.asynccontextmanager
async def _connected(name: str, path: Path) -> AsyncIterator[Monitor]:
    """The QMP connection at `path`; `MachineError` without a greeting, as when another client is connected."""
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
        raise MachineError(f"{path} is not a QMP socket; give the path behind QEMU's -qmp unix:") from None
    finally:
        sock.close()


async def find_qemu(name: str, path: Path) -> tuple[Backend, MachineConfig, Path, RamLayout]:
    """The backend of the QEMU behind the QMP socket at `path`, its configuration, RAM file and RAM layout.

    `UsageError` for a path that is not a QMP socket, `MachineError` when QEMU does not answer or its RAM cannot be read.
    """
    async with _connected(name, path) as monitor:
        ram, layout = await find_ram(monitor)
        kvm = await monitor.execute("query-kvm")
        config = MachineConfig(
            name=name,
            memory=layout.size,
            smp=len(await monitor.execute("query-cpus-fast")),
            machine=await _machine_type(monitor),
            accelerator="kvm" if kvm.get("enabled") else "tcg",
        )
    return AttachedQemu(path), config, ram, layout


async def _machine_type(monitor: Monitor) -> str:
    """``pc`` or ``q35``, else the type's own name; `MachineError` for a machine that is not x86-64."""
    target = (await monitor.execute("query-target"))["arch"]
    if target != "x86_64":
        raise MachineError(f"that QEMU emulates {target}; Glass Box reads x86-64 guests only: attach to one of those")
    type_name = str(await monitor.execute("qom-get", {"path": "/machine", "property": "type"}))
    return {"pc-i440fx": "pc", "pc-q35": "q35"}.get(
        "-".join(type_name.split("-")[:2]), type_name.removesuffix("-machine")
    )


async def find_ram(monitor: Monitor) -> tuple[Path, RamLayout]:
    """The file that holds a QEMU's RAM and its layout; `MachineError` if it cannot be read, with how to start QEMU."""
    tree = await monitor.hmp("info mtree -f")
    used = [(device, layout) for device in await monitor.execute("query-memdev") if (layout := _rows(tree, device))]
    if not used:
        raise MachineError(f"that QEMU's RAM is not in a memory backend of its own; {_HOW_TO_START}")
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
        raise MachineError(f"that QEMU's RAM ({name}) is private, not shared; {_HOW_TO_START}")
    try:
        mem_path = await monitor.execute("qom-get", {"path": f"/objects/{name}", "property": "mem-path"})
    except MachineError:
        raise MachineError(f"that QEMU's RAM ({name}) is shared but not a file; {_HOW_TO_START}") from None
    offset = 0
    with contextlib.suppress(MachineError):  # a property of QEMU 8.1 and later
        offset = int(await monitor.execute("qom-get", {"path": f"/objects/{name}", "property": "offset"}))
    path = Path(mem_path)
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

    Parts of RAM may be hidden behind devices or firmware (``tseg`` on q35); their bytes are in the file nevertheless.
    `MachineError` where the regions do not fit together.
    """
    ends = [*(region.offset for region in layout.regions[1:]), size_bytes]
    regions = tuple(
        RamRegion(region.start, region.offset, end - region.offset)
        for region, end in zip(layout.regions, ends, strict=True)
    )
    overlap = any(first.start + first.size > then.start for first, then in itertools.pairwise(regions))
    shrunk = any(region.size < reported.size for region, reported in zip(regions, layout.regions, strict=True))
    if regions[0].offset or overlap or shrunk:
        raise MachineError(
            f"that QEMU lays out RAM as {layout.regions}, which is not understood; use machine type pc or q35"
        )
    return RamLayout(regions)


class AttachedQemu:
    """A QEMU that somebody else started and keeps using."""

    origin = Origin.ATTACHED
    pid: int | None = None
    exit_status: int | None = None
    is_static = False
    signals_ready = False
    idle_timeout_s: float | None = None
    symbols: Path | None = None
    caveats: tuple[str, ...] = ()
    is_whole = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self._monitor: Monitor | None = None

    @contextlib.asynccontextmanager
    async def connect(self, name: str) -> AsyncIterator[Monitor]:
        """Its QMP connection; `MachineError` when the socket is in use or gone."""
        async with _connected(name, self._path) as self._monitor:
            yield self._monitor

    async def check_layout(self, monitor: Monitor, layout: RamLayout) -> None:
        """Do nothing: the layout came from QEMU itself (`find_ram`)."""

    def shell(self) -> Shell:
        """No shell: that guest does not run Glass Box's init."""
        return NoShell("was attached and runs no Glass Box shell; log in on its own console")

    async def wait(self) -> None:
        """Return when QEMU has closed the socket."""
        assert self._monitor is not None
        await self._monitor.closed()

    async def end(self, monitor: Monitor) -> None:
        """Detach; QEMU keeps running."""

    def describe_exit(self, asked: bool) -> str:
        """Whether the daemon detached or QEMU ended."""
        return "it was detached; its QEMU keeps running" if asked else "its QEMU ended or closed the QMP socket"
