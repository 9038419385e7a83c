"""Placement: the device that is expected to have done a job first."""

from gpu_hypervisor.engine.placement import MOST_KERNELS, Placement


def test_what_is_known_and_what_waits_decide():
    placement = Placement(["cpu", "wgpu"])
    idle = {"cpu": 0.0, "wgpu": 0.0}
    assert placement.choose("k", 1000, idle)[0] == "cpu"
    assert placement.choose("k", 1000, {"cpu": 1.0, "wgpu": 0.0})[0] == "wgpu"
    placement.learn("cpu", "k", 1000, 10_000)
    assert placement.expect("cpu", "k", 500) == placement.expect("wgpu", "k", 500) == 5000
    placement.learn("wgpu", "k", 1000, 1_000_000)
    chosen, why = placement.choose("k", 1000, {"cpu": 900_000.0, "wgpu": 0.0})
    assert (chosen, why) == ("cpu", "it is done there in 0.91 ms, with what waits there; on wgpu in 1 ms")
    assert placement.choose("k", 1000, {"cpu": 2e6, "wgpu": 0.0})[0] == "wgpu"
    assert placement.choose("k", 1000, {"wgpu": 1e9}) == ("wgpu", "no other device takes jobs")


def test_newer_jobs_count_more_and_old_kernels_are_forgotten():
    placement = Placement(["cpu"])
    placement.learn("cpu", "k", 10, 1000)
    placement.learn("cpu", "k", 10, 5000)
    placement.learn("cpu", "k", 0, 1 << 60)
    assert placement.expect("cpu", "k", 1) == 200
    for number in range(MOST_KERNELS):
        placement.learn("cpu", str(number), 1, 1)
    assert placement.expect("cpu", "k", 1) == 0
