"""The one table of operations: what each means for every input, and how each back end spells it.

The NumPy form is the definition; the reference executor evaluates it over arrays of lanes. The other forms must give the same
bits (floats: within the stated error), which a test checks over the edge values of every type. No back end adds a special case
elsewhere. A form is one string, or one for each kind of operand: ``i`` signed, ``u`` unsigned, ``f`` float, ``b`` bool.

===========  =======================================================================================
form         language and names
===========  =======================================================================================
``numpy``    Python; ``a b c`` arrays, ``t`` type of the first operand, ``r`` of the result, `numerics`
``numba``    Python that Numba compiles, on scalars; ``a b c``, ``r`` the constructor of the result's type, the functions of
             `backends.numba_lanes.scalars`, which has those of `numerics` again; without one the NumPy form
``c``        C11 with -fwrapv, on scalars; ``{a} {b} {c}`` operands, ``{T}`` type of the first operand,
             ``{U}`` its unsigned twin, ``{R}`` result, ``{t} {r}`` their names here, ``{bits}`` width,
             ``{least} {greatest}`` limits; of an atomic what the element ``{a}`` becomes
``vector``   GCC vector extensions, on vectors of ``{a} {b} {c}``; the same names; 8- and 16-bit integers lie in
             32-bit lanes and are wrapped by the back end; without one a loop over the C form
``wgsl``     WGSL; the same names; 8- and 16-bit integers are held in 32 bits and wrapped by the back end;
             a form may be for one type alone, by its name
``pair``     WGSL on 64-bit integers that are held as two words: always the function ``gb_NAME_{t}``
``z3``       Python; ``a b c`` Z3 expressions, ``t``, ``r`` types, ``z3`` the module, `symbolic`; None: not modelled
===========  =======================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .types import FLOATS, INDEXES, INTEGERS, NUMBERS, SIGNED, Type

Form = str | dict[str, str]
_BOOL = (Type.BOOL,)
_WORDS = (Type.I32, Type.U32, Type.I64, Type.U64)


@dataclass(frozen=True)
class Operation:
    """A row of the table.

    `signature` names operand and result types: ``T`` is one type of `over`, the same wherever it stands; ``U`` any other type.
    `effect` says what a back end may assume: a ``value`` depends on its operands alone, an ``id`` on the lane, ``memory`` reads or
    writes, ``control`` decides which lanes go on. `c_ulp` and `wgsl_ulp` bound the error of float results against the NumPy form,
    in units in the last place; `wgsl_absolute` is WGSL's bound where that is absolute. One that `is_costly` takes as long as many
    others: it is not computed where its result may not be needed.
    """

    name: str
    signature: str
    meaning: str
    over: tuple[Type, ...] = ()
    effect: str = "value"
    numpy: Form = ""
    c: Form = ""
    wgsl: Form = ""
    z3: Form | None = None
    numba: Form = field(default="", kw_only=True)
    vector: Form = field(default="", kw_only=True)
    c_ulp: float = field(default=0, kw_only=True)
    wgsl_ulp: float = field(default=0, kw_only=True)
    wgsl_absolute: float = field(default=0, kw_only=True)
    is_costly: bool = field(default=False, kw_only=True)

    def form(self, language: str, kind: Type) -> str | None:
        """How `language` (``numpy``, ``numba``, ``c``, ``vector``, ``wgsl``, ``pair``, ``z3``) spells it for operands of type `kind`; None: not at all."""
        found = self.wgsl if language == "pair" else getattr(self, language)
        if isinstance(found, dict):
            found = found.get(kind.value) or found.get("b" if kind is Type.BOOL else kind.value[0])
        if not found and language == "numba":
            return self.form("numpy", kind)
        if found and language == "pair" and not found.startswith("gb_"):
            count = len(self.signature.partition("->")[0].split())
            found = f"gb_{self.name}_{{t}}({', '.join(f'{{{name}}}' for name in 'abc'[:count])})"
        return found or None


def _math(name: str, meaning: str, *, c_ulp: float = 1, wgsl_ulp: float = 0, wgsl_absolute: float = 0) -> Operation:
    """A row of a transcendental function: float64 inside the reference, the C library's own in C.

    WGSL has it for `f32` alone, may flush subnormal results to zero, and bounds sine, cosine and tangent within ±π only.
    """
    numpy_name = {"asin": "arcsin", "acos": "arccos", "atan": "arctan"}.get(name, name)
    return Operation(
        name,
        "T -> T",
        meaning,
        FLOATS,
        numpy=f"np.{numpy_name}(a.astype(np.float64)).astype(r.dtype)",
        numba=f"r(np.{numpy_name}(f64(a)))",
        c=f"gb_math_{{t}}({name})({{a}})",
        wgsl={"f32": f"gb_{name}_f32({{a}})"},
        c_ulp=c_ulp,
        wgsl_ulp=wgsl_ulp,
        wgsl_absolute=wgsl_absolute,
        is_costly=True,
    )


def _compare(name: str, sign: str, words: str) -> Operation:
    ordered = {"<": "z3.ULT(a, b)", "<=": "z3.ULE(a, b)", ">": "z3.UGT(a, b)", ">=": "z3.UGE(a, b)"}.get(sign)
    plain = {"==": "z3.fpEQ(a, b)", "!=": "z3.Not(z3.fpEQ(a, b))"}.get(sign, f"a {sign} b")
    is_equality = ordered is None
    return Operation(
        name,
        "T T -> bool",
        f"Whether the first {words} the second; with a NaN {'true' if name == 'ne' else 'false'}.",
        NUMBERS + (_BOOL if is_equality else ()),
        numpy=f"a {sign} b",
        c=f"{{a}} {sign} {{b}}",
        vector=f"{{a}} {sign} {{b}}",
        # naga's != of floats is false with a NaN.
        wgsl="!({a} == {b})" if name == "ne" else f"{{a}} {sign} {{b}}",
        z3={"i": f"a {sign} b", "u": ordered or f"a {sign} b", "f": plain, "b": f"a {sign} b"},
    )


def _bits(name: str, sign: str, meaning: str, bool_z3: str) -> Operation:
    return Operation(
        name,
        "T T -> T",
        meaning,
        INTEGERS + _BOOL,
        numpy=f"a {sign} b",
        c=f"({{T}})({{a}} {sign} {{b}})",
        vector=f"{{a}} {sign} {{b}}",
        wgsl={
            "i": f"{{a}} {sign} {{b}}",
            "u": f"{{a}} {sign} {{b}}",
            "b": f"{{a}} {'!=' if sign == '^' else sign} {{b}}",
        },
        z3={"i": f"a {sign} b", "u": f"a {sign} b", "b": bool_z3},
    )


def _rounded(expression: str) -> dict[str, str]:
    """WGSL of a float expression that is rounded here: drivers fuse and reorder what they see through, and no word forbids it."""
    return {kind: f"gb_bits_{kind}(bitcast<u{kind[1:]}>({expression}))" for kind in ("f32", "f64")}


def _arithmetic(name: str, sign: str, meaning: str, over: tuple[Type, ...] = NUMBERS) -> Operation:
    return Operation(
        name,
        "T T -> T",
        meaning,
        over,
        numpy=f"a {sign} b",
        # Numba takes a signed overflow for one that never happens.
        numba={"i64": f"u64(a) {sign} u64(b)"},
        c=f"({{T}})({{a}} {sign} {{b}})",
        vector=f"{{a}} {sign} {{b}}",
        wgsl={"i": f"{{a}} {sign} {{b}}", "u": f"{{a}} {sign} {{b}}"} | _rounded(f"{{a}} {sign} {{b}}"),
        z3=f"a {sign} b",
    )


_VALUES = (
    _arithmetic("add", "+", "Sum; integers wrap, floats round to nearest even."),
    _arithmetic("sub", "-", "Difference; integers wrap, floats round to nearest even."),
    _arithmetic("mul", "*", "Product; integers wrap, floats round to nearest even."),
    Operation(
        "div",
        "T T -> T",
        "Quotient. Integers truncate towards zero; divided by zero gives the dividend, and so does the least divided by -1.",
        NUMBERS,
        numpy={"i": "divide(a, b)", "u": "divide(a, b)", "f": "a / b"},
        c={
            "i": "{b} == 0 || ({b} == -1 && {a} == {least}) ? {a} : ({T})({a} / {b})",
            "u": "{b} == 0 ? {a} : ({T})({a} / {b})",
            "f": "{a} / {b}",
        },
        vector={"i": "gb_vdiv_{t}({a}, {b})", "u": "gb_vdiv_{t}({a}, {b})", "f": "{a} / {b}"},
        wgsl={"i": "gb_div_{t}({a}, {b})", "u": "gb_div_{t}({a}, {b})"} | _rounded("{a} / {b}"),
        z3={"i": "z3.If(b == 0, a, a / b)", "u": "z3.If(b == 0, a, z3.UDiv(a, b))", "f": "a / b"},
        wgsl_ulp=2.5,
        is_costly=True,
    ),
    Operation(
        "rem",
        "T T -> T",
        "Remainder with the dividend's sign; by zero gives 0, and so does the least by -1.",
        INTEGERS,
        numpy="remainder(a, b)",
        c={
            "i": "{b} == 0 || {b} == -1 ? ({T})0 : ({T})({a} % {b})",
            "u": "{b} == 0 ? ({T})0 : ({T})({a} % {b})",
        },
        vector="gb_vrem_{t}({a}, {b})",
        wgsl="gb_rem_{t}({a}, {b})",
        z3={
            "i": "z3.If(b == 0, z3.BitVecVal(0, t.bits), z3.SRem(a, b))",
            "u": "z3.If(b == 0, z3.BitVecVal(0, t.bits), z3.URem(a, b))",
        },
        is_costly=True,
    ),
    Operation(
        "mulhi",
        "T T -> T",
        "The upper half of the product of twice the width.",
        _WORDS,
        numpy="multiply_high(a, b)",
        c={
            "i": "({T})((gb_wide_{t}){a} * {b} >> {bits})",
            "u": "({T})((gb_wide_{t}){a} * {b} >> {bits})",
        },
        vector="gb_vmulhi_{t}({a}, {b})",
        wgsl="gb_mulhi_{t}({a}, {b})",
        z3={
            "i": "z3.Extract(2 * t.bits - 1, t.bits, z3.SignExt(t.bits, a) * z3.SignExt(t.bits, b))",
            "u": "z3.Extract(2 * t.bits - 1, t.bits, z3.ZeroExt(t.bits, a) * z3.ZeroExt(t.bits, b))",
        },
    ),
    Operation(
        "min",
        "T T -> T",
        "The smaller one; of floats a quiet NaN where either is NaN, and -0 below +0.",
        NUMBERS,
        numpy={"i": "np.minimum(a, b)", "u": "np.minimum(a, b)", "f": "minimum(a, b)"},
        numba={"i": "a if a < b else b", "u": "a if a < b else b"},
        c={
            "i": "{a} < {b} ? {a} : {b}",
            "u": "{a} < {b} ? {a} : {b}",
            "f": "{a} != {a} || {b} != {b} ? {a} + {b} : {a} < {b} || ({a} == {b} && __builtin_signbit({a})) ? {a} : {b}",
        },
        vector={
            "i": "gb_select({a} < {b}, {a}, {b})",
            "u": "gb_select({a} < {b}, {a}, {b})",
            "f": "gb_select(({a} != {a}) | ({b} != {b}), {a} + {b}, "
            "gb_select(({a} < {b}) | (({a} == {b}) & gb_signbit_{t}({a})), {a}, {b}))",
        },
        wgsl={"i": "min({a}, {b})", "u": "min({a}, {b})", "f": "gb_min_{t}({a}, {b})"},
        z3={"i": "z3.If(a < b, a, b)", "u": "z3.If(z3.ULT(a, b), a, b)", "f": "minimum(a, b)"},
    ),
    Operation(
        "max",
        "T T -> T",
        "The larger one; of floats a quiet NaN where either is NaN, and +0 above -0.",
        NUMBERS,
        numpy={"i": "np.maximum(a, b)", "u": "np.maximum(a, b)", "f": "maximum(a, b)"},
        numba={"i": "a if a > b else b", "u": "a if a > b else b"},
        c={
            "i": "{a} > {b} ? {a} : {b}",
            "u": "{a} > {b} ? {a} : {b}",
            "f": "{a} != {a} || {b} != {b} ? {a} + {b} : {a} > {b} || ({a} == {b} && __builtin_signbit({b})) ? {a} : {b}",
        },
        vector={
            "i": "gb_select({a} > {b}, {a}, {b})",
            "u": "gb_select({a} > {b}, {a}, {b})",
            "f": "gb_select(({a} != {a}) | ({b} != {b}), {a} + {b}, "
            "gb_select(({a} > {b}) | (({a} == {b}) & gb_signbit_{t}({b})), {a}, {b}))",
        },
        wgsl={"i": "max({a}, {b})", "u": "max({a}, {b})", "f": "gb_max_{t}({a}, {b})"},
        z3={"i": "z3.If(a > b, a, b)", "u": "z3.If(z3.UGT(a, b), a, b)", "f": "maximum(a, b)"},
    ),
    Operation(
        "neg",
        "T -> T",
        "The negative; of the least integer itself, of a float the sign bit alone turns.",
        SIGNED + FLOATS,
        numpy="-a",
        numba={"i64": "u64(0) - u64(a)"},
        c="({T})(-{a})",
        vector="-{a}",
        wgsl={"i": "-{a}", "f": "gb_neg_{t}({a})"},
        z3={"i": "-a", "f": "z3.fpNeg(a)"},
    ),
    Operation(
        "abs",
        "T -> T",
        "The magnitude; of the least integer itself, of a float the sign bit cleared.",
        SIGNED + FLOATS,
        numpy="np.abs(a)",
        numba={"i64": "u64(0) - u64(a) if a < 0 else u64(a)", "i": "-a if a < 0 else a"},
        c={"i": "({T})({a} < 0 ? -{a} : {a})", "f": "gb_math_{t}(fabs)({a})"},
        vector={"i": "gb_select({a} < 0, -{a}, {a})", "f": "gb_vabs_{t}({a})"},
        wgsl={"i": "abs({a})", "f": "gb_abs_{t}({a})"},
        z3={"i": "z3.If(a < 0, -a, a)", "f": "z3.fpAbs(a)"},
    ),
    _bits("and", "&", "Both; bit by bit.", "z3.And(a, b)"),
    _bits("or", "|", "Either; bit by bit.", "z3.Or(a, b)"),
    _bits("xor", "^", "One but not both; bit by bit.", "z3.Xor(a, b)"),
    Operation(
        "not",
        "T -> T",
        "Each bit inverted.",
        INTEGERS + _BOOL,
        numpy="~a",
        numba={"b": "not a"},
        c={"i": "({T})~{a}", "u": "({T})~{a}", "b": "!{a}"},
        vector="~{a}",
        wgsl={"i": "~{a}", "u": "~{a}", "b": "!{a}"},
        z3={"i": "~a", "u": "~a", "b": "z3.Not(a)"},
    ),
    Operation(
        "shl",
        "T T -> T",
        "Shifted left; the count is taken modulo the width.",
        INTEGERS,
        numpy="a << shift_count(b)",
        c="({T})(({U}){a} << ({b} & ({bits} - 1)))",
        vector="{a} << ({b} & ({bits} - 1))",
        wgsl="gb_shl_{t}({a}, {b})",
        z3="a << (b & (t.bits - 1))",
    ),
    Operation(
        "shr",
        "T T -> T",
        "Shifted right, signed types with copies of the sign; the count is taken modulo the width.",
        INTEGERS,
        numpy="a >> shift_count(b)",
        c="({T})({a} >> ({b} & ({bits} - 1)))",
        vector="{a} >> ({b} & ({bits} - 1))",
        wgsl="gb_shr_{t}({a}, {b})",
        z3={"i": "a >> (b & (t.bits - 1))", "u": "z3.LShR(a, b & (t.bits - 1))"},
    ),
    Operation(
        "rotl",
        "T T -> T",
        "Rotated left; the count is taken modulo the width.",
        INTEGERS,
        numpy="rotate_left(a, b)",
        c="({T})((({U}){a} << ({b} & ({bits} - 1))) | (({U}){a} >> (-{b} & ({bits} - 1))))",
        vector="gb_vrotl_{t}({a}, {b})",
        wgsl="gb_rotl_{t}({a}, {b})",
        z3="z3.RotateLeft(a, b & (t.bits - 1))",
    ),
    Operation(
        "clz",
        "T -> T",
        "Number of zero bits above the highest set one; of zero the width.",
        _WORDS,
        numpy="leading_zeros(a)",
        c="({T})({a} == 0 ? {bits} : gb_builtin_{bits}(clz)(({U}){a}))",
        vector="gb_vclz_{t}({a})",
        wgsl="gb_clz_{t}({a})",
        z3="leading_zeros(a, t)",
    ),
    Operation(
        "ctz",
        "T -> T",
        "Number of zero bits below the lowest set one; of zero the width.",
        _WORDS,
        numpy="trailing_zeros(a)",
        c="({T})({a} == 0 ? {bits} : gb_builtin_{bits}(ctz)(({U}){a}))",
        vector="gb_vctz_{t}({a})",
        wgsl="gb_ctz_{t}({a})",
        z3="trailing_zeros(a, t)",
    ),
    Operation(
        "popcount",
        "T -> T",
        "Number of set bits.",
        _WORDS,
        numpy="count_ones(a)",
        c="({T})gb_builtin_{bits}(popcount)(({U}){a})",
        vector="gb_vpopcount_{t}({a})",
        wgsl="gb_popcount_{t}({a})",
        z3="count_ones(a, t)",
    ),
    _compare("eq", "==", "equals"),
    _compare("ne", "!=", "differs from"),
    _compare("lt", "<", "is less than"),
    _compare("le", "<=", "is at most"),
    _compare("gt", ">", "is greater than"),
    _compare("ge", ">=", "is at least"),
    Operation(
        "select",
        "bool T T -> T",
        "The second operand where the first is true, else the third.",
        NUMBERS + _BOOL,
        numpy="np.where(a, b, c)",
        numba="b if a else c",
        c="{a} ? {b} : {c}",
        vector="gb_select({a}, {b}, {c})",
        wgsl="select({c}, {b}, {a})",
        z3="z3.If(a, b, c)",
    ),
    Operation(
        "convert",
        "T -> U",
        "The value in another type: integers wrap, floats round to nearest even, a float to an integer truncates and saturates, "
        "NaN gives 0, a number to `bool` is whether it differs from zero.",
        NUMBERS + _BOOL,
        numpy="convert(a, r)",
        c="gb_convert_{t}_{r}({a})",
        vector="gb_vconvert_{t}_{r}({a})",
        wgsl="gb_convert_{t}_{r}({a})",
        z3="convert(a, t, r)",
    ),
    Operation(
        "bitcast",
        "T -> U",
        "The same bits as another type of the same width.",
        NUMBERS,
        numpy="a.view(r.dtype)",
        numba="bitcast(a, r)",
        c="gb_bitcast_{t}_{r}({a})",
        vector="gb_vbitcast_{t}_{r}({a})",
        wgsl="gb_bitcast_{t}_{r}({a})",
        z3="bitcast(a, t, r)",
    ),
    Operation(
        "fma",
        "T T T -> T",
        "Product plus third operand, rounded once.",
        FLOATS,
        numpy="fused_multiply_add(a, b, c)",
        c="gb_math_{t}(fma)({a}, {b}, {c})",
        vector="gb_vfma_{t}({a}, {b}, {c})",
        wgsl=_rounded("fma({a}, {b}, {c})"),
        z3="z3.fpFMA(z3.RNE(), a, b, c)",
        wgsl_ulp=float("inf"),
    ),
    Operation(
        "sqrt",
        "T -> T",
        "Square root, correctly rounded.",
        FLOATS,
        numpy="np.sqrt(a)",
        c="gb_math_{t}(sqrt)({a})",
        vector="gb_vsqrt_{t}({a})",
        wgsl=_rounded("sqrt({a})"),
        z3="z3.fpSqrt(z3.RNE(), a)",
        wgsl_ulp=4,
    ),
    Operation(
        "floor",
        "T -> T",
        "The greatest integer not above.",
        FLOATS,
        numpy="np.floor(a)",
        c="gb_math_{t}(floor)({a})",
        vector="gb_vfloor_{t}({a})",
        wgsl="floor({a})",
        z3="z3.fpRoundToIntegral(z3.RTN(), a)",
    ),
    Operation(
        "ceil",
        "T -> T",
        "The least integer not below.",
        FLOATS,
        numpy="np.ceil(a)",
        c="gb_math_{t}(ceil)({a})",
        vector="gb_vceil_{t}({a})",
        wgsl="ceil({a})",
        z3="z3.fpRoundToIntegral(z3.RTP(), a)",
    ),
    Operation(
        "trunc",
        "T -> T",
        "The integer next to it towards zero.",
        FLOATS,
        numpy="np.trunc(a)",
        c="gb_math_{t}(trunc)({a})",
        vector="gb_vtrunc_{t}({a})",
        wgsl={"f32": "trunc({a})", "f64": "gb_trunc_f64({a})"},
        z3="z3.fpRoundToIntegral(z3.RTZ(), a)",
    ),
    Operation(
        "nearest",
        "T -> T",
        "The nearest integer, ties to even.",
        FLOATS,
        numpy="np.rint(a)",
        c="gb_math_{t}(rint)({a})",
        vector="gb_vrint_{t}({a})",
        wgsl={"f32": "round({a})", "f64": "gb_nearest_f64({a})"},
        z3="z3.fpRoundToIntegral(z3.RNE(), a)",
    ),
    _math("sin", "Sine of radians.", wgsl_absolute=2**-11),
    _math("cos", "Cosine of radians.", wgsl_absolute=2**-11),
    _math("tan", "Tangent of radians.", wgsl_ulp=float("inf")),
    _math("asin", "Angle in radians whose sine it is; NaN outside [-1, 1].", wgsl_absolute=2**-10),
    _math("acos", "Angle in radians whose cosine it is; NaN outside [-1, 1].", wgsl_absolute=2**-10),
    _math("atan", "Angle in radians whose tangent it is.", wgsl_ulp=4096),
    _math("tanh", "Hyperbolic tangent.", c_ulp=2, wgsl_absolute=2**-10),
    _math("exp", "e to its power.", wgsl_ulp=64),
    _math("exp2", "2 to its power.", wgsl_ulp=64),
    _math(
        "log", "Natural logarithm; of a negative number NaN, of zero minus infinity.", wgsl_ulp=8, wgsl_absolute=2**-20
    ),
    _math(
        "log2",
        "Logarithm of base 2; of a negative number NaN, of zero minus infinity.",
        wgsl_ulp=8,
        wgsl_absolute=2**-20,
    ),
    Operation(
        "pow",
        "T T -> T",
        "The first to the power of the second, as C's `pow`.",
        FLOATS,
        numpy="np.power(a.astype(np.float64), b.astype(np.float64)).astype(r.dtype)",
        numba="r(np.power(f64(a), f64(b)))",
        c="gb_math_{t}(pow)({a}, {b})",
        wgsl={"f32": "gb_pow_f32({a}, {b})"},
        c_ulp=1,
        wgsl_ulp=float("inf"),
        is_costly=True,
    ),
)

_IDS = tuple(
    Operation(name, "-> u32", meaning, effect="id")
    for name, meaning in (
        ("global_id", "Number of the lane in the launch, from 0."),
        ("local_id", "Number of the lane in its group, from 0."),
        ("group_id", "Number of the lane's group, from 0."),
        ("group_size", "Lanes of a full group."),
        ("group_count", "Groups of the launch."),
        ("lane_count", "Lanes of the launch; the last group has fewer than a full one where they do not fit."),
    )
)

_MEMORY = (
    Operation(
        "const",
        "-> T",
        "A literal of its type; floats keep every bit.",
        NUMBERS + _BOOL,
        effect="value",
    ),
    Operation("length", "@memory -> u32", "Elements of a memory object.", effect="value"),
    Operation(
        "load",
        "@memory T -> U",
        "The element at an index. A `u8` memory also gives wider types: the index counts bytes, little end first, at any alignment. "
        "An index outside is a trap, or (`clamp`) the nearest element, 0 where the memory is empty; `proved` ones are not checked.",
        INDEXES,
        effect="memory",
    ),
    Operation(
        "store",
        "@memory T U ->",
        "Write an element. An index outside is a trap, or (`clamp`) nothing is written. Lanes that write one element in one step "
        "leave one of their values; no order is promised.",
        INDEXES,
        effect="memory",
    ),
    *(
        Operation(
            f"atomic_{name}",
            "@memory T U -> U",
            f"{meaning}; gives the old value. Lanes follow one another in any order. An index outside is a trap, or (`clamp`) "
            "nothing is written and the old value is 0.",
            INDEXES,
            effect="memory",
            c=becomes,
        )
        for name, meaning, becomes in (
            ("add", "Add to an element, as `add`", "{a} + {b}"),
            ("min", "Lower an element to a value, as `min`", "{b} < {a} ? {b} : {a}"),
            ("max", "Raise an element to a value, as `max`", "{b} > {a} ? {b} : {a}"),
            ("and", "Clear bits of an element, as `and`", "{a} & {b}"),
            ("or", "Set bits of an element, as `or`", "{a} | {b}"),
            ("xor", "Invert bits of an element, as `xor`", "{a} ^ {b}"),
            ("exchange", "Replace an element", "{b}"),
        )
    ),
    Operation(
        "atomic_cas",
        "@memory T U U -> U",
        "Where the element equals the first value, replace it by the second; gives the old value. An index outside as for the others.",
        INDEXES,
        effect="memory",
        c="{a} == {b} ? {c} : {a}",
    ),
)

_CONTROL = (
    Operation(
        "if",
        "bool -> U...",
        "Run the first region where the operand is true, else the second; results are what the region yields.",
        effect="control",
    ),
    Operation(
        "switch",
        "T -> U...",
        "Run the region of the case that equals the operand, else the default.",
        _WORDS,
        effect="control",
    ),
    Operation(
        "block", "-> U...", "Run the region once; a `break` to its label leaves it with results.", effect="control"
    ),
    Operation(
        "loop",
        "U... -> V...",
        "Run the region with the operands as its parameters, again at each `continue` to its label, until a `break` to its label leaves with results.",
        effect="control",
    ),
    Operation("yield", "U... ->", "End a region of `if`, `switch` or `block` with its results.", effect="control"),
    Operation(
        "break",
        "^label U... ->",
        "Leave the labelled `block` or `loop`, any number of levels out, with its results.",
        effect="control",
    ),
    Operation(
        "continue",
        "^label U... ->",
        "Start the labelled `loop` again with new parameters; burns fuel of the lane, 1 unless stated.",
        effect="control",
    ),
    Operation("return", "U... ->", "Leave the function with its results.", effect="control"),
    Operation(
        "call",
        "@function U... -> V...",
        "Run a function of the module; functions do not call themselves, directly or through others.",
        effect="control",
    ),
    Operation(
        "barrier",
        "->",
        "Wait until all lanes of the group are here; what they wrote before is visible after. In uniform control flow only.",
        effect="control",
    ),
    Operation(
        "trap",
        '"reason" ->',
        "End this lane; the launch goes on with the others, and raises the trap of the lowest lane at its end.",
        effect="control",
    ),
    Operation(
        "print",
        '"text" U... ->',
        "Append a line for debugging; the launch gives them in order of lane, then of time.",
        effect="control",
    ),
    Operation(
        "host_call",
        '"name" U... -> V...',
        "Call a function that the launch was given, once for each lane, in order of lane.",
        effect="control",
    ),
)

OPERATIONS: dict[str, Operation] = {row.name: row for row in (*_VALUES, *_IDS, *_MEMORY, *_CONTROL)}
"""Every operation by name."""

TERMINATORS = ("yield", "break", "continue", "return", "trap")
"""What ends a region; nothing follows them."""
