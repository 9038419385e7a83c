"""Memory objects as WGSL: a declaration, and functions that load, store and change one element of one type.

All memory is words. Elements of 8 and 16 bits share a word with their neighbours, whose lanes may write at the same time: such a
store replaces its bits by compare and exchange, and the words are atomic. 64-bit elements are one ``u64`` where the device has it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ...ir.model import Memory, Space
from ...ir.types import Type
from .prelude import held

PRIVATE_WORDS = 32
"""Words of private memory that live in a variable; Mesa's compiler takes seconds for a few hundred, so more is kept in a buffer."""


@dataclass
class MemoryText:
    """How one memory object is spelled. `place` numbers it; `scratch` is its first word in the buffer of private memory."""

    memory: Memory
    place: int
    pairs: bool
    is_atomic: bool
    scratch: int | None = None
    functions: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of the variable."""
        return f"gb_m{self.place}"

    @property
    def is_written(self) -> bool:
        """Whether a buffer may be written."""
        return self.memory.is_writable

    @property
    def is_double(self) -> bool:
        """Whether its words have 64 bits."""
        return self.memory.element.bytes == 8 and not self.pairs and self.memory.space is not Space.PRIVATE

    @property
    def words(self) -> int:
        """Words of a memory of a fixed length; one more than the elements need, as unaligned reads look at the next."""
        assert self.memory.length is not None
        if self.is_double:
            return self.memory.length
        return -(-self.memory.length * self.memory.element.bytes // 4) + (self.memory.element is Type.U8)

    @property
    def word(self) -> str:
        """WGSL type of a word."""
        plain = "u64" if self.is_double else "u32"
        return f"atomic<{plain}>" if self.is_atomic else plain

    def declaration(self, binding: int | None) -> str:
        """The variable; `binding` of a buffer."""
        if self.memory.space is Space.BUFFER:
            mode = "read_write" if self.is_written else "read"
            return f"@group(0) @binding({binding}) var<storage, {mode}> {self.name}: array<{self.word}>;"
        if self.scratch is not None:
            return ""
        space = "workgroup" if self.memory.space is Space.WORKGROUP else "private"
        return f"var<{space}> {self.name}: array<{self.word}, {self.words}>;"

    def _at(self, word: str) -> str:
        if self.scratch is not None:
            return f"gb_scratch[({self.scratch}u + {word}) * gb_p.stride + gb_slot]"
        return f"{self.name}[{word}]"

    def _need(self, name: str, text: str) -> str:
        self.functions.setdefault(name, text)
        return name

    def _get(self) -> str:
        """Name of the function that gives a word."""
        read = f"atomicLoad(&{self._at('w')})" if self.is_atomic else self._at("w")
        word = "u64" if self.is_double else "u32"
        return self._need(f"{self.name}_get", f"fn {self.name}_get(w: u32) -> {word} {{ return {read}; }}")

    def _put(self) -> str:
        word = "u64" if self.is_double else "u32"
        write = f"atomicStore(&{self._at('w')}, x);" if self.is_atomic else f"{self._at('w')} = x;"
        return self._need(f"{self.name}_put", f"fn {self.name}_put(w: u32, x: {word}) {{ {write} }}")

    def _mix(self) -> str:
        """Name of the function that replaces the bits of a mask in a word."""
        at = self._at("w")
        if self.is_atomic:
            # The first guess is blind: a load before it would be one more access for the driver to compile.
            body = (
                f"var old = 0u; loop {{ let found = atomicCompareExchangeWeak(&{at}, old, (old & ~mask) | x); "
                "if found.exchanged { break; } old = found.old_value; }"
            )
        else:
            body = f"{at} = ({at} & ~mask) | x;"
        return self._need(f"{self.name}_mix", f"fn {self.name}_mix(w: u32, mask: u32, x: u32) {{ {body} }}")

    def _word(self) -> str:
        """Name of the function that gives four bytes from any one on."""
        get = self._get()
        return self._need(
            f"{self.name}_word",
            f"fn {self.name}_word(i: u32) -> u32 {{ let s = (i & 3u) * 8u; let l = {get}(i >> 2u); "
            f"if s == 0u {{ return l; }} return (l >> s) | ({get}((i >> 2u) + 1u) << (32u - s)); }}",
        )

    def _spread(self) -> str:
        """Name of the function that writes up to eight bytes of a mask from any one on."""
        mix = self._mix()
        return self._need(
            f"{self.name}_spread",
            f"fn {self.name}_spread(i: u32, mask: vec2<u32>, x: vec2<u32>) {{ let s = (i & 3u) * 8u; "
            "let back = (32u - s) & 31u; let over = select(0xffffffffu, 0u, s == 0u); "
            "var m0 = mask.x << s; var m1 = (mask.y << s) | ((mask.x >> back) & over); "
            "var m2 = (mask.y >> back) & over; "
            "var x0 = x.x << s; var x1 = (x.y << s) | ((x.x >> back) & over); let x2 = (x.y >> back) & over; "
            "var w = i >> 2u; loop { if m0 == 0u { break; } "
            f"{mix}(w, m0, x0); w += 1u; m0 = m1; x0 = x1; m1 = m2; x1 = x2; m2 = 0u; }} }}",
        )

    def load(self, kind: Type) -> str:
        """Name of the function that gives the value of a type at an index."""
        name = f"{self.name}_load_{kind.value}"
        element, t, w = self.memory.element, kind.value, held(kind, self.pairs)
        if kind.bytes == 8:
            if self.is_double:
                value = f"gb_bitcast_u64_{t}({self._get()}(i))" if kind is not Type.U64 else f"{self._get()}(i)"
            elif element is Type.U8:
                value = f"gb_pack_{t}({self._word()}(i), {self._word()}(i + 4u))"
            else:
                value = f"gb_pack_{t}({self._get()}(2u * i), {self._get()}(2u * i + 1u))"
        else:
            if kind is element and kind.bytes == 4:
                bits = f"{self._get()}(i)"
            elif kind.bytes == 4:
                bits = f"{self._word()}(i)"
            elif kind.bytes == 2:
                bits = f"{self._word()}(i)" if element is Type.U8 else f"({self._get()}(i >> 1u) >> ((i & 1u) * 16u))"
            else:
                bits = f"({self._get()}(i >> 2u) >> ((i & 3u) * 8u))"
            if kind is Type.BOOL:
                value = f"({bits} & 0xffu) != 0u"
            elif kind.bytes < 4:
                value = f"gb_wrap_{t}({w}({bits}))"
            else:
                value = bits if kind is Type.U32 else f"bitcast<{w}>({bits})"
        return self._need(name, f"fn {name}(i: u32) -> {w} {{ return {value}; }}")

    def store(self, kind: Type) -> str:
        """Name of the function that writes a value of a type at an index."""
        name = f"{self.name}_store_{kind.value}"
        element, t, w = self.memory.element, kind.value, held(kind, self.pairs)
        if kind.bytes == 8:
            low, high = f"gb_{t}_low(x)", f"gb_{t}_high(x)"
            if self.is_double:
                body = f"{self._put()}(i, {'x' if kind is Type.U64 else f'gb_bitcast_{t}_u64(x)'});"
            elif element is Type.U8:
                spread = self._spread()
                body = f"{spread}(i, vec2<u32>(0xffffffffu), vec2<u32>({low}, {high}));"
            else:
                body = f"{self._put()}(2u * i, {low}); {self._put()}(2u * i + 1u, {high});"
        else:
            mask = "0xffffffffu" if kind.bytes == 4 else f"{(1 << kind.bits) - 1}u"
            bits = "select(0u, 1u, x)" if kind is Type.BOOL else "x" if w == "u32" else "bitcast<u32>(x)"
            bits = bits if kind.bytes == 4 or kind is Type.BOOL else f"({bits} & {mask})"
            if kind is element and kind.bytes == 4:
                body = f"{self._put()}(i, {bits});"
            elif element is Type.U8 and kind.bytes > 1:
                body = f"{self._spread()}(i, vec2<u32>({mask}, 0u), vec2<u32>({bits}, 0u));"
            else:
                each = 4 // kind.bytes
                body = (
                    f"let s = (i & {each - 1}u) * {kind.bits}u; {self._mix()}(i / {each}u, {mask} << s, {bits} << s);"
                )
        return self._need(name, f"fn {name}(i: u32, x: {w}) {{ {body} }}")

    def atomic(self, word: str, kind: Type) -> str:
        """Name of the function that does an atomic operation at an index, and gives the old value."""
        name = f"{self.name}_{word}_{kind.value}"
        w, signed = held(kind, self.pairs), kind.is_signed
        plain = f"u{kind.bits}"
        at = self._at("i")
        given = f"bitcast<{plain}>(x)" if signed else "x"
        old = (lambda text: f"bitcast<{w}>({text})") if signed else (lambda text: text)
        head = f"fn {name}(i: u32, x: {w}) -> {w} "
        if word == "cas":
            head = f"fn {name}(i: u32, x: {w}, y: {w}) -> {w} "
            fresh = f"bitcast<{plain}>(y)" if signed else "y"
            body = (
                f"loop {{ let found = atomicCompareExchangeWeak(&{at}, {given}, {fresh}); "
                f"if found.exchanged || found.old_value != {given} {{ return {old('found.old_value')}; }} }}"
            )
        elif signed and word in ("min", "max"):
            # The words are unsigned, so the order is not theirs.
            body = (
                f"var old = atomicLoad(&{at}); loop {{ let found = atomicCompareExchangeWeak(&{at}, old, "
                f"bitcast<{plain}>({word}(bitcast<{w}>(old), x))); "
                f"if found.exchanged {{ break; }} old = found.old_value; }} return {old('old')};"
            )
        else:
            body = f"return {old(f'atomic{word.capitalize()}(&{at}, {given})')};"
        # A function that ends in an endless loop still needs a return.
        end = f" return {held(kind, self.pairs)}(0);" if word == "cas" else ""
        return self._need(name, f"{head}{{ {body}{end} }}")


def needs_atomics(memory: Memory, stored: set[Type], has_atomics: bool) -> bool:
    """Whether lanes may change parts of one word: then its words are atomic."""
    if memory.space is Space.PRIVATE:
        return False
    return has_atomics or (bool(stored) and memory.element.bytes < 4)
