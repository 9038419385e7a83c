"""Cyclic paths: sequences of blocks that run again right after themselves.

Hot loops span several blocks, so a loop is found as a path and not as a block (as Dynamo does: Bala, Duesterwald and
Banerjia, PLDI 2000). The stream is cut in front of every block that some jump goes back to, and behind every block that
some such jump ends, which gives *laps*; a lap that repeats, or a group of up to `MAX_LAPS` laps that repeats as a whole, is a
cyclic path. Laps are compared by a hash of their
ids, so that everything is arithmetic on arrays:

    hash of blocks i..j-1 = (P[j] - P[i]) * B^-i,   P[k] = sum of R[id_m] * B^m over m < k,   modulo 2^64

with a random odd word R for each id and an odd base B, whose powers have inverses.

>>> ids = np.array([7, 1, 2, 3, 1, 2, 3, 1, 2, 3, 9])      # 7, then three laps of 1 2 3
>>> CycleFinder(places, jumps).find(ids).rounds
array([3])
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.uint32]
U64Array = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]

MAX_LAPS = 8
"""Laps that a path may consist of: a loop that calls functions which loop, a nest of loops with few rounds."""

_MASK = (1 << 64) - 1
_BASE = 0x9E3779B97F4A7C15
_SEED = 0x51A55B0C


@dataclass(frozen=True, slots=True)
class CycleRuns:
    """Runs of cyclic paths in a stream, one entry each, in no order.

    Attributes:
        start: index of the first block in the stream.
        blocks: blocks of one round.
        rounds: whole rounds, two or more.
        key: the same for the same path, wherever in the path it was entered.
    """

    start: Indices
    blocks: Indices
    rounds: Indices
    key: U64Array


class CycleFinder:
    """Finds cyclic paths in streams of the ids of one dictionary. Two finders of the same dictionary give the same keys."""

    def __init__(self, places: npt.NDArray[np.int32], jumps: npt.NDArray[np.bool_]) -> None:
        """`places[id]` orders the blocks by address; `jumps[id]` says that one ends in a jump, conditional or not: calls and
        returns go backwards too, and close no loop.
        """
        self._heads = places
        self._tails = np.where(jumps, places, np.int32(-1))
        words = np.random.default_rng(_SEED).integers(1, _MASK, len(places), np.uint64, endpoint=True)
        self._words = words | np.uint64(1)
        self._up, self._down = np.ones(1, np.uint64), np.ones(1, np.uint64)

    def find(self, ids: Ids) -> CycleRuns:
        """The cyclic paths of a stream, or of a piece of one: a run that the piece cuts in two counts as two."""
        # As indices once, and not again for each table.
        index = ids.astype(np.intp)
        cuts = self._cuts(index)
        lap = self._hashes(index, cuts) if len(cuts) > 2 else np.zeros(0, np.uint64)
        found = [_runs_of(period, first, rounds, cuts, lap) for period, first, rounds in _repeats(lap)]
        none = np.zeros(0, np.int64)
        start, blocks, rounds, key = zip((none, none, none, np.zeros(0, np.uint64)), *found, strict=True)
        return CycleRuns(np.concatenate(start), np.concatenate(blocks), np.concatenate(rounds), np.concatenate(key))

    def _cuts(self, ids: Indices) -> Indices:
        """Where laps begin, ascending: the way into a loop and the way out of it are cut as its rounds are."""
        back = np.flatnonzero(self._heads[ids[1:]] <= self._tails[ids[:-1]])
        marks = np.zeros(len(self._heads), np.uint8)
        marks[ids[back + 1]] = 1
        marks[ids[back]] |= 2
        here = marks[ids]
        begins = here & 1
        begins[1:] |= here[:-1] >> 1
        # NumPy finds what is set several times faster in an array of bool.
        return np.flatnonzero(begins.view(np.bool_))

    def _hashes(self, ids: Indices, cuts: Indices) -> U64Array:
        """Hash of the blocks from each of the `cuts` to the next: one fewer than there are cuts."""
        if len(ids) > len(self._up):
            self._up = _powers(_BASE, len(ids))
            self._down = _powers(pow(_BASE, -1, 1 << 64), len(ids))
        sums = self._words[ids]
        sums *= self._up[: len(ids)]
        np.cumsum(sums, out=sums)
        before = sums[cuts - 1]
        before[cuts == 0] = 0
        return np.asarray((before[1:] - before[:-1]) * self._down[cuts[:-1]])


def _powers(base: int, count: int) -> U64Array:
    """base^0, base^1 … modulo 2^64, `count` of them."""
    powers = np.ones(count, np.uint64)
    done = 1
    while done < count:
        step = min(done, count - done)
        powers[done : done + step] = powers[:step] * np.uint64(pow(base, done, 1 << 64))
        done += step
    return powers


def _repeats(lap: U64Array) -> list[tuple[int, Indices, Indices]]:
    """(laps of a round, first lap of each run, rounds of each run), the shortest rounds first; no lap is in two runs."""
    found = []
    where = np.arange(len(lap))
    word = lap
    for period in range(1, MAX_LAPS + 1):
        if len(word) < 2 * period:
            break
        edges = np.flatnonzero(np.diff(word[period:] == word[:-period], prepend=False, append=False))
        first, last = edges[::2], edges[1::2]
        # Two runs may share laps, fewer than a round: the first has them.
        first[1:] = np.maximum(first[1:], last[:-1] + period)
        long = last - first >= period
        first, rounds = first[long], (last[long] - first[long]) // period + 1
        found.append((period, where[first], rounds))
        word, where = _without(word, where, first, rounds * period)
    return found


def _without(word: U64Array, where: Indices, first: Indices, length: Indices) -> tuple[U64Array, Indices]:
    """The laps that are in no run; each run leaves one word that equals no other, so that nothing joins across it."""
    kept = np.ones(len(word), np.bool_)
    covered = np.repeat(first - np.cumsum(length) + length, length) + np.arange(int(length.sum()))
    kept[covered] = False
    kept[first] = True
    word = word.copy()
    # A hash may equal an index, once in 2^64 laps.
    word[first] = where[first].astype(np.uint64)
    keep = np.flatnonzero(kept)
    return word[keep], where[keep]


def _runs_of(
    period: int, first: Indices, rounds: Indices, cuts: Indices, lap: U64Array
) -> tuple[Indices, Indices, Indices, U64Array]:
    """The columns of `CycleRuns` for runs whose rounds have `period` laps."""
    key = np.zeros(len(first), np.uint64)
    for step in range(period):
        # Summing over neighbours gives one key to all rotations of a path, and another to its laps in another order.
        pair = lap[first + step] * np.uint64(_BASE) + lap[first + (step + 1) % period]
        pair ^= pair >> np.uint64(29)
        key += pair * np.uint64(_BASE)
    return cuts[first], cuts[first + period] - cuts[first], rounds, key
