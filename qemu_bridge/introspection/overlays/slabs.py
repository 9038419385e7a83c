"""Slab caches, as ``/proc/slabinfo`` counts them (``mm/slub.c``, get_slabinfo, releases 6.0 to 6.12).

SLUB keeps no list of full slabs. Each node counts its slabs and objects and links those that are partly free; objects that
a CPU has set aside for itself count as used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...kernel.budget import Budget
from ...kernel.objects import Object
from .overlay import BuiltOverlay, OverlayContext, each

MAX_CACHES = 1 << 14
MAX_NODES = 1024
_OBJECTS_BITS = 16
_PAGE_SHIFT = 12


@dataclass(frozen=True, slots=True)
class Slab:
    """One cache: sizes in bytes; a slab is `objects_per_slab` objects in `pages_per_slab` pages.

    `object_size` is the space an object takes, `payload_size` the part that the cache's user may use.
    """

    name: str
    active_objects: int
    objects: int
    object_size: int
    payload_size: int
    objects_per_slab: int
    pages_per_slab: int
    slabs: int
    size: int
    cache: int


def read_slabs(context: OverlayContext, budget: Budget) -> Iterator[Slab]:
    """Yield every cache, newest first."""
    space = context.objects
    caches = space.linked(space.kernel.address_of("slab_caches"), "kmem_cache", "list", MAX_CACHES)
    counter = space.address_of("nr_node_ids")
    nodes = min(space.unsigned(counter, 4), MAX_NODES) if counter else 1
    return each(caches, lambda cache: _slab(cache, nodes), budget, "slab cache")


def _slab(cache: Object, node_count: int) -> Slab:
    space, order_and_objects = cache.space, cache["oo.x"]
    pages = 1 << min(order_and_objects >> _OBJECTS_BITS, 32)
    slabs = objects = free = 0
    if space.kernel.has("slab_per_node"):
        stride = space.size("kmem_cache_per_node_ptrs")
        nodes = cache.at("per_node") + space.offset("kmem_cache_per_node_ptrs", "node")
    else:
        nodes, stride = cache.at("node"), 8
    for number in range(node_count):
        address = space.unsigned(nodes + stride * number)
        if address:
            node = space.at("kmem_cache_node", address)
            slabs += node["nr_slabs.counter"]
            objects += node["total_objects.counter"]
            free += sum(_free_objects(slab) for slab in space.linked(node.at("partial"), "slab", "slab_list"))
    return Slab(
        name=cache.text_at("name", 255),
        active_objects=objects - free,
        objects=objects,
        object_size=cache["size"],
        payload_size=cache["object_size"],
        objects_per_slab=order_and_objects & ((1 << _OBJECTS_BITS) - 1),
        pages_per_slab=pages,
        slabs=slabs,
        size=slabs * pages << _PAGE_SHIFT,
        cache=cache.address,
    )


def _free_objects(slab: Object) -> int:
    return slab["objects"] - slab["inuse"]


SLABS = BuiltOverlay(
    "slabs",
    "The kernel's slab caches.",
    (
        "name",
        "active_objects",
        "objects",
        "object_size",
        "objects_per_slab",
        "pages_per_slab",
        "slabs",
        "size",
        "cache:#x",
    ),
    read_slabs,
    is_never_empty=True,
)
