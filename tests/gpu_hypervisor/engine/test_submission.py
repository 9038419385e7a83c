"""Submissions that are seen to be wrong without their kernel."""

import numpy as np
import pytest

from gpu_hypervisor import BufferSlice, JobClass, Submission
from gpu_hypervisor.errors import AdmissionError


def test_what_is_right_is_accepted():
    arguments = {"a": 1, "b": np.float32(2), "c": True, "x": np.zeros(3), "y": BufferSlice(1)}
    Submission("text", lanes=1, arguments=arguments, deadline_s=1.0, job_class=JobClass.REALTIME).check()
    Submission("text", blocks=2, threads=32).check()


@pytest.mark.parametrize("array", [np.zeros((2, 2)), np.zeros(10)[::2], np.broadcast_to(np.zeros(1), 10)])
def test_arrays_are_writable_and_contiguous_and_of_one_dimension(array):
    with pytest.raises(AdmissionError, match="x needs a writable, contiguous array of one dimension"):
        Submission("text", lanes=1, arguments={"x": array}).check()
