"""Modules, looked up in three ways, and code of the kernel that no module owns.

- The list ``modules``, from which ``/proc/modules`` and lsmod are made.
- The directory ``/sys/module``: the objects of ``module_kset`` (``kernel/params.c``).
- The memory of modules: each ``struct module`` lies in its own module's memory and points to itself, through ``mkobj.mod``, from before
  its code first runs until it is freed (``kernel/module/sysfs.c``: mod_sysfs_init).

What is left is memory that the kernel may execute and that belongs to nobody (`code`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...errors import GlassBoxError
from ...kernel.budget import Budget
from ...kernel.columns import U64Array
from ...kernel.modules import MAX_MODULES, MAX_NAME, module_name, module_parts
from ...kernel.objects import KernelObjects, Object
from ...memory.addresses import PAGE_SIZE, VirtualAddress, format_size
from ...wire.records import Finding, FindingKind
from ..classes.areas import MODULES_END, modules_start
from ..overlays import OverlayContext
from .code import KernelCode, Range
from .lists import links_around

_LIVE, _STATES = 0, 4
_CACHE_LINE = 64
_MAX_PAGES = 1 << 16
_MAX_UNOWNED = 64


def read_hidden_modules(context: OverlayContext, budget: Budget) -> Iterator[Finding]:
    """Yield each module that is missing where every module should be, and code that nobody owns."""
    space = context.objects
    if not space.has("module", "mkobj.mod") or not space.address_of("modules"):
        budget.skip("modules were not compared: this kernel has no list of them")
        return
    code = KernelCode.of(context)
    budget.spend(1, code.mappings.virtual.nbytes)  # rows of a column, not things looked at one by one
    if not code.mappings.complete:
        budget.skip("not all of what the kernel maps was searched: there is too much")
    views = _Views(_listed(space, budget), _in_sysfs(space, budget), _in_memory(context, code))
    for address in sorted(views.everywhere()):
        budget.spend()
        try:
            finding = _judge(space.at("module", address), views)
        except GlassBoxError as error:
            budget.skip_unread("a module", error)
            continue
        if finding is not None:
            yield finding
    yield from _unowned(context, code, views)


@dataclass(frozen=True)
class _Views:
    """Addresses of the modules found in each way; None for a way that cannot be gone."""

    listed: set[int] | None
    in_sysfs: set[int] | None
    in_memory: set[int]

    def everywhere(self) -> set[int]:
        return {*(self.listed or ()), *(self.in_sysfs or ()), *self.in_memory}


def _judge(module: Object, views: _Views) -> Finding | None:
    """What is said of a module; None of one that is where it should be, or that comes or goes."""
    is_unlisted = views.listed is not None and module.address not in views.listed
    is_not_shown = views.in_sysfs is not None and module.address not in views.in_sysfs
    if not (is_unlisted or is_not_shown) or module["state"] != _LIVE:
        return None
    missing = ["the list of modules"] * is_unlisted + ["/sys/module"] * is_not_shown
    evidence = [f"is not in {place}" for place in missing]
    if not is_unlisted:
        evidence.append("is in the list of modules")
    if views.in_sysfs is not None and not is_not_shown:
        evidence.append("is in /sys/module")
    if module.address in views.in_memory:
        evidence.append(f"its struct module is in the memory of modules, at {module.address:#x}")
    parts = module_parts(module)
    if parts:
        evidence.append(f"its code is {parts[0][1]} bytes at {parts[0][0]:#x}")
    verdict = f"The module is loaded and was taken out of {' and of '.join(missing)}: "
    verdict += (
        "lsmod does not show it, and its symbols have no names." if is_unlisted else "what looks there does not see it."
    )
    name = module_name(module)[:MAX_NAME]
    return Finding(FindingKind.HIDDEN_MODULE, name, verdict, tuple(evidence), VirtualAddress(module.address))


def _listed(space: KernelObjects, budget: Budget) -> set[int] | None:
    links = links_around(space, space.address_of("modules"), MAX_MODULES)
    if links is None:
        budget.skip(
            "the list of modules does not close, so nobody can tell which is missing in it; pause the machine and ask again"
        )
        return None
    back = space.offset("module", "list")
    return {link - back for link in links}


def _in_sysfs(space: KernelObjects, budget: Budget) -> set[int] | None:
    """The modules of ``/sys/module``, where parts of the image have directories as well."""
    pointer = space.address_of("module_kset")
    kset = space.unsigned(pointer) if pointer and space.has("module_kobject", "mod") else 0
    links = links_around(space, space.at("kset", kset).at("list"), 1 << 16) if kset else None
    if links is None:
        if kset:
            budget.skip("the list behind /sys/module does not close; pause the machine and ask again")
        return None
    back = space.offset("kobject", "entry") + space.offset("module_kobject", "kobj")
    found = (space.at("module_kobject", link - back)["mod"] for link in links)
    return {module for module in found if module}


def _in_memory(context: OverlayContext, code: KernelCode) -> set[int]:
    """Every ``struct module`` in the memory of modules: what points to itself from where only such does, and has a name."""
    space, at, mappings = context.objects, context.objects.offset("module", "mkobj.mod"), code.mappings
    start = modules_start(context.kernel)
    inside = (
        (mappings.virtual >= np.uint64(start)) & (mappings.virtual < np.uint64(MODULES_END)) & (mappings.level == 1)
    )
    virtual = mappings.virtual[inside][:_MAX_PAGES]
    pages = context.ram.layout.frames_to_pages(mappings.frame[inside][:_MAX_PAGES])
    known = pages >= 0
    known[known] = code.read.resident[pages[known]]
    virtual, pages = virtual[known], pages[known]
    words = context.ram.pages()[pages].view("<u8")
    own = virtual[:, None] + np.arange(0, PAGE_SIZE, 8, dtype=np.uint64) - np.uint64(at)
    matches: U64Array = own[(words == own) & (own % np.uint64(_CACHE_LINE) == 0)]
    return {address for address in matches.tolist() if _is_module(space.at("module", address))}


def _is_module(module: Object) -> bool:
    try:
        name = module_name(module)
        return bool(name) and name.isprintable() and module["state"] < _STATES
    except GlassBoxError:
        return False


def _unowned(context: OverlayContext, code: KernelCode, views: _Views) -> Iterator[Finding]:
    """Yield runs of pages that the kernel may execute and that belong to nobody."""
    for start, end in code.outside(_of_modules(context.objects, views))[:_MAX_UNOWNED]:
        content = context.page_tables.read_some(VirtualAddress(start), 16)
        yield Finding(
            FindingKind.UNOWNED_CODE,
            f"{format_size(end - start)} at {start:#x}",
            "The kernel may execute this memory, and it belongs to neither its image nor a module nor anything else that makes code.",
            (
                f"mapped executable from {start:#x} to {end:#x}; {code.asked_for(start)}",
                f"it begins with {content.hex(' ') or 'nothing'}",
            ),
            VirtualAddress(start),
        )


def _of_modules(space: KernelObjects, views: _Views) -> Iterator[Range]:
    """Yield the memory of all modules that were found in any way."""
    for address in views.everywhere():
        with contextlib.suppress(GlassBoxError):
            for base, size in module_parts(space.at("module", address)):
                yield base, base + size
