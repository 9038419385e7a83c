"""Eight machines on one host: small while nobody asks, and quick when somebody does."""

import pytest

from bench.machines import GUESTS, measure
from qemu_bridge.wire.connection import iter_connections


@pytest.mark.guest
@pytest.mark.long
def test_eight_idle_guests_have_small_daemons_and_answer_soon():
    figures = {figure.name: figure for figure in measure(1)}
    assert {name: figure.value for name, figure in figures.items() if figure.holds is False} == {}
    assert figures["all daemons beside their guests' RAM"].value < 60 * GUESTS
    # On a processor of its own: a daemon that polled would use more than a tenth of one with seven others.
    assert figures["processor time of all idle daemons"].value < 10
    assert not [found for found in iter_connections() if found.name.startswith("bench-")]
