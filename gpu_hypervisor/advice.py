"""Suggestions of weights and classes, by a person, a program or a language model, within bounds that the owner set.

>>> advice = Advice(hypervisor, Bounds(0.5, 2.0, (JobClass.BATCH,)))
>>> entry = advice.suggest(Suggestion("a", weight=90.0, reason="its queue is the longest"), "somebody")
>>> advice.undo(entry.number)

The scheduler asks nobody: a suggestion that is taken changes a weight, or the class of jobs that state none, and is logged so that it
can be taken back. Without bounds nothing is taken.
"""

from __future__ import annotations

import enum
import logging
import math
import threading
import time
from collections import deque
from weakref import WeakKeyDictionary

import msgspec

from qemu_bridge.errors import GlassBoxError, UsageError

from .engine import EventKind, Hypervisor, Tenant
from .errors import AdmissionError
from .scheduler import JobClass

logger = logging.getLogger(__name__)

MOST_ENTRIES = 1000
"""Entries of the log that are kept."""
A_MINUTE = 60
"""Suggestions that are looked at in a minute."""
_MOST_LETTERS = 300


class Bounds(msgspec.Struct, frozen=True):
    """What suggestions may do: a weight from `least` to `most` times what the owner gave, and `classes` for jobs that state none."""

    least: float = 1.0
    most: float = 1.0
    classes: tuple[JobClass, ...] = ()

    def checked(self) -> Bounds:
        """These bounds; `UsageError` where they cannot be."""
        if not (0 < self.least <= 1 <= self.most < math.inf):
            raise UsageError(
                f"weights go from a factor above 0 up to 1 to one from 1 on, such as 0.5:2, not {self.least:g}:{self.most:g}"
            )
        if JobClass.REALTIME in self.classes:
            raise UsageError("realtime is promised to jobs with a deadline and cannot be suggested; leave it out")
        return self

    @property
    def are_closed(self) -> bool:
        """Whether nothing may be suggested."""
        return self.least == self.most == 1 and not self.classes


class Suggestion(msgspec.Struct, frozen=True):
    """What somebody suggests for a tenant: another weight, a class for its jobs that state none (``inferred``: none again), and why."""

    tenant: str
    weight: float | None = None
    job_class: str | None = None
    reason: str = ""


class AdviceState(enum.StrEnum):
    """What became of a suggestion."""

    TAKEN = "taken"
    REFUSED = "refused"
    UNDONE = "undone"


class AdviceEntry(msgspec.Struct, frozen=True):
    """A line of the log: what was suggested by whom, what was so before, and what became of it. `time` is seconds since 1970."""

    number: int
    time: float
    by: str
    suggestion: Suggestion
    weight_before: float
    class_before: JobClass | None
    state: AdviceState
    note: str = ""


class Advice:
    """The log of suggestions for the tenants of a hypervisor; for any thread."""

    def __init__(self, hypervisor: Hypervisor, bounds: Bounds | None = None) -> None:
        self.bounds = (bounds or Bounds()).checked()
        self._hypervisor = hypervisor
        self._entries: deque[AdviceEntry] = deque(maxlen=MOST_ENTRIES)
        self._given: WeakKeyDictionary[Tenant, tuple[float, float]] = WeakKeyDictionary()
        """Of a tenant whose weight was changed: what the owner gave, and what it was changed to."""
        self._of: WeakKeyDictionary[Tenant, list[int]] = WeakKeyDictionary()
        """Suggestions that hold for a tenant, oldest first."""
        self._moments: deque[float] = deque(maxlen=A_MINUTE)
        self._number = 0
        self._lock = threading.Lock()

    def entries(self) -> tuple[AdviceEntry, ...]:
        """The log, oldest first."""
        with self._lock:
            return tuple(self._entries)

    def suggest(self, suggestion: Suggestion, by: str) -> AdviceEntry:
        """Take a suggestion; `AdmissionError` where it is outside of the bounds, `UsageError` where it makes no sense. Both are logged."""
        with self._lock:
            before: tuple[float, JobClass | None] = (0.0, None)
            try:
                tenant = self._find(suggestion.tenant)
                before = tenant.weight, tenant.job_class
                chosen = self._check(suggestion, tenant)
            except GlassBoxError as error:
                self._log(suggestion, by, before, AdviceState.REFUSED, str(error))
                raise
            if suggestion.weight is not None:
                self._given[tenant] = self._owners(tenant), suggestion.weight
                self._hypervisor.set_weight(tenant.name, suggestion.weight)
            if suggestion.job_class is not None:
                tenant.job_class = chosen
            entry = self._log(suggestion, by, before, AdviceState.TAKEN, "")
            self._of.setdefault(tenant, []).append(entry.number)
            return entry

    def undo(self, number: int) -> AdviceEntry:
        """Take a suggestion back: weight and class are what they were before it.

        `UsageError` where it does not hold, its tenant is gone, or a later one of the same tenant stands on it.
        """
        with self._lock:
            entry = next((each for each in self._entries if each.number == number), None)
            if entry is None or entry.state is not AdviceState.TAKEN:
                raise UsageError(f"suggestion {number} does not hold; 'glassbox gpu advice' lists those that do")
            tenant = next((each for each in self._hypervisor.tenants() if number in self._of.get(each, ())), None)
            if tenant is None:
                raise UsageError(f"tenant {entry.suggestion.tenant} of suggestion {number} is gone, and it with it")
            if self._of[tenant][-1] != number:
                raise UsageError(
                    f"suggestion {self._of[tenant][-1]} came after it for the same tenant; take that back first"
                )
            if entry.suggestion.weight is not None:
                if tenant.weight != entry.suggestion.weight:
                    raise UsageError(f"the weight of {tenant.name} was changed since, to {tenant.weight:g}; set it")
                self._given[tenant] = self._owners(tenant), entry.weight_before
                self._hypervisor.set_weight(tenant.name, entry.weight_before)
            if entry.suggestion.job_class is not None:
                tenant.job_class = entry.class_before
            self._of[tenant].pop()
            made = msgspec.structs.replace(entry, state=AdviceState.UNDONE)
            self._entries[self._entries.index(entry)] = made
            self._tell(made)
            return made

    def _find(self, name: str) -> Tenant:
        now = time.monotonic()
        if len(self._moments) == A_MINUTE and now - self._moments[0] < 60:
            raise AdmissionError(f"{A_MINUTE} suggestions were made within a minute; wait")
        self._moments.append(now)
        found = next((tenant for tenant in self._hypervisor.tenants() if tenant.name == name), None)
        if found is None:
            raise UsageError(f"there is no tenant {name[:50]!r}; 'glassbox gpu top' lists them")
        return found

    def _check(self, suggestion: Suggestion, tenant: Tenant) -> JobClass | None:
        """The class that is suggested."""
        if self.bounds.are_closed:
            raise AdmissionError(
                "the owner takes no suggestions; start the service with 'glassbox gpu serve --advice-weights 0.5:2'"
            )
        if suggestion.weight is None and suggestion.job_class is None:
            raise UsageError("a suggestion has a weight, a class or both")
        if (weight := suggestion.weight) is not None:
            base = self._owners(tenant)
            low, high = base * self.bounds.least, base * self.bounds.most
            if not low <= weight <= high:
                raise AdmissionError(
                    f"the owner gave {tenant.name} the weight {base:g} and takes {low:g} to {high:g}, not {weight:g}"
                )
        if suggestion.job_class in (None, "inferred"):
            return None
        if suggestion.job_class not in self.bounds.classes:
            allowed = ", ".join(self.bounds.classes) or "none"
            raise AdmissionError(
                f"{str(suggestion.job_class)[:50]!r} cannot be suggested; classes that the owner takes: {allowed}"
            )
        return JobClass(suggestion.job_class)

    def _owners(self, tenant: Tenant) -> float:
        """The weight that the owner gave: what it is now, unless that is a suggestion's."""
        given, changed = self._given.get(tenant, (tenant.weight, tenant.weight))
        return given if tenant.weight == changed else tenant.weight

    def _log(
        self,
        suggestion: Suggestion,
        by: str,
        before: tuple[float, JobClass | None],
        state: AdviceState,
        note: str,
    ) -> AdviceEntry:
        short = msgspec.structs.replace(
            suggestion,
            tenant=suggestion.tenant[:200],
            job_class=None if suggestion.job_class is None else suggestion.job_class[:50],
            reason=suggestion.reason[:_MOST_LETTERS],
        )
        self._number += 1
        entry = AdviceEntry(self._number, time.time(), by, short, *before, state, note)
        self._entries.append(entry)
        self._tell(entry)
        return entry

    def _tell(self, entry: AdviceEntry) -> None:
        text = describe(entry)
        logger.info("%s", text)
        self._hypervisor.activity.add_event(EventKind.ADVISED, entry.suggestion.tenant, text)


def describe(entry: AdviceEntry) -> str:
    """An entry in one line."""
    own = entry.suggestion
    parts = [] if own.weight is None else [f"weight {entry.weight_before:g} -> {own.weight:g}"]
    parts += [] if own.job_class is None else [f"class {entry.class_before or 'inferred'} -> {own.job_class}"]
    why = f": {own.reason}" if own.reason else ""
    note = f" ({entry.note})" if entry.note else ""
    return f"suggestion {entry.number} by {entry.by} {entry.state}: {', '.join(parts) or 'nothing'}{why}{note}"
