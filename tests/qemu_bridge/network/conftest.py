"""Two guests that share a network."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support import Machine, booted

NETWORK = "lab"


@pytest.fixture(scope="session")
def pair(image, isolated_folders) -> Iterator[tuple[Machine, Machine]]:
    """Machines `left` and `right` on the network `lab`; nc answers each line with itself at port 5000 of `right`."""
    with (
        booted("left", image, net=NETWORK, memory=96 << 20) as left,
        booted("right", image, net=NETWORK, memory=96 << 20) as right,
    ):
        right.exec("nc -lk -p 5000 -e cat >/dev/null 2>&1 </dev/null & sleep 1")
        yield left, right
