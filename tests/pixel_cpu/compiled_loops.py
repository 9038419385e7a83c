"""Loops in C whose class is known, as this host's compiler makes machine code of them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import capstone

from pixel_cpu.frontends.x86 import MachineLoop

_FLAGS = (
    *(
        "-c",
        "-fno-tree-vectorize",
        "-fno-tree-slp-vectorize",
        "-fno-unroll-loops",
        "-fno-tree-loop-distribute-patterns",
    ),
    *("-fno-asynchronous-unwind-tables", "-fcf-protection=none", "-ffreestanding", "-fno-stack-protector"),
)

SOURCES = {
    "copy": "void f(char *to, const char *from, long n) { for (long i = 0; i < n; i++) to[i] = from[i]; }",
    "fill": "void f(int *to, int value, long n) { for (long i = 0; i < n; i++) to[i] = value; }",
    "sum": "unsigned f(const unsigned *from, long n) { unsigned s = 0; for (long i = 0; i < n; i++) s += from[i]; return s; }",
    "greatest bits": "long f(const long *from, long n) { long s = 0; for (long i = 0; i < n; i++) s |= from[i]; return s; }",
    "xor": "void f(unsigned char *to, unsigned char key, long n) { for (long i = 0; i < n; i++) to[i] ^= key; }",
    "two inputs": "void f(int *to, const int *a, const int *b, long n) { for (long i = 0; i < n; i++) to[i] = a[i] * 3 + b[i]; }",
    "length": "long f(const char *s) { long n = 0; while (s[n]) n++; return n; }",
    "find": "const char *f(const char *s, char c, long n) { for (long i = 0; i < n; i++) if (s[i] == c) return s + i; return 0; }",
    "prefix sum": "void f(int *to, const int *from, long n) { int s = 0; for (long i = 0; i < n; i++) to[i] = s += from[i]; }",
    "table checksum": (
        "unsigned f(const unsigned *table, const unsigned char *from, long n) { unsigned c = 0;"
        " for (long i = 0; i < n; i++) c = table[(c ^ from[i]) & 255] ^ c >> 8; return c; }"
    ),
    "linked list": "struct node { struct node *next; }; int f(struct node *at) { int n = 0; for (; at; at = at->next) n++; return n; }",
    "through memory": "void f(int *at, long n) { for (long i = 0; i < n; i++) at[i + 4] = at[i] ^ at[i + 1]; }",
    "histogram": "void f(int *to, const unsigned char *from, long n) { for (long i = 0; i < n; i++) to[from[i]]++; }",
    "matrix": "int f(const int *from, long n) { int s = 1; for (long i = 0; i < n; i++) for (long k = 0; k < n; k++) s ^= from[i * 64 + k] * s; return s; }",
}
"""One function each."""
CLASSES = {
    **{
        "copy": "copy",
        "fill": "fill",
        "sum": "reduction",
        "greatest bits": "reduction",
        "xor": "map",
        "two inputs": "map",
    },
    **{"length": "search", "find": "search", "prefix sum": "scan", "table checksum": "serial", "linked list": "serial"},
    **{"through memory": "serial", "histogram": "serial", "matrix": "serial"},
}


def compiled_loop(name: str, optimize: str) -> MachineLoop:
    """The outermost loop of a function of `SOURCES`; `optimize` is the flag for it."""
    with TemporaryDirectory() as folder:
        source, made, plain = (Path(folder) / part for part in ("f.c", "f.o", "f.bin"))
        source.write_text(SOURCES[name] + "\n")
        subprocess.run(["cc", *_FLAGS, optimize, "-o", made, source], check=True)
        subprocess.run(["objcopy", "-O", "binary", "-j", ".text", made, plain], check=True)
        code = plain.read_bytes()
    engine = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    at = 0x401000
    decoded = list(engine.disasm(code, at))
    jumps = [
        (int(each.op_str, 16), each.address)
        for each in decoded
        if each.mnemonic.startswith("j") and each.op_str.startswith("0x") and int(each.op_str, 16) <= each.address
    ]
    head = min(target for target, _ in jumps)
    last = max(source for target, source in jumps if target == head)
    return MachineLoop(head, {each.address: bytes(each.bytes) for each in decoded if head <= each.address <= last})
