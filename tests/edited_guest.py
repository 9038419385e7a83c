"""Copies of a guest's RAM that tests edit as a rootkit would, and what is then found in them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from support import Machine

from qemu_bridge.introspection.overlays.processes import find_task
from qemu_bridge.introspection.questions import Questions
from qemu_bridge.kernel.modules import loaded_modules, module_base, module_name
from qemu_bridge.kernel.objects import Object
from qemu_bridge.memory.ram import GuestRam
from qemu_bridge.wire.records import Answer, Finding, Grade


class EditedGuest:
    """A copy of a guest's RAM. Edits hold until the end of `edits`."""

    def __init__(self, machine: Machine, folder: Path) -> None:
        self.machine = machine
        with machine.paused():
            path = machine.ram.copy_to(folder / "guest.ram")
        self.ram = GuestRam(path, machine.ram.layout)
        self.questions = Questions(self.ram, folder / "page-map")
        self.questions.kernel()
        self._file = os.open(path, os.O_RDWR)
        self._before: list[tuple[int, bytes]] = []

    @property
    def space(self):
        """The kernel's structures as they are now."""
        return self.questions._context.objects

    def close(self) -> None:
        os.close(self._file)
        self.ram.close()

    @contextlib.contextmanager
    def edits(self) -> Iterator[EditedGuest]:
        """Undo at the end what was written meanwhile."""
        try:
            yield self
        finally:
            while self._before:
                offset, data = self._before.pop()
                os.pwrite(self._file, data, offset)

    def write(self, address: int, data: bytes) -> None:
        """Write to kernel virtual `address`, whether the kernel could or not."""
        self._write_at(self.space.physical(address), data)

    def word(self, address: int, value: int) -> None:
        self.write(address, value.to_bytes(8, "little"))

    def physical_word(self, physical: int, value: int) -> None:
        self._write_at(physical, value.to_bytes(8, "little"))

    def _write_at(self, physical: int, data: bytes) -> None:
        offset = self.ram.layout.to_offset(physical)
        self._before.append((offset, os.pread(self._file, len(data), offset)))
        os.pwrite(self._file, data, offset)

    def unlink(self, link: int) -> None:
        """Take the ``list_head`` at `link` out of its list; it points to itself afterwards (list_del_init)."""
        following, before = self.space.words(link, 2)
        self.word(before, following)
        self.word(following + 8, before)
        self.word(link, link)
        self.word(link + 8, link)

    def slot(self, head: int, index: int) -> int:
        """The address of the slot for `index` of the XArray whose ``xa_head`` is at `head`."""
        space, place = self.space, head
        while (entry := space.unsigned(place)) & 3 == 2:
            node = space.at("xa_node", entry - 2)
            place = node.at("slots") + 8 * (index >> node["shift"] & 63)
        return place

    def task(self, pid: int) -> Object:
        return find_task(self.space, pid)

    def module(self, name: str) -> Object:
        return next(module for module in loaded_modules(self.space) if module_name(module) == name)

    def some_module_code(self) -> int:
        return module_base(next(loaded_modules(self.space)))

    def hunt(self) -> Answer[tuple[Finding, ...]]:
        return self.questions.answer("hunt", {}, Grade.CAPTURE)

    def finding(self) -> Finding:
        """The one thing that is found now."""
        answer = self.hunt()
        assert not answer.skipped, answer.skipped
        (found,) = answer.value
        return found
