"""Limits of process VMs."""

import os

import pytest

from gpu_hypervisor.vms.limits import VmLimits, parse_cores
from qemu_bridge.errors import UsageError


def test_processors_are_numbers_and_ranges():
    assert parse_cores("0-2,5") == (0, 1, 2, 5) and parse_cores("3,1,1") == (1, 3)
    for text in ("", "a", "1-", "-1", "1--2", "2-1", "0,", "99999999"):
        with pytest.raises(UsageError, match="no processors"):
            parse_cores(text)


def test_what_this_host_does_not_have_is_refused():
    assert VmLimits((min(os.sched_getaffinity(0)),)).checked().memory_bytes == 1 << 30
    for limits, message in (
        (VmLimits((1 << 20,)), "no processor 1048576"),
        (VmLimits(memory_bytes=100), "1 MiB"),
        (VmLimits(processes=0), "1 to 4096"),
    ):
        with pytest.raises(UsageError, match=message):
            limits.checked()
