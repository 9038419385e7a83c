"""What a launch on a GPU did when: copies and dispatches on the host's clock, passes on the device's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..launch import Launch, Span, Timeline


@dataclass(frozen=True)
class Pass:
    """A dispatch of the groups from `first` up to, but without, `last`: when the host submitted it and had its answer.

    `device_ns` are begin and end on the device's clock, whose zero is anywhere; None where it has none.
    """

    first: int
    last: int
    begin_ns: int
    end_ns: int
    device_ns: tuple[int, int] | None


def make_timeline(
    kernel: str, launch: Launch, stamps: Sequence[int], passes: Sequence[Pass], *, is_first: bool
) -> Timeline:
    """The timeline of a launch. `stamps` are the begins of building, copying in, running, copying out, and the end of that.

    `is_first`: something was built.
    """
    begin_ns, built_ns, bound_ns, ran_ns, end_ns = stamps
    spans = [Span("queue", "build", begin_ns, built_ns)] if is_first else []
    spans.append(Span("queue", "copy in", built_ns, bound_ns))
    for own in passes:
        lanes = own.first * launch.group, min(own.last * launch.group, launch.lanes)
        spans.append(Span("queue", f"dispatch groups {own.first}-{own.last - 1}", own.begin_ns, own.end_ns, lanes))
    spans.append(Span("queue", "copy out", ran_ns, end_ns))
    offset = device_offset(passes)
    for own in passes if offset is not None else ():
        assert own.device_ns and offset is not None
        lanes = own.first * launch.group, min(own.last * launch.group, launch.lanes)
        times = own.device_ns[0] + offset, own.device_ns[1] + offset
        spans.append(Span("GPU", f"groups {own.first}-{own.last - 1}", *times, lanes))
    return Timeline(kernel, begin_ns, end_ns, tuple(spans))


def device_offset(passes: Sequence[Pass]) -> int | None:
    """What to add to the device's clock to have the host's; None without such a clock.

    A pass lies between its submission and its answer: of all offsets for which that is true the middle one, which is off by half
    of the least time that a pass waited around its work, at most.
    """
    timed = [(own, own.device_ns) for own in passes if own.device_ns]
    if not timed:
        return None
    least = max(own.begin_ns - device[0] for own, device in timed)
    most = min(own.end_ns - device[1] for own, device in timed)
    return (least + most) // 2
