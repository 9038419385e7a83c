"""The order of the comparisons, and the second look that a difference must survive."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

from ...errors import GlassBoxError
from ...kernel.budget import Budget
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


def hunt(
    context: OverlayContext, budget: Budget, *, is_live: bool, looks: Mapping[str, Look] = LOOKS
) -> Iterator[Finding]:
    """Yield what each comparison finds; of a guest that `is_live` what it finds each time that it looks."""
    for name, look in looks.items():
        try:
            yield from _confirmed(look, context, budget, is_live=is_live)
        except GlassBoxError as error:
            budget.skip_unread(name, error)


def _confirmed(look: Look, context: OverlayContext, budget: Budget, *, is_live: bool) -> list[Finding]:
    found = list(look(context, budget))
    for pause_s in _PAUSES_S if is_live else ():
        if not found:
            break
        time.sleep(pause_s)
        context.forget()
        again = {_identity(finding): finding for finding in look(context, budget)}
        found = [again[key] for key in map(_identity, found) if key in again]
    return found


def _identity(finding: Finding) -> tuple[object, ...]:
    """What is the same when the same thing is found again."""
    return finding.kind, finding.address, finding.pid
