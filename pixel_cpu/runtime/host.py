"""The host's program of a text in the primitives language: arrays on a device, copies, launches, in the order of the text."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..backends.launch import Outcome
from ..errors import LaunchError
from ..frontends.primitives.tree import HostAlloc, HostCopy, HostFree, HostLaunch, HostStatement, HostSync
from ..frontends.primitives.words import near
from .device import Device

Launch = Callable[..., Outcome]
"""Launches a kernel: its name, then the keywords of `Kernel.launch`."""
Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class HostResult:
    """What a host's program copied back, by name, and the outcome of each launch in order."""

    arrays: Mapping[str, Array]
    launches: tuple[Outcome, ...]


def run_host(
    launch: Launch, statements: Sequence[HostStatement], device: Device, given: Mapping[str, Any], seconds: float
) -> HostResult:
    """Run the statements one after another; `seconds` limits each launch.

    `given` has the numbers and arrays that the text names and does not make. Raises `LaunchError` with the line for what is missing
    or does not fit, and for what the text does not name; and what a launch raises.
    """
    wanted = wanted_names(statements)
    for name in given:
        if name not in wanted:
            known = ", ".join(sorted(wanted)) or "nothing"
            raise LaunchError(f"the text names no {name} that a run gives, but {known}{near(name, wanted)}")
    return _Host(launch, device, given, seconds).run(statements)


def wanted_names(statements: Sequence[HostStatement]) -> set[str]:
    """The numbers and arrays that statements name and do not make."""
    held, wanted = set[str](), set[str]()
    for statement in statements:
        match statement:
            case HostAlloc(name=name, length=length):
                wanted |= _names(length)
                held.add(name)
            case HostFree(name=name):
                held.discard(name)
            case HostCopy(source=source, direction="to_device"):
                wanted.add(source)
            case HostLaunch(blocks=blocks, threads=threads, arguments=arguments):
                wanted |= _names(blocks, threads) | (_names(*arguments.values()) - held)
    return wanted


def _names(*values: int | float | bool | str) -> set[str]:
    return {value for value in values if isinstance(value, str)}


class _Host:
    def __init__(self, launch: Launch, device: Device, given: Mapping[str, Any], seconds: float) -> None:
        self.start, self.device, self.given, self.seconds = launch, device, given, seconds
        self.arrays: dict[str, Array] = {}
        self.results: dict[str, Array] = {}
        self.launches: list[Outcome] = []

    def run(self, statements: Sequence[HostStatement]) -> HostResult:
        for statement in statements:
            match statement:
                case HostAlloc():
                    length = self.number(statement.length, statement.line)
                    self.arrays[statement.name] = self.device.zeros(length, statement.element.dtype)
                case HostCopy():
                    self.copy(statement)
                case HostFree():
                    del self.arrays[statement.name]
                case HostLaunch():
                    self.launch(statement)
                case HostSync():
                    pass  # each launch is waited for
        return HostResult(self.results, tuple(self.launches))

    def number(self, value: int | str, line: int) -> int:
        """A number of the text, or one that was given under its name."""
        found = self.find(value, line) if isinstance(value, str) else value
        if isinstance(found, bool) or not isinstance(found, (int, np.integer)) or found < 0:
            shown = f"an array of shape {found.shape}" if isinstance(found, np.ndarray) else repr(found)
            raise LaunchError(f"line {line}: {value} is {shown}, where a whole number, 0 or more, is wanted")
        return int(found)

    def find(self, name: str, line: int) -> Any:  # noqa: ANN401  # a number or an array
        if name not in self.given:
            raise LaunchError(f"line {line}: {name} is not given")
        return self.given[name]

    def copy(self, statement: HostCopy) -> None:
        if statement.direction == "to_host":
            self.results[statement.target] = np.array(self.arrays[statement.source])
            return
        on_device = statement.direction == "on_device"
        source = (
            self.arrays[statement.source]
            if on_device
            else np.asarray(self.find(statement.source, statement.line)).ravel()
        )
        target = self.arrays[statement.target]
        if source.dtype != target.dtype or len(source) != len(target):
            raise LaunchError(
                f"line {statement.line}: {statement.source} has {len(source)} elements of {source.dtype}, "
                f"{statement.target} {len(target)} of {target.dtype}"
            )
        target[:] = source

    def launch(self, statement: HostLaunch) -> None:
        arguments = {name: self.argument(value, statement.line) for name, value in statement.arguments.items()}
        outcome = self.start(
            statement.kernel,
            blocks=self.number(statement.blocks, statement.line),
            threads=self.number(statement.threads, statement.line),
            device=self.device,
            seconds=self.seconds,
            arguments=arguments,
        )
        self.launches.append(outcome)

    def argument(self, value: int | float | bool | str, line: int) -> Any:  # noqa: ANN401  # a number or an array
        if not isinstance(value, str):
            return value
        found = self.arrays[value] if value in self.arrays else self.find(value, line)
        return found.item() if isinstance(found, np.generic) and math.prod(found.shape) == 1 else found
