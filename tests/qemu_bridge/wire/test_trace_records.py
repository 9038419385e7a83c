"""Records of the trace: what is refused, and what travels."""

import msgspec
import pytest

from qemu_bridge.errors import UsageError
from qemu_bridge.wire.trace_records import ArmOptions, Privilege, RecordOptions, TopOptions
from tcg_plugin.layout import Feature, Mode, Scope


@pytest.mark.parametrize(
    "options",
    [
        ArmOptions(),
        ArmOptions(
            Feature.BLOCKS | Feature.MEMORY | Feature.VALUES, Mode.LOSSY, Scope.USER, ranges=((1, 2),), roots=(3,)
        ),
        RecordOptions(seconds=1.5, only=Privilege.USER, pids=(1, 2), ranges=("sym:a+64",)),
        TopOptions(count=3, ring=0),
    ],
    ids=lambda options: type(options).__name__,
)
def test_options_travel(options):
    assert msgspec.json.decode(msgspec.json.encode(options), type=type(options)) == options


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (ArmOptions(features=Feature.EVENTS), "records nothing"),
        (ArmOptions(chunk_bytes=100), "multiple of 64"),
        (ArmOptions(chunks=1), "64 MiB"),
        (ArmOptions(chunks=1 << 40), "64 MiB"),
        (ArmOptions(limit_s=-1.0), "number from 0"),
        (ArmOptions(limit_s=float("nan")), "number from 0"),
        (ArmOptions(ranges=((0, 1),) * 1000), "too many"),
        (RecordOptions(start_at="x", after=1), "give one of them"),
        (RecordOptions(seconds=float("nan")), "another number"),
        (TopOptions(count=0), "count from 1"),
        (TopOptions(workers=0), "count from 1"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(options, words):
    with pytest.raises(UsageError, match=words):
        options.validate()


def test_what_is_recorded_follows_from_the_options():
    assert RecordOptions().features == Feature.BLOCKS | Feature.EVENTS
    assert RecordOptions(values=True).features & (Feature.MEMORY | Feature.VALUES) == Feature.MEMORY | Feature.VALUES
    assert RecordOptions(registers=("x",)).features & Feature.REGISTERS
    assert RecordOptions(after=3).waits_for_start and not RecordOptions(seconds=3).waits_for_start
