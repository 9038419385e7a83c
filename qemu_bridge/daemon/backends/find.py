"""Find the backend of an attach request."""

from __future__ import annotations

import asyncio
from pathlib import Path

from ...captures.files import read_manifest
from ...dumps.unpack import hold
from ...machine.config import MachineConfig
from ...machine.requests import AttachRequest
from ...memory.addresses import LAYOUTS, RamLayout, layout_name
from ...wire.capture_names import RAM
from .attached import find_qemu
from .backend import Backend
from .capture import Capture
from .image import RamImage, image_layout, image_size


def find_backend(request: AttachRequest) -> tuple[Backend, MachineConfig, Path, RamLayout]:
    """Backend, machine configuration, RAM file and RAM layout of `request`.

    Raises `UsageError` for a file or socket that cannot be it, `MachineError` when QEMU does not answer or its RAM cannot
    be read.
    """
    if request.qmp is not None:
        return asyncio.run(find_qemu(request.name, request.qmp))
    if request.capture is not None:
        return find_capture(request.name, request.capture)
    assert request.ram is not None
    size = image_size(request.ram)
    layout = image_layout(request.ram, size, request.layout)
    machine = request.layout if request.layout in LAYOUTS else layout_name(layout)
    config = MachineConfig(name=request.name, memory=size, smp=0, machine=machine, accelerator="none")
    dump = request.dump or request.ram
    if dump != request.ram:
        # For as long as this process lives: the cache of unpacked dumps trims what nobody holds.
        hold(request.ram.parent)
    image = RamImage(dump, request.caveats, is_whole=dump != request.ram, is_brief=request.is_brief)
    return image, config, request.ram, layout


def find_capture(name: str, folder: Path) -> tuple[Backend, MachineConfig, Path, RamLayout]:
    """The backend of the capture in `folder`, its configuration, RAM file and RAM layout; `UsageError` if it cannot be opened."""
    manifest = read_manifest(folder)
    config = MachineConfig(
        name=name, memory=manifest.ram_bytes, smp=0, machine=manifest.machine, accelerator="none", image=manifest.image
    )
    return Capture(folder), config, folder / RAM, manifest.layout
