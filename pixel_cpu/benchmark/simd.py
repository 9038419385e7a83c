"""Vector instructions: what the processor says that it has, what the compiler builds for, and what a compiled kernel really uses.

>>> found = simd_info()
>>> found.lane_c.name, found.emitted_bits, found.disagreements
('avx2', 256, ())
"""

from __future__ import annotations

import platform
import struct
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .. import kernels
from ..backends.lane_c.compiler import Machine, build, find_compiler, machine, processor_features, processor_name
from ..errors import DeviceError
from ..runtime.program import loads

_COMPILER_TIMEOUT_S = 60
_REGISTER_BITS = {"zmm": 512, "ymm": 256, "xmm": 128}

_EXTENSIONS = {
    "x86_64": (
        ("SSE2", "sse2", "__SSE2__", 128),
        ("SSE4.2", "sse4_2", "__SSE4_2__", 128),
        ("AVX", "avx", "__AVX__", 256),
        ("AVX2", "avx2", "__AVX2__", 256),
        ("FMA", "fma", "__FMA__", 256),
        ("AVX-512 F", "avx512f", "__AVX512F__", 512),
        ("AVX-512 BW", "avx512bw", "__AVX512BW__", 512),
        ("AVX-512 DQ", "avx512dq", "__AVX512DQ__", 512),
        ("AVX-512 VL", "avx512vl", "__AVX512VL__", 512),
        ("AVX-512 VNNI", "avx512_vnni", "__AVX512VNNI__", 512),
    ),
    "aarch64": (("Advanced SIMD", "asimd", "__ARM_NEON", 128),),
}
"""By architecture: name, the kernel's word in /proc/cpuinfo, the compiler's macro, bits of a register."""


@dataclass(frozen=True)
class Extension:
    """A set of vector instructions; `f32_lanes` floats fit a register of `bits`."""

    name: str
    bits: int
    f32_lanes: int
    in_processor: bool
    in_compiler: bool


@dataclass(frozen=True)
class SimdInfo:
    """What is known of this host's vectors.

    `emitted` counts the vector instructions of a compiled kernel by their widest register; it is empty where there is no compiler
    or the processor is no x86. `disagreements` are sentences; none where processor, compiler and kernel say the same.
    """

    processor: str
    architecture: str
    extensions: tuple[Extension, ...]
    compiler: str
    compiler_version: str
    lane_c: Machine
    emitted: Mapping[str, int]
    emitted_bits: int | None
    disagreements: tuple[str, ...]


def simd_info() -> SimdInfo:
    """Ask the processor, the compiler and a kernel that is compiled for this."""
    architecture = platform.machine()
    features, lacks = processor_features(), []
    macros: Mapping[str, str] = {}
    compiler = version = ""
    emitted: Mapping[str, int] = {}
    try:
        command = find_compiler()
        compiler, macros = " ".join(command), compiler_macros(command)
        version = _version(macros)
        if architecture == "x86_64":
            emitted = emitted_registers(_compiled_kernel())
    except DeviceError as error:
        lacks.append(str(error))
    extensions = tuple(
        Extension(name, bits, bits // 32, word in features, macro in macros)
        for name, word, macro, bits in _EXTENSIONS.get(architecture, ())
    )
    own = machine()
    bits = max((_REGISTER_BITS[name] for name, count in emitted.items() if count), default=None)
    found = (*lacks, *_disagreements(extensions if macros else (), own, bits))
    return SimdInfo(processor_name(), architecture, extensions, compiler, version, own, dict(emitted), bits, found)


def _disagreements(extensions: tuple[Extension, ...], own: Machine, emitted_bits: int | None) -> Iterator[str]:
    for each in extensions:
        if each.in_processor and not each.in_compiler:
            yield f"the processor has {each.name} and the compiler does not build for it: update the compiler"
        if each.in_compiler and not each.in_processor:
            yield f"the compiler builds for {each.name}, which the processor does not name"
    if emitted_bits is not None and emitted_bits != 32 * own.width:
        yield (
            f"lane C counts on vectors of {32 * own.width} bits ({own.name}), and the compiled kernel uses {emitted_bits}"
        )


def compiler_macros(command: list[str]) -> dict[str, str]:
    """What a C compiler defines when it builds for this machine; `DeviceError` where it cannot be asked."""
    words = [*command, "-march=native", "-dM", "-E", "-x", "c", "-"]
    try:
        text = subprocess.run(
            words, input="", capture_output=True, text=True, timeout=_COMPILER_TIMEOUT_S, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise DeviceError(f"{command[0]} does not say what it builds for: {error}") from None
    pairs = (line.split(" ", 2) for line in text.splitlines() if line.startswith("#define "))
    return {pair[1]: pair[2] if len(pair) > 2 else "" for pair in pairs}


def _version(macros: Mapping[str, str]) -> str:
    name = "clang" if "__clang__" in macros else "gcc" if "__GNUC__" in macros else ""
    version = macros.get("__VERSION__", "").strip('"')
    return version if name in version.lower() else f"{name} {version}".strip()


def _compiled_kernel() -> Path:
    """The library of a kernel that is all vectors: saxpy, in lanes."""
    from ..backends.lane_c import compile_kernel

    return build(compile_kernel(loads(kernels.source("saxpy")).module, "saxpy", scalar=False).source)


def emitted_registers(library: Path) -> dict[str, int]:
    """Packed instructions of a shared library for x86-64, by the widest register that each names."""
    import capstone  # the disassembler, which nothing else here needs

    decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    decoder.skipdata = True
    found: Counter[str] = Counter()
    for address, code in _executable_parts(library.read_bytes()):
        for instruction in decoder.disasm(code, address):
            # Scalars live in vector registers too: mulss, vmovss, cvttsd2si.
            name = next((name for name in _REGISTER_BITS if name in instruction.op_str), None)
            if name and not ("ss" in instruction.mnemonic or "sd" in instruction.mnemonic):
                found[name] += 1
    return {name: found[name] for name in _REGISTER_BITS}


def _executable_parts(image: bytes) -> Iterator[tuple[int, bytes]]:
    """Address and bytes of what an ELF file of 64 bits maps executable."""
    (table,) = struct.unpack_from("<Q", image, 0x20)
    size, count = struct.unpack_from("<HH", image, 0x36)
    for place in range(table, table + size * count, size):
        kind, flags, offset, address, _, length = struct.unpack_from("<IIQQQQ", image, place)
        if kind == 1 and flags & 1:
            yield address, image[offset : offset + length]
