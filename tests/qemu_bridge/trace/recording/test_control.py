"""The shared file: its geometry, what may be asked for, and who may ask."""

import os
import subprocess

import msgspec
import pytest

from qemu_bridge.errors import MachineError, UsageError
from qemu_bridge.memory.addresses import RamLayout
from qemu_bridge.trace.recording.control import TraceControl, create
from qemu_bridge.wire.messages import decode_arguments
from qemu_bridge.wire.operations import BY_NAME
from qemu_bridge.wire.trace_records import RING_STRIDE, ArmOptions
from tcg_plugin.layout import Capability, Command, Feature, Mode, Scope, State


@pytest.fixture
def control(tmp_path):
    ram = tmp_path / "ram"
    ram.touch()
    create(tmp_path / "trace", 3, ram, RamLayout.from_rule("pc", 5 << 30))
    found = TraceControl(tmp_path / "trace")
    yield found
    found.close()


def test_the_file_is_sparse_and_its_parts_follow_each_other(control):
    block = control.block
    assert control.path.stat().st_blocks * 512 <= 8192
    assert control.path.stat().st_size == block.file_bytes == len(control.mapping)
    assert block.dictionary_offset == 4096 * 4 and block.rings_offset == 4096 * 5 + block.dictionary_bytes
    assert block.heat_blocks_offset == block.rings_offset + 3 * RING_STRIDE
    assert block.heat_pages == (5 << 30) >> 12 and block.heat_stores_offset % 4096 == 0
    regions = [(region.physical, region.offset, region.bytes) for region in block.regions[: block.region_count]]
    assert regions == [(0, 0, 3 << 30), (4 << 30, 3 << 30, 2 << 30)]
    assert control.state is State.ABSENT and control.is_acknowledged


def test_what_a_qemu_cannot_is_one_sentence_with_the_release_that_can(control):
    control.block.plugin_api, control.block.capabilities = 4, Capability.READ_REGISTERS
    control.require(Capability.READ_REGISTERS, "it")
    with pytest.raises(
        MachineError, match=r"cannot write registers and set the program counter; .* QEMU 11\.0 or later"
    ):
        control.require(Capability.WRITE_REGISTERS | Capability.SET_PC, "running a loop in place")
    with pytest.raises(
        MachineError, match=r"^running .* cannot write memory; start it on QEMU 10\.1 or later: 'just qemu11'"
    ):
        control.require(Capability.READ_REGISTERS | Capability.WRITE_MEMORY, "running a loop in place")


def test_somebody_elses_file_is_not_taken_over(control):
    with pytest.raises(FileExistsError):
        create(control.path, 1, control.path, RamLayout.from_rule("pc", 1 << 20))


def test_what_is_no_shared_file_is_refused(tmp_path):
    path = tmp_path / "other"
    for content in (b"", bytes(4096)):
        path.write_bytes(content)
        with pytest.raises(MachineError, match=r"start|use"):
            TraceControl(path)


def test_options_survive_json_and_reach_the_control_block(control):
    options = ArmOptions(
        features=Feature.BLOCKS | Feature.VALUES,
        mode=Mode.LOSSY,
        scope=Scope.USER,
        ranges=((1, 2), (3, 1 << 63)),
        roots=(4096,),
        points=(5, 6),
        trigger_address=7,
        trigger_hits=2,
        limit_s=0.5,
    )
    text = msgspec.json.encode({"options": options, "reader_pid": 1})
    assert decode_arguments(BY_NAME["trace_arm"], text)["options"] == options
    control.want(options, os.getpid())
    block = control.block
    assert (block.command, block.generation, block.reader_pid) == (Command.ARM, 1, os.getpid())
    assert [(place.start, place.end) for place in block.ranges[:2]] == [(1, 2), (3, 1 << 63)]
    assert (block.range_count, block.root_count, block.point_count) == (2, 1, 2)
    assert list(block.points[:2]) == [5, 6] and block.limit_ns == 500_000_000
    assert not control.is_acknowledged


@pytest.mark.parametrize(
    "record",
    [
        {"chunks": 1},
        {"chunk_bytes": 1000},
        {"chunk_bytes": 1 << 30},
        {"features": 2},
        {"roots": [0] * 33},
        {"mode": 9},
        {"ranges": [1]},
        {"ranges": 5},
        {"limit_s": 1e300},
        {"limit_s": -1},
        {"chunks": None},
    ],
    ids=str,
)
def test_options_that_cannot_be_are_refused(record):
    with pytest.raises(UsageError):
        text = msgspec.json.encode({"options": record, "reader_pid": 1})
        decode_arguments(BY_NAME["trace_arm"], text)["options"].validate()


def test_a_window_waits_for_the_reader_of_the_one_before_unless_that_is_dead(control):
    with subprocess.Popen(["sleep", "100"]) as other:
        control.want(ArmOptions(), other.pid)
        control.vcpus[1].head = 5
        with pytest.raises(MachineError, match="let it finish"):
            control.want(ArmOptions(), os.getpid())
        other.kill()
        other.wait()
    control.want(ArmOptions(), os.getpid())
    assert control.vcpus[1].tail == 5


def test_memory_of_the_rings_goes_back_to_the_host(control):
    place = control.block.rings_offset
    control.mapping[place : place + (1 << 20)] = b"x" * (1 << 20)
    before = control.path.stat().st_blocks
    control.free_rings()
    assert control.path.stat().st_blocks <= before
