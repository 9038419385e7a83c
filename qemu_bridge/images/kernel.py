"""Kernel images: from the bzImage a distribution ships to the vmlinux that QEMU boots directly.

A bzImage is a small loader around a compressed ELF file. Its setup header (Documentation/arch/x86/boot.rst) says where:

    ======  ============================================================================
    offset  field
    ======  ============================================================================
    0x1f1   u8   setup_sects, 512-byte sectors of real-mode code after the first (0 means 4)
    0x202   magic ``HdrS``
    0x206   u16  protocol version; the payload fields came with 2.08
    0x20e   u16  address of the version string, less 0x200
    0x248   u32  payload_offset, from the start of the protected-mode code
    0x24c   u32  payload_length
    ======  ============================================================================

The payload's first bytes name its compression; its last four hold the size of the content for most of them. QEMU
starts an ELF file that carries the note XEN_ELFNOTE_PHYS32_ENTRY through PVH (include/xen/interface/elfnote.h), in
32-bit mode, without firmware and without unpacking: quicker, in less memory, and at a fixed address, whereas a bzImage
places itself at random (KASLR).
"""

from __future__ import annotations

import bz2
import io
import lzma
import re
import struct
import zlib
from collections.abc import Callable

import lz4.block
import zstandard

VMLINUX_LIMIT = 512 << 20
"""Bytes that an unpacked kernel may have."""
XEN_ELFNOTE_PHYS32_ENTRY = 18

_LZ4_LEGACY_BLOCK = 8 << 20
_PT_NOTE = 4
# struct btf_header of little-endian BTF, version 1, flags 0, 24 bytes long (include/uapi/linux/btf.h).
_BTF_HEADER = bytes.fromhex("9feb 01 00 18000000")


def is_bzimage(image: bytes) -> bool:
    """Whether `image` is a bzImage whose header locates its payload (boot protocol 2.08 or later)."""
    return len(image) > 0x250 and image[0x202:0x206] == b"HdrS" and _u16(image, 0x206) >= 0x208


def is_elf(image: bytes) -> bool:
    """Whether `image` is a little-endian 64-bit ELF file."""
    return image[:6] == b"\x7fELF\x02\x01" and len(image) >= 64


def extract_vmlinux(bzimage: bytes) -> bytes:
    """The ELF file inside a bzImage; `ValueError` when there is none that can be unpacked."""
    if not is_bzimage(bzimage):
        raise ValueError("not a bzImage")
    start = ((bzimage[0x1F1] or 4) + 1) * 512 + _u32(bzimage, 0x248)
    payload = bzimage[start : start + _u32(bzimage, 0x24C)]
    if len(payload) < 16 or len(payload) < _u32(bzimage, 0x24C):
        raise ValueError("the bzImage ends before its payload does")
    unpack = next((unpack for magic, unpack in _UNPACKERS.items() if payload.startswith(magic)), None)
    if unpack is None:
        raise ValueError(f"the kernel is compressed in an unknown way (it starts with {payload[:4].hex()})")
    try:
        vmlinux = unpack(payload)
    except (EOFError, OSError, zlib.error, lzma.LZMAError, zstandard.ZstdError, lz4.block.LZ4BlockError) as error:
        raise ValueError(f"the kernel's payload is damaged ({error})") from None
    if len(vmlinux) > VMLINUX_LIMIT or not is_elf(vmlinux):
        raise ValueError(f"the kernel's payload is no ELF file of at most {VMLINUX_LIMIT >> 20} MiB")
    return vmlinux


def _unpack_gzip(payload: bytes) -> bytes:
    return zlib.decompressobj(31).decompress(payload, VMLINUX_LIMIT + 1)


def _unpack_xz(payload: bytes) -> bytes:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(payload, VMLINUX_LIMIT + 1)


def _unpack_lzma(payload: bytes) -> bytes:
    return lzma.LZMADecompressor(lzma.FORMAT_ALONE).decompress(payload, VMLINUX_LIMIT + 1)


def _unpack_bzip2(payload: bytes) -> bytes:
    return bz2.BZ2Decompressor().decompress(payload, VMLINUX_LIMIT + 1)


def _unpack_zstd(payload: bytes) -> bytes:
    # The kernel is packed with `zstd --ultra`, which may use a larger window than a decompressor accepts by default.
    reader = zstandard.ZstdDecompressor(max_window_size=1 << 30).stream_reader(io.BytesIO(payload))
    return reader.read(VMLINUX_LIMIT + 1)


def _unpack_lz4_legacy(payload: bytes) -> bytes:
    """Blocks of a u32 size and that many bytes, each of at most 8 MiB unpacked, after the magic (lz4_Frame_format)."""
    parts: list[bytes] = []
    position, total = 4, 0
    # The last word is the size of the content; read as a block size it does not fit.
    while position + 4 <= len(payload) and total <= VMLINUX_LIMIT:
        size = _u32(payload, position)
        if size == 0 or position + 4 + size > len(payload):
            break
        block = memoryview(payload)[position + 4 : position + 4 + size]
        parts.append(lz4.block.decompress(block, uncompressed_size=_LZ4_LEGACY_BLOCK))
        position, total = position + 4 + size, total + len(parts[-1])
    return b"".join(parts)


_UNPACKERS: dict[bytes, Callable[[bytes], bytes]] = {
    b"\x1f\x8b": _unpack_gzip,
    b"\xfd7zXZ\0": _unpack_xz,
    b"\x02\x21\x4c\x18": _unpack_lz4_legacy,
    b"\x28\xb5\x2f\xfd": _unpack_zstd,
    b"BZh": _unpack_bzip2,
    b"\x5d\0\0": _unpack_lzma,
}


def has_pvh_entry(vmlinux: bytes) -> bool:
    """Whether an ELF file carries the note through which QEMU starts it directly."""
    if not is_elf(vmlinux):
        return False
    table, entry_size, count = struct.unpack_from("<Q", vmlinux, 32)[0], _u16(vmlinux, 54), _u16(vmlinux, 56)
    for index in range(count):
        header = vmlinux[table + index * entry_size :][:56] if table < len(vmlinux) else b""
        if len(header) == 56 and _u32(header, 0) == _PT_NOTE:
            offset, size = struct.unpack_from("<Q", header, 8)[0], struct.unpack_from("<Q", header, 32)[0]
            if _has_note(vmlinux[offset : offset + min(size, 1 << 20)], b"Xen\0", XEN_ELFNOTE_PHYS32_ENTRY):
                return True
    return False


def _has_note(notes: bytes, name: bytes, note_type: int) -> bool:
    position = 0
    while position + 12 <= len(notes):
        name_size, content_size, found = struct.unpack_from("<III", notes, position)
        if found == note_type and notes[position + 12 : position + 12 + name_size] == name:
            return True
        position += 12 + -(-name_size // 4) * 4 + -(-content_size // 4) * 4
    return False


def has_types(vmlinux: bytes) -> bool:
    """Whether a kernel carries BTF, the types that introspection needs."""
    return _BTF_HEADER in vmlinux


def read_release(image: bytes) -> str:
    """The release in a bzImage or vmlinux, as ``uname -r`` prints it; empty when it has none."""
    if is_bzimage(image):
        start = _u16(image, 0x20E) + 0x200
        words = image[start : start + 256].split(b"\0")[0].split()
        return words[0].decode("ascii", "replace") if words else ""
    match = re.search(rb"Linux version ([\w.+~-]{1,64}) ", image)
    return match[1].decode() if match else ""


def _u16(image: bytes, offset: int) -> int:
    return int.from_bytes(image[offset : offset + 2], "little")


def _u32(image: bytes, offset: int) -> int:
    return int.from_bytes(image[offset : offset + 4], "little")
