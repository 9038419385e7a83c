"""Jobs of a guest, and which of its processes submitted them: against the guest's own pids."""

import pytest
from gpu_guests import SAXPY, SPIN
from gpu_shell import Shell
from support import wait_until

from gpu_hypervisor.channel.guests import Guests
from gpu_hypervisor.engine import Hypervisor
from gpu_hypervisor.service import Server

pytestmark = pytest.mark.guest


def test_a_guest_without_a_share_and_one_without_a_service_have_none(machine, gpu_machine):
    found = machine.client.overlay("gpu-jobs").value
    assert found.complete and not found.rows
    found = gpu_machine.client.overlay("gpu-jobs").value
    assert not found.rows and "glassbox gpu serve" in found.skipped[0]


def test_each_job_has_the_process_that_submitted_it(gpu_machine):
    shell = Shell(gpu_machine)
    spin, saxpy = shell.put(SPIN.encode(), "spin.gpk"), shell.put(SAXPY.encode(), "saxpy.gpk")

    def rows():
        return gpu_machine.client.overlay("gpu-jobs").value.rows

    with Hypervisor(device="cpu") as hypervisor, Guests(hypervisor) as guests, Server(hypervisor):
        wait_until(lambda: gpu_machine.name in guests.served)
        shell.done("gpu-submit", saxpy, "--set", "a=2", "--new", "x=100", "--out", "y=/tmp/o.f32", "--force")
        gpu_machine.exec(
            f"gpu-submit {spin} --new x=1000 --out x=/tmp/n.i32 --fuel 1000000000000000 >/dev/null 2>&1 & echo $! >/tmp/spin.pid"
        )
        wait_until(lambda: len(rows()) == 2 and rows()[1]["seen"] == "now")
        done, runs = rows()
        pid = int(gpu_machine.exec("cat /tmp/spin.pid"))
        assert (list(runs["pids"]), runs["process"], runs["kernel"]) == ([pid], "gpu-submit", "spin")
        assert done["state"] == "done" and done["label"] == "gpu-submit" and done["pids"] != runs["pids"]
        # The service noted it too, while the process lived.
        wait_until(lambda: [each.pid for each in hypervisor.jobs()[1].processes] == [pid])
        gpu_machine.exec("kill -9 $(cat /tmp/spin.pid)")
        wait_until(lambda: rows()[1]["state"] == "cancelled")
        assert (list(rows()[1]["pids"]), rows()[1]["seen"]) == ([pid], "then")
