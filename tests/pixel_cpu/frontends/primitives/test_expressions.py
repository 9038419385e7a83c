import numpy as np
import pytest
from primitives_runs import run, thread_code

from pixel_cpu.frontends.primitives.words import FUNCTIONS, STATEMENTS

N = 96
RNG = np.random.default_rng(7)
A = RNG.integers(-1000, 1000, N).astype(np.int32)
B = RNG.integers(-9, 9, N).astype(np.int32)
X = RNG.uniform(0.01, 0.99, N).astype(np.float32)
Y = RNG.uniform(-5, 5, N).astype(np.float32)
U = RNG.integers(0, 1 << 32, N, dtype=np.uint32)
C = RNG.integers(0, 256, N).astype(np.uint8)
L = RNG.integers(-(1 << 62), 1 << 62, N)
F, INT = np.float32, np.int32
NAMES = {
    "a": ("int", A),
    "b": ("int", B),
    "x": ("float", X),
    "y": ("float", Y),
    "u": ("u32", U),
    "c": ("char", C),
    "l": ("i64", L),
}


def quotient(a, b):
    return np.where(b == 0, a, np.trunc(a / np.where(b == 0, 1, b))).astype(INT)


def values(statement, kind, name="r"):
    """What a statement gives as `r` in each lane, with a variable for each of `NAMES`."""
    out = np.zeros(
        N, {"int": INT, "float": F, "u32": np.uint32, "i64": np.int64, "f64": np.float64, "char": np.uint8}[kind]
    )
    loads = "\n".join(f"LOAD m{each}[i] -> {each}" for each in NAMES)
    declared = [f"GPU_PARAM m{each} {type_name}[]" for each, (type_name, _) in NAMES.items()]
    code = f"THREAD_ID -> i\n{loads}\n{statement}\nSTORE {name} -> out[i]"
    given = {f"m{each}": array.copy() for each, (_, array) in NAMES.items()}
    run(thread_code(code, *declared, f"GPU_PARAM out {kind}[]"), N, out=out, **given)
    return out


def shift(array, b):
    return (b & (array.dtype.itemsize * 8 - 1)).astype(array.dtype)


WORDS = [
    ("ADD a b -> r", "int", A + B),
    ("SUB a b -> r", "int", A - B),
    ("SUB a -1 -> r", "int", A + 1),
    ("MUL a b -> r", "int", A * B),
    ("MUL x a -> r", "float", X * A.astype(F)),
    ("DIV x y -> r", "float", X / Y),
    ("DIV a b -> r", "int", quotient(A, B)),
    ("MOD a 7 -> r", "int", np.fmod(A, 7)),
    ("MIN a b -> r", "int", np.minimum(A, B)),
    ("MAX x (y * 2) -> r", "float", np.maximum(X, Y * F(2))),
    ("AND a b -> r", "int", A & B),
    ("OR a, b -> r", "int", A | B),
    ("XOR u 255 -> r", "u32", U ^ np.uint32(255)),
    ("SHL a b -> r", "int", A << shift(A, B)),
    ("SHR a b -> r", "int", A >> shift(A, B)),
    ("SHR u 3 -> r", "u32", U >> np.uint32(3)),
    ("ROTL u 5 -> r", "u32", U << np.uint32(5) | U >> np.uint32(27)),
    ("ROTR u 5 -> r", "u32", U >> np.uint32(5) | U << np.uint32(27)),
    ("ROTR u b -> r", "u32", U >> shift(U, B) | U << shift(U, -B)),
    ("NOT a -> r", "int", ~A),
    ("NEG a -> r", "int", -A),
    ("NEG u -> r", "u32", -U),
    ("ABS a -> r", "int", np.abs(A)),
    ("ABS y -> r", "float", np.abs(Y)),
    ("CLAMP y -1 1 -> r", "float", np.clip(Y, F(-1), F(1))),
    ("SQRT x -> r", "float", np.sqrt(X)),
    ("FLOOR y -> r", "float", np.floor(Y)),
    ("CEIL y -> r", "float", np.ceil(Y)),
    ("TRUNC y -> r", "float", np.trunc(Y)),
    ("ROUND y -> r", "float", np.rint(Y)),
    *(
        (f"{word} {name} -> r", "float", function(array.astype(np.float64)).astype(F))
        for word, name, array, function in (
            *(("SIN", "y", Y, np.sin), ("COS", "y", Y, np.cos), ("TAN", "y", Y, np.tan), ("TANH", "y", Y, np.tanh)),
            *(("ASIN", "x", X, np.arcsin), ("ACOS", "x", X, np.arccos), ("ATAN", "y", Y, np.arctan)),
            *(("EXP", "y", Y, np.exp), ("EXP2", "y", Y, np.exp2), ("LOG", "x", X, np.log), ("LOG2", "x", X, np.log2)),
        )
    ),
    ("POW x y -> r", "float", (X.astype(np.float64) ** Y.astype(np.float64)).astype(F)),
    ("FMA x y x -> r", "float", (X.astype(np.float64) * Y + X).astype(F)),
    ("CLZ u -> r", "u32", [32 - int(v).bit_length() for v in U]),
    ("CTZ u -> r", "u32", [(int(v) & -int(v)).bit_length() - 1 if v else 32 for v in U]),
    ("POPCOUNT u -> r", "u32", [int(v).bit_count() for v in U]),
    ("MULHI u u -> r", "u32", [int(v) * int(v) >> 32 for v in U]),
    ("GPU_SELECT (a < b) a b -> r", "int", np.minimum(A, B)),
    ("COMPARE a < b -> t\nGPU_SELECT t 1 0 -> r", "int", A < B),
    ("COMPARE x >= y -> t\nNOT t -> t\nCALCULATE r = int(t)", "int", X < Y),
]


@pytest.mark.parametrize(("statement", "kind", "wanted"), WORDS, ids=[row[0] for row in WORDS])
def test_a_word_is_numpys(statement, kind, wanted):
    assert (values(statement, kind) == wanted).all()


def test_every_word_of_a_function_is_tried():
    tried = {row[0].split()[0] for row in WORDS}
    assert {word.name for word in STATEMENTS.values() if word.reader in ("binary", "unary", "function")} <= tried


EXPRESSIONS = [
    ("a + b * 2 - -b", "int", A + B * 2 + B),
    ("(a + b) * 2", "int", (A + B) * 2),
    ("a - b - 3", "int", A - B - 3),
    ("a * 2 / 3", "int", quotient(A * 2, np.full(N, 3))),
    ("-x ** 2", "float", -((X.astype(np.float64) ** 2).astype(F))),
    ("2 ** 3 ** 2 + 0 * x", "float", np.full(N, 512, F)),
    ("a & 12 | b ^ 3", "int", A & 12 | B ^ 3),
    ("a & 3 == 0 or false", "bool", A & 3 == 0),
    ("1 + 2 << 3 & 0xff", "int", np.full(N, 24)),
    ("a < b == (x < y)", "refused", None),
    ("(a < b) == (x < y)", "bool", (A < B) == (X < Y)),
    ("not a < b and x < y or a == b", "bool", ~(A < B) & (X < Y) | (A == B)),
    ("a < 0 AND NOT b > 0", "bool", (A < 0) & ~(B > 0)),
    ("c + 1", "int", C.astype(INT) + 1),
    ("c - 'A'", "int", C.astype(INT) - 65),
    ("c == 300", "bool", np.zeros(N, bool)),
    ("char(c + 200)", "char", C + np.uint8(200)),
    ("u + c", "u32", U + C),
    ("u * 16777619", "u32", U * np.uint32(16777619)),
    ("u ^ 0xdeadbeef", "u32", U ^ np.uint32(0xDEADBEEF)),
    ("l + a", "i64", L + A),
    ("l / 0b101", "i64", [abs(int(v)) // 5 * (1 if v > 0 else -1) for v in L]),
    ("a * 0.5", "float", A.astype(F) * F(0.5)),
    ("a / 2.0", "float", A.astype(F) / F(2)),
    ("f64(x) * y", "f64", X.astype(np.float64) * Y),
    ("int(y)", "int", Y.astype(INT)),
    ("int(1e30 * y)", "int", np.where(Y > 0, 2147483647, -2147483648)),
    ("float(a)", "float", A.astype(F)),
    ("i64(u)", "i64", U.astype(np.int64)),
    ("u32(-1) + u32(a)", "u32", A.astype(np.uint32) - np.uint32(1)),
    ("bits_i32(x)", "int", X.view(INT)),
    ("bits_float(u & 0x3fffffff)", "float", (U & np.uint32(0x3FFFFFFF)).view(F)),
    ("select(a < b, x, y)", "float", np.where(A < B, X, Y)),
    ("max(min(a, 5), -5)", "int", np.clip(A, -5, 5)),
    ("red(u) + 2 * green(u) + 3 * blue(u) + 4 * alpha(u)", "int", None),
    ("length(ma) + a", "int", A + N),
    ("ma[i] + ma[length(ma) - 1 - i]", "int", A + A[::-1]),
    ("sin(pi * x) ** 2", "float", None),
    ("clamp(y, 0, 1)", "float", np.clip(Y, F(0), F(1))),
    ("nan == nan or inf > x", "bool", np.ones(N, bool)),
    ("rotl(c, 1)", "char", C << np.uint8(1) | C >> np.uint8(7)),
    ("1_000 + a", "int", A + 1000),
]


@pytest.mark.parametrize(("text", "kind", "wanted"), EXPRESSIONS, ids=[row[0] for row in EXPRESSIONS])
def test_an_expression_is_numpys(text, kind, wanted):
    if kind == "refused":
        with pytest.raises(Exception, match="comparisons do not chain"):
            values(f"CALCULATE r = {text}", "int")
        return
    if wanted is None:
        wanted = {
            "sin(pi * x) ** 2": lambda: (
                np.sin((F(np.pi) * X).astype(np.float64)).astype(F).astype(np.float64) ** 2
            ).astype(F),
        }.get(text, lambda: sum((n + 1) * (U >> np.uint32(8 * n) & np.uint32(255)).astype(INT) for n in range(4)))()
    found = values(f"CALCULATE r = {text}", "int" if kind == "bool" else kind, "int(r)" if kind == "bool" else "r")
    assert (found == wanted).all()


def test_every_function_is_tried():
    text = " ".join(row[0] for row in (*EXPRESSIONS, *WORDS)).lower()
    assert [name for name in FUNCTIONS if name not in text and name not in ("rgba",)] == []
