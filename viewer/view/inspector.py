"""What bytes may mean: typed values, text, instructions, a struct of the kernel. Functions of bytes, nothing else.

>>> [(value.name, value.text) for value in typed_values(bytes.fromhex("ff000000"), 0)][:2]
[('u8', '255'), ('i8', '-1')]
>>> find_text(b"\\0\\0hello\\0", 4)
(2, 'hello')
"""

from __future__ import annotations

import math
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass

from qemu_bridge.wire.records import TypeField, TypeLayout

ROW_BYTES = 16
MOST_TEXT = 4096
MOST_INSTRUCTIONS = 64
_MAX_INSTRUCTION = 15
_PLAIN = (
    ("u8", "<B"),
    ("i8", "<b"),
    ("u16", "<H"),
    ("i16", "<h"),
    ("u32", "<I"),
    ("i32", "<i"),
    ("u64", "<Q"),
    ("i64", "<q"),
    ("f32", "<f"),
    ("f64", "<d"),
)
# Slab caches that hold a struct of another name (kmem_cache_create in fs/, kernel/, net/ and mm/, release 6.12).
_SLAB_TYPES = {
    "filp": "file",
    "cred_jar": "cred",
    "files_cache": "files_struct",
    "fs_cache": "fs_struct",
    "mnt_cache": "mount",
    "signal_cache": "signal_struct",
    "sighand_cache": "sighand_struct",
    "inode_cache": "inode",
    "shmem_inode_cache": "shmem_inode_info",
    "proc_inode_cache": "proc_inode",
    "proc_dir_entry": "proc_dir_entry",
    "ext4_inode_cache": "ext4_inode_info",
    "sock_inode_cache": "socket_alloc",
    "bdev_cache": "bdev_inode",
    "radix_tree_node": "xa_node",
    "skbuff_head_cache": "sk_buff",
    "kernfs_node_cache": "kernfs_node",
    "kernfs_iattrs_cache": "kernfs_iattrs",
    "task_delay_info": "task_delay_info",
    "key_jar": "key",
    "TCP": "tcp_sock",
    "TCPv6": "tcp6_sock",
    "UDP": "udp_sock",
    "UDPv6": "udp6_sock",
    "UNIX": "unix_sock",
    "RAW": "raw_sock",
    "PING": "inet_sock",
    "eventpoll_epi": "epitem",
    "dnotify_struct": "dnotify_struct",
    "pool_workqueue": "pool_workqueue",
    "perf_event": "perf_event",
    "avc_node": "avc_node",
    "ip_dst_cache": "rtable",
    "ip_fib_trie": "key_vector",
    "request_sock_TCP": "tcp_request_sock",
    "tw_sock_TCP": "tcp_timewait_sock",
}


@dataclass(frozen=True, slots=True)
class Value:
    """One reading of bytes: a type's name, and the value as text."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Instruction:
    """A machine instruction: its offset in the bytes given, its bytes, and how it is written."""

    offset: int
    code: bytes
    text: str

    @property
    def target(self) -> int | None:
        """The address that a direct call or jump goes to; None for every other instruction."""
        name, _, operand = self.text.partition(" ")
        if not (name == "call" or name.startswith("j")) or not operand.startswith("0x"):
            return None
        return int(operand, 16)


@dataclass(frozen=True, slots=True)
class FieldValue:
    """A field of a struct with what it holds; `pointer` is where it points, None where it is no pointer."""

    offset: int
    path: str
    type_name: str
    text: str
    pointer: int | None = None


def typed_values(content: bytes, at: int) -> list[Value]:
    """The bytes from `at` on, read as each plain type that fits, little-endian; bits and time last."""
    values = []
    for name, form in _PLAIN:
        if at + struct.calcsize(form) <= len(content):
            (value,) = struct.unpack_from(form, content, at)
            values.append(Value(name, f"{value:.9g}" if isinstance(value, float) else str(value)))
    word = int.from_bytes(content[at : at + 8], "little")
    values.append(Value("hex", f"{word:#x}"))
    values.append(Value("bits", f"{content[at]:08b}" if at < len(content) else ""))
    seconds = word & 0xFFFFFFFF
    values.append(Value("unix time", time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds)) if seconds else "-"))
    return values


def find_text(content: bytes, at: int) -> tuple[int, str] | None:
    """(start, text) of the printable run that byte `at` is part of; None where it is none or shorter than two."""

    def is_text(byte: int) -> bool:
        return 32 <= byte < 127 or byte in (9, 10, 13)

    if not (0 <= at < len(content) and is_text(content[at])):
        return None
    start = end = at
    while start > 0 and is_text(content[start - 1]) and at - start < MOST_TEXT:
        start -= 1
    while end < len(content) and is_text(content[end]) and end - at < MOST_TEXT:
        end += 1
    return (start, content[start:end].decode("ascii")) if end - start > 1 else None


def disassemble(content: bytes, at: int, address: int, limit: int = 24) -> list[Instruction]:
    """At most `limit` x86-64 instructions from byte `at` of `content`, which is at `address`.

    A byte that starts no instruction is one line ``(bad)``. By Capstone.
    """
    import capstone

    engine = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    found: list[Instruction] = []
    limit = min(limit, MOST_INSTRUCTIONS)
    while at < len(content) and len(found) < limit:
        window = content[at : at + _MAX_INSTRUCTION * (limit - len(found))]
        start = at
        for offset, size, name, operands in engine.disasm_lite(window, address + at, limit - len(found)):
            place = offset - address
            found.append(Instruction(place, content[place : place + size], f"{name} {operands}".strip()))
            at = place + size
        if at == start and len(found) < limit:
            if len(content) - at >= _MAX_INSTRUCTION or len(content) == at + 1 or not found:
                found.append(Instruction(at, content[at : at + 1], "(bad)"))
                at += 1
            else:
                break  # cut off by the end of the page
    return found


def guess_types(cache: str) -> list[str]:
    """Names of structs that objects of slab cache `cache` may be, the likeliest first."""
    stems = [
        cache,
        *(cache.removesuffix(end) for end in ("_cache", "_struct", "_jar", "_cachep") if cache.endswith(end)),
    ]
    names = [_SLAB_TYPES[cache]] if cache in _SLAB_TYPES else []
    for stem in stems:
        names += [stem, f"{stem}_struct", f"{stem}_info"]
    return list(dict.fromkeys(name for name in names if name.replace("_", "").isalnum()))


def decode_struct(layout: TypeLayout, content: bytes) -> list[FieldValue]:
    """What each field of a struct holds whose first byte is `content[0]`; fields that are cut off say so."""
    return [_decode(field, content) for field in layout.fields]


def _decode(field: TypeField, content: bytes) -> FieldValue:
    total = field.size * max(field.count, 1)
    raw = content[field.offset : field.offset + total]
    if len(raw) < total or field.size <= 0:
        text = "" if field.size <= 0 else "beyond this page"
        return FieldValue(field.offset, field.path, field.type_name, text)
    letters = raw.split(b"\0", 1)[0]
    if (
        field.count
        and field.size == 1
        and (field.kind == "char" or (letters and characters(letters).encode() == letters))
    ):
        return FieldValue(field.offset, field.path, field.type_name, repr(letters.decode("latin-1"))[:120])
    parts = [_element(field, raw[n * field.size : (n + 1) * field.size]) for n in range(min(max(field.count, 1), 8))]
    text = parts[0] if not field.count else "{" + ", ".join(parts) + (", …" if field.count > len(parts) else "") + "}"
    is_pointer = field.kind == "pointer" and not field.count
    pointer = int.from_bytes(raw, "little") if is_pointer else None
    return FieldValue(field.offset, field.path, field.type_name, text, pointer)


def _element(field: TypeField, raw: bytes) -> str:
    value = int.from_bytes(raw, "little")
    if field.kind == "bytes":
        return raw[:16].hex(" ") + (" …" if len(raw) > 16 else "")
    if field.kind == "pointer":
        return f"{value:#x}" if value else "NULL"
    if field.kind == "float" and len(raw) in (4, 8):
        return f"{struct.unpack('<f' if len(raw) == 4 else '<d', raw)[0]:.9g}"
    bits = 8 * len(raw)
    if field.bit_size:
        bits = field.bit_size
        value = value >> field.bit_offset % 8 & (1 << bits) - 1
    if field.kind in ("int", "char") and value >> bits - 1:
        value -= 1 << bits
    if (name := field.names.get(str(value))) is not None:
        return f"{name} ({value})"
    if field.kind == "bool":
        return "true" if value else "false"
    if field.kind == "char" and 32 <= value < 127:
        return repr(chr(value))
    return f"{value:#x}" if field.kind == "uint" and value >= 1 << 16 else str(value)


def hex_rows(content: bytes, address: int) -> Iterator[str]:
    """Yield a line per 16 bytes: address, bytes, characters."""
    for start in range(0, len(content), ROW_BYTES):
        row = content[start : start + ROW_BYTES]
        yield f"{address + start:#012x}  {row[:8].hex(' '):23}  {row[8:].hex(' '):23}  {characters(row)}"


def characters(row: bytes) -> str:
    """Bytes as characters, a dot for each that is none."""
    return "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)


def entropy(content: bytes) -> float:
    """Shannon entropy in bits a byte, 0 to 8."""
    counts = [content.count(value) for value in set(content)]
    total = len(content)
    return abs(sum(-n / total * math.log2(n / total) for n in counts)) if total else 0.0
