"""Records travel as JSON and come back the same."""

import msgspec
import pytest

from qemu_bridge.wire.records import MemoryMapping, Module, Owner, PageClass, Process, Symbol

RECORDS = [
    Owner(3, 80, "httpd"),
    Owner(1 << 24, 0, "/bin/busybox", "file", "00:02:12"),
    Process(1, 0, 0, "S", "init", "/sbin/init", 0x1234000, 1, 80),
    MemoryMapping(0x400000, 0x401000, "r-xp", 0, "00:02", 12, "/bin/busybox"),
    Module("fat", 0xFFFFFFFFC0000000, 90112, "Live", ("vfat",)),
    Symbol("init_task", 0xFFFFFFFF82A1A940, "D", 4),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_survives_json(record):
    assert msgspec.json.decode(msgspec.json.encode(record), type=type(record)) == record


def test_fields_of_a_later_release_are_passed_over():
    assert msgspec.convert({"owner_id": 1, "pid": 0, "name": "kernel", "colour": "blue"}, Owner) == Owner(
        1, 0, "kernel"
    )


def test_page_classes_keep_their_numbers():
    # They are part of the page map's file format.
    assert {page_class.name: page_class.value for page_class in PageClass} == {
        "UNTOUCHED": 0,
        "ZERO": 1,
        "OTHER": 2,
        "KERNEL_TEXT": 3,
        "KERNEL_RODATA": 4,
        "KERNEL_DATA": 5,
        "PAGE_TABLE": 6,
        "PROCESS_TEXT": 7,
        "PROCESS_HEAP": 8,
        "PROCESS_STACK": 9,
        "PROCESS_FILE": 10,
        "PROCESS_ANONYMOUS": 11,
        "FREE": 12,
        "RESERVED": 13,
        "KERNEL_BSS": 14,
        "KERNEL_INIT": 15,
        "PER_CPU": 16,
        "SLAB": 17,
        "KERNEL_STACK": 18,
        "VMALLOC": 19,
        "MODULE": 20,
        "MEMMAP": 21,
        "PAGE_CACHE": 22,
        "SHMEM": 23,
        "ZERO_PAGE": 24,
        "KSM": 25,
        "HUGE_PAGE": 26,
        "KERNEL_PAGES": 27,
    }
    assert (PageClass.KERNEL_TEXT.label, PageClass.KERNEL_TEXT.word) == ("kernel text", "kernel-text")
