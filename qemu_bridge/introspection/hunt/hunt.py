"""The order of the comparisons, what each may spend, and the second look that a difference must survive.

A guest decides how much there is to read, and could make one comparison so long that none is left for the others. Each therefore
has a budget of its own, and one that is cut short gives what it found until then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

from ...errors import GlassBoxError
from ...kernel.budget import Budget, OutOfBudgetError, reason_of
from ...wire.records import Finding
from ..overlays import OverlayContext
from .hooks import read_hooks
from .modules import read_hidden_modules
from .processes import read_odd_processes
from .tables import read_tables
from .tasks import read_hidden_tasks

Look = Callable[[OverlayContext, Budget], Iterator[Finding]]

LOOKS: dict[str, Look] = {
    "system calls and interrupts": read_tables,
    "hooks": read_hooks,
    "tasks": read_hidden_tasks,
    "modules": read_hidden_modules,
    "processes": read_odd_processes,
}
"""What is compared, by what notes call it."""
_PAUSES_S = (0.02, 0.1, 0.3)
"""Before each further look: longer than a fork or an exit takes, on a busy host too."""
_LEAST_SHARE = 0.1
"""Of the time of a hunt: what a look leaves to each of those after it, and the last to who asked, however long it takes itself."""
_MOST = 1 << 12
"""Findings of one look."""
TIME_S = 15.0


def hunt(
    context: OverlayContext, budget: Budget, *, is_live: bool, looks: Mapping[str, Look] = LOOKS
) -> Iterator[Finding]:
    """Yield what each comparison finds; of a guest that `is_live` what it finds each time that it looks.

    One that ends early, for want of budget too, gives what it had found, and a note in `budget` names it.
    """
    for number, (name, look) in enumerate(looks.items(), 1):
        reserved_s = (len(looks) - number + 1) * _LEAST_SHARE * budget.time_s
        share = Budget(max(budget.deadline - reserved_s - time.monotonic(), 0.0))
        found = _confirmed(name, look, context, share, is_live=is_live)
        # Not `budget.skip`, which notes a few only: a look that was cut short is always said.
        budget.skipped += [sentence for sentence in share.skipped if sentence not in budget.skipped]
        yield from found


def _confirmed(name: str, look: Look, context: OverlayContext, budget: Budget, *, is_live: bool) -> list[Finding]:
    found, is_whole = _look(name, look, context, budget)
    for pause_s in _PAUSES_S if is_live else ():
        if not found or not is_whole:
            break
        time.sleep(pause_s)
        context.forget()
        seen, is_whole = _look(name, look, context, budget)
        again = {_identity(finding): finding for finding in seen}
        # A look that was cut short does not refute what it did not come to.
        found = [again.get(_identity(one), one) for one in found if not is_whole or _identity(one) in again]
    return found


def _look(name: str, look: Look, context: OverlayContext, budget: Budget) -> tuple[list[Finding], bool]:
    """What one look finds, and whether it came to its end; `budget` limits its time and that of those after it."""
    share = Budget(max(budget.deadline - time.monotonic(), 0.0))
    found: list[Finding] = []
    is_whole = False
    try:
        with share.watch(), context.objects.charged_to(share):
            for finding in look(context, share):
                if len(found) == _MOST:
                    raise OutOfBudgetError("too many findings")
                found.append(finding)
        is_whole = True
    except OutOfBudgetError as error:
        budget.skipped.append(f"{name} exceeded their budget and were not all looked at: {error}")
    except GlassBoxError as error:
        budget.skipped.append(f"{name} cannot be read: {reason_of(error)}")
    budget.skipped += [sentence for sentence in share.skipped if sentence not in budget.skipped]
    return found, is_whole


def _identity(finding: Finding) -> tuple[object, ...]:
    """What is the same when the same thing is found again."""
    return finding.kind, finding.address, finding.pid
