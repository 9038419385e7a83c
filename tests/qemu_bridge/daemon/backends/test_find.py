"""Which backend a request means, and what is refused with a sentence that says what to start."""

from __future__ import annotations

import os

import pytest
from foreign_qemu import foreign, shared

from qemu_bridge.daemon.backends.attached import AttachedQemu
from qemu_bridge.daemon.backends.find import find_backend
from qemu_bridge.daemon.backends.image import RamImage
from qemu_bridge.errors import MachineError, UsageError
from qemu_bridge.machine.requests import AttachRequest
from qemu_bridge.memory.addresses import GIB, RamLayout


def test_a_socket_is_a_qemu_and_a_file_is_an_image(tmp_path):
    path = tmp_path / "image"
    path.write_bytes(bytes(3 << 12))
    backend, config, ram, layout = find_backend(AttachRequest("mine", ram=path))
    assert isinstance(backend, RamImage) and (ram, layout.size) == (path, 3 << 12)
    assert (config.name, config.memory, config.machine, config.smp) == ("mine", 3 << 12, "pc", 0)
    with foreign(tmp_path, *shared(tmp_path), "-S") as qemu:
        assert isinstance(find_backend(AttachRequest("mine", qmp=qemu.qmp))[0], AttachedQemu)


def test_a_layout_that_was_named_is_not_looked_for(tmp_path):
    path = tmp_path / "image"
    path.touch()
    os.truncate(path, 5 * GIB)
    _, config, _, layout = find_backend(AttachRequest("mine", ram=path, layout="flat"))
    assert config.machine == "flat" and layout.end == 5 * GIB
    with pytest.raises(UsageError):
        find_backend(AttachRequest("mine", capture=tmp_path))


REFUSED = {
    "own": ((), r"pc\.ram.*not shared"),
    "private file": (
        ("-object", "memory-backend-file,id=m,size=64M,mem-path={ram},share=off", "-machine", "pc,memory-backend=m"),
        r"\(m\).*not shared",
    ),
    "memfd": (
        ("-object", "memory-backend-memfd,id=m,size=64M,share=on", "-machine", "pc,memory-backend=m"),
        "shared but not a file",
    ),
    "folder": (
        ("-object", "memory-backend-file,id=m,size=64M,mem-path={folder},share=on", "-machine", "pc,memory-backend=m"),
        "as a file",
    ),
    "pieces": (
        ("-object", "memory-backend-ram,id=a,size=32M,share=on", "-object", "memory-backend-ram,id=b,size=32M,share=on",
         "-numa", "node,memdev=a", "-numa", "node,memdev=b"),
        r"2 backends \(.*\)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_ram_that_cannot_be_read_is_refused_with_what_to_start(case, tmp_path):
    arguments, message = REFUSED[case]
    words = [word.format(ram=tmp_path / "foreign.ram", folder=tmp_path) for word in arguments]
    with foreign(tmp_path, "-m", "64M", "-S", *words) as qemu, pytest.raises(MachineError, match=message) as caught:
        find_backend(AttachRequest("mine", qmp=qemu.qmp))
    assert "start QEMU with -machine" in str(caught.value)


@pytest.mark.parametrize("machine", ["pc", "q35"])
@pytest.mark.parametrize("size", [64 << 20, 4 * GIB + (512 << 20)])
def test_layout_and_machine_type_come_from_qemu(machine, size, tmp_path):
    # The file is sparse and the vCPU never runs, so this costs nothing.
    with foreign(tmp_path, *shared(tmp_path, f"{size >> 20}M", machine), "-smp", "3", "-S") as qemu:
        backend, config, ram, layout = find_backend(AttachRequest("mine", qmp=qemu.qmp))
    assert layout == RamLayout.from_rule(machine, size)
    assert (config.machine, config.smp, config.accelerator) == (machine, 3, "tcg")
    assert (ram, backend.origin) == (qemu.ram, "attached")
