"""What a user asks of a recording, as a window of the plugin."""

import json

import msgspec
import pytest
from trace_kernel import FakeKernel

from qemu_bridge.errors import UsageError
from qemu_bridge.trace.recording.options import split_ring, window_of
from qemu_bridge.wire.trace_records import DEFAULT_CHUNK_BYTES, ArmOptions, Privilege, RecordOptions
from tcg_plugin.layout import Feature, Mode, Scope

KERNEL = FakeKernel()


def test_the_default_is_blocks_and_events_of_everything():
    window = window_of(KERNEL, RecordOptions())
    assert window.features == Feature.BLOCKS | Feature.EVENTS and window.mode is Mode.LOSSLESS
    assert window.scope == Scope.KERNEL | Scope.USER and window.chunk_bytes == DEFAULT_CHUNK_BYTES
    assert not RecordOptions().waits_for_start


def test_every_option_reaches_the_window():
    options = RecordOptions(
        instructions=5,
        start_at="sym:schedule:3",
        values=True,
        registers=("sym:do_exit", "0x401000"),
        pids=(7,),
        only=Privilege.KERNEL,
        ranges=("sym:schedule+64",),
        ring_bytes=4096,
        lossy=True,
        verify=True,
    )
    assert options.waits_for_start
    assert window_of(KERNEL, options) == ArmOptions(
        features=Feature.BLOCKS | Feature.EVENTS | Feature.MEMORY | Feature.VALUES | Feature.REGISTERS | Feature.VERIFY,
        mode=Mode.LOSSY,
        scope=Scope.KERNEL,
        chunk_bytes=1024,
        chunks=4,
        ranges=((0x1000, 0x1040),),
        roots=(0x5000,),
        root_free_address=0x3000,
        direct_map_base=0xFFFF888000000000,
        points=(0x2000, 0x401000),
        trigger_address=0x1000,
        trigger_hits=3,
        limit_instructions=5,
    )


def test_options_are_plain_json():
    options = RecordOptions(seconds=1.5, only=Privilege.USER, pids=(1, 2), ranges=("sym:a+1",))
    row = json.loads(msgspec.json.encode(options))
    assert row["only"] == "user" and row["pids"] == [1, 2] and row["seconds"] == 1.5


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"start_at": "sym:schedule", "after": 5}, "both"),
        ({"after": -1}, "counts from 0"),
        ({"seconds": float("nan")}, "counts from 0"),
        ({"instructions": 1 << 63}, "counts from 0"),
        ({"ring_bytes": 1}, "4K to 64M"),
        ({"ranges": ("sym:schedule+1",) * 33}, "too many"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, says):
    with pytest.raises(UsageError, match=says):
        window_of(KERNEL, RecordOptions(**options))


@pytest.mark.parametrize(
    ("size", "split"),
    [(4096, (1024, 4)), (100_000, (24_960, 4)), (1 << 20, (256 << 10, 4)), (64 << 20, (256 << 10, 256))],
)
def test_a_ring_is_split_into_chunks_that_fit(size, split):
    assert split_ring(size) == split
    with pytest.raises(UsageError):
        split_ring(size * 100_000)
