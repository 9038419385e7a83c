"""Arming and disarming the trace of a running guest."""

import time

import pytest
from support import booted
from trace_consumer import Consumer, begun_instructions

from qemu_bridge.trace.control import ArmOptions, TraceControl
from tcg_plugin.layout import Feature

pytestmark = pytest.mark.guest

LOAD = "i=0; while [ $i -lt 4000 ]; do i=$((i+1)); done; echo done"


@pytest.fixture(scope="module", params=[1, 2], ids=["1 vCPU", "2 vCPUs"])
def traced(request, image):
    """A machine of its own, and a consumer of its rings that drains when asked."""
    with booted(f"traced-{request.param}", image, smp=request.param) as machine:
        control = TraceControl(
            machine.client.connection.trace_path and __import__("pathlib").Path(machine.client.connection.trace_path)
        )
        yield machine, control
        control.close()


def test_placeholder(traced):
    machine, control = traced
    consumer = Consumer(control)
    t = time.time()
    with consumer:
        st = machine.client.trace_arm(ArmOptions(features=Feature.BLOCKS | Feature.EVENTS | Feature.VERIFY))
        print("arm", time.time() - t, st)
        machine.exec(LOAD)
        t = time.time()
        st = machine.client.trace_disarm()
        print("disarm", time.time() - t, st)
    blocks = consumer.blocks()
    for n in range(len(control.vcpus)):
        w = consumer.stream(n)
        print(
            len(w),
            consumer.chunks[n][-1].header.instructions - 0,
            begun_instructions(w, blocks),
            consumer.chunks[n][-1].header.flags,
        )
    consumer.close()
