"""Errors carry what a channel tells a guest."""

from gpu_hypervisor.errors import (
    AdmissionError,
    BusyHandleError,
    DeadlineError,
    HandleError,
    QuotaError,
    TenantGoneError,
)
from qemu_bridge.errors import GlassBoxError, UsageError


def test_they_belong_to_the_tree_and_carry_values():
    quota, deadline = QuotaError("too much", 10, 3), DeadlineError("too late", 0.5)
    assert (str(quota), quota.wanted, quota.left, deadline.left_seconds) == ("too much", 10, 3, 0.5)
    for error in (quota, deadline, BusyHandleError("x"), HandleError("x")):
        assert isinstance(error, AdmissionError) and isinstance(error, UsageError)
    assert isinstance(TenantGoneError("x"), GlassBoxError) and not isinstance(TenantGoneError("x"), UsageError)
