"""Volatility's symbol file (ISF), made from what the kernel carries in memory: BTF types and kallsyms addresses.

The Intermediate Symbol Format is JSON: base types, structs and unions, enumerations, and symbols with their link-time
addresses; the KASLR offset is given separately, so one file fits every boot of one build. Volatility ships the
schema (``volatility3/schemas/schema-6.2.0.json``); its kinds of sources know no BTF, so the file calls itself a symbol
table (``symtab``).

BTF gives types to per-CPU variables only. `SYMBOL_TYPES` adds those of the globals that Volatility's Linux plugins
read; the declarations are the kernel's own, releases 5.10 to 6.12.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TypeAlias

from ...host.json_types import JsonValue
from .btf import MAX_DEPTH, Btf, Member
from .btf_format import Kind
from .kallsyms import KallsymsTable

FORMAT = "6.2.0"

SYMBOL_TYPES = {
    "boot_cpu_data": "struct cpuinfo_x86",
    "cap_last_cap": "int",
    "ftrace_ops_list": "struct ftrace_ops *",
    "gate_vma": "struct vm_area_struct",
    "high_memory": "void *",
    "init_cred": "struct cred",
    "init_files": "struct files_struct",
    "init_fs": "struct fs_struct",
    "init_mm": "struct mm_struct",
    "init_net": "struct net",
    "init_nsproxy": "struct nsproxy",
    "init_pid_ns": "struct pid_namespace",
    "init_task": "struct task_struct",
    "init_user_ns": "struct user_namespace",
    "init_uts_ns": "struct uts_namespace",
    "iomem_resource": "struct resource",
    "ioport_resource": "struct resource",
    "jiffies_64": "long unsigned int",
    "keyboard_notifier_list": "struct atomic_notifier_head",
    "max_pfn": "long unsigned int",
    "mem_section": "struct mem_section **",
    "mod_tree": "struct mod_tree_root",
    "module_kset": "struct kset *",
    "modules": "struct list_head",
    "net_namespace_list": "struct list_head",
    "num_registered_fb": "int",
    "page_offset_base": "long unsigned int",
    "phys_base": "long unsigned int",
    "pidhash_shift": "unsigned int",
    "prb": "struct printk_ringbuffer *",
    "prog_idr": "struct idr",
    "map_idr": "struct idr",
    "shmem_aops": "struct address_space_operations",
    "slab_caches": "struct list_head",
    "sockfs_dentry_operations": "struct dentry_operations",
    "socket_file_ops": "struct file_operations",
    "special_mapping_vmops": "struct vm_operations_struct",
    "super_blocks": "struct list_head",
    "swapper_space": "struct address_space",
    "tainted_mask": "long unsigned int",
    "timekeeper": "struct timekeeper",
    "totalram_pages": "long unsigned int",
    "tty_drivers": "struct list_head",
    "vmalloc_base": "long unsigned int",
    "vmap_area_list": "struct list_head",
    "vmemmap_base": "long unsigned int",
    "vsyscall_mode": "int",
}
"""C types of global variables, by symbol."""

Json: TypeAlias = dict[str, JsonValue]

# Sizes of enumerations and of storage the kernel may lack a name for.
_BASE_BY_SIZE = {1: ("unsigned char", "signed char"), 2: ("short unsigned int", "short int"),
                 4: ("unsigned int", "int"), 8: ("long unsigned int", "long int")}  # fmt: skip
_BTF_INT_SIGNED, _BTF_INT_BOOL = 1, 4


class IsfWriter:
    """Turns BTF into the type sections of an ISF document."""

    def __init__(self, btf: Btf) -> None:
        self._btf = btf
        self._names: dict[int, str] = {}
        self._name_types()
        self._user_types: Json = {}
        self._enums: Json = {}
        self._queue: list[int] = []
        self._seen: set[int] = set()
        for type_id in self._names:
            self._reach(type_id)
        self._drain()

    def document(self, symbols: Mapping[str, JsonValue], linux: Mapping[str, JsonValue]) -> Json:
        """The whole document, with `symbols` and the ``metadata.linux`` section as given."""
        return {
            "metadata": {"format": FORMAT, "producer": {"name": "glassbox", "version": "1"}, "linux": linux},
            "base_types": self._base_types(),
            "user_types": self._user_types | self._aliases(),
            "enums": self._enums,
            "symbols": symbols,
        }

    def describe(self, type_id: int, depth: int = MAX_DEPTH) -> Json:
        """The ISF reference to a type."""
        type_id = self._btf.resolve(type_id)
        kind = self._btf.kind(type_id)
        if kind == Kind.PTR and depth:
            return {"kind": "pointer", "subtype": self.describe(self._btf.target(type_id), depth - 1)}
        if kind == Kind.ARRAY and depth:
            element = self.describe(self._btf.target(type_id), depth - 1)
            return {"kind": "array", "count": self._btf.count(type_id), "subtype": element}
        if kind in (Kind.FUNC, Kind.FUNC_PROTO):
            return {"kind": "function"}
        self._reach(type_id)
        if kind in (Kind.STRUCT, Kind.UNION):
            return {"kind": kind.name.lower(), "name": self._names[type_id]}
        if kind == Kind.FWD:
            return {"kind": "union" if self._btf.is_flagged(type_id) else "struct", "name": self._btf.name(type_id)}
        if type_id in self._names:
            return {"kind": "enum", "name": self._names[type_id]}
        if kind in (Kind.INT, Kind.FLOAT):
            return {"kind": "base", "name": self._btf.name(type_id) or "void"}
        return {"kind": "base", "name": "void"}

    def declare(self, declaration: str) -> Json | None:
        """The ISF reference for a simple C declaration as in `SYMBOL_TYPES`, None for an unknown type."""
        words = declaration.replace("*", "").split()
        name = " ".join(word for word in words if word not in ("struct", "union"))
        type_id = 0 if name == "void" else self._btf.find(name, Kind.STRUCT, Kind.UNION, Kind.INT, Kind.TYPEDEF)
        if type_id is None:
            return None
        described = self.describe(type_id)
        self._drain()
        for _ in range(declaration.count("*")):
            described = {"kind": "pointer", "subtype": described}
        return described

    def _reach(self, type_id: int) -> None:
        """Have the struct, union or enumeration written, if it is one and was not yet."""
        if type_id in self._names and type_id not in self._seen:
            self._seen.add(type_id)
            self._queue.append(type_id)

    def _drain(self) -> None:
        while self._queue:
            type_id = self._queue.pop()
            name = self._names[type_id]
            if self._btf.kind(type_id) in (Kind.STRUCT, Kind.UNION):
                self._user_types[name] = self._aggregate(type_id)
            else:
                self._enums[name] = self._enumeration(type_id)

    def _name_types(self) -> None:
        """Give every struct, union and enumeration a name of its own; anonymous ones that of their typedef.

        Of several types of one name a struct keeps it before a union does. Enumerations are a section of their own, in
        which the name of a struct is free: Linux 6.12 has both a struct and an enum ``context``.
        """
        typedefs = {self._btf.target(type_id): name for name, type_id in self._btf.names(Kind.TYPEDEF)}
        for kinds in ((Kind.STRUCT, Kind.UNION), (Kind.ENUM, Kind.ENUM64)):
            type_ids = [type_id for kind in kinds for type_id in self._btf.ids(kind)]
            named = {type_id: name for type_id in type_ids if (name := self._btf.name(type_id))}
            anonymous = {
                type_id: typedefs.get(type_id, f"unnamed_{type_id}") for type_id in type_ids if type_id not in named
            }
            taken: set[str] = set()
            # Named types first, so that none has to give way to a typedef.
            for type_id, name in (named | anonymous).items():
                self._names[type_id] = f"{name}_{type_id}" if name in taken else name
                taken.add(self._names[type_id])

    def _aliases(self) -> Json:
        """Typedefs of structs and unions under their own names."""
        taken = set(self._names.values())
        aliases: Json = {}
        for name, type_id in self._btf.names(Kind.TYPEDEF):
            target = self._names.get(self._btf.resolve(type_id))
            if target in self._user_types and name not in taken:
                aliases[name] = self._user_types[target]
        return aliases

    def _base_types(self) -> Json:
        base_types: Json = {
            "void": {"size": 0, "signed": False, "kind": "void", "endian": "little"},
            "pointer": {"size": 8, "signed": False, "kind": "int", "endian": "little"},
        }
        for size, names in _BASE_BY_SIZE.items():
            for name in names:
                kind = "char" if size == 1 else "int"
                base_types[name] = {"size": size, "signed": name == names[1], "kind": kind, "endian": "little"}
        for btf_kind in (Kind.INT, Kind.FLOAT):
            for name, type_id in self._btf.names(btf_kind):
                base_types[name] = self._base_type(name, type_id, btf_kind)
        return base_types

    def _base_type(self, name: str, type_id: int, btf_kind: Kind) -> Json:
        encoding = self._btf.encoding(type_id) >> 24
        kind = (
            "float"
            if btf_kind == Kind.FLOAT
            else "bool"
            if encoding & _BTF_INT_BOOL
            else "char"
            if "char" in name
            else "int"
        )
        signed = btf_kind == Kind.FLOAT or bool(encoding & _BTF_INT_SIGNED)
        return {"size": self._btf.size(type_id), "signed": signed, "kind": kind, "endian": "little"}

    def _aggregate(self, type_id: int) -> Json:
        fields: Json = {}
        for number, member in enumerate(self._btf.members(type_id)):
            if member.name:
                fields[member.name] = self._field(member)
            elif self._btf.kind(self._btf.resolve(member.type_id)) in (Kind.STRUCT, Kind.UNION):
                fields[f"unnamed_field_{number}"] = self._field(member) | {"anonymous": True}
        return {"kind": self._btf.kind(type_id).name.lower(), "size": self._btf.size(type_id), "fields": fields}

    def _field(self, member: Member) -> Json:
        described = self.describe(member.type_id)
        if not member.bit_size:
            return {"offset": member.offset, "type": described}
        # A bit field counts from the storage unit of its type that it is in; a packed one that straddles two, from its byte.
        unit = max(self._btf.size(member.type_id), 1) * 8
        start = member.bit_offset // unit * unit
        if member.bit_offset + member.bit_size > start + unit:
            start = member.bit_offset & ~7
        bits: Json = {
            "kind": "bitfield",
            "bit_position": member.bit_offset - start,
            "bit_length": member.bit_size,
            "type": described,
        }
        return {"offset": start // 8, "type": bits}

    def _enumeration(self, type_id: int) -> Json:
        size = self._btf.size(type_id)
        base = _BASE_BY_SIZE.get(size, _BASE_BY_SIZE[4])[self._btf.is_flagged(type_id)]
        return {"size": size, "base": base, "constants": self._btf.enumerators(type_id)}


def to_isf(btf: Btf, kallsyms: KallsymsTable, release: str, build_id: str, banner: bytes) -> Json:
    """The ISF document of a kernel, as Volatility's ``LinuxKernelIntermedSymbols`` loads it.

    `kallsyms` holds link-time addresses (`KallsymsTable.moved`). `banner` is what ``linux_banner`` holds, by which Volatility's
    own command line recognises the kernel.
    """
    writer = IsfWriter(btf)
    symbols = _addresses(kallsyms)
    for type_id in btf.ids(Kind.VAR):
        if btf.name(type_id) in symbols:
            symbols[btf.name(type_id)]["type"] = writer.describe(btf.target(type_id))
    for name, declaration in SYMBOL_TYPES.items():
        if name in symbols and (described := writer.declare(declaration)) is not None:
            symbols[name]["type"] = described
    if banner and "linux_banner" in symbols:
        characters: Json = {"kind": "array", "count": len(banner), "subtype": {"kind": "base", "name": "char"}}
        symbols["linux_banner"] |= {"type": characters, "constant_data": base64.b64encode(banner).decode()}
    # The schema knows no build ids, only SHA-256 hashes of files.
    source = {"kind": "symtab", "name": f"{release} {build_id}"}
    return writer.document(symbols, {"symbols": [source], "types": [source]})


def _addresses(kallsyms: KallsymsTable) -> dict[str, Json]:
    """Addresses by name, of several symbols of one name the first."""
    symbols: dict[str, Json] = {}
    for address, entry in zip(kallsyms.addresses.tolist(), kallsyms.entries(), strict=True):
        symbols.setdefault(entry[1:], {"address": address})
    return symbols
