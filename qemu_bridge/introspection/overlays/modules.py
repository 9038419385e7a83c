"""Loaded kernel modules, as ``/proc/modules`` lists them (``kernel/module/procfs.c``)."""

from __future__ import annotations

from collections.abc import Iterator

from ...kernel.budget import Budget
from ...kernel.modules import MAX_MODULES, loaded_modules, module_base, module_name, module_parts
from ...kernel.objects import Object
from ...memory.addresses import VirtualAddress
from ...wire.records import Module
from .overlay import BuiltOverlay, OverlayContext, each

_STATES = ("Live", "Loading", "Unloading")


def read_modules(context: OverlayContext, budget: Budget) -> Iterator[Module]:
    """Yield the loaded modules, newest first."""
    return each(loaded_modules(context.objects), _module, budget, "module")


def _module(module: Object) -> Module:
    state = module["state"]
    return Module(
        name=module_name(module),
        base=VirtualAddress(module_base(module)),
        size=sum(size for _, size in module_parts(module)),
        state=_STATES[state] if state < len(_STATES) else "Unknown",
        used_by=tuple(_users(module)),
    )


def _users(module: Object) -> Iterator[str]:
    """Yield the modules that use it (print_unload_info)."""
    for use in module.space.linked(module.at("source_list"), "module_use", "source_list", MAX_MODULES):
        user = use.follow("source")
        if user is not None:
            yield module_name(user)
    if module["init"] and not module["exit"]:
        yield "[permanent]"


MODULES = BuiltOverlay(
    "modules", "The loaded kernel modules.", ("name", "size", "base:#x", "state", "used_by"), read_modules
)
