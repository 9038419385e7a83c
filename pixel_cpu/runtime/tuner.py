"""The autotuner: candidates are measured on a small problem, the best is kept by device and problem.

A candidate is one way to write a kernel: a tile, a number of lanes in a group, an unrolling. What it computes is compared with an
oracle first, so a fast wrong one is never chosen. Measurements alternate between candidates, and the median decides.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from qemu_bridge.errors import GlassBoxError
from qemu_bridge.host.folders import cache_folder
from qemu_bridge.host.plain_file import read_plain, write_atomic

from ..errors import LaunchError
from ..ir.text import write
from .device import Device
from .program import Kernel

ROUNDS = 5
"""Measured launches of each candidate, after one that is not counted."""
_MAX_FILE_BYTES = 1 << 20


@dataclass(frozen=True)
class Candidate:
    """A kernel to try, how to launch it, and a name that says what is special about it."""

    name: str
    kernel: Kernel
    lanes: int
    threads: int | None = None


@dataclass(frozen=True)
class Problem:
    """A small problem: arguments by name, fresh ones for each launch, and what the buffers must hold afterwards.

    `tolerance` is the largest relative error of float results; 0 demands the same bits.
    """

    arguments: Callable[[Device], Mapping[str, Any]]
    expected: Mapping[str, np.ndarray[Any, np.dtype[Any]]]
    tolerance: float = 0.0


@dataclass(frozen=True)
class Tuning:
    """The candidate that was chosen, median seconds of each that computed the right thing, and why others were refused.

    `was_kept` says that an earlier measurement of the same candidates on the same device and problem decided.
    """

    best: Candidate
    seconds: Mapping[str, float] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    was_kept: bool = False


def tune(
    name: str,
    candidates: Sequence[Candidate],
    problem: Problem,
    device: Device,
    *,
    rounds: int = ROUNDS,
    shape: str = "",
) -> Tuning:
    """Choose the fastest candidate that computes what the problem expects.

    The choice is kept under `name`, the device, `shape` and the candidates' texts. Raises `LaunchError` where no candidate is right.
    """
    key = _key(name, candidates, device, shape)
    kept = _read().get(key)
    for candidate in candidates:
        if kept == candidate.name:
            return Tuning(candidate, was_kept=True)
    refused = {}
    right = []
    for candidate in candidates:
        reason = _fault(candidate, problem, device)
        if reason:
            refused[candidate.name] = reason
        else:
            right.append(candidate)
    if not right:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in refused.items())
        raise LaunchError(f"no candidate of {name} computes what it should: {reasons}")
    times: dict[str, list[float]] = {candidate.name: [] for candidate in right}
    for _ in range(rounds):
        for candidate in right:
            times[candidate.name].append(_launch(candidate, problem.arguments(device), device))
    seconds = {name: statistics.median(found) for name, found in times.items()}
    best = min(right, key=lambda candidate: seconds[candidate.name])
    _write(key, best.name)
    return Tuning(best, seconds, refused)


def _launch(candidate: Candidate, arguments: Mapping[str, Any], device: Device) -> float:
    outcome = candidate.kernel.launch(candidate.lanes, threads=candidate.threads, device=device, **arguments)
    # A device's own clock leaves out what every launch costs, which is more than a small problem takes on a GPU.
    return outcome.seconds if outcome.device_seconds is None else outcome.device_seconds


def _fault(candidate: Candidate, problem: Problem, device: Device) -> str:
    """Why a candidate is refused; empty where it computes what the problem expects."""
    arguments = problem.arguments(device)
    try:
        _launch(candidate, arguments, device)
    except GlassBoxError as error:
        return str(error)
    for name, wanted in problem.expected.items():
        found = np.asarray(arguments[name])
        if problem.tolerance == 0:
            same = found.tobytes() == wanted.tobytes()
        else:
            same = bool(
                np.allclose(
                    found, wanted, rtol=problem.tolerance, atol=problem.tolerance * np.abs(wanted).max(initial=0)
                )
            )
        if not same:
            place = int(np.flatnonzero(found != wanted)[0])
            return f"{name}[{place}] is {found[place]} where {wanted[place]} is right"
    return ""


def _key(name: str, candidates: Sequence[Candidate], device: Device, shape: str) -> str:
    texts = "\0".join(f"{each.name}\0{each.lanes}\0{each.threads}\0{write(each.kernel.module)}" for each in candidates)
    digest = hashlib.sha256(texts.encode()).hexdigest()[:16]
    return f"{name} {device.description} {shape} {digest}"


def _path() -> Path:
    return cache_folder("kernels") / "tuned.json"


def _read() -> dict[str, str]:
    # A file that is missing or damaged costs a measurement, nothing more.
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(read_plain(_path(), _MAX_FILE_BYTES))
        if isinstance(found, dict):
            return {key: value for key, value in found.items() if isinstance(value, str)}
    return {}


def _write(key: str, choice: str) -> None:
    path = _path()
    text = json.dumps(_read() | {key: choice}, indent=1)
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomic(path, (text if len(text) < _MAX_FILE_BYTES else json.dumps({key: choice})).encode())
