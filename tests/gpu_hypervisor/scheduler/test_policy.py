"""Rules that contradict each other are refused."""

import pytest

from gpu_hypervisor.scheduler import JobClass, Policy
from qemu_bridge.errors import UsageError


def test_the_default_guarantees_realtime_a_fifth_and_caps_batch_at_three_fifths():
    policy = Policy().checked()
    assert policy.promised == 0.2 and policy.capped == ((JobClass.BATCH, 0.6),)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"guarantees": {JobClass.BATCH: 0.0}}, "guarantee of batch is 0"),
        ({"caps": {JobClass.BATCH: 1.5}}, "cap of batch is 1.5"),
        ({"guarantees": {JobClass.BATCH: 0.7, JobClass.REALTIME: 0.4}, "caps": {}}, "more than 1 together"),
        ({"guarantees": {JobClass.BATCH: 0.7}}, "cap of batch is below"),
        ({"slices_ns": {JobClass.BATCH: 1}}, "slices of realtime have no length"),
        ({"window_ns": 0}, "longer than 0"),
        ({"alone_ns": 0}, "longer than 0"),
        ({"realtime_jobs": 0}, "1 REALTIME job"),
    ],
)
def test_wrong_rules_are_named(wrong, message):
    with pytest.raises(UsageError, match=message):
        Policy(**wrong).checked()
