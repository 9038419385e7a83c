"""Questions to guest RAM, asked in this process."""

import pytest

from qemu_bridge.errors import PageMapOverwrittenError, UsageError
from qemu_bridge.introspection.questions import Questions
from qemu_bridge.memory.addresses import PhysicalAddress, VirtualAddress
from qemu_bridge.wire.operations import MAX_READ_BYTES, MAX_READ_RANGES
from qemu_bridge.wire.records import Grade, MemorySpace

pytestmark = pytest.mark.guest


@pytest.fixture(scope="module")
def questions(machine, tmp_path_factory):
    return Questions(machine.ram, tmp_path_factory.mktemp("questions") / "pages")


def test_an_answer_carries_grade_and_epoch_of_what_it_was_asked_about(questions):
    answer = questions.answer("ps", {}, Grade.PAUSED, 7)
    assert (answer.grade, answer.epoch, answer.skipped, answer.is_complete) == (Grade.PAUSED, 7, (), True)
    assert answer[0].name == "init" and len(answer) == len(answer.value) and answer.elapsed_s > 0


def test_physical_memory_is_read_in_pieces_of_any_size(machine, questions):
    ranges = ((0x1000, 16), (0x2FFFFF0, 32), (0, 0), (1 << 50, 0))
    with machine.paused():
        answer = questions.read_memory(ranges, MemorySpace.PHYSICAL, None)
        expected = [machine.ram.read(PhysicalAddress(address), size) if size else b"" for address, size in ranges]
    assert list(answer.value) == expected and answer.is_complete


def test_virtual_memory_of_the_kernel_and_of_a_process_is_read(machine, questions):
    (symbol,) = questions.sym("linux_banner").value
    banner = questions.read_memory(((symbol.address, 13),), MemorySpace.VIRTUAL, None).value[0]
    assert banner == b"Linux version"
    area = next(row for row in questions.maps(1).value if row.path.endswith("/bin/busybox"))
    assert questions.read_memory(((area.start, 4),), MemorySpace.VIRTUAL, 1).value[0] == b"\x7fELF"


def test_a_range_that_is_not_wholly_there_is_none_and_the_others_are_read(machine, questions):
    end = machine.ram.layout.end
    answer = questions.read_memory(((end - 8, 16), (0x1000, 4)), MemorySpace.PHYSICAL, None)
    assert answer.value[0] is None and answer.value[1] == machine.ram.read(PhysicalAddress(0x1000), 4)
    assert f"{end - 8:#x}" in answer.skipped[0]
    unmapped = questions.read_memory(((VirtualAddress(0x10), 4),), MemorySpace.VIRTUAL, 1)
    assert unmapped.value == (None,) and not unmapped.is_complete


@pytest.mark.parametrize(
    ("ranges", "space", "pid"),
    [
        (((0, MAX_READ_BYTES + 1),), MemorySpace.PHYSICAL, None),
        (((0, MAX_READ_BYTES),) * 2, MemorySpace.PHYSICAL, None),
        (((0, 1),) * (MAX_READ_RANGES + 1), MemorySpace.PHYSICAL, None),
        (((-1, 1),), MemorySpace.PHYSICAL, None),
        (((1 << 64, 1),), MemorySpace.PHYSICAL, None),
        (((0, -1),), MemorySpace.PHYSICAL, None),
        (((0, 1),), MemorySpace.PHYSICAL, 1),
        (((0, 1),), MemorySpace.VIRTUAL, 999_999),
        (((0, 1),), MemorySpace.VIRTUAL, 2),
    ],
)
def test_more_than_a_call_may_read_is_refused_before_anything_is_read(questions, ranges, space, pid):
    with pytest.raises(UsageError):
        questions.read_memory(ranges, space, pid)


def test_a_page_map_is_read_by_its_generation_and_only_while_it_is_the_newest(machine, questions):
    newest = questions.refresh_page_map().value.generation
    assert len(questions.read_page_map(newest, machine.ram.page_count - 1, 9).value) == 8
    assert questions.read_page_map(newest, machine.ram.page_count, 9).value == b""
    for never in (0, -1, newest + 1):
        with pytest.raises(UsageError, match=f"the newest is {newest}"):
            questions.read_page_map(never, 0, 1)
    questions.refresh_page_map()
    with pytest.raises(PageMapOverwrittenError):
        questions.read_page_map(newest, 0, 1)
