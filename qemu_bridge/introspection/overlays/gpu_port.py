"""Which processes have the guest's port to a GPU open (docs/gpu-protocol.md): as the kernel's open files say.

A port of virtio-serial is a character device whose ``struct file`` points to its ``struct port`` (``drivers/char/virtio_console.c``).
That type belongs to a module, so its member `name` is found by what it points to.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from ...errors import GlassBoxError
from ...kernel.budget import Budget
from ...kernel.objects import Object
from ...machine.gpu import PORT_NAME
from .open_files import descriptors
from .overlay import BuiltOverlay, OverlayContext
from .paths import PathNames
from .processes import task_name, tasks

_S_IFMT, _S_IFCHR = 0o170000, 0o020000
_PORT_WORDS = 64
"""Of a ``struct port`` that are looked through; it has less than 400 bytes."""
_KERNEL_HALF = 1 << 63
_NAME = PORT_NAME.encode() + b"\0"
_OWNERS = ("virtio_console", "")
"""The driver's module, or none where it is built in."""


@dataclass(frozen=True, slots=True)
class PortHolder:
    """A descriptor of the port to a GPU: children of the process that opened it have it too."""

    pid: int
    descriptor: int
    name: str
    path: str


def read_gpu_port(context: OverlayContext, budget: Budget) -> Iterator[PortHolder]:
    """Yield every descriptor of the port to a GPU; none while nobody has it open, and in a guest without one."""
    space, paths = context.objects, PathNames(context.objects)
    known: dict[int, bool] = {}
    for task in tasks(space):
        for pid, number, _, file in descriptors(task, budget):
            with suppress(GlassBoxError):  # closed meanwhile
                port = file["private_data"]
                if port and _is_character_device(file) and known.setdefault(port, _is_gpu_port(file, port)):
                    yield PortHolder(pid, number, task_name(task), paths.of_file(file))


def _is_character_device(file: Object) -> bool:
    inode = file.follow("f_inode")
    return inode is not None and inode["i_mode"] & _S_IFMT == _S_IFCHR


def _is_gpu_port(file: Object, port: int) -> bool:
    space = file.space
    operations = file.follow("f_op")
    owner = operations.follow("owner") if operations else None
    if (owner.text("name") if owner else "") not in _OWNERS:
        return False
    for word in space.words(port, _PORT_WORDS):
        if word >= _KERNEL_HALF:
            with suppress(GlassBoxError):
                if space.read(word, len(_NAME)) == _NAME:
                    return True
    return False


GPU_PORT = BuiltOverlay(
    "gpu-port",
    "The processes that have the port to a GPU open.",
    ("pid", "descriptor", "name", "path"),
    read_gpu_port,
)
