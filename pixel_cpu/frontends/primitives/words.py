"""The words of the primitives language: one table of statements, one of types, one of functions.

The parser looks statements up here, the docs and the editor's syntax file are generated from here, and near names are sought here.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from ...ir.types import Type


@dataclass(frozen=True)
class Word:
    """A word that begins a statement: how it is written, what it means, and which part of the parser reads it.

    `reader` names a method of the parser, `operation` a function of `FUNCTIONS` or the stem of an atomic, where the word has one.
    """

    name: str
    form: str
    meaning: str
    reader: str
    operation: str = ""


@dataclass(frozen=True)
class Function:
    """A function of expressions. `row` is the operation of the IR that it is, where it is just that."""

    name: str
    arity: int
    meaning: str
    row: str = ""


TYPES: dict[str, Type] = {
    "int": Type.I32,
    "float": Type.F32,
    "char": Type.U8,
    "pixel": Type.U32,
} | {kind.value: kind for kind in Type}
"""Types by the names that the language has for them."""

TYPE_NAMES: dict[Type, str] = {kind: kind.value for kind in Type} | {
    Type.I32: "int",
    Type.F32: "float",
    Type.U8: "char",
}
"""The name that messages use for a type."""

CONSTANTS: dict[str, float | bool] = {
    "true": True,
    "false": False,
    "pi": 3.141592653589793,
    "inf": float("inf"),
    "nan": float("nan"),
}

FUNCTIONS: dict[str, Function] = {
    row.name: row
    for row in (
        Function("abs", 1, "magnitude", "abs"),
        Function("min", 2, "the smaller one", "min"),
        Function("max", 2, "the larger one", "max"),
        Function("clamp", 3, "the first, but at least the second and at most the third"),
        Function("select", 3, "the second where the first is true, else the third; all three are computed", "select"),
        Function("fma", 3, "product of two plus the third, rounded once", "fma"),
        Function("sqrt", 1, "square root", "sqrt"),
        Function("floor", 1, "the greatest integer not above, as a float", "floor"),
        Function("ceil", 1, "the least integer not below, as a float", "ceil"),
        Function("trunc", 1, "the integer next to it towards zero, as a float", "trunc"),
        Function("round", 1, "the nearest integer, ties to even, as a float", "nearest"),
        Function("sin", 1, "sine of radians", "sin"),
        Function("cos", 1, "cosine of radians", "cos"),
        Function("tan", 1, "tangent of radians", "tan"),
        Function("asin", 1, "angle in radians of a sine", "asin"),
        Function("acos", 1, "angle in radians of a cosine", "acos"),
        Function("atan", 1, "angle in radians of a tangent", "atan"),
        Function("tanh", 1, "hyperbolic tangent", "tanh"),
        Function("exp", 1, "e to its power", "exp"),
        Function("exp2", 1, "2 to its power", "exp2"),
        Function("log", 1, "natural logarithm", "log"),
        Function("log2", 1, "logarithm of base 2", "log2"),
        Function("pow", 2, "the first to the power of the second", "pow"),
        Function("rotl", 2, "rotated left by a count", "rotl"),
        Function("rotr", 2, "rotated right by a count"),
        Function("clz", 1, "zero bits above the highest set one", "clz"),
        Function("ctz", 1, "zero bits below the lowest set one", "ctz"),
        Function("popcount", 1, "number of set bits", "popcount"),
        Function("mulhi", 2, "upper half of the product", "mulhi"),
        Function("length", 1, "number of elements of an array"),
        Function("rgba", 4, "a pixel of four parts, each an integer of which 0 to 255 is kept"),
        Function("red", 1, "lowest byte of a pixel, 0 to 255"),
        Function("green", 1, "second byte of a pixel"),
        Function("blue", 1, "third byte of a pixel"),
        Function("alpha", 1, "highest byte of a pixel"),
    )
}
"""Functions of expressions; besides them each type is a cast (``int(x)``) and ``bits_TYPE(x)`` takes the same bits as that type."""

FLOAT_ROWS = {
    *("sqrt", "floor", "ceil", "trunc", "nearest", "sin", "cos", "tan", "asin", "acos", "atan", "tanh"),
    *("exp", "exp2", "log", "log2", "pow", "fma"),
}
"""Operations that exist for floats only; integers given to them become floats."""

BINARY_WORDS = {
    **{"ADD": "+", "SUB": "-", "MUL": "*", "DIV": "/", "MOD": "%"},
    **{"AND": "&", "OR": "|", "XOR": "^", "SHL": "<<", "SHR": ">>"},
}
"""Words that are an operator of expressions."""


def _function_words() -> Iterable[Word]:
    for function in FUNCTIONS.values():
        if function.name in ("length", "rgba", "red", "green", "blue", "alpha", "select"):
            continue
        operands = " ".join("abc"[: function.arity])
        word = function.name.upper()
        yield Word(
            word, f"{word} {operands} -> r", f"r is {function.name}: {function.meaning}", "function", function.name
        )


STATEMENTS: dict[str, Word] = {
    row.name: row
    for row in (
        Word("GPU_KERNEL", "GPU_KERNEL name [LATENCY_CRITICAL]", "begin a kernel", "kernel"),
        Word("GPU_PARAM", "GPU_PARAM name type", "a parameter: a value, or an array with `type[]`", "member"),
        Word("GPU_SHARED", "GPU_SHARED name type[n]", "an array of the block, zero at its start", "member"),
        Word("GPU_PRIVATE", "GPU_PRIVATE name type[n]", "an array of the thread, zero at its start", "member"),
        Word("GPU_THREADS", "GPU_THREADS n", "threads of a block where the launch states none; else 32", "member"),
        Word("GPU_BOUNDS", "GPU_BOUNDS trap|clamp", "what an index outside an array does; else `trap`", "member"),
        Word("GPU_THREAD_CODE", "GPU_THREAD_CODE:", "what each thread does", "member"),
        Word("GPU_END", "GPU_END", "end a kernel", "stray"),
        Word(
            "FUNC",
            "FUNC name(a type, ...) -> type:",
            "a function of values; `= expression` in place of `:` is short",
            "func",
        ),
        Word("RETURN", "RETURN [expression]", "end the thread, or a function with its result", "return_"),
        Word("ENDFUNC", "ENDFUNC", "end a function", "stray"),
        Word("THREAD_ID", "THREAD_ID -> v", "number of the thread in the launch, an int", "identity", "global_id"),
        Word("BLOCK_ID", "BLOCK_ID -> v", "number of the block", "identity", "group_id"),
        Word("LOCAL_ID", "LOCAL_ID -> v", "number of the thread in its block", "identity", "local_id"),
        Word("BLOCK_SIZE", "BLOCK_SIZE -> v", "threads of a full block", "identity", "group_size"),
        Word("BLOCK_COUNT", "BLOCK_COUNT -> v", "blocks of the launch", "identity", "group_count"),
        Word("THREAD_COUNT", "THREAD_COUNT -> v", "threads of the launch", "identity", "lane_count"),
        Word("INDEX", "INDEX -> v", "number of the element in `PARALLEL FOR d:`", "index"),
        Word(
            "LOAD",
            "LOAD a[i] [AS type] -> v",
            "read an element; AS reads wider values of a char array at byte i",
            "load",
        ),
        Word("STORE", "STORE v -> a[i] [AS type]", "write an element", "store"),
        Word("CALCULATE", "CALCULATE x = expression", "assign to a variable or an element", "calculate"),
        Word(
            "CALCULATE_PIXEL",
            "CALCULATE_PIXEL r, g, b[, a] -> p",
            "pack parts, floats of 0 to 1 or ints of 0 to 255, kept in range",
            "pixel",
        ),
        Word("COMPARE", "COMPARE a < b -> c", "c is a bool", "compare"),
        Word("GPU_SELECT", "GPU_SELECT c a b -> r", "r is a where c is true, else b", "function", "select"),
        *(Word(word, f"{word} a b -> r", f"r is `a {sign} b`", "binary", sign) for word, sign in BINARY_WORDS.items()),
        Word("NOT", "NOT a -> r", "r is `not a` of a bool, `~a` of an integer", "unary", "~"),
        Word("NEG", "NEG a -> r", "r is `-a`", "unary", "-"),
        *_function_words(),
        Word("IF", "IF condition:", "what is indented, or stands before ENDIF, where the condition is true", "if_"),
        Word("ELIF", "ELIF condition:", "else, where this condition is true", "stray"),
        Word("ELSE", "ELSE:", "else", "stray"),
        Word("ENDIF", "ENDIF", "end an IF; optional after an indented one", "stray"),
        Word("WHILE", "WHILE condition:", "again and again, as long as the condition is true", "while_"),
        Word("ENDWHILE", "ENDWHILE", "end a WHILE", "stray"),
        Word("FOR", "FOR i IN a..b [STEP s]:", "for i of a, a + s, ... below b (above b where s is negative)", "for_"),
        Word("ENDFOR", "ENDFOR", "end a FOR or a PARALLEL FOR", "stray"),
        Word("BREAK", "BREAK", "leave the loop", "jump"),
        Word("CONTINUE", "CONTINUE", "begin the next turn of the loop", "jump"),
        Word(
            "PARALLEL",
            "PARALLEL FOR d:",
            "for each element of array d, or `i IN a..b`, spread over all threads",
            "parallel",
        ),
        Word(
            "TRANSFORM",
            "TRANSFORM d -> r [BY expression]",
            "r[i] is the expression for each element d; else d itself",
            "transform",
        ),
        Word(
            "PARALLEL_MATMUL",
            "PARALLEL_MATMUL a b -> c [SIZE m n k]",
            "matrix product, row by row; without SIZE of square ones",
            "matmul",
        ),
        Word("SYNC_THREADS", "SYNC_THREADS", "wait for the other threads of the block", "sync"),
        *(
            Word(
                f"ATOMIC_{name}",
                f"ATOMIC_{name} a[i] v [-> old]",
                f"{meaning} at once",
                "atomic",
                f"atomic_{name.lower()}",
            )
            for name, meaning in (
                ("ADD", "add to an element"),
                ("MIN", "lower an element"),
                ("MAX", "raise an element"),
                ("AND", "clear bits of an element"),
                ("OR", "set bits of an element"),
                ("XOR", "invert bits of an element"),
                ("EXCHANGE", "replace an element"),
            )
        ),
        Word(
            "ATOMIC_CAS",
            "ATOMIC_CAS a[i] expected new [-> old]",
            "replace an element that equals `expected`",
            "atomic",
            "atomic_cas",
        ),
        Word(
            "WARP_REDUCE",
            "WARP_REDUCE op v -> r",
            "op over the 32 threads of a warp; all get the result",
            "reduce",
            "warp",
        ),
        Word(
            "BLOCK_REDUCE",
            "BLOCK_REDUCE op v -> r",
            "op over the threads of a block; all get the result",
            "reduce",
            "block",
        ),
        Word("TRAP", 'TRAP "reason"', "end the thread with an error", "trap"),
        Word("PRINT", 'PRINT ["text"] a b ...', "a line for debugging", "print_"),
        Word("GPU_ALLOC", "GPU_ALLOC name type[n]", "host: an array on the device, zero", "host_alloc"),
        Word("GPU_COPY", "GPU_COPY source -> target", "host: copy an array to, from or on the device", "host_copy"),
        Word("GPU_FREE", "GPU_FREE name", "host: give an array back", "host_free"),
        Word(
            "GPU_LAUNCH",
            "GPU_LAUNCH name BLOCKS n THREADS m [parameter=value ...]",
            "host: start a kernel",
            "host_launch",
        ),
        Word("GPU_SYNC", "GPU_SYNC", "host: wait for what was started", "host_sync"),
    )
}
"""Every word that begins a statement."""

MINOR_WORDS = (
    *("IN", "STEP", "AS", "BY", "SIZE", "BLOCKS", "THREADS", "LATENCY_CRITICAL"),
    *("AND", "OR", "NOT"),
)
"""Words inside statements."""

REDUCTIONS = {"ADD": "add", "MUL": "mul", "MIN": "min", "MAX": "max", "AND": "and", "OR": "or", "XOR": "xor"}
"""What WARP_REDUCE and BLOCK_REDUCE take, with its operation."""

RESERVED_IN_ANY_CASE = {"and", "or", "not", "if", "elif", "else", "endif"}


def is_reserved(name: str) -> bool:
    """Whether nothing of a program may have this name. Words are reserved in upper case only, so that `index` is free."""
    return (
        name in STATEMENTS
        or name in MINOR_WORDS
        or name.lower() in RESERVED_IN_ANY_CASE
        or name in TYPES
        or name in CONSTANTS
    )


def near(name: str, among: Iterable[str]) -> str:
    """The part of a message that proposes a name like `name`, or nothing."""
    by_lower = {each.lower(): each for each in among}
    found = difflib.get_close_matches(name.lower()[:64], by_lower, 1, 0.6)
    return f"; did you mean {by_lower[found[0]]}?" if found else ""
