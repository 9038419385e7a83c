"""The host's program of a text: arrays, copies and launches in its order."""

import numpy as np
import pytest

import pixel_cpu
from pixel_cpu.errors import LaunchError, LimitError, TrapError, UsageError

TEXT = """
GPU_KERNEL double
    GPU_PARAM x float[]
    GPU_PARAM by float
    GPU_THREAD_CODE:
        TRANSFORM x -> x BY x * by
GPU_END

GPU_ALLOC data float[n]
GPU_ALLOC other float[n]
GPU_COPY start -> data
GPU_LAUNCH double BLOCKS 8 THREADS 32 x=data by=2.0
GPU_SYNC
GPU_COPY data -> other
GPU_LAUNCH double BLOCKS blocks THREADS 32 x=other by=factor
GPU_COPY data -> first
GPU_COPY other -> second
GPU_FREE data
GPU_FREE other
"""


@pytest.mark.parametrize("device", ["cpu", "reference"])
def test_a_program_runs_on_a_device_and_gives_what_it_copies_back(device):
    start = np.arange(100, dtype="f4")
    with pixel_cpu.Device(device) as own:
        found = pixel_cpu.loads(TEXT).run(own, n=100, start=start, blocks=2, factor=0.5)
        assert (found.arrays["first"] == start * 2).all() and (found.arrays["second"] == start).all()
        assert len(found.launches) == 2 and own.ledger.buffers == 0 and own.ledger.peak_bytes == 800
    assert (start == np.arange(100)).all()


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"n": 4, "blocks": 1, "factor": 1.0}, LaunchError, "start is not given"),
        ({"n": 5, "start": np.zeros(4, "f4")}, LaunchError, "start has 4 elements of float32, data 5 of float32"),
        ({"n": 4, "start": np.zeros(4)}, LaunchError, "start has 4 elements of float64"),
        ({"n": -1}, LaunchError, "n is -1, where a whole number, 0 or more, is wanted"),
        ({"n": 1.5}, LaunchError, "n is 1.5"),
        ({"n": 1 << 60}, LimitError, "do not fit"),
        ({"n": 4, "start": np.zeros(4, "f4"), "blocks": "many", "factor": 1.0}, LaunchError, "blocks is 'many'"),
        ({"n": 4, "factr": 1.0}, LaunchError, "no factr .*blocks, factor, n, start; did you mean factor"),
        ({"n": 4, "second": np.zeros(4, "f4")}, LaunchError, "no second that a run gives"),
        ({"n": 4, "data": np.zeros(4, "f4")}, LaunchError, "no data that a run gives"),
    ],
)
def test_what_does_not_fit_is_named_with_its_line(given, error, words):
    with pytest.raises(error, match=words):
        pixel_cpu.loads(TEXT).run(pixel_cpu.Device("reference", isolated=False), **given)


def test_a_trap_of_a_launch_ends_the_program():
    text = "GPU_KERNEL k\n    GPU_PARAM x float[]\n    GPU_THREAD_CODE:\n        THREAD_ID -> i\n        STORE 1.0 -> x[i]\nGPU_END\nGPU_ALLOC x float[3]\nGPU_LAUNCH k BLOCKS 1 THREADS 4 x=x\n"
    with pytest.raises(TrapError, match="lane 3"):
        pixel_cpu.loads(text).run(pixel_cpu.Device("reference", isolated=False))


def test_a_text_without_statements_for_the_host_says_so():
    with pytest.raises(UsageError, match="launch one of its kernels"):
        pixel_cpu.loads(TEXT[: TEXT.index("GPU_ALLOC")]).run("reference")
