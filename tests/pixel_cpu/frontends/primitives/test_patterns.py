import numpy as np
import pytest
from primitives_runs import launch, run, thread_code

from pixel_cpu.errors import SourceError
from pixel_cpu.frontends.primitives import compile_source

REDUCTIONS = {
    "ADD": np.add,
    "MUL": np.multiply,
    "MIN": np.minimum,
    "MAX": np.maximum,
    "AND": np.bitwise_and,
    "OR": np.bitwise_or,
    "XOR": np.bitwise_xor,
}


def pieces(lanes, size):
    return [slice(first, min(first + size, lanes)) for first in range(0, lanes, size)]


def tree(values):
    """The order that docs/primitives.md promises for BLOCK_REDUCE."""
    values = list(values)
    while len(values) > 1:
        half = (len(values) + 1) // 2
        values = [values[k] + values[k + half] if k + half < len(values) else values[k] for k in range(half)]
    return values[0]


@pytest.mark.parametrize("word", REDUCTIONS)
@pytest.mark.parametrize(
    ("lanes", "group"), [(1, 1), (70, 32), (97, 33), (100, 7), (128, 64), (150, 100), (2100, 1024)]
)
def test_reductions_at_any_size_of_a_group(word, lanes, group):
    x = np.random.default_rng(group).integers(-(1 << 30), 1 << 30, lanes).astype(np.int32)
    block, warp = np.zeros((2, lanes), np.int32)
    code = f"""
        THREAD_ID -> i
        LOAD x[i] -> v
        BLOCK_REDUCE {word} v -> b
        WARP_REDUCE {word} v -> w
        STORE b -> block[i]
        STORE w -> warp[i]
    """
    declared = [f"GPU_PARAM {name} int[]" for name in ("x", "block", "warp")]
    run(thread_code(code, *declared), lanes, group=group, x=x, block=block, warp=warp)
    reduce = REDUCTIONS[word].reduce
    for piece in pieces(lanes, group):
        assert (block[piece] == reduce(x[piece], dtype=np.int32)).all()
        for part in pieces(piece.stop - piece.start, 32):
            own = slice(piece.start + part.start, piece.start + part.stop)
            assert (warp[own] == reduce(x[own], dtype=np.int32)).all()


def test_a_sum_of_floats_has_one_order():
    x = np.random.default_rng(3).random(75).astype(np.float32)
    out = np.zeros(75, np.float32)
    code = "THREAD_ID -> i\nBLOCK_REDUCE ADD x[i] -> s\nSTORE s -> out[i]"
    run(thread_code(code, "GPU_PARAM x float[]", "GPU_PARAM out float[]"), 75, group=50, x=x, out=out)
    assert out[0] == tree(x[:50]) and out[74] == tree(x[50:])


def test_reductions_of_several_types_in_one_loop():
    out = np.zeros(64, np.float64)
    code = """
        THREAD_ID -> i
        CALCULATE total = f64(0)
        FOR k IN 0..3:
            BLOCK_REDUCE ADD (i + k) -> a
            BLOCK_REDUCE MAX (f64(i) * k) -> b
            WARP_REDUCE MIN (i * 0.5) -> c
            CALCULATE total = total + a + b + c
        STORE total -> out[i]
    """
    run(thread_code(code, "GPU_PARAM out f64[]", "GPU_SHARED reduce_i32 int[4]"), 64, group=64, out=out)
    i = np.arange(64)
    wanted = sum((i + k).sum() + (i * k).max() for k in range(3)) + 3 * np.where(i < 32, 0, 16)
    assert (out == wanted).all()


@pytest.mark.parametrize("side", [1, 5, 16])
def test_square_matrices(side):
    a, b = np.random.default_rng(side).integers(-9, 9, (2, side, side)).astype(np.float32)
    c = np.zeros(side * side, np.float32)
    text = thread_code("PARALLEL_MATMUL a b -> c", *(f"GPU_PARAM {name} float[]" for name in "abc"))
    run(text, 40, a=a.reshape(-1), b=b.reshape(-1), c=c)
    assert (c.reshape(side, side) == a @ b).all()


def test_matrices_of_stated_sizes():
    m, n, k = 3, 7, 4
    rng = np.random.default_rng(0)
    a, b = rng.integers(-99, 99, (m, k)), rng.integers(-99, 99, (k, n))
    c = np.zeros(m * n, np.int64)
    text = thread_code(
        "PARALLEL_MATMUL a b -> c SIZE m n (m + 1)",
        *(f"GPU_PARAM {name} i64[]" for name in "abc"),
        "GPU_PARAM m int",
        "GPU_PARAM n int",
    )
    run(text, 5, a=a.reshape(-1), b=b.reshape(-1), c=c, m=m, n=n)
    assert (c.reshape(m, n) == a @ b).all()


def test_what_is_not_square_traps():
    text = thread_code("PARALLEL_MATMUL a b -> c", *(f"GPU_PARAM {name} float[]" for name in "abc"))
    arrays = {name: np.zeros(size, np.float32) for name, size in zip("abc", (9, 9, 8), strict=True)}
    outcome = launch(compile_source(text), "k", 3, **arrays)
    assert outcome.traps == 3 and "square matrices" in outcome.trap.reason


def test_a_reduction_inside_a_branch_that_all_take_is_fine():
    code = "BLOCK_ID -> b\nIF b == 0:\n    BLOCK_REDUCE ADD 1 -> n\n    PRINT n"
    outcome = launch(compile_source(thread_code(code)), "k", 40, group=32)
    assert [line.text for line in outcome.printed] == ["32"] * 32


def test_reductions_have_the_memory_that_there_is():
    code = "\n".join(f"BLOCK_REDUCE ADD {kind}(1) -> v{kind}" for kind in ("f64", "i64", "u64", "int", "float"))
    with pytest.raises(SourceError, match="bytes of shared memory, that of reductions included, more than 32768"):
        compile_source(thread_code(code, "GPU_SHARED own int[1024]"))


@pytest.mark.parametrize("declared", ["GPU_SHARED", "GPU_PRIVATE"])
def test_a_reduction_leaves_arrays_of_any_name_alone(declared):
    text = f"""
GPU_KERNEL k
    GPU_PARAM y float[]
    {declared} reduce_f32 float[1024]
    GPU_THREAD_CODE:
        THREAD_ID -> i
        STORE 1000.0 -> reduce_f32[i]
        BLOCK_REDUCE ADD 1.0 -> s
        STORE reduce_f32[i] + s -> y[i]
GPU_END
"""
    y = np.zeros(32, np.float32)
    run(text, 32, y=y)
    assert (y == 1032).all()
