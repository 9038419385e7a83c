"""The memory that Volatility is shown: fresh each epoch, whole addresses, an end to every query."""

from __future__ import annotations

import pytest
from memory_samples import LEAF, PROT_NONE, Memory
from volatility3.framework import contexts, exceptions

from qemu_bridge.kernel.volatility_adapter.layers import KernelLayer, KernelLayer5, OutOfTimeError, RamLayer
from qemu_bridge.memory.paging import PageTables

BASE = 0xFFFF888000000000


def open_layer(tmp_path, levels: int = 4, base: int = BASE):
    """A kernel layer over two pages of letters and a third that is mapped to the first."""
    memory = Memory(tmp_path)
    root = memory.allocate()
    for page, letter in enumerate((b"a", b"b")):
        physical = memory.allocate()
        memory.write(physical, letter * 4096)
        memory.map(root, base + page * 4096, physical | LEAF, levels=levels)
    memory.map(root, base + 0x3000, (~physical & 0xFFFFFFFFFF000) | PROT_NONE, levels=levels)
    ram, context = memory.open(), contexts.Context()
    context.add_layer(RamLayer(context, "ram", "ram", ram))
    context.config["k.memory_layer"], context.config["k.page_map_offset"] = "ram", root
    layer = (KernelLayer5 if levels == 5 else KernelLayer)(context, "k", "k", PageTables(ram, root, levels))
    context.add_layer(layer)
    return layer


@pytest.mark.parametrize(("levels", "base"), [(4, BASE), (5, 0xFF11000000000000)])
def test_an_address_may_come_with_or_without_its_sign(tmp_path, levels, base):
    layer = open_layer(tmp_path, levels, base)
    for address in (base, base & layer.address_mask):
        assert layer.read(address + 4094, 4) == b"aabb"
        assert layer.canonical(address) == base
        assert layer.is_valid(address, 8192) and not layer.is_valid(address, 8193)
        assert layer.translate(address)[0] == layer._tables.translate(base)


def test_prot_none_pages_are_there(tmp_path):
    assert open_layer(tmp_path).read(BASE + 0x3000, 2) == b"bb"


def test_what_is_not_mapped_is_padded_or_refused(tmp_path):
    layer = open_layer(tmp_path)
    assert layer.read(BASE + 0x1FFF, 3, pad=True) == b"b\0\0"
    for offset, length in ((BASE + 0x1FFF, 3), (BASE, 1 << 30), (0, 1)):
        with pytest.raises(exceptions.InvalidAddressException):
            layer.read(offset, length)
    assert not layer.is_valid(BASE, 1 << 40)


def test_bytes_stay_within_an_epoch_and_are_read_anew_in_the_next(tmp_path):
    layer = open_layer(tmp_path)
    assert layer.read(BASE, 1) == b"a"
    with open(layer._tables.ram.path, "r+b") as file:
        file.seek(layer._tables.translate(BASE))
        file.write(b"z")
    assert layer.read(BASE, 1) == b"a"
    layer.forget()
    assert layer.read(BASE, 1) == b"z"


def test_a_query_out_of_time_cannot_read_on(tmp_path):
    layer = open_layer(tmp_path)
    layer.deadline = 0.0
    with pytest.raises(OutOfTimeError):
        layer.read(BASE, 1)


def test_guest_ram_is_read_in_place_and_never_written(tmp_path):
    layer = open_layer(tmp_path)
    ram = layer.context.layers["ram"]
    assert ram.maximum_address == (4 << 20) - 1 and ram.minimum_address == 0
    assert ram.is_valid(0, 4 << 20) and not ram.is_valid(1, 4 << 20)
    assert ram.read(4 << 20, 2, pad=True) == b"\0\0"
    with pytest.raises(exceptions.InvalidAddressException):
        ram.read(4 << 20, 2)
    with pytest.raises(NotImplementedError):
        ram.write(0, b"x")
