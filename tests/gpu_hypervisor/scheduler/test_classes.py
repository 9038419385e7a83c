"""Classes that jobs are given when they state none."""

import pytest

from gpu_hypervisor.scheduler.classes import BATCH_NS, INTERACTIVE_NS, JobClass, by_time, infer


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({"has_deadline": True, "expected_ns": None, "units": 1}, JobClass.REALTIME),
        ({"has_deadline": False, "expected_ns": None, "units": 64}, JobClass.INTERACTIVE),
        ({"has_deadline": False, "expected_ns": None, "units": 65}, JobClass.THROUGHPUT),
        ({"has_deadline": False, "expected_ns": 1e6, "units": 10**6}, JobClass.INTERACTIVE),
        ({"has_deadline": False, "expected_ns": 1e8, "units": 1}, JobClass.THROUGHPUT),
        ({"has_deadline": False, "expected_ns": 1e10, "units": 1}, JobClass.BATCH),
    ],
)
def test_a_class_is_inferred_and_the_reason_said(known, expected):
    found, reason = infer(**known)
    assert found is expected and reason


def test_the_edges_of_times():
    assert by_time(INTERACTIVE_NS - 1) is JobClass.INTERACTIVE and by_time(INTERACTIVE_NS) is JobClass.THROUGHPUT
    assert by_time(BATCH_NS) is JobClass.THROUGHPUT and by_time(BATCH_NS + 1) is JobClass.BATCH
