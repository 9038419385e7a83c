"""What is read behind a loop, by the code that stands there."""

from __future__ import annotations

import pytest
from learn_samples import BASE, record_checksum

from pixel_cpu.learn.successors import Successors
from qemu_bridge.trace.analysis.mining import mine


@pytest.fixture(scope="module")
def successors(tmp_path_factory):
    with mine(record_checksum(tmp_path_factory.mktemp("successors")), workers=1) as found:
        yield Successors(found)


def test_what_is_written_before_it_is_read_is_not_alive(successors):
    alive = set(successors.live_at(BASE + 0x19))
    assert not alive & {"rdx", "zf", "cf", "of", "sf", "pf"} and {"rax", "rsi", "df", "xmm0_0"} <= alive


def test_a_loop_keeps_alive_what_its_rounds_read(successors):
    assert {"rax", "rcx", "rdx", "rsi", "rdi"} <= set(successors.live_at(BASE))


def test_code_that_the_trace_does_not_know_may_read_all(successors):
    for address in (0x1234, BASE + 1, -1):
        assert {"rax", "rdx", "zf", "cf", "xmm15_1"} <= set(successors.live_at(address))
