"""The devices of a hypervisor by their names, and which of them take jobs."""

import os

import pytest
from support import wait_until

from gpu_hypervisor.engine.fleet import Fleet
from pixel_cpu.errors import UsageError


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "one device or more"),
        (("cpu", "cpu"), "each once"),
        (("tpu",), "no device 'tpu'"),
        (("cpu@",), "is no device"),
        (("cpu@1-0",), "no processors"),
        (("cpu@99999999",), "no processor 99999999"),
        (("wgpu@0",), "given for cpu"),
    ],
)
def test_names_that_are_no_devices(names, message):
    with pytest.raises(UsageError, match=message):
        Fleet(names)


def test_workers_of_a_device_have_its_processors_and_all_see_the_same_arrays():
    core = min(os.sched_getaffinity(0))
    fleet = Fleet((f"cpu@{core}", "cpu"))
    assert fleet[f"cpu@{core}"].cores == (core,) and fleet["cpu"].cores == ()
    assert "on processors" in fleet[f"cpu@{core}"].description and fleet.limits()["lanes_of_a_launch"] > 0
    one, other = fleet.open(1 << 20, {}).values()
    with one, other:
        array = one.zeros(10, "u4")
        assert other.is_shared(array) and other.ledger.bytes == 40
        pid = one.start()
        wait_until(lambda: os.sched_getaffinity(pid) == {core})


def test_the_last_device_is_not_drained_and_a_drained_one_takes_no_jobs():
    fleet = Fleet(("cpu", "reference"))
    fleet.drain("cpu")
    fleet.drain("cpu")
    with pytest.raises(UsageError, match="no other device than reference"):
        fleet.drain("reference")
    with pytest.raises(UsageError, match="is drained"):
        fleet.check_taking("cpu")
    with pytest.raises(UsageError, match="no device 'gpu'"):
        fleet.resume("gpu")
    assert fleet.place(1, "k", 10)[0] == "reference"
    fleet.resume("cpu")
    assert fleet.place(2, "k", 10)[0] == "cpu" and fleet.place(3, "k", 10, "reference")[0] == "reference"


def test_what_waits_on_a_device_is_forgotten_when_its_jobs_end():
    fleet = Fleet(("cpu", "reference"))
    for number in range(3):
        fleet.place(number, "k", 1000, "cpu")
        fleet.ended(number, 1e-3)
    assert fleet.place(9, "k", 1000)[0] == "cpu"
    assert fleet.place(10, "k", 1000)[0] == "reference"
    assert fleet.is_sooner("reference", 9, "k", "cpu")
    assert [fleet.place(number, "new", 5)[0] for number in (20, 21)] == ["cpu", "reference"]
    for number in (20, 21):
        fleet.ended(number, None)
    fleet.ended(9, None)
    fleet.ended(9, None)
    assert fleet.place(11, "k", 1000)[0] == "cpu"
