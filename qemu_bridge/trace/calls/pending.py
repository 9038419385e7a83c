"""What has begun and is waited for, each found in constant time however many a trace claims: children, and programs that start."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

from .events import NO_END
from .processes import Pid
from .system_call import SystemCall

_STACK_BYTES = 64 << 10
"""What a child uses before it begins a program; threads have more."""
_MOST_LENT = 16
"""Children under one root that are looked at: one may make another."""


@dataclass(slots=True, eq=False)
class Child:
    """A process that is being made: where its first return goes, and its number."""

    maker: SystemCall
    stack: int | None
    """None: not known."""
    end: int
    is_process: bool
    """False: it may be a thread, for all that is known."""
    pid: Pid = field(default_factory=Pid)
    began: int = 0
    """Its stack then."""


@dataclass(slots=True, eq=False)
class Open:
    """A call that has not returned; `child`: that it makes."""

    call: SystemCall
    key: tuple[int, int]
    """Its page-table root and stack."""
    end: int
    child: Child | None = None
    loaded: int = 0
    """Roots that it may have loaded, of `Starting`."""


class Children:
    """Children that have not begun."""

    def __init__(self) -> None:
        self._found: dict[tuple[int | None, int], dict[Child, int]] = {}
        self._numbers = itertools.count()

    def add(self, child: Child) -> None:
        """`child` is being made."""
        self._found.setdefault((child.stack, child.end), {})[child] = next(self._numbers)

    def drop(self, child: Child) -> None:
        """`child` is not waited for, if it was."""
        key = child.stack, child.end
        same = self._found.get(key, {})
        same.pop(child, None)
        if not same:
            self._found.pop(key, None)

    def take(self, stack_pointer: int, address: int) -> Child | None:
        """The first made of those that may begin there."""
        found: list[tuple[int, Child]] = []
        for stack, end in itertools.product((stack_pointer, None), (address & 0xFFF, NO_END)):
            same = self._found.get((stack, end))
            if same:
                child = next(iter(same))
                found.append((same[child], child))
        if not found:
            return None
        child = min(found)[1]
        self.drop(child)
        return child


class Lent:
    """Children that run under their maker's root while it waits, as those of vfork do; its other threads do not wait."""

    def __init__(self) -> None:
        self._found: dict[int, dict[Child, None]] = {}

    def add(self, root: int, child: Child) -> None:
        """`child` begins under `root`."""
        self._found.setdefault(root, {})[child] = None

    def drop(self, child: Child) -> bool:
        """Whether `child` was here; its maker waits no more."""
        root = child.maker.root
        same = self._found.get(root, {})
        was_here = child in same
        same.pop(child, None)
        if not same:
            self._found.pop(root, None)
        return was_here

    def find(self, root: int, stack_pointer: int) -> Child | None:
        """The latest whose stack that is: a child calls functions from where it began, and threads have stacks far from each other."""
        latest = itertools.islice(reversed(self._found.get(root, {})), _MOST_LENT)
        return next((child for child in latest if abs(child.began - stack_pointer) <= _STACK_BYTES), None)


class Starting:
    """Calls that may begin a program, by their root; and by the roots that they may have loaded for it, before anything ran there.

    The first of these did; the others were switched to it.
    """

    def __init__(self) -> None:
        self._begun: dict[int, dict[Open, None]] = {}
        self._loaded: dict[int, dict[Open, None]] = {}

    def __contains__(self, made: Open) -> bool:
        return made in self._begun.get(made.call.root, ())

    def __iter__(self) -> Iterator[Open]:
        return itertools.chain.from_iterable(self._begun.values())

    def add(self, made: Open) -> None:
        """`made` has begun."""
        self._begun.setdefault(made.call.root, {})[made] = None

    def drop(self, made: Open) -> None:
        """`made` has ended, if it was here."""
        same = self._begun.get(made.call.root, {})
        same.pop(made, None)
        if not same:
            self._begun.pop(made.call.root, None)

    def load(self, before: int, root: int) -> None:
        """`root` is loaded where `before` was: perhaps by the latest call from there; earlier ones left that root, which is another's now."""
        made = next(reversed(self._begun.get(before, {})), None)
        if made is not None and root != before:
            same = self._loaded.setdefault(root, {})
            made.loaded += made not in same
            same[made] = None

    def take_loaded(self, root: int) -> list[Open]:
        """Those that may have loaded `root`, where something runs now."""
        found = list(self._loaded.pop(root, ()))
        for made in found:
            made.loaded -= 1
        return found
