import numpy as np
import pytest
from primitives_runs import fails, launch, run, thread_code

from pixel_cpu.errors import SourceError
from pixel_cpu.frontends.primitives import compile_source
from pixel_cpu.ir.model import walk

N = 64


def test_saxpy_is_numpys():
    x, y = np.random.default_rng(0).random((2, N), np.float32)
    wanted = np.float32(2) * x + y
    code = """
        THREAD_ID → i
        LOAD x[i] → xv
        LOAD y[i] -> yv
        MUL a xv -> t
        ADD t yv -> t
        STORE t → y[i]
    """
    run(thread_code(code, "GPU_PARAM a float", "GPU_PARAM x float[]", "GPU_PARAM y float[]"), N, a=2.0, x=x, y=y)
    assert (y == wanted).all()


def test_functions_call_each_other_and_convert_arguments():
    x = np.arange(N, dtype=np.float32)
    functions = """
FUNC square(v float) -> float = v * v
FUNC norm(a float, b float) -> float:
    IF a < 0:
        RETURN 0
    CALCULATE s = square(a) + square(b)
    RETURN sqrt(s)
ENDFUNC
"""
    run(thread_code("THREAD_ID -> i\nSTORE norm(i, 2) -> x[i]", "GPU_PARAM x float[]", functions=functions), N, x=x)
    i = np.arange(N, dtype=np.float32)
    assert (x == np.sqrt(i * i + np.float32(4))).all()


def test_ids_count_lanes_groups_and_launches():
    x = np.zeros((6, 40), np.int32)
    words = ("THREAD_ID", "BLOCK_ID", "LOCAL_ID", "BLOCK_SIZE", "BLOCK_COUNT", "THREAD_COUNT")
    code = "THREAD_ID -> i\n" + "\n".join(
        f"{word} -> v\nSTORE v -> x[i + {40 * row}]" for row, word in enumerate(words)
    )
    run(thread_code(code, "GPU_PARAM x int[]"), 40, group=16, x=x.reshape(-1))
    i = np.arange(40)
    for row, wanted in zip(x, (i, i // 16, i % 16, 16, 3, 40), strict=True):
        assert (row == wanted).all()


def test_shared_and_private_arrays_and_barriers():
    x = np.arange(N, dtype=np.int32)
    code = """
        THREAD_ID -> i
        LOCAL_ID -> l
        LOAD x[i] -> tile[l]
        CALCULATE own[l % 4] = l
        SYNC_THREADS
        STORE tile[15 - l] + own[l % 4] - l -> x[i]
    """
    with pytest.raises(SourceError, match="a variable, not an element"):
        compile_source(thread_code(code, "GPU_PARAM x int[]", "GPU_SHARED tile int[16]", "GPU_PRIVATE own int[2 * 2]"))
    code = code.replace("LOAD x[i] -> tile[l]", "STORE x[i] -> tile[l]")
    text = thread_code(code, "GPU_PARAM x int[]", "GPU_SHARED tile int[16]", "GPU_PRIVATE own int[2 * 2]")
    run(text, N, group=16, x=x)
    assert (x.reshape(-1, 16) == np.arange(N).reshape(-1, 16)[:, ::-1]).all()


@pytest.mark.parametrize(
    ("word", "numpy"),
    [
        ("ADD", np.add),
        ("MIN", np.minimum),
        ("MAX", np.maximum),
        ("AND", np.bitwise_and),
        ("OR", np.bitwise_or),
        ("XOR", np.bitwise_xor),
    ],
)
def test_atomics(word, numpy):
    x = np.random.default_rng(1).integers(0, 1 << 30, N).astype(np.int32)
    total, old = np.full(1, 12345, np.int32), np.zeros(N, np.int32)
    code = f"THREAD_ID -> i\nATOMIC_{word} total[0] x[i] -> before\nSTORE before -> old[i]"
    run(
        thread_code(code, "GPU_PARAM x int[]", "GPU_PARAM total int[]", "GPU_PARAM old int[]"),
        N,
        x=x,
        total=total,
        old=old,
    )
    assert total[0] == numpy.reduce(np.append(x, np.int32(12345)), dtype=np.int32)
    assert 12345 in old


def test_exchange_and_compare_and_swap():
    x = np.zeros(2, np.uint32)
    code = "THREAD_ID -> i\nATOMIC_CAS x[0] 0 (i + 1) -> won\nIF won == 0:\n    ATOMIC_EXCHANGE x[1] 7"
    text = thread_code(code, "GPU_PARAM x u32[]")
    with pytest.raises(SourceError, match="x holds u32, and this is int"):
        compile_source(text)
    run(text.replace("(i + 1)", "u32(i + 1)"), N, x=x)
    assert x[0] == 1 and x[1] == 7


def test_elements_of_chars_are_bytes_and_wider_values():
    x = np.arange(1, 17, dtype=np.uint8)
    out = np.zeros(4, np.uint32)
    code = """
        THREAD_ID -> i
        LOAD x[4 * i + 1] AS u16 -> w
        LOAD x[i] -> c
        STORE u32(w) + c -> out[i]
        STORE char(c + 'A') -> x[i]
        IF i == 3: STORE u32(0xdeadbeef) -> x[12] AS u32
    """
    old = x.copy()
    run(thread_code(code, "GPU_PARAM x char[]", "GPU_PARAM out u32[]"), 4, x=x, out=out)
    wide = [int.from_bytes(old[4 * i + 1 : 4 * i + 3], "little") + int(old[i]) for i in range(4)]
    assert out.tolist() == wide
    assert x[:4].tolist() == [1 + 65, 2 + 65, 3 + 65, 4 + 65]
    assert x[12:].tobytes() == bytes.fromhex("efbeadde")


def test_pixels_are_packed_and_taken_apart():
    x = np.zeros(4, np.uint32)
    code = """
        CALCULATE_PIXEL 1.0, 0.5, -3.0 -> p
        CALCULATE_PIXEL 300, 7, -1, 128 -> x[1]
        STORE p -> x[0]
        CALCULATE x[2] = rgba(alpha(p), blue(p), green(p), red(p))
        CALCULATE_PIXEL nan, 1, 2.5 -> x[3]
    """
    run(thread_code(code, "GPU_PARAM x pixel[]"), 1, x=x)
    assert x[0] == 0xFF0080FF and x[1] == 0x800007FF and x[2] == 0xFF8000FF and x[3] == 0xFFFF0100


def test_transform_alone_is_a_parallel_for():
    x, r = np.arange(50, dtype=np.int32), np.zeros(50, np.float32)
    run(thread_code("TRANSFORM x -> r BY x * 0.5", "GPU_PARAM x int[]", "GPU_PARAM r float[]"), 8, x=x, r=r)
    assert (r == x * np.float32(0.5)).all()
    run(thread_code("TRANSFORM x → r", "GPU_PARAM x int[]", "GPU_PARAM r float[]"), 8, x=x, r=r)
    assert (r == x).all()


def test_and_or_do_not_compute_what_they_do_not_need():
    x = np.arange(4, dtype=np.int32)
    code = "THREAD_ID -> i\nIF i < length(x) and x[i] > 0 or i >= length(x): ADD i 0 -> z\nIF i < length(x) AND x[i] > 1: STORE 9 -> x[i]"
    run(thread_code(code, "GPU_PARAM x int[]"), 32, x=x)
    assert x.tolist() == [0, 1, 9, 9]


def test_an_index_outside_traps_or_is_clamped():
    x = np.arange(4, dtype=np.int32)
    code = "THREAD_ID -> i\nSTORE x[i] + 10 -> y[i]"
    y = np.zeros(6, np.int32)
    outcome = launch(compile_source(thread_code(code, "GPU_PARAM x int[]", "GPU_PARAM y int[]")), "k", 6, x=x, y=y)
    assert (outcome.trap.reason, outcome.trap.line, outcome.traps) == ("index 4 outside x[4]", 7, 2)
    run(thread_code(code, "GPU_BOUNDS clamp", "GPU_PARAM x int[]", "GPU_PARAM y int[]"), 6, x=x, y=y)
    assert y.tolist() == [10, 11, 12, 13, 13, 13]


def test_prints_and_traps():
    code = 'THREAD_ID -> i\nPRINT "lane \\"x\\"" i (i * 0.5) -i\nIF i == 1: TRAP "one"\nPRINT i'
    outcome = launch(compile_source(thread_code(code)), "k", 2)
    assert [line.text for line in outcome.printed] == ['lane "x" 0 0.0 0', "0", 'lane "x" 1 0.5 -1']
    assert outcome.trap.reason == "one"


def test_buffers_that_are_never_stored_to_are_read_only():
    program = compile_source(
        thread_code("THREAD_ID -> i\nSTORE x[i] -> y[i]", "GPU_PARAM x int[]", "GPU_PARAM y int[]")
    )
    assert [memory.is_writable for memory in program.module.kernels["k"].memories] == [False, True]
    assert [parameter.is_written for parameter in program.kernels["k"].parameters] == [False, True]


def test_every_operation_carries_its_line():
    program = compile_source(thread_code("THREAD_ID -> i\nIF i > 2:\n    RETURN\nFOR k IN 0..3: PRINT k"))
    lines = [op.line for op in walk(program.module.kernels["k"].body)]
    assert set(lines[:-1]) == {4, 5, 6, 7}


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("CALCULATE a = 1 + true", "a bool is no number"),
        ("CALCULATE a = u32(1) + i64(2) + 1.0", "do not mix"),
        ("CALCULATE a = u32(1) + int(2)", "u32 and int do not mix"),
        ("CALCULATE a = 1.5 % 2", "% takes integers, not float"),
        ("MOD 1.5 2 -> a", "takes integers"),
        ("CALCULATE a = 1.5 << 2", "takes integers"),
        ("IF 1: RETURN", "a condition is a bool"),
        ("CALCULATE a = x", "x is an array; write x[i]"),
        ("CALCULATE x = 1", "x is an array; write x[i]"),
        ("CALCULATE a = xx[0]", "there is no array xx; did you mean x?"),
        ("CALCULATE a = x[1.5]", "an index is an integer, and this is float"),
        ("CALCULATE a = x[nan]", "an index is an integer"),
        ("CALCULATE a = sqr(2)", "there is no function sqr; did you mean sqrt?"),
        ("CALCULATE a = min(1)", "min takes 2 arguments, not 1"),
        ("CALCULATE a = 99999999999999999999999999", "no integer type holds this number"),
        ("CALCULATE a = x[0] + 5000000000", "5000000000 does not fit int"),
        ("STORE 1.5 -> x[0]", "x holds int, and this is a float"),
        ("STORE -1 -> c[0]", "-1 does not fit char"),
        ("STORE 1e300 -> f[0]", "1e300 does not fit float"),
        ("LOAD x[0] AS u16 -> a", "AS reads and writes char arrays; x holds int"),
        ("ATOMIC_ADD f[0] 1.0", "atomics work on int, u32, i64 and u64"),
        ("ATOMIC_ADD p[0] 1", "each thread's own"),
        ("RETURN 1", "RETURN in a kernel has no value"),
        ("INDEX -> i", "INDEX stands inside PARALLEL FOR"),
        ("FOR i IN 0..2.5: PRINT i", "FOR counts in integers"),
        ("FOR i IN 0..4 STEP 0: PRINT i", "a STEP of 0 goes nowhere"),
        ("FOR i IN 0..4:\n    CALCULATE i = 2", "i is the variable of a FOR"),
        ("CALCULATE i = 0\nFOR i IN 0..4: PRINT i", "i is a variable since line 9"),
        ("RETURN\nPRINT 1", "nothing comes here"),
        ("WHILE true:\n    BREAK\n    PRINT 1", "nothing comes here"),
        ("THREAD_ID -> i\nIF i > 2:\n    SYNC_THREADS", "threads of one block may part"),
        ("THREAD_ID -> i\nIF i > 2: RETURN\nBLOCK_REDUCE ADD i -> s", "threads of one block may part"),
        ("BLOCK_REDUCE XOR 1.5 -> s", "AND, OR and XOR are of integers"),
        ("WARP_REDUCE ADD true -> s", "a reduction is over numbers"),
        ("PARALLEL_MATMUL x x -> f", "three arrays of one type"),
        ("PARALLEL FOR p: PRINT p", "p is no parameter"),
        ("CALCULATE a = not 1", "not takes"),
        ("CALCULATE a = ~true", "~ takes an integer, not bool"),
        ("CALCULATE a = -true", "a bool is no number"),
        ("CALCULATE a = 1 and true", "and joins bools"),
        ("CALCULATE a = bits_f32(x[0] + i64(1))", "differ in width"),
        ("CALCULATE a = select(1, 2, 3)", "what selects is a bool"),
        ("THREAD_ID -> q", "q is a parameter (line 7); give the result another name"),
        ("CALCULATE a = clz(1.5)", "clz takes integers"),
    ],
)
def test_faults_have_a_line_a_caret_and_a_reason(code, message):
    text = thread_code(
        code,
        "GPU_PARAM x int[]",
        "GPU_PARAM f float[]",
        "GPU_PARAM c char[]",
        "GPU_PRIVATE p int[4]",
        "GPU_PARAM q int",
    )
    error = fails(text, message, "k.gpk:")
    assert error.line >= 9 and error.column >= 9
    assert str(error).splitlines()[2].endswith("^")


def test_one_fault_is_one_message():
    error = fails(
        thread_code("CALCULATE a = 1 + nothing\nADD a 1 -> b\nPRINT b\nCALCULATE c = other\nIF c > 1: PRINT c")
    )
    assert [each.line for each in (error, *error.others)] == [4, 7]


def test_functions_keep_their_rules():
    fails("FUNC f(a int) -> int:\n    IF a > 1: RETURN 1\n", "comes to its end without RETURN")
    fails("FUNC f(a int) -> int = g(a)\nFUNC g(a int) -> int = f(a)\n", "functions do not call themselves")
    fails("FUNC f(a int) -> int:\n    SYNC_THREADS\n    RETURN 1\n", "SYNC_THREADS stands in kernels")
    fails("FUNC f(a int) -> int = 1.5\n", "the function gives int")


def test_memory_beyond_what_there_is_is_refused():
    fails(thread_code("RETURN", "GPU_SHARED a f64[5000]"), "40000 bytes of shared memory")
    fails(thread_code("RETURN", "GPU_PRIVATE a f64[9000]"), "72000 bytes of private memory")
