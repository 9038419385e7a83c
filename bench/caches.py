"""Speed of the model of caches: references a second, as a ratio to the same model written plainly in Python, in one run."""

from __future__ import annotations

import numpy as np

from qemu_bridge.trace.analysis.caches import Cache, CacheModel, Caches, Kind, count_stream

from .figures import Figure, paired_medians, seconds

_CACHES = Caches(l1=Cache(32 << 10, 8), l2=Cache(1 << 20, 16))
_REFERENCES = 1 << 21
_PLAIN = 1 << 16
"""References of the plain model: it takes long."""
_INSTRUCTIONS = 64


def measure(rounds: int) -> list[Figure]:
    """Walks through memory by strides, and loads at random places of 4 MiB, in turn."""
    random = np.random.default_rng(1)
    instructions = np.arange(_REFERENCES, dtype=np.uint32) % _INSTRUCTIONS
    turn = np.arange(_REFERENCES, dtype=np.uint64) // _INSTRUCTIONS
    # Each in a place of its own, and not all in one set.
    walks = instructions.astype(np.uint64) * np.uint64((1 << 24) + 192) + turn * np.uint64(8)
    addresses = np.where(instructions % 4, walks, random.integers(0, 4 << 20, _REFERENCES).astype(np.uint64))
    part = addresses[:_PLAIN].tolist()
    wanted = CacheModel(_CACHES).refer(addresses[:_PLAIN], 1, Kind.LOAD).tolist()
    if _refer_plainly(part) != wanted:
        raise RuntimeError("the two models disagree")
    figures = []
    for name, run, target in (
        ("misses", lambda: CacheModel(_CACHES).refer(addresses, 1, Kind.LOAD), ">= 20"),
        ("misses and strides", lambda: count_stream(_CACHES, addresses, 1, Kind.LOAD, instructions), ">= 10"),
    ):
        ours, plain, ratio = paired_medians(
            lambda run=run: seconds(run), lambda: seconds(lambda: _refer_plainly(part)), rounds
        )
        detail = f"{_REFERENCES / ours / 1e6:.0f} M references/s, {_PLAIN / plain / 1e6:.2f} M/s in Python"
        figures.append(Figure(f"caches: {name} / plain Python", _REFERENCES / _PLAIN / ratio, "x", target, detail))
    return figures


def _refer_plainly(addresses: list[int]) -> list[int]:
    """The misses of single bytes, with a dict of lists for each level; the line used last stands at the end."""
    levels: list[tuple[int, int, dict[int, list[int]]]] = [
        (level.sets(_CACHES.line_bytes), level.ways, {}) for _, level in _CACHES.levels()
    ]
    depths = []
    for address in addresses:
        line, depth = address // _CACHES.line_bytes, 0
        for sets, ways, held_by_set in levels:
            held = held_by_set.setdefault(line % sets, [])
            if line in held:
                held.remove(line)
                held.append(line)
                break
            held.append(line)
            del held[:-ways]
            depth += 1
        depths.append(depth)
    return depths
