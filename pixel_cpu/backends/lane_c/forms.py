"""The table's C and vector forms, filled in, and the helpers that they name.

A *unit* is what one vector expression computes: the W lanes of a register, or half of them where a 64-bit type takes part.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...ir.bits import to_bits
from ...ir.operations import OPERATIONS
from ...ir.types import Type

SCALAR = {kind: {"i": f"int{kind.bits}_t", "u": f"uint{kind.bits}_t"}.get(kind.value[0], "") for kind in Type} | {
    Type.BOOL: "_Bool",
    Type.F32: "float",
    Type.F64: "double",
}
"""The C type of a scalar."""


def lanes_of(kind: Type, *, half: bool = False) -> str:
    """The vector type that holds a kind: of W lanes, or of W / 2."""
    letter = {"b": "i", "i": "i", "u": "u", "f": "f"}[kind.value[0]]
    if kind.bits == 64:
        return "wd" if letter == "f" else f"w{letter}"
    return f"{'h' if half else 'v'}{letter}"


def is_wide(kinds: Sequence[Type]) -> bool:
    """Whether a unit of an operation over these types is half a register."""
    return any(kind.bits == 64 for kind in kinds)


def literal(value: int | float | bool, kind: Type) -> str:
    """A literal of a kind; floats by their bits."""
    if kind is Type.BOOL:
        return "1" if value else "0"
    if kind.is_float:
        return f"gb_bits_{kind.value}({to_bits(value, kind):#x}u{'ll' if kind is Type.F64 else ''})"
    if kind.is_signed:
        # The least has no literal of its own in C.
        return f"({value + 1}ll - 1)" if value == kind.least and kind.bits == 64 else f"({SCALAR[kind]}){value}ll"
    return f"({SCALAR[kind]}){value}ull"


def wrapped(expression: str, kind: Type) -> str:
    """A 32-bit lane's value brought back into an 8- or 16-bit type."""
    if kind.bits >= 32 or kind is Type.BOOL:
        return expression
    if kind.is_signed:
        return f"(({expression}) << {32 - kind.bits} >> {32 - kind.bits})"
    return f"(({expression}) & {kind.greatest})"


class Forms:
    """Fills in forms, and collects the helper functions that what it gave needs."""

    def __init__(self) -> None:
        self.helpers: dict[str, str] = {}

    def scalar(self, name: str, operands: Sequence[str], kind: Type, result: Type) -> str:
        """The C form over scalar expressions; `kind` is the table's ``t``."""
        form = OPERATIONS[name].form("c", kind)
        assert form, f"{name} has no C form for {kind!r}"
        if name in ("convert", "bitcast"):
            self._need_scalar(name, kind, result)
        return self._fill(form, operands, kind, result)

    def vector(self, name: str, operands: Sequence[str], kinds: Sequence[Type], kind: Type, result: Type) -> str:
        """An expression over one unit."""
        form = OPERATIONS[name].form("vector", kind)
        if name == "convert":
            self._need_convert(kind, result)
        elif name == "bitcast":
            into, key = lanes_of(result), f"gb_vbitcast_{kind.value}_{result.value}"
            self.helpers[key] = f"INLINE {into} {key}({lanes_of(kind)} a) {{ return {wrapped(f'({into})a', result)}; }}"
        if form:
            return self._fill(form, operands, kind, result)
        return f"{self._need_loop(name, kinds, kind, result)}({', '.join(operands)})"

    @staticmethod
    def _fill(form: str, operands: Sequence[str], kind: Type, result: Type) -> str:
        limits = (
            {"least": literal(kind.least, kind), "greatest": literal(kind.greatest, kind)} if kind.is_integer else {}
        )
        return form.format(
            **dict(zip("abc", operands, strict=False)),
            **limits,
            T=SCALAR[kind],
            U=SCALAR[kind.unsigned if kind.is_integer else kind],
            R=SCALAR[result],
            t=kind.value,
            r=result.value,
            bits=kind.bits,
        )

    def _need_scalar(self, name: str, kind: Type, result: Type) -> None:
        key = f"gb_{name}_{kind.value}_{result.value}"
        if name == "bitcast":
            body = f"union {{ {SCALAR[kind]} a; {SCALAR[result]} r; }} u = {{a}}; return u.r;"
        elif kind.is_float and result.is_integer:
            low, high = float(result.least) - 1, float(result.greatest + 1)
            body = (
                f"double w = a; return w >= {high!r} ? {literal(result.greatest, result)} : w > {low!r} ? "
                f"({SCALAR[result]})w : w != w ? 0 : {literal(result.least, result)};"
            )
        else:
            body = "return a != 0;" if result is Type.BOOL else f"return ({SCALAR[result]})a;"
        self.helpers[key] = f"INLINE {SCALAR[result]} {key}({SCALAR[kind]} a) {{ {body} }}"

    def _need_loop(self, name: str, kinds: Sequence[Type], kind: Type, result: Type) -> str:
        """A function that runs the C form lane by lane; gives its name."""
        half = is_wide([*kinds, result])
        key = f"gb_each_{name}_{kind.value}_{result.value}"
        form = self.scalar(name, [f"({SCALAR[own]}){letter}[i]" for letter, own in zip("abc", kinds, strict=False)], kind, result)  # fmt: skip
        # A bool is 0 or -1 in its lane.
        for letter, own in zip("abc", kinds, strict=False):
            if own is Type.BOOL:
                form = form.replace(f"(_Bool){letter}[i]", f"({letter}[i] != 0)")
        vectors = [_mask_or_lanes(own, half) for own in kinds]
        into = _mask_or_lanes(result, half)
        parameters = ", ".join(f"{vector} {letter}" for vector, letter in zip(vectors, "abc", strict=False))
        sign = "-" if result is Type.BOOL else ""
        self.helpers[key] = f"LANES({into}, {key}, ({parameters}), {sign}({form}))"
        return key

    def _need_convert(self, kind: Type, result: Type) -> None:
        key = f"gb_vconvert_{kind.value}_{result.value}"
        half = is_wide([kind, result])
        source, into = _mask_or_lanes(kind, half), _mask_or_lanes(result, half)
        body = _convert_body(kind, result, into, half)
        if body is None:
            loop = self._need_loop("convert", [kind], kind, result)
            body = f"return {loop}(a);"
        self.helpers[key] = f"INLINE {into} {key}({source} a) {{ {body} }}"


def _mask_or_lanes(kind: Type, half: bool) -> str:
    # Beside 64-bit lanes a mask has 64-bit lanes too.
    return "wi" if half and kind is Type.BOOL else lanes_of(kind, half=half)


def _convert_body(kind: Type, result: Type, into: str, half: bool) -> str | None:
    """A conversion over one unit; None where a loop over lanes is as good."""
    if result is Type.BOOL:
        return f"return ({into})(a != 0);"
    if kind is Type.BOOL:
        one = f"gb_splat_{into}(1)"
        mask = "wi" if half and result.bits == 64 else "hi" if half else "vi"
        own = "a" if result.bits == 64 or not half else "gb_narrow(a)"
        return f"return ({into})(({mask}){own} & ({mask}){one});"
    if kind.is_float and result.is_integer:
        return _float_to_integer(kind, result, into, half)
    if kind is Type.U32 and result is Type.F64:
        return "return gb_half_f64_u32(a);"
    if result.is_float and kind.is_integer and kind.bits < 32:
        return f"return __builtin_convertvector(({lanes_of(Type.I32, half=half)})a, {into});"
    if kind.is_integer and result.is_integer and kind.bits <= 32 and result.bits <= 32:
        return f"return {wrapped(f'({into})a', result)};"
    return f"return {wrapped(f'__builtin_convertvector(a, {into})', result)};"


def _float_to_integer(kind: Type, result: Type, into: str, half: bool) -> str | None:
    if result.bits == 64:
        return None
    lanes, mask = ("wd", "wi") if kind is Type.F64 else ("vf", "vi")
    signed = "hi" if half else "vi"
    if kind is Type.F32 and result.bits == 32:
        top = f"gb_splat_vf({float(1 << 31)!r}f)"
        if result is Type.I32:
            # What does not fit becomes the least here, as on every x86; only above, and of a NaN, is that wrong.
            return (
                f"vi t = __builtin_convertvector(a, vi); return (vi)(a == a) & gb_select((vi)(a >= {top}), "
                "gb_splat_vi(0x7fffffff), t);"
            )
        return (
            f"vi upper = (vi)(a >= {top}); vi t = __builtin_convertvector(a - (vf)(upper & (vi){top}), vi); "
            f"t ^= upper & (int32_t)0x80000000; t |= (vi)(a >= gb_splat_vf({float(1 << 32)!r}f)); "
            "return (vu)(t & (vi)(a >= gb_splat_vf(1.0f)));"
        )
    least, greatest = (f"gb_splat_{lanes}({float(value)!r})" for value in (result.least, result.greatest))
    clamp = (
        f"{lanes} w = gb_select(({mask})(a < {least}), {least}, gb_select(({mask})(a > {greatest}), {greatest}, a)); "
        f"w = ({lanes})(({mask})w & ({mask})(a == a)); "
    )
    if result is Type.U32:
        return clamp + (
            "wi upper = w >= 2147483648.0; "
            "hi t = __builtin_convertvector(w - (wd)(upper & (wi)gb_splat_wd(2147483648.0)), hi); "
            "return (hu)(t ^ (gb_narrow(upper) & (int32_t)0x80000000));"
        )
    return clamp + f"return ({into})__builtin_convertvector(w, {signed});"
