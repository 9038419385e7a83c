"""What a recording holds, as a user says it: `RecordOptions`, and the window of the plugin that it stands for.

>>> window_of(machine, RecordOptions(start_at="sym:do_mkdirat:3", only=Privilege.KERNEL)).trigger_hits
3
"""

from __future__ import annotations

from tcg_plugin.layout import Mode, Scope

from ...errors import UsageError
from ...wire.trace_records import DEFAULT_CHUNK_BYTES, DEFAULT_CHUNKS, ArmOptions, Privilege, RecordOptions
from .places import Kernel, find_address, find_range, find_root_free, find_roots, find_trigger

_LARGEST_CHUNK, _FEWEST_CHUNKS = 256 << 10, 4
"""A ring has chunks of this size, or fewer and smaller ones."""


def window_of(kernel: Kernel, options: RecordOptions) -> ArmOptions:
    """The window that `options` ask for; `UsageError` for symbols, processes and sizes that do not exist."""
    options.validate()
    scopes = {Privilege.KERNEL: Scope.KERNEL, Privilege.USER: Scope.USER, None: Scope.KERNEL | Scope.USER}
    trigger, hits = find_trigger(kernel, options.start_at)
    ring_bytes = options.ring_bytes
    chunk_bytes, chunks = split_ring(ring_bytes) if ring_bytes else (DEFAULT_CHUNK_BYTES, DEFAULT_CHUNKS)
    root_free_address, direct_map_base = find_root_free(kernel) if options.pids else (0, 0)
    wanted = ArmOptions(
        features=options.features,
        mode=Mode.LOSSY if options.lossy else Mode.LOSSLESS,
        scope=scopes[options.only],
        chunk_bytes=chunk_bytes,
        chunks=chunks,
        ranges=tuple(find_range(kernel, text) for text in options.ranges),
        roots=find_roots(kernel, options.pids),
        root_free_address=root_free_address,
        direct_map_base=direct_map_base,
        points=tuple(find_address(kernel, place) for place in options.registers),
        trigger_address=trigger,
        trigger_hits=hits,
        start_instructions=options.after or 0,
        limit_instructions=options.instructions or 0,
    )
    wanted.validate()
    return wanted


def split_ring(size_bytes: int) -> tuple[int, int]:
    """Bytes and number of the chunks of a ring of `size_bytes`; `UsageError` outside 4 KiB to 64 MiB.

    >>> split_ring(4096), split_ring(64 << 20)
    ((1024, 4), (262144, 256))
    """
    if not 4 << 10 <= size_bytes <= 64 << 20:
        raise UsageError(f"a ring of {size_bytes} bytes has an unsupported size; give 4K to 64M")
    chunk_bytes = min(_LARGEST_CHUNK, size_bytes // _FEWEST_CHUNKS) // 64 * 64
    return chunk_bytes, size_bytes // chunk_bytes
