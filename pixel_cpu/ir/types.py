"""The eleven scalar types of the IR. There are no aggregates and no pointers: memory is named, and indexed by integers."""

from __future__ import annotations

import enum

import numpy as np


class Type(enum.Enum):
    """A scalar type; its value is its name in the text form."""

    BOOL = "bool"
    I8 = "i8"
    I16 = "i16"
    I32 = "i32"
    I64 = "i64"
    U8 = "u8"
    U16 = "u16"
    U32 = "u32"
    U64 = "u64"
    F32 = "f32"
    F64 = "f64"

    def __repr__(self) -> str:
        return self.value

    @property
    def bits(self) -> int:
        """Width in bits; a `bool` has 8 where it is stored."""
        return 8 if self is Type.BOOL else int(self.value[1:])

    @property
    def bytes(self) -> int:
        """Width in bytes."""
        return self.bits // 8

    @property
    def is_float(self) -> bool:
        return self.value[0] == "f"

    @property
    def is_signed(self) -> bool:
        """Whether it is a signed integer."""
        return self.value[0] == "i"

    @property
    def is_integer(self) -> bool:
        return self.value[0] in "iu"

    @property
    def dtype(self) -> np.dtype:
        """NumPy's type of the same layout."""
        return _DTYPES[self]

    @property
    def least(self) -> int:
        """The smallest value of an integer type."""
        return -(1 << (self.bits - 1)) if self.is_signed else 0

    @property
    def greatest(self) -> int:
        """The largest value of an integer type."""
        return (1 << (self.bits - self.is_signed)) - 1

    @property
    def unsigned(self) -> Type:
        """The unsigned integer type of the same width."""
        return Type(f"u{self.bits}")

    @property
    def signed(self) -> Type:
        """The signed integer type of the same width."""
        return Type(f"i{self.bits}")


SIGNED = (Type.I8, Type.I16, Type.I32, Type.I64)
UNSIGNED = (Type.U8, Type.U16, Type.U32, Type.U64)
INTEGERS = SIGNED + UNSIGNED
FLOATS = (Type.F32, Type.F64)
NUMBERS = INTEGERS + FLOATS
INDEXES = (Type.I32, Type.U32, Type.I64, Type.U64)
"""What an index into memory may be."""

_DTYPES = {
    kind: np.dtype(
        np.bool_ if kind is Type.BOOL else {"i": "int", "u": "uint", "f": "float"}[kind.value[0]] + kind.value[1:]
    )
    for kind in Type
}


def type_of(dtype: np.dtype) -> Type:
    """The IR's type of a NumPy type; `KeyError` where there is none."""
    return _TYPES[dtype]


_TYPES = {dtype: kind for kind, dtype in _DTYPES.items()}
