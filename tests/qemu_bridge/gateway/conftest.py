"""The real service on the session's guest."""

from __future__ import annotations

import pytest
from serving import Service, serving


@pytest.fixture(scope="session")
def service(machine):
    """A service that may do everything, on the session's machine."""
    with serving("--listen", "127.0.0.1:0", "--allow-control", "--allow-write") as found:
        yield Service(*found)


@pytest.fixture(scope="session")
def reader(machine):
    """A service that may only read, as by default."""
    with serving("--listen", "127.0.0.1:0") as found:
        yield Service(*found)
