"""Records of captures."""

import msgspec

from qemu_bridge.memory.addresses import RamLayout
from qemu_bridge.wire.capture_records import ChangedRange, ClassDifference, Manifest, MemoryDifference
from qemu_bridge.wire.records import Owner


def test_a_manifest_knows_the_layout_of_its_ram():
    layout = RamLayout.from_rule("q35", 5 << 30)
    regions = tuple((int(region.start), int(region.offset), region.size) for region in layout.regions)
    manifest = Manifest(
        "demo", 1.0, "paused", 0.1, "q35", "tcg", "alpine", layout.size, regions, "6.1", "ab", 0, "0.1", {"ram": 7}
    )
    assert manifest.layout == layout
    assert msgspec.json.decode(msgspec.json.encode(manifest), type=Manifest) == manifest


def test_a_difference_travels():
    difference = MemoryDifference(
        64, 3, (ClassDifference("slab", 1, 1, 1),), (Owner(1, 2, "sh"),), (), (ChangedRange(0, 4095, 1, "changed"),)
    )
    assert msgspec.json.decode(msgspec.json.encode(difference), type=MemoryDifference) == difference
