"""A hypervisor that tests of a module share, and tenants of one test."""

import itertools

import pytest

from gpu_hypervisor import Hypervisor

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def hypervisor():
    with Hypervisor() as found:
        yield found
        assert not found.tenants()


@pytest.fixture
def opened(hypervisor):
    """Opens tenants, which are closed after the test."""
    tenants = []

    def open_tenant(**options):
        tenants.append(hypervisor.open_tenant(f"tenant{next(_numbers)}", **options))
        return tenants[-1]

    yield open_tenant
    for tenant in tenants:
        tenant.close()
