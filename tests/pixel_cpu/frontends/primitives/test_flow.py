import numpy as np
import pytest
from primitives_runs import fails, launch, run, thread_code

from pixel_cpu.frontends.primitives import compile_source

N = 64


@pytest.mark.parametrize(
    "form",
    [
        "IF v < 10:\n    ADD v 1 -> v\nELIF v < 20:\n    ADD v 2 -> v\nELSE:\n    ADD v 3 -> v",
        "IF v < 10:\n    ADD v 1 -> v\nELIF v < 20:\n    ADD v 2 -> v\nELSE:\n    ADD v 3 -> v\nENDIF",
        "IF v < 10:\nADD v 1 -> v\nELIF v < 20:\nADD v 2 -> v\nELSE:\nADD v 3 -> v\nENDIF",
        "IF v < 10: ADD v 1 -> v ELIF v < 20: ADD v 2 -> v ELSE: ADD v 3 -> v ENDIF",
        "IF v < 10: ADD v 1 -> v ELIF v < 20: ADD v 2 -> v ELSE: ADD v 3 -> v",
        "IF v < 10: ADD v 1 -> v\nELIF v < 20: ADD v 2 -> v\nELSE: ADD v 3 -> v\nENDIF",
        "if v < 10:\n  add v 1 -> v\nelse:\n  if v < 20: add v 2 -> v else: add v 3 -> v\nendif",
        "IF v < 10:\nADD v 1 -> v\nELSE:\nIF v < 20:\nADD v 2 -> v\nELSE:\nADD v 3 -> v\nENDIF\nENDIF",
    ],
)
def test_every_form_of_if_means_the_same(form):
    x = np.arange(N, dtype=np.int32)
    code = f"THREAD_ID -> i\nLOAD x[i] -> v\n{form}\nSTORE v -> x[i]"
    run(thread_code(code, "GPU_PARAM x int[]"), N, x=x)
    old = np.arange(N)
    assert (x == np.where(old < 10, old + 1, np.where(old < 20, old + 2, old + 3))).all()


def test_loops_carry_break_and_continue():
    x = np.zeros(N, np.int32)
    code = """
        THREAD_ID -> i
        CALCULATE total = 0
        FOR k IN 0..i + 1:
            IF k % 3 == 0: CONTINUE
            IF k > 40: BREAK
            CALCULATE total = total + k
        CALCULATE n = 0
        WHILE true:
            CALCULATE n = n + 1
            IF n >= 5: BREAK
        FOR k IN 10..0 STEP -3: ADD n k -> n
        CALCULATE step = 7
        FOR k IN i..N STEP step:
        ADD total 1 -> total
        ENDFOR
        WHILE n > 1000:
            SUB n 1 -> n
        ENDWHILE
        STORE total + 1000 * n -> x[i]
    """
    run(thread_code(code, "GPU_PARAM x int[]", "GPU_PARAM N int"), N, x=x, N=N)
    for i in range(N):
        total = sum(k for k in range(i + 1) if k % 3 and k <= 40) + len(range(i, N, 7))
        assert x[i] == total + 1000 * (5 + 10 + 7 + 4 + 1)


def test_a_step_that_goes_nowhere_traps_its_lane():
    x = np.zeros(4, np.int32)
    code = "THREAD_ID -> i\nFOR k IN 0..10 STEP i:\n    STORE k -> x[i]"
    outcome = launch(compile_source(thread_code(code, "GPU_PARAM x int[]")), "k", 4, x=x)
    assert (outcome.traps, outcome.trap.reason) == (1, "STEP is not above 0")
    assert x.tolist() == [0, 9, 8, 9]


def test_parallel_for_covers_every_element_whatever_the_launch():
    for lanes, group in ((1, 32), (33, 32), (100, 7), (64, 64)):
        x = np.arange(257, dtype=np.float32)
        r = np.zeros(257, np.float32)
        s = np.zeros(300, np.int32)
        code = """
            PARALLEL FOR x:
                INDEX -> k
                TRANSFORM x -> r BY sqrt(x) + k
            PARALLEL FOR m IN 5..300:
                STORE m -> s[m]
        """
        run(
            thread_code(code, "GPU_PARAM x float[]", "GPU_PARAM r float[]", "GPU_PARAM s int[]"),
            lanes,
            group=group,
            x=x,
            r=r,
            s=s,
        )
        assert (r == np.sqrt(x) + x).all()
        assert (s == np.where(np.arange(300) < 5, 0, np.arange(300))).all()


def test_a_variable_without_a_value_on_some_way_is_refused():
    error = fails(
        thread_code("THREAD_ID -> i\nIF i > 2:\n    CALCULATE a = 1\nPRINT a"),
        "k.gpk:7:15",
        "a may have no value here",
        "line 5",
    )
    assert error.text == "        PRINT a"
    fails(thread_code("WHILE false:\n    CALCULATE a = 1\nPRINT a"), "a may have no value here")
    fails(thread_code("THREAD_ID -> i\nIF i > 2:\n    PRINT b\n    CALCULATE b = 1"), "b has no value yet")
    compile_source(thread_code("THREAD_ID -> i\nIF i > 2:\n    CALCULATE a = 1\nELSE:\n    RETURN\nPRINT a"))


def test_types_of_variables_are_those_of_their_first_assignment():
    fails(
        thread_code("CALCULATE x = 1\nCALCULATE x = x * 1.5"),
        "x is int since line 4, and this is float; write int(...)",
    )
    fails(thread_code("CALCULATE x = 1\nCALCULATE x = 2.5"), "x is int since line 4, and this is a float")
    compile_source(thread_code("CALCULATE x = 1.0\nCALCULATE x = 2"))
