from primitives_runs import errors


def test_declarations_have_their_faults():
    text = """
GPU_KERNEL k LATENCY
GPU_PARAM a
GPU_THREAD_CODE:
GPU_END
GPU_KERNEL
GPU_KERNEL m
    GPU_PARAM a inte
    GPU_PARAM b int[5]
    GPU_PARAM c int
    GPU_PARAM c int
    GPU_SHARED d int
    GPU_SHARED e int[c]
    GPU_SHARED f int[0]
    GPU_BOUNDS maybe
    GPU_THREADS 2000
    LOAD a[0] -> v
GPU_END
ADD a b -> c
GPU_END
"""
    found = errors(text)
    assert [(line, column) for line, column, _ in found] == [
        *(
            (2, 14),
            (6, 11),
            (8, 17),
            (9, 21),
            (11, 15),
            (12, 21),
            (13, 22),
            (14, 22),
            (15, 16),
            (16, 17),
            (17, 5),
            (18, 1),
        )
    ], found


def test_a_kernel_needs_an_end_and_code():
    assert errors("GPU_KERNEL k\nGPU_THREAD_CODE:\n    PRINT 1\n") == [
        (1, 1, "kernel k is not ended: GPU_END is missing")
    ]
    assert errors("GPU_KERNEL k\nGPU_END\n") == [(2, 1, "kernel k has no GPU_THREAD_CODE:")]
