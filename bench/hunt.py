"""Hunt: what hides in a guest of 1 GiB with most of its memory in use, from the first question on."""

from __future__ import annotations

import statistics

from qemu_bridge.client import Client

from .booted import booted
from .figures import Figure, seconds

_NAME = "bench-hunt"
_MEMORY = 1 << 30
_USED_MB = 400
_PROCESSES = 200
_FILL = (
    f"dd if=/dev/urandom of=/tmp/fill bs=1M count={_USED_MB} 2>/dev/null;"
    f" i=0; while [ $i -lt {_PROCESSES} ]; do sleep 10000 >/dev/null 2>&1 & i=$((i+1)); done"
)


def measure(rounds: int) -> list[Figure]:
    """Seconds of the first ``hunt`` of a machine, whose reader of RAM has yet to start, and of the later ones."""
    with booted(_NAME, _MEMORY) as client:
        client.exec(_FILL, 300.0)
        first = seconds(lambda: _ask(client))
        later = statistics.median(seconds(lambda: _ask(client)) for _ in range(rounds))
        processes = len(client.ps())
    return [
        Figure("hunt: first, 1 GiB guest", first, "s", "<= 5", f"{_USED_MB} MB of files, {processes} processes"),
        Figure("hunt: later ones, 1 GiB guest", later, "s", "<= 5"),
    ]


def _ask(client: Client) -> None:
    answer = client.hunt()
    assert not answer.value and answer.is_complete, answer
