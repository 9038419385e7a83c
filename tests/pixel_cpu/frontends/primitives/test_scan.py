from primitives_runs import thread_code

from pixel_cpu.frontends.primitives import scan
from pixel_cpu.frontends.primitives.lexer import Source
from pixel_cpu.frontends.primitives.parser import Parser

CODE = """
IF a > 0:
    FOR k IN 0..9: CALCULATE b = f(abs(k))
ELSE: STORE 1 -> x[i]
WHILE c < 3:
    CALCULATE c = g(c) + 1
    ATOMIC_ADD counts[0] 1 -> old
PARALLEL FOR d:
    TRANSFORM d -> r BY h(d)
CALCULATE b = 2
"""


def test_statements_of_all_blocks_are_found():
    body = Parser(Source(thread_code(CODE), "")).run().kernels[0].body
    assert [type(statement).__name__ for statement in scan.statements_inside(body)] == [
        *("If", "For", "Assign", "Assign", "While", "Assign", "Atomic", "ParallelFor", "Transform", "Assign")
    ]
    assert scan.assigned(body) == ["b", "c", "old"]
    assert scan.written(body) == {"x", "counts", "r"}
