"""Finding and joining networks, and what is left behind."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from network_samples import on_network
from support import is_running, wait_until

from qemu_bridge.errors import UsageError
from qemu_bridge.network.place import iter_networks, join, networks_folder, socket_path
from qemu_bridge.network.watch import read_status


def test_machines_that_come_at_the_same_moment_share_one_switch():
    with ThreadPoolExecutor(6) as pool:
        links = list(pool.map(lambda number: join("race", f"m{number}"), range(6)))
    assert sorted(link.place.number for link in links) == [1, 2, 3, 4, 5, 6]
    assert len(read_status("race").ports) == 6 and "race" in iter_networks()
    for link in links:
        link.socket.close()
    # The last machine has gone: so goes the switch, with its files.
    wait_until(lambda: not list(networks_folder().glob("race.*")))


def test_a_killed_switch_leaves_nothing_for_long_and_can_be_started_again():
    with on_network("killed", "a"):
        pid = read_status("killed").pid
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not is_running(pid))
        assert socket_path("killed").exists()
        assert "killed" not in iter_networks() and not list(networks_folder().glob("killed.*"))
        with on_network("killed", "a") as (again,):
            assert again.place.number == 1


@pytest.mark.parametrize("name", ["", "a/b", "-x", "x" * 41, "ä"])
def test_a_name_that_no_network_can_have_is_refused_in_words(name):
    with pytest.raises(UsageError, match="use up to 40 letters"):
        join(name, "a")
