"""What the inspector knows, as text."""

from __future__ import annotations

from msgspec.structs import replace

from qemu_bridge.wire.records import Owner, Place, PlaceMapping, SlabObject, Symbol
from viewer.app import selection
from viewer.app.panels.inspector_report import code_address, mapping_line, place_lines, report

MAPPING = PlaceMapping(7, "sh", 0x401010, 0x400000, 0x402000, "r-xp", "/bin/sh")
PLACE = Place(
    physical=0x45010,
    ram_offset=0x45010,
    frame=0x45,
    virtual=None,
    kernel_address=0xFFFF888000045010,
    touched=True,
    page_class="slab",
    owners=(Owner(1, 0, "dentry", "slab"), Owner(2, 7, "sh", "process")),
    mappings=(MAPPING,),
    slab=SlabObject(cache="dentry", start=0x45000, size=192, index=3, offset=0x10),
    file="/bin/sh",
    file_offset=0x1010,
)


def test_a_place_is_a_name_and_text_on_each_line():
    assert place_lines(PLACE) == [
        "physical  0x45010, frame 0x45",
        "kernel  0xffff888000045010",
        "object  dentry #3, 192 bytes from 0x45000, 0x10 in",
        "file  /bin/sh + 0x1010",
        "owner  slab dentry",
        "owner  process sh (7)",
    ]
    assert mapping_line(MAPPING) == "sh (7)  0x401010  r-xp  /bin/sh"


def test_code_has_the_kernels_address_else_a_process_else_the_offset(state):
    selection.select(state, 0x45010)
    picked = selection.pinned(state)
    assert code_address(picked, None) == 0x45010
    assert code_address(picked, PLACE) == 0x401010
    in_kernel = replace(PLACE, symbol=Symbol("schedule", 0xFFFFFFFF81000000, "T"))
    assert code_address(picked, in_kernel) == 0xFFFF888000045010


def test_the_report_has_the_machine_the_place_values_and_hex(state):
    selection.select(state, 0x45010)
    text = report(state, selection.pinned(state), PLACE)
    assert text.startswith(state.source.title + "\n")
    assert "mapped  sh (7)  0x401010" in text and "\nu8  " in text
    row = bytes(state.source.ram.view[0x45000:0x45008]).hex(" ")
    assert f"0x0000045000  {row}" in text
