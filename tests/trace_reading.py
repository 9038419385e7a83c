"""Everything that a trace can be asked, for files that nothing is promised of."""

from __future__ import annotations

from qemu_bridge.trace.analysis.check import check_trace
from qemu_bridge.trace.file.reader import TraceReader


def read_everything(path):
    """All that a reader can be asked; returns the frames it got."""
    with TraceReader(path) as trace:
        trace.info, trace.file.roots(), trace.file.ids()
        for frame in trace.frames():
            for vcpu in range(trace.vcpus):
                frame.blocks(vcpu), frame.memory(vcpu), frame.chunks(vcpu), frame.roots(vcpu)
        check_trace(trace)
        return len(trace)
