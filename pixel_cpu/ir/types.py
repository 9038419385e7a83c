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

    def __init__(self, word: str) -> None:
        # Attributes and no properties: each launch asks for them.
        self.bits: int = 8 if word == "bool" else int(word[1:])
        """Width in bits; a `bool` has 8 where it is stored."""
        self.bytes: int = self.bits // 8
        """Width in bytes."""
        self.is_float: bool = word[0] == "f"
        self.is_signed: bool = word[0] == "i"
        """Whether it is a signed integer."""
        self.is_integer: bool = word[0] in "iu"
        self.least: int = -(1 << (self.bits - 1)) if self.is_signed else 0
        """The smallest value of an integer type."""
        self.greatest: int = (1 << (self.bits - self.is_signed)) - 1
        """The largest value of an integer type."""
        self.dtype: np.dtype = np.dtype(
            "bool" if word == "bool" else {"i": "int", "u": "uint", "f": "float"}[word[0]] + word[1:]
        )
        """NumPy's type of the same layout."""

    def __repr__(self) -> str:
        return self.value

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


def type_of(dtype: np.dtype) -> Type:
    """The IR's type of a NumPy type; `KeyError` where there is none."""
    return _TYPES[dtype]


_TYPES = {kind.dtype: kind for kind in Type}
