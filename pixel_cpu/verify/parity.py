"""Terms that are sums modulo 2 of bits: whether two of them are the same, without a solver.

Checksums are such sums of so many bits that solvers, which try cases, do not end; a bit as the set of what it is the sum of is compared at once.
"""

from __future__ import annotations

import z3

from ..ir.symbolic import Term

Bits = list[int]
"""The bits of a term, the lowest first: each a set of atoms, bit 0 of it the constant 1."""
_ONE = 1
_MOST_BITS = 128


def same_parity(a: Term, b: Term) -> bool:
    """Whether both are the same sums of the same bits, in all inputs; False where that is not seen."""
    if not (z3.is_bv(a) and z3.is_bv(b)) or a.size() != b.size() or a.size() > _MOST_BITS:
        return False
    sums = _Sums()
    return sums.of(a) == sums.of(b)


class _Sums:
    def __init__(self) -> None:
        self.known: dict[int, Bits] = {}
        self.choices: dict[tuple[int, int, int], int] = {}
        self.conditions: dict[int, int] = {}
        self.kept: list[Term] = []
        self.atoms = 0

    def of(self, term: Term) -> Bits:
        """The bits of a bit-vector."""
        number = term.get_id()
        if number not in self.known:
            found = self.express(term)
            self.known[number] = self.fresh(term.size()) if found is None else found
            self.kept.append(term)  # the number of a term that is gone is used again
        return self.known[number]

    def fresh(self, count: int) -> Bits:
        """Bits of which nothing is known."""
        first = self.atoms + 1
        self.atoms += count
        return [1 << place for place in range(first, first + count)]

    def express(self, term: Term) -> Bits | None:
        size, kind = term.size(), term.decl().kind()
        if z3.is_bv_value(term):
            return [term.as_long() >> place & 1 for place in range(size)]
        if kind == z3.Z3_OP_ITE:
            return self.choice(term)
        parts = [self.of(part) for part in term.children() if z3.is_bv(part)]
        match kind:
            case z3.Z3_OP_BXOR:
                return [_sum(bits) for bits in zip(*parts, strict=True)]
            case z3.Z3_OP_BNOT:
                return [bit ^ _ONE for bit in parts[0]]
            case z3.Z3_OP_CONCAT:
                return [bit for part in reversed(parts) for bit in part]
            case z3.Z3_OP_EXTRACT:
                high, low = term.params()
                return parts[0][low : high + 1]
            case z3.Z3_OP_ZERO_EXT:
                return parts[0] + [0] * (size - len(parts[0]))
            case z3.Z3_OP_BAND:
                return _all(parts, 0)
            case z3.Z3_OP_BOR:
                return _all(parts, _ONE)
            case z3.Z3_OP_BSHL | z3.Z3_OP_BLSHR if z3.is_bv_value(term.arg(1)):
                count = min(term.arg(1).as_long(), size)
                up = [0] * count + parts[0][: size - count]
                return up if kind == z3.Z3_OP_BSHL else parts[0][count:] + [0] * count
        return None

    def choice(self, term: Term) -> Bits:
        """One of two values: a sum where they differ by what is known, else a bit that is the same for the same choice."""
        bit = self.condition(term.arg(0))
        found = []
        for yes, no in zip(self.of(term.arg(1)), self.of(term.arg(2)), strict=True):
            if yes == no:
                found.append(yes)
            elif yes ^ no == _ONE:
                found.append(no ^ bit)
            else:
                key = (term.arg(0).get_id(), yes, no)
                self.kept.append(term.arg(0))
                if key not in self.choices:
                    (self.choices[key],) = self.fresh(1)
                found.append(self.choices[key])
        return found

    def condition(self, term: Term) -> int:
        """A formula as one bit."""
        number = term.get_id()
        if number not in self.conditions:
            found = self.decide(term)
            self.conditions[number] = self.fresh(1)[0] if found is None else found
            self.kept.append(term)
        return self.conditions[number]

    def decide(self, term: Term) -> int | None:
        if z3.is_true(term) or z3.is_false(term):
            return int(z3.is_true(term))
        if z3.is_not(term):
            return self.condition(term.arg(0)) ^ _ONE
        kind = term.decl().kind()
        if kind == z3.Z3_OP_XOR or (z3.is_eq(term) and z3.is_bool(term.arg(0))):
            one, other = (self.condition(part) for part in term.children())
            return one ^ other ^ int(kind != z3.Z3_OP_XOR)
        if not z3.is_eq(term) or not z3.is_bv(term.arg(0)):
            return None
        differing = [a ^ b for a, b in zip(self.of(term.arg(0)), self.of(term.arg(1)), strict=True)]
        if _ONE in differing:
            return 0
        open_bits = {bit for bit in differing if bit}
        return _ONE if not open_bits else open_bits.pop() ^ _ONE if len(open_bits) == 1 else None


def _sum(bits: tuple[int, ...]) -> int:
    total = 0
    for bit in bits:
        total ^= bit
    return total


def _all(parts: list[Bits], decides: int) -> Bits | None:
    """Bit by bit what one operand decides, or the only one that is open."""
    found = []
    for bits in zip(*parts, strict=True):
        open_bits = {bit for bit in bits if bit not in (0, _ONE)}
        if decides in bits:
            found.append(decides)
        elif len(open_bits) > 1:
            return None
        else:
            found.append(open_bits.pop() if open_bits else decides ^ _ONE)
    return found
