"""What a tenant holds, to the byte."""

import pytest

from gpu_hypervisor.errors import QuotaError
from gpu_hypervisor.memory import TenantLedger


def test_the_edge_is_exact():
    ledger = TenantLedger(100)
    ledger.take(99)
    with pytest.raises(QuotaError, match="2 bytes are wanted, and 1 of 100 are left") as error:
        ledger.take(2)
    assert (error.value.wanted, error.value.left, ledger.bytes) == (2, 1, 99)
    ledger.take(1)
    ledger.give_back(100)
    assert (ledger.bytes, ledger.left_bytes, ledger.peak_bytes) == (0, 100, 100)
    with pytest.raises(AssertionError):
        ledger.give_back(1)
